/*
 * The meaning row's format: u32 version, then per operator: u16 length of the id, u16 flags, u32 length of the text, the id, the text of plan_meaning.c. Little-endian.
 * Options that only one side knows are left out of the comparison: another version of the operator may have more or fewer.
 */
#include "stream/lane_meaning.h"

enum { VERSION = 1, GONE = 1, OTHERS_MAX = 500, SHOWN_MAX = 90 };

static const uint8_t key_bytes[] = { 0xff, 0xff, 0, 0, 0, 0, 'm', 'e', 'a', 'n', 'i', 'n', 'g' };
const struct leat_bytes leat_lane_meaning_key = { key_bytes, sizeof key_bytes };

struct part { uint16_t id_length, flags; uint32_t text_length; };
_Static_assert(sizeof(struct part) == 8, "stored");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored rows are little-endian");

struct entry {
	struct leat_bytes id, text;
	bool gone;              /* out of the pipeline, and what it had is no longer whole */
};

bool leat_lane_meaning_is(struct leat_bytes key)
{
	return leat_bytes_equal(key, leat_lane_meaning_key);
}

struct leat_bytes leat_lane_meaning(const struct leat_lane *lane)
{
	return leat_bytes(lane->meaning.data, lane->meaning.length);
}

/* ---- reading ---- */

static bool take(struct leat_bytes *from, void *to, size_t size)
{
	if (from->length < size)
		return false;
	memcpy(to, from->data, size);
	*from = leat_bytes(from->data + size, from->length - size);
	return true;
}

static bool take_bytes(struct leat_bytes *from, size_t size, struct leat_bytes *out)
{
	if (from->length < size)
		return false;
	*out = leat_bytes(from->data, size);
	*from = leat_bytes(from->data + size, from->length - size);
	return true;
}

/* 1, 0 at the end, LEAT_ECORRUPT. */
static int next_entry(struct leat_bytes *rest, struct entry *entry)
{
	struct part part;
	if (rest->length == 0)
		return 0;
	if (!take(rest, &part, sizeof part) || !take_bytes(rest, part.id_length, &entry->id) || !take_bytes(rest, part.text_length, &entry->text))
		return LEAT_ECORRUPT;
	entry->gone = part.flags & GONE;
	return entry->text.length == 0 || entry->text.data[entry->text.length - 1] == '\0' ? 1 : LEAT_ECORRUPT;
}

/* The next word of a text, or NULL. */
static const char *next_word(struct leat_bytes *text)
{
	const char *word = (const char *)text->data;
	if (text->length == 0)
		return NULL;
	*text = leat_bytes(text->data + strlen(word) + 1, text->length - strlen(word) - 1);
	return word;
}

static const char *value_of(struct leat_bytes text, const char *name)
{
	const char *word, *value;
	while ((word = next_word(&text)) && (value = next_word(&text)))
		if (strcmp(word, name) == 0)
			return value;
	return NULL;
}

/* ---- comparing ---- */

static const struct leat_node *find_node(const struct leat_pipeline *pipeline, struct leat_bytes id)
{
	for (size_t i = 0; i < pipeline->node_count; i++)
		if (pipeline->nodes[i].meaning.length && leat_bytes_equal(leat_text(pipeline->nodes[i].id), id))
			return &pipeline->nodes[i];
	return NULL;
}

static bool writes_rows_of(const struct leat_pipeline *pipeline, const char *key_name)
{
	for (size_t i = 0; i < pipeline->group_count; i++)
		if (pipeline->groups[i].kind == LEAT_KEYED && !pipeline->groups[i].owner && strcmp(pipeline->groups[i].key_name, key_name) == 0)
			return true;
	return false;
}

/* Does a pipeline without the operator leave its entries alone? Those in rows that others write go with them. */
static bool stays_whole(const struct leat_pipeline *pipeline, struct leat_bytes text)
{
	const char *name, *value;
	while ((name = next_word(&text)) && (value = next_word(&text)))
		if (strncmp(name, LEAT_MEANING_ROWS, strlen(LEAT_MEANING_ROWS)) == 0 && writes_rows_of(pipeline, value))
			return false;
	return true;
}

