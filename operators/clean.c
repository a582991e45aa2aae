/* clean - checks and normalises fields by a list of rules: bad values are rejected, dropped, nulled or brought back into their bounds. */
#include "operators/model/cells.h"
#include "operators/model/values.h"
#include "stream/operator.h"

#include <stdio.h>
#include <string.h>

#define CLIPPABLE (LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_FLOAT) | LEAT_TYPE_BIT(LEAT_DOUBLE) | LEAT_TYPE_BIT(LEAT_STRING))

enum { CLEAN, DROPPED };
enum { REJECTED, DROPS, NULLED, CLIPPED, NORMALISED };
enum action { REJECT, DROP, TO_NULL, CLIP, ACTIONS };
enum verdict { KEPT, IS_DROPPED, IS_REJECTED };

/* One rule, made of the words that were given. */
struct rule {
	int line, slot, to;                     /* to: leat_added() of what it writes, -1: nothing */
	const struct leat_field *field;         /* NULL: the rule is an expression                 */
	struct leat_values values;
	struct leat_expression *expression;     /* true: bad                                       */
	enum action action;
	const char *reason, *as;
};
struct text {
	int slot;
	const char *reason;
};
struct clean {
	struct leat_rules given;
	int64_t max_text;

	struct rule *rules;
	struct text *texts;                     /* every text field */
	size_t text_count;
};
struct verdicts {
	uint8_t of[LEAT_BATCH_MAX];             /* by row */
	const char *reason[LEAT_BATCH_MAX];
};

/* ---- rows ---- */

static void judge(struct leat_task *task, struct verdicts *verdicts, const struct rule *rule, size_t row)
{
	verdicts->of[row] = rule->action == DROP ? IS_DROPPED : IS_REJECTED;
	verdicts->reason[row] = rule->reason;
	leat_count(task, rule->action == DROP ? DROPS : REJECTED, 1);
}

static void repair(struct leat_task *task, struct verdicts *verdicts, const struct rule *rule, struct leat_column *column, size_t row)
{
	if (rule->action == TO_NULL) {
		leat_cells_clear(column, row);
		leat_count(task, NULLED, 1);
	} else if (rule->action == CLIP && leat_values_clip(&rule->values, column, row)) {
		leat_count(task, CLIPPED, 1);
	} else {
		judge(task, verdicts, rule, row);
	}
}

static int normalise(struct leat_task *task, const struct rule *rule, struct leat_bytes *text)
{
	struct leat_bytes before = *text;
	if (rule->values.trim)
		*text = leat_values_trim(*text);
	if (rule->values.style && leat_values_has_case(*text, (enum leat_values_case)rule->values.style)) {
		uint8_t *room = leat_scratch(task, text->length);
		if (!room)
			return LEAT_ENOMEM;
		*text = leat_values_to_case(room, *text, (enum leat_values_case)rule->values.style);
	}
	leat_count(task, NORMALISED, before.data != text->data || before.length != text->length);
	return 0;
}

static int apply_field(struct leat_task *task, struct verdicts *verdicts, const struct rule *rule, const struct leat_batch *in)
{
	struct leat_column *to = rule->to >= 0 ? leat_added(task, rule->to) : NULL;
	const struct leat_column *column = to ? to : &in->columns[rule->slot];
	if (rule->as)
		leat_cells_copy_rows(to, &in->columns[rule->slot], in->row, in->count);
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		if (verdicts->of[row] != KEPT)
			continue;
		if (column->null[row]) {
			if (rule->values.not_null)
				judge(task, verdicts, rule, row);
			continue;
		}
		if (rule->values.trim || rule->values.style)
			LEAT_TRY(normalise(task, rule, &to->bytes[row]));
		if (!leat_values_good(&rule->values, column, row))
			repair(task, verdicts, rule, to, row);
	}
	return 0;
}

static int apply_expression(struct leat_task *task, struct verdicts *verdicts, const struct rule *rule, const struct leat_batch *in)
{
	uint16_t rows[LEAT_BATCH_MAX];
	struct leat_batch kept = *in;
	kept.row = rows;
	kept.count = 0;
	for (size_t i = 0; i < in->count; i++)
		if (verdicts->of[in->row[i]] == KEPT)
			rows[kept.count++] = in->row[i];
	if (kept.count == 0)
		return 0;
	const struct leat_column *bad = leat_evaluate(task, rule->expression, &kept);
	if (!bad)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < kept.count; i++)
		if (!bad->null[rows[i]] && bad->bools[rows[i]])
			judge(task, verdicts, rule, rows[i]);
	return 0;
}

