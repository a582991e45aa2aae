/*
 * A row's value on disk and in the changelog, little-endian:
 *
 *   u8   format, 1
 *   then, per table whose entry exists, in the order of the tables, one section:
 *     u32  tag of the table
 *     u16  version of the entry's layout
 *     varint  length of the entry << 2 | has a timer << 1 | has a time of its last write
 *     i64  time of the last write (tables with a ttl only: elsewhere it would hang on when commits fell)
 *     i64  timer (when one is set)
 *     the entry's bytes
 *
 * A row without sections is a tombstone and has no value. Sections of tables that the pipeline no longer has are skipped, and are gone when the
 * row is next written (stream/lane_meaning.c sees to it that nobody reads those that are left). Every length is checked: values come from a topic that others can write to.
 */
#include "state/rows_private.h"

enum {
	FORMAT = 1,
	HAS_WRITTEN = 1,
	HAS_TIMER = 2,
	VARINT_MAX = 5,
	SECTION_HEAD_MAX = 4 + 2 + VARINT_MAX + 8 + 8,
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are stored as this host has them");

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return to + size;
}

static uint8_t *put_varint(uint8_t *to, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		*to++ = (uint8_t)(value | 0x80);
	*to++ = (uint8_t)value;
	return to;
}

static bool take(struct leat_bytes *from, void *to, size_t size)
{
	if (from->length < size)
		return false;
	memcpy(to, from->data, size);
	from->data += size;
	from->length -= (uint32_t)size;
	return true;
}

static bool take_varint(struct leat_bytes *from, uint32_t *value)
{
	uint64_t sum = 0;
	uint8_t byte = 0x80;
	for (unsigned i = 0; i < VARINT_MAX && byte & 0x80; i++) {
		if (!take(from, &byte, 1))
			return false;
		sum |= (uint64_t)(byte & 0x7f) << (7 * i);
	}
	*value = (uint32_t)sum;
	return !(byte & 0x80) && sum <= UINT32_MAX;
}

size_t leat_format_size(const struct leat_rows *rows)
{
	size_t size = 1;
	for (size_t i = 0; i < rows->count; i++)
		if (rows->durable & 1u << i)
			size += SECTION_HEAD_MAX + rows->tables[i].entry_size;
	return size;
}

static uint8_t *encode_section(struct leat_rows *rows, struct row *row, size_t table, uint8_t *to)
{
	const struct leat_rows_table *config = &rows->tables[table];
	int64_t timer = row->timers ? row->timers[table].at : NO_TIME;
	uint32_t written = rows->with_ttl >> table & 1;
	to = put(to, &config->tag, sizeof config->tag);
	to = put(to, &config->version, sizeof config->version);
	to = put_varint(to, (uint32_t)config->entry_size << 2 | (timer != NO_TIME ? HAS_TIMER : 0) | (written ? HAS_WRITTEN : 0));
	if (written)
		to = put(to, row_written(rows, row, table), sizeof(int64_t));
	if (timer != NO_TIME)
		to = put(to, &timer, sizeof timer);
	return put(to, row_entry(rows, row, table), config->entry_size);
}

struct leat_bytes leat_format_encode(struct leat_rows *rows, struct row *row)
{
	uint32_t tables = row->head.present & rows->durable;
	uint8_t *to = rows->value;
	if (!tables)
		return (struct leat_bytes){ 0 };
	*to++ = FORMAT;
	for (; tables; tables &= tables - 1)
		to = encode_section(rows, row, (size_t)__builtin_ctz(tables), to);
	return leat_bytes(rows->value, (size_t)(to - rows->value));
}

int leat_format_begin(struct leat_bytes *value)
{
	uint8_t format = 0;
	if (value->length > LEAT_ROW_VALUE_MAX || !take(value, &format, 1) || format == 0)
		return LEAT_ECORRUPT;
	return format == FORMAT ? 0 : LEAT_EFOREIGN;
}

int leat_format_next(struct leat_bytes *value, struct leat_section *section)
{
	uint32_t packed;
	*section = (struct leat_section){ .timer_ms = NO_TIME };
	if (value->length == 0)
		return 0;
	if (!take(value, &section->tag, sizeof section->tag) || !take(value, &section->version, sizeof section->version) || !take_varint(value, &packed))
		return LEAT_ECORRUPT;
	section->has_written = packed & HAS_WRITTEN;
	if (section->has_written && !take(value, &section->written_ms, sizeof section->written_ms))
		return LEAT_ECORRUPT;
	if (packed & HAS_TIMER && (!take(value, &section->timer_ms, sizeof section->timer_ms) || section->timer_ms == NO_TIME))
		return LEAT_ECORRUPT;
	if (packed >> 2 > value->length)
		return LEAT_ECORRUPT;
	section->entry = leat_bytes(value->data, packed >> 2);
	value->data += packed >> 2;
	value->length -= packed >> 2;
	return 1;
}

int leat_format_table(const struct leat_rows *rows, uint32_t tag)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->tables[i].tag == tag)
			return (int)i;
	return -1;
}

static int refuse(const struct leat_rows_table *table, const struct leat_section *section)
{
	leat_log_seldom(LEAT_ERROR, table, 60000, "an entry of table %08x has layout version %u and %u bytes, the pipeline has version %u and %zu bytes",
			table->tag, section->version, section->entry.length, table->version, table->entry_size);
	return LEAT_EFOREIGN;
}

static int decode_entry(const struct leat_rows_table *table, const struct leat_section *section, void *entry)
{
	if (section->version == table->version && section->entry.length == table->entry_size) {
		memcpy(entry, section->entry.data, table->entry_size);
		return 0;
	}
	if (section->version > table->version || !table->upgrade)
		return refuse(table, section);
	int rc = table->upgrade(table->self, entry, section->entry.data, section->entry.length, section->version);
	return rc < 0 ? refuse(table, section) : 0;
}

static int decode_section(struct leat_rows *rows, struct row *row, size_t table, const struct leat_section *section)
{
	uint32_t bit = 1u << table;
	if (row->head.present & bit)
		return LEAT_ECORRUPT;
	LEAT_TRY(decode_entry(&rows->tables[table], section, row_entry(rows, row, table)));
	row->head.present |= bit;
	/* Written before the table had a ttl: its time begins when it is next found (NO_TIME until then). */
	if (rows->with_ttl & bit)
		*row_written(rows, row, table) = section->has_written ? section->written_ms : NO_TIME;
	if (section->timer_ms == NO_TIME)
		return 0;
	LEAT_TRY(leat_timers_make(rows, row));
	row->timers[table].at = section->timer_ms;
	row->timers[table].indexed = section->timer_ms;
	return 0;
}

int leat_format_decode(struct leat_rows *rows, struct row *row, struct leat_bytes value)
{
	struct leat_section section;
	LEAT_TRY(leat_format_begin(&value));
	for (;;) {
		int more = leat_format_next(&value, &section);
		if (more <= 0)
			return more;
		int table = leat_format_table(rows, section.tag);
		if (table >= 0 && rows->durable & 1u << table)
			LEAT_TRY(decode_section(rows, row, (size_t)table, &section));
	}
}
