/* enrich - joins events with a reference table: columns of the row whose key an event names. */
#include "operators/model/cells.h"
#include "stream/operator.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LENGTH 256

enum { FOUND, MISSING };
enum { FOUNDS, MISSINGS };
enum missing { TO_MISSING, DROP, REJECT };

struct enrich {
	struct leat_reference *table;
	struct leat_field_ref key;
	struct leat_texts fields;
	const char *prefix;
	int missing;

	const struct leat_field **sources;      /* of the table, by added column */
	const char *reason;
};

/* ---- rows ---- */

static long find(const struct enrich *enrich, const struct leat_batch *in, size_t row)
{
	const struct leat_column *column = &in->columns[enrich->key.slot];
	struct leat_bytes key;
	if (column->null[row])
		return -1;
	if (column->type == LEAT_INT) {
		key = (struct leat_bytes){ (const uint8_t *)&column->ints[row], sizeof column->ints[row] };
	} else if (column->type == LEAT_ENUM) {
		const char *symbol = enrich->key.field->symbols[column->ints[row]];
		key = (struct leat_bytes){ (const uint8_t *)symbol, (uint32_t)strlen(symbol) };
	} else {
		key = column->bytes[row];
	}
	return leat_reference_find(enrich->table, key, in->time_ms[row]);
}

static void take(struct leat_task *task, const struct enrich *enrich, int index, const struct leat_column *from, size_t at, size_t row)
{
	struct leat_column *to = leat_added(task, index);
	if (from->type != LEAT_ENUM) {
		leat_cells_copy(to, row, from, at);
		return;
	}
	const char *symbol = from->null[at] ? NULL : enrich->sources[index]->symbols[from->ints[at]];
	to->null[row] = !symbol;
	to->bytes[row] = (struct leat_bytes){ (const uint8_t *)symbol, symbol ? (uint32_t)strlen(symbol) : 0 };
}

static void lack(struct leat_task *task, const struct enrich *enrich, size_t row)
{
	for (size_t i = 0; i < enrich->fields.count; i++)
		leat_cells_clear(leat_added(task, (int)i), row);
	leat_count(task, MISSINGS, 1);
	if (enrich->missing == REJECT)
		leat_reject(task, row, enrich->reason);
	else if (enrich->missing == TO_MISSING)
		leat_pass(task, MISSING, row);
}

static int enrich_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct enrich *enrich = self;
	const struct leat_column *columns[LEAT_BATCH_MAX];
	for (size_t i = 0; i < enrich->fields.count; i++)
		columns[i] = leat_reference_column(enrich->table, enrich->fields.items[i]);
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		long at = find(enrich, in, row);
		if (at < 0) {
			lack(task, enrich, row);
			continue;
		}
		for (size_t f = 0; f < enrich->fields.count; f++)
			take(task, enrich, (int)f, columns[f], (size_t)at, row);
		leat_count(task, FOUNDS, 1);
		leat_pass(task, FOUND, row);
	}
	return 0;
}

/* ---- planning ---- */

static int plan_field(struct leat_plan *plan, struct enrich *enrich, size_t index)
{
	const char *name = enrich->fields.items[index];
	const struct leat_field *field = leat_reference_field(enrich->table, name);
	char added[NAME_MAX_LENGTH];
	if (!field)
		return leat_plan_fail(plan, "fields", "names '%s', which the table has not", name);
	if (snprintf(added, sizeof added, "%s%s", enrich->prefix, name) >= (int)sizeof added)
		return leat_plan_fail(plan, "prefix", "makes the name of '%s' too long", name);
	enrich->sources[index] = field;
	int column = leat_plan_add(plan, added, field->type == LEAT_ENUM ? LEAT_STRING : field->type, field->width ? field->width : 1, field->help);
	if (column == LEAT_ELIMIT)
		return leat_plan_fail(plan, "fields", "names too many columns");
	return column < 0 ? column : 0;
}

static int plan_key(struct leat_plan *plan, struct enrich *enrich)
{
	const struct leat_field *own = enrich->key.field, *theirs = leat_reference_key(enrich->table);
	bool text = own->type == LEAT_STRING || own->type == LEAT_ENUM;
	if (theirs->type != own->type && !(text && theirs->type == LEAT_STRING))
		return leat_plan_fail(plan, "key", "the field '%s' is not of the type of the table's key '%s'", own->name, theirs->name);
	size_t size = sizeof "domain_" + strlen(own->name);
	char *reason = leat_plan_memory(plan, size);
	enrich->reason = reason;
	if (!reason)
		return LEAT_ENOMEM;
	(void)snprintf(reason, size, "domain_%s", own->name);
	return 0;
}

static int enrich_plan(struct leat_plan *plan, void *self)
{
	struct enrich *enrich = self;
	LEAT_TRY(plan_key(plan, enrich));
	enrich->sources = leat_plan_memory(plan, (enrich->fields.count + 1) * sizeof *enrich->sources);
	if (!enrich->sources)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < enrich->fields.count; i++)
		LEAT_TRY(plan_field(plan, enrich, i));
	return 0;
}

#define OPTION(member) offsetof(struct enrich, member)
const struct leat_operator operator_enrich = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "enrich",
	.help = "Joins events with a reference table: adds columns of the row whose key an event names.",
	.outputs = (const struct leat_output[]){
		[FOUND] = { .name = "found", .help = "Events whose key is in the table, with the new columns." },
		[MISSING] = { .name = "missing", .help = "With missing: pass, events whose key is null or not in the table; the new columns are null." },
		{ 0 },
	},
	.counters = (const char *const[]){ [FOUNDS] = "found", [MISSINGS] = "missing", NULL },
	.options = (const struct leat_option[]){
		{ "table", LEAT_OPTION_REFERENCE, OPTION(table), .help = "The reference table." },
		{ "key", LEAT_OPTION_FIELD, OPTION(key), .types = LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_BYTES) | LEAT_TYPE_BIT(LEAT_ENUM),
		  .help = "The field that holds the table's key; of its type, or an enum for a text." },
		{ "fields", LEAT_OPTION_TEXTS, OPTION(fields), "[]", .help = "Fields of the table to add as columns; none: only part found from missing. An enum becomes text." },
		{ "prefix", LEAT_OPTION_TEXT, OPTION(prefix), "", .help = "Put before the names of the new columns." },
		{ "missing", LEAT_OPTION_CHOICE, OPTION(missing), "pass", .choices = (const char *const[]){ [TO_MISSING] = "pass", [DROP] = "drop", [REJECT] = "reject", NULL },
		  .help = "What becomes of an event whose key is not there: pass to the output missing (who takes both outputs has all events), drop, or reject as domain_<key>." },
		{ 0 },
	},
	.self_size = sizeof(struct enrich),
	.plan = enrich_plan,
	.process = enrich_process,
};