static void check_texts(struct leat_task *task, const struct clean *clean, struct verdicts *verdicts, const struct leat_batch *in)
{
	for (size_t t = 0; t < clean->text_count; t++) {
		const struct leat_column *column = &in->columns[clean->texts[t].slot];
		for (size_t i = 0; i < in->count; i++) {
			size_t row = in->row[i];
			if (column->null[row] || column->bytes[row].length <= clean->max_text || verdicts->of[row] != KEPT)
				continue;
			verdicts->of[row] = IS_REJECTED;
			verdicts->reason[row] = clean->texts[t].reason;
			leat_count(task, REJECTED, 1);
		}
	}
}

static int clean_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct clean *clean = self;
	struct verdicts verdicts;
	for (size_t i = 0; i < in->count; i++)
		verdicts.of[in->row[i]] = KEPT;
	check_texts(task, clean, &verdicts, in);
	for (size_t r = 0; r < clean->given.count; r++)
		LEAT_TRY((clean->rules[r].field ? apply_field : apply_expression)(task, &verdicts, &clean->rules[r], in));
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		if (verdicts.of[row] == IS_REJECTED)
			leat_reject(task, row, verdicts.reason[row]);
		else
			leat_pass(task, verdicts.of[row] == KEPT ? CLEAN : DROPPED, row);
	}
	return 0;
}

/* ---- planning ---- */

static char *text_of(struct leat_plan *plan, const char *before, const char *after)
{
	size_t size = strlen(before) + strlen(after) + 1;
	char *text = leat_plan_memory(plan, size);
	if (text)
		(void)snprintf(text, size, "%s%s", before, after);
	return text;
}

static int refuse(struct leat_plan *plan, const struct rule *rule, const char *key, const char *what)
{
	return leat_plan_fail(plan, "rules", "line %d: '%s' %s", rule->line, key, what);
}

static const char *word_of(const struct leat_rule *given, const char *key)
{
	for (size_t i = 0; i < given->count; i++)
		if (strcmp(given->pairs[i].key, key) == 0)
			return given->pairs[i].value;
	return NULL;
}

static int plan_action(struct leat_plan *plan, struct rule *rule, const char *word)
{
	static const char *const words[] = { [REJECT] = "reject", [DROP] = "drop", [TO_NULL] = "null", [CLIP] = "clip" };
	enum action action = REJECT;
	while (word && action < ACTIONS && strcmp(words[action], word) != 0)
		action++;
	if (action == ACTIONS || (!rule->field && action > DROP))
		return refuse(plan, rule, "else", rule->field ? "must be reject, drop, null or clip" : "must be reject or drop for an expression");
	rule->action = action;
	return 0;
}

/* What the words say together: is it possible, and does the rule write? */
static int plan_writing(struct leat_plan *plan, struct rule *rule)
{
	const struct leat_values *values = &rule->values;
	const char *conflict = leat_values_conflict(values, rule->field);
	bool bounded = values->has_min || values->has_max || values->has_max_length;
	bool writes = values->trim || values->style || rule->action > DROP;
	if (conflict)
		return leat_plan_fail(plan, "rules", "line %d: %s", rule->line, conflict);
	if (rule->action == CLIP && (!bounded || !(CLIPPABLE & LEAT_TYPE_BIT(rule->field->type))))
		return refuse(plan, rule, "else: clip", "needs a number with min or max, or a text with max_length");
	if (rule->action == TO_NULL && values->not_null)
		return refuse(plan, rule, "else: null", "contradicts not_null");
	if (!rule->as && !writes)
		return 0;
	rule->to = rule->as ? leat_plan_add(plan, rule->as, rule->field->type, rule->field->width, "A field as a rule of clean left it.") : leat_plan_rewrite(plan, rule->slot);
	if (rule->to == LEAT_ELIMIT)
		return leat_plan_fail(plan, "rules", "write too many columns");
	return rule->to < 0 ? rule->to : 0;
}

static int plan_field(struct leat_plan *plan, struct rule *rule, const struct leat_rule *given, const char *name)
{
	static const char *const own[] = { "field", "as", "else", "reason" };
	rule->slot = leat_plan_slot(plan, name, &rule->field);
	if (rule->slot < 0)
		return leat_plan_fail(plan, "rules", "line %d: there is no field '%s' here", rule->line, name);
	rule->as = word_of(given, "as");
	if (rule->as && rule->field->type == LEAT_ENUM)
		return refuse(plan, rule, "as", "is not for an enum");
	for (size_t i = 0; i < given->count; i++) {
		const struct leat_pair *pair = &given->pairs[i];
		bool is_own = false;
		for (size_t o = 0; o < sizeof own / sizeof *own; o++)
			is_own |= strcmp(own[o], pair->key) == 0;
		if (is_own)
			continue;
		int64_t *numbers = leat_plan_memory(plan, leat_values_count(pair->value) * sizeof *numbers);
		if (!numbers)
			return LEAT_ENOMEM;
		const char *wrong = leat_values_take(&rule->values, rule->field, pair->key, pair->value, numbers);
		if (wrong)
			return refuse(plan, rule, pair->key, wrong);
	}
	return 0;
}