static int compare(const struct leat_lane *lane, const struct leat_node *node, const struct entry *entry, struct leat_fault *fault)
{
	struct leat_bytes now = node->meaning;
	const char *name, *value;
	if (entry->gone)
		return leat_fail(fault, LEAT_EFOREIGN, "operator '%s': the pipeline has run without it, and part of what task %d knew for it is gone. Give it a new id: its state begins afresh",
				 node->id, (int)lane->task);
	while ((name = next_word(&now)) && (value = next_word(&now))) {
		const char *then = value_of(entry->text, name);
		if (then && strcmp(then, value) != 0)
			return leat_fail(fault, LEAT_EFOREIGN, "operator '%s': the state of task %d was made with '%s' %.*s, now it is %.*s: what is stored would be taken for something else. "
					 "Put the option back, or give the operator a new id: its state begins afresh",
					 node->id, (int)lane->task, name, SHOWN_MAX, then, SHOWN_MAX, value);
	}
	return 0;
}

/* ---- the row as it must be ---- */

static int put(struct leat_buffer *out, struct leat_bytes id, struct leat_bytes text, uint16_t flags)
{
	struct part part = { (uint16_t)id.length, flags, text.length };
	LEAT_TRY(leat_buffer_append(out, &part, sizeof part));
	LEAT_TRY(leat_buffer_append(out, id.data, id.length));
	return leat_buffer_append(out, text.data, text.length);
}

static int put_nodes(struct leat_lane *lane)
{
	const uint32_t version = VERSION;
	lane->meaning.length = 0;
	LEAT_TRY(leat_buffer_append(&lane->meaning, &version, sizeof version));
	for (size_t i = 0; i < lane->pipeline->node_count; i++) {
		const struct leat_node *node = &lane->pipeline->nodes[i];
		if (node->meaning.length)
			LEAT_TRY(put(&lane->meaning, leat_text(node->id), node->meaning, 0));
	}
	return 0;
}

/* Operators that are out now come before those that were out already: of more than can be kept the oldest are forgotten. */
static int put_others(struct leat_lane *lane, struct leat_bytes stored, struct leat_fault *fault)
{
	struct entry entry;
	size_t others = 0;
	int more;
	while ((more = next_entry(&stored, &entry)) > 0) {
		const struct leat_node *node = find_node(lane->pipeline, entry.id);
		if (node) {
			LEAT_TRY(compare(lane, node, &entry, fault));
			continue;
		}
		bool gone = entry.gone || !stays_whole(lane->pipeline, entry.text);
		if (others++ < OTHERS_MAX && put(&lane->meaning, entry.id, gone ? leat_bytes(NULL, 0) : entry.text, gone ? GONE : 0) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	}
	return more < 0 ? leat_fail(fault, more, "task %d: the row that says what its state means is damaged", (int)lane->task) : 0;
}

int leat_lane_meaning_check(struct leat_bytes value)
{
	struct entry entry;
	uint32_t version;
	int more = 1;
	if (!take(&value, &version, sizeof version) || version == 0)
		return LEAT_ECORRUPT;
	while (version == VERSION && more > 0)
		more = next_entry(&value, &entry);
	return more < 0 ? more : 0;
}

static int found(void *self, size_t index, struct leat_bytes value)
{
	(void)index;
	return leat_buffer_append(self, value.data, value.length);
}

static int settle(struct leat_lane *lane, struct leat_bytes stored, struct leat_fault *fault)
{
	struct leat_bytes rest = stored;
	uint32_t version = 0;
	if (put_nodes(lane) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (stored.length && (!take(&rest, &version, sizeof version) || version != VERSION))
		return leat_fail(fault, version > VERSION ? LEAT_EFOREIGN : LEAT_ECORRUPT, "task %d: the row that says what its state means has format %u, this version knows %d", (int)lane->task, version, VERSION);
	LEAT_TRY(put_others(lane, rest, fault));
	if (!stored.length && lane->meaning.length == sizeof version && !lane->tail_meaning)
		lane->meaning.length = 0;       /* there is no state to speak of */
	lane->meaning_due = lane->tail_meaning || !leat_bytes_equal(stored, leat_lane_meaning(lane));
	return 0;
}

int leat_lane_meaning_open(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_buffer stored = { 0 };
	int rc = leat_store_get_many(lane->store, LEAT_FAMILY_ROWS, &leat_lane_meaning_key, 1, found, &stored);
	if (rc < 0)
		rc = leat_fail(fault, rc, "task %d: the row that says what its state means cannot be read: %s", (int)lane->task, leat_error_text(rc));
	else
		rc = settle(lane, leat_bytes(stored.data, stored.length), fault);
	leat_buffer_free(&stored);
	return rc;
}