static int plan_expression(struct leat_plan *plan, struct rule *rule, const struct leat_rule *given, const char *when)
{
	for (size_t i = 0; i < given->count; i++)
		if (strcmp(given->pairs[i].key, "when") != 0 && strcmp(given->pairs[i].key, "reason") != 0 && strcmp(given->pairs[i].key, "else") != 0)
			return refuse(plan, rule, given->pairs[i].key, "does not go with when; allowed: when, reason, else");
	rule->expression = leat_plan_expression(plan, when, LEAT_TYPE_BIT(LEAT_BOOL), rule->line);
	return rule->expression ? 0 : LEAT_ECONFIG;
}

static int plan_rule(struct leat_plan *plan, struct rule *rule, const struct leat_rule *given)
{
	const char *name = word_of(given, "field"), *when = word_of(given, "when"), *reason = word_of(given, "reason");
	*rule = (struct rule){ .line = given->line, .to = -1 };
	if (!name == !when)
		return leat_plan_fail(plan, "rules", "line %d: a rule has either field or when", rule->line);
	LEAT_TRY(name ? plan_field(plan, rule, given, name) : plan_expression(plan, rule, given, when));
	if (when && !reason)
		return refuse(plan, rule, "when", "needs a reason");
	rule->reason = reason ? reason : text_of(plan, "domain_", name);
	LEAT_TRY(plan_action(plan, rule, word_of(given, "else")));
	return !rule->reason ? LEAT_ENOMEM : name ? plan_writing(plan, rule) : 0;
}

static int plan_texts(struct leat_plan *plan, struct clean *clean)
{
	const struct leat_field *field;
	size_t count = 0;
	while (leat_plan_field(plan, (int)count))
		count++;
	clean->texts = leat_plan_memory(plan, (count + 1) * sizeof *clean->texts);
	if (!clean->texts)
		return LEAT_ENOMEM;
	for (int slot = 0; (field = leat_plan_field(plan, slot)); slot++) {
		if (field->type != LEAT_STRING || !*field->name)
			continue;
		struct text *text = &clean->texts[clean->text_count++];
		*text = (struct text){ slot, text_of(plan, "domain_", field->name) };
		if (!text->reason)
			return LEAT_ENOMEM;
	}
	return 0;
}

static int clean_plan(struct leat_plan *plan, void *self)
{
	struct clean *clean = self;
	clean->rules = leat_plan_memory(plan, (clean->given.count + 1) * sizeof *clean->rules);
	if (!clean->rules)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < clean->given.count; i++)
		LEAT_TRY(plan_rule(plan, &clean->rules[i], &clean->given.items[i]));
	return plan_texts(plan, clean);
}

#define OPTION(member) offsetof(struct clean, member)
const struct leat_operator operator_clean = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "clean",
	.help = "Checks and normalises fields by a list of rules, in their order; what is bad is rejected, dropped, nulled or brought back into its bounds.",
	.outputs = (const struct leat_output[]){
		[CLEAN] = { .name = "clean", .help = "Events that kept all rules, with their values as the rules left them." },
		[DROPPED] = { .name = "dropped", .help = "Events that a rule with else: drop took out." },
		{ 0 },
	},
	.counters = (const char *const[]){
		[REJECTED] = "rejected", [DROPS] = "dropped", [NULLED] = "nulled", [CLIPPED] = "clipped", [NORMALISED] = "normalised", NULL,
	},
	.options = (const struct leat_option[]){
		{ "rules", LEAT_OPTION_RULES, OPTION(given), "[]",
		  .help = "Each { field: name, ... } with any of not_null, not_empty, min, max, min_length, max_length (characters), in (words separated by commas), type (int or number, of a text), trim, "
			  "lower, upper (ASCII letters); or { when: expression that is true for a bad event, reason: word }. What is bad goes by else: reject (default: dead letter with reason, by default "
			  "domain_<field>), drop (to the output dropped), null, clip (to the nearer bound; a text to its longest length). A number that is not finite is always bad. A null is bad only "
			  "with not_null. The column is rewritten in place, unless as: gives it a new name." },
		{ "max_text", LEAT_OPTION_SIZE, OPTION(max_text), "64KB", .min = 1, .max = 1 << 20, .help = "Bytes of any text field at most; an event with a longer one is rejected as domain_<field>." },
		{ 0 },
	},
	.self_size = sizeof(struct clean),
	.plan = clean_plan,
	.process = clean_process,
};
