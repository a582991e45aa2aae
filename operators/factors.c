/* factors - learns factors of users and items from every event by online matrix factorization, and watches their quality. */
#include "operators/model/keys.h"
#include "operators/model/lanes.h"
#include "operators/model/mf.h"
#include "operators/model/random.h"
#include "stream/operator.h"

#include <string.h>

#define TOP 10                  /* recall@10                                        */
#define HALVING 0.693147        /* curvature of a step that halves: 1 - e^-h = 1/2 */
#define AHEAD 4                 /* rows between prefetch and use                    */

enum { USERS, ITEMS, POPULARITY };
enum { PASSED };
enum { LEARNED, DIVERGED, SCORED, HITS, POPULARITY_HITS };
enum { FACTORS };
enum { ITEMS_SHARED, ITEMS_LOCAL };

struct popularity {
	uint64_t events;
};
/* Newest items of a user, by hash: what the candidates of a scored event leave out. */
struct history {
	uint32_t next, count;
	uint32_t items[];
};

/*
 * The entry of a user: factors[padded], bias[1] when biases are on, struct history when events are scored.
 * The entry of an item: factors[padded], bias[1] when biases are on.
 */
struct factors {
	struct leat_field_ref item, type;
	struct leat_weights weights;
	int64_t rank, negatives, score_every, history, ttl_ms;
	double learning_rate, regularization;
	int items;
	bool biases;

	struct leat_mf mf;
	size_t floats, history_at;      /* numbers of a side; bytes before the history */
	const float *symbol_weights;    /* by symbol when the type is an enum          */
};

/* One event that is learned. */
struct event {
	size_t row;
	uint64_t id;
	float weight;
	struct leat_bytes item;         /* key of the item's entry */
	uint64_t item_id;
	int64_t number;                 /* what @item points to when items are numbers */
};

static uint64_t id_of_key(const struct factors *factors, struct leat_bytes key)
{
	int64_t number;
	if (factors->item.field->type == LEAT_STRING)
		return leat_random_id(key);
	memcpy(&number, key.data, sizeof number);
	return (uint64_t)number;
}

static void init_user(const void *self, void *entry, struct leat_bytes key)
{
	const struct factors *factors = self;
	leat_random_fill(leat_random_id(key), entry, (size_t)factors->rank);
}

static void init_item(const void *self, void *entry, struct leat_bytes key)
{
	const struct factors *factors = self;
	leat_random_fill(id_of_key(factors, key) + LEAT_RANDOM_ITEM, entry, (size_t)factors->rank);
}

static struct leat_mf_side side_of(const struct factors *factors, void *entry)
{
	float *numbers = entry;
	return (struct leat_mf_side){ numbers, factors->biases ? numbers + factors->mf.padded : NULL };
}

/* ---- the items a user had ---- */

static uint32_t item_mark(uint64_t item_id)
{
	return (uint32_t)(leat_random_mix(item_id) >> 32);
}

static const struct history *history_of(const struct factors *factors, const void *user)
{
	return (const void *)((const char *)user + factors->history_at);
}

static bool had(const struct factors *factors, const void *user, uint64_t item_id)
{
	const struct history *history = history_of(factors, user);
	uint32_t mark = item_mark(item_id);
	for (uint32_t i = 0; i < history->count; i++)
		if (history->items[i] == mark)
			return true;
	return false;
}

static void remember(const struct factors *factors, void *user, uint64_t item_id)
{
	struct history *history = (void *)((char *)user + factors->history_at);
	if (had(factors, user, item_id))
		return;
	history->items[history->next] = item_mark(item_id);
	history->next = (history->next + 1) % (uint32_t)factors->history;
	if (history->count < (uint32_t)factors->history)
		history->count++;
}

/* ---- quality: is the item among the ten best before it is learned? ---- */

/* Any other item that this task has seen and that the user has not had. */
static int is_candidate(struct leat_task *task, const struct factors *factors, const struct event *event, struct leat_bytes key, bool *out)
{
	uint64_t id = id_of_key(factors, key);
	const struct popularity *popularity = NULL;
	*out = false;
	if (id == event->item_id || had(factors, leat_entry(task, USERS, event->row), id))
		return 0;
	LEAT_TRY(leat_lookup(task, POPULARITY, key, (const void **)&popularity));
	*out = popularity && popularity->events > 0;
	return 0;
}

/* The @index-th entry of @table; *entry is NULL where none is any more. */
static int entry_at(struct leat_task *task, int table, size_t index, struct leat_bytes *key, const void **entry)
{
	int rc = leat_table_at(task, table, index, key, entry);
	if (rc != LEAT_ENOTFOUND)
		return rc;
	*entry = NULL;
	return 0;
}

static int hit_by_factors(struct leat_task *task, const struct factors *factors, const struct event *event, bool *hit)
{
	struct leat_mf_side user = side_of(factors, (void *)leat_entry(task, USERS, event->row));
	float wanted = leat_mf_predict(&factors->mf, user, side_of(factors, (void *)leat_entry(task, ITEMS, event->row)));
	size_t count = leat_table_count(task, ITEMS), better = 0;
	for (size_t i = 0; i < count && better < TOP; i++) {
		struct leat_bytes key;
		const void *item;
		bool candidate;
		LEAT_TRY(entry_at(task, ITEMS, i, &key, &item));
		if (!item || leat_mf_predict(&factors->mf, user, side_of(factors, (void *)item)) < wanted)
			continue;
		LEAT_TRY(is_candidate(task, factors, event, key, &candidate));
		better += candidate;
	}
	*hit = better < TOP;
	return 0;
}

static int hit_by_popularity(struct leat_task *task, const struct factors *factors, const struct event *event, bool *hit)
{
	const struct popularity *wanted = leat_entry(task, POPULARITY, event->row), *other;
	size_t count = leat_table_count(task, POPULARITY), better = 0;
	for (size_t i = 0; i < count && better < TOP; i++) {
		struct leat_bytes key;
		bool candidate;
		LEAT_TRY(entry_at(task, POPULARITY, i, &key, (const void **)&other));
		if (!other || other->events < wanted->events)
			continue;
		LEAT_TRY(is_candidate(task, factors, event, key, &candidate));
		better += candidate;
	}
	*hit = better < TOP;
	return 0;
}

/* Counts the event as scored unless it is the user's first or the user has had the item; an item never seen is a miss. */
static int score(struct leat_task *task, const struct factors *factors, const struct event *event)
{
	const void *user = leat_entry(task, USERS, event->row);
	const struct popularity *popularity = leat_entry(task, POPULARITY, event->row);
	bool hit = false, popular = false;
	if (leat_random_mix(event->id) % (uint64_t)factors->score_every != 0)
		return 0;
	if (history_of(factors, user)->count == 0 || had(factors, user, event->item_id))
		return 0;
	if (popularity->events > 0) {
		LEAT_TRY(hit_by_factors(task, factors, event, &hit));
		LEAT_TRY(hit_by_popularity(task, factors, event, &popular));
	}
	leat_count(task, SCORED, 1);
	leat_count(task, HITS, hit);
	leat_count(task, POPULARITY_HITS, popular);
	return 0;
}

/* ---- learning ---- */

static void count_step(struct leat_task *task, bool good)
{
	leat_count(task, good ? LEARNED : DIVERGED, 1);
}

/* What is added to an item's shared entry: it stays as it is, the step is made on a copy. */
struct step {
	float delta[LEAT_MF_RANK_MAX + 1];
	double curvature;
};

static void step_shared(struct leat_task *task, const struct factors *factors, void *user, const void *item, float weight, float wanted, struct step *step)
{
	float after[LEAT_MF_RANK_MAX + 1];
	const float *before = item;
	struct leat_mf_side of_user = side_of(factors, user);
	double curvature = leat_mf_curvature(&factors->mf, of_user, weight);
	memcpy(after, item, factors->floats * sizeof *after);
	bool good = leat_mf_step(&factors->mf, of_user, side_of(factors, after), weight, wanted);
	for (size_t i = 0; i < factors->floats; i++)
		step->delta[i] = after[i] - before[i];
	step->curvature = good ? curvature : HALVING;
	count_step(task, good);
}

static int learn_negatives(struct leat_task *task, const struct factors *factors, void *user, const struct event *event)
{
	size_t count = leat_table_count(task, ITEMS);
	for (int64_t i = 1; i <= factors->negatives && count > 0; i++) {
		struct leat_bytes key;
		const void *item;
		void *local;
		LEAT_TRY(entry_at(task, ITEMS, leat_random_mix(event->id + (uint64_t)i * LEAT_RANDOM_ITEM) % count, &key, &item));
		uint64_t id = item ? id_of_key(factors, key) : event->item_id;
		if (id == event->item_id || had(factors, user, id))
			continue;
		if (factors->items == ITEMS_SHARED) {
			struct step step;
			step_shared(task, factors, user, item, 1, 0, &step);
			LEAT_TRY(leat_delta(task, ITEMS, key, step.delta, step.curvature));
		} else {
			LEAT_TRY(leat_lookup_write(task, ITEMS, key, &local));
			count_step(task, leat_mf_step(&factors->mf, side_of(factors, user), side_of(factors, local), 1, 0));
		}
	}
	return 0;
}

static int learn(struct leat_task *task, const struct factors *factors, const struct event *event)
{
	if (factors->score_every > 0)
		LEAT_TRY(score(task, factors, event));
	void *user = leat_entry_write(task, USERS, event->row);
	if (factors->items == ITEMS_SHARED) {
		struct step step;
		step_shared(task, factors, user, leat_entry(task, ITEMS, event->row), event->weight, 1, &step);
		LEAT_TRY(leat_delta_row(task, ITEMS, event->row, step.delta, step.curvature));
	} else {
		void *item = leat_entry_write(task, ITEMS, event->row);
		count_step(task, leat_mf_step(&factors->mf, side_of(factors, user), side_of(factors, item), event->weight, 1));
	}
	if (factors->negatives > 0)
		LEAT_TRY(learn_negatives(task, factors, user, event));
	if (factors->history > 0)
		remember(factors, user, event->item_id);
	if (factors->score_every > 0) {
		struct popularity *popularity = leat_entry_write(task, POPULARITY, event->row);
		popularity->events++;
	}
	return 0;
}

/* ---- batches ---- */

static float weight_at(const struct factors *factors, const struct leat_batch *in, size_t row)
{
	if (factors->type.slot < 0)
		return 1;
	const struct leat_column *column = &in->columns[factors->type.slot];
	double otherwise = factors->weights.count ? 0 : 1;
	if (factors->symbol_weights && !column->null[row])
		return factors->symbol_weights[column->ints[row]];
	return (float)leat_weight_of(&factors->weights, factors->type.field, column, row, otherwise);
}

/* False: nothing to learn from this row. */
static bool event_at(const struct factors *factors, const struct leat_batch *in, size_t row, struct event *event)
{
	const struct leat_column *item = &in->columns[factors->item.slot];
	if (item->null[row])
		return false;
	event->row = row;
	event->id = in->id[row];
	event->weight = weight_at(factors, in, row);
	event->item_id = leat_keys_id(item, row);
	event->number = (int64_t)event->item_id;
	event->item = item->type == LEAT_STRING ? item->bytes[row] : (struct leat_bytes){ (const uint8_t *)&event->number, sizeof event->number };
	return event->weight > 0;
}

static void prefetch(const struct leat_task *task, const struct factors *factors, const struct leat_batch *in, size_t i)
{
	if (i >= in->count || in->columns[factors->item.slot].null[in->row[i]])
		return;
	const char *user = leat_entry(task, USERS, in->row[i]), *item = leat_entry(task, ITEMS, in->row[i]);
	for (size_t at = 0; at < factors->floats * sizeof(float); at += 64) {
		__builtin_prefetch(user + at);
		__builtin_prefetch(item + at);
	}
}

static int factors_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct factors *factors = self;
	struct leat_column *column = leat_added(task, FACTORS);
	size_t rank = (size_t)factors->rank;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		struct event event;
		prefetch(task, factors, in, i + AHEAD);
		if (event_at(factors, in, row, &event))
			LEAT_TRY(learn(task, factors, &event));
		memcpy(column->floats + row * rank, leat_entry(task, USERS, row), rank * sizeof(float));
		column->null[row] = 0;
		leat_pass(task, PASSED, row);
	}
	return 0;
}

/* ---- entries with another history ---- */

/* From before history was changed, or whether anything needs it: the newest items stay. What comes before it is the same, or the task would not have been opened. */
static int upgrade_user(const void *self, void *entry, const void *old, size_t old_size, uint16_t version)
{
	const struct factors *factors = self;
	struct history *history = (void *)((char *)entry + factors->history_at), before;
	const char *items = (const char *)old + factors->history_at + sizeof before;
	(void)version;
	if (old_size < factors->history_at)
		return LEAT_EFOREIGN;
	memcpy(entry, old, factors->history_at);
	if (old_size == factors->history_at || factors->history == 0)
		return 0;
	if (old_size < factors->history_at + sizeof before + sizeof *before.items)
		return LEAT_EFOREIGN;
	memcpy(&before, (const char *)old + factors->history_at, sizeof before);
	uint32_t places = (uint32_t)((old_size - factors->history_at - sizeof before) / sizeof *before.items);
	if (before.next >= places || before.count > places)
		return LEAT_EFOREIGN;
	history->count = before.count < (uint32_t)factors->history ? before.count : (uint32_t)factors->history;
	history->next = history->count % (uint32_t)factors->history;
	for (uint32_t i = 0; i < history->count; i++)
		memcpy(&history->items[i], items + (before.next + places - history->count + i) % places * sizeof *history->items, sizeof *history->items);
	return 0;
}

/* ---- planning ---- */

static int plan_weights(struct leat_plan *plan, struct factors *factors)
{
	size_t symbols = 0;
	for (size_t i = 0; i < factors->weights.count; i++)
		if (!(factors->weights.items[i].weight >= 0 && factors->weights.items[i].weight <= 1000))
			return leat_plan_fail(plan, "weights", "the weight of '%s' must be within 0..1000", factors->weights.items[i].word);
	if (factors->weights.count && factors->type.slot < 0)
		return leat_plan_fail(plan, "weights", "needs type, the field whose words they are for");
	if (factors->type.slot < 0 || factors->type.field->type != LEAT_ENUM)
		return 0;
	while (factors->type.field->symbols[symbols])
		symbols++;
	float *by_symbol = leat_plan_memory(plan, (symbols + 1) * sizeof *by_symbol);
	if (!by_symbol)
		return LEAT_ENOMEM;
	for (size_t s = 0; s < symbols && !factors->weights.count; s++)
		by_symbol[s] = 1;
	for (size_t i = 0; i < factors->weights.count; i++) {
		size_t s = 0;
		while (s < symbols && strcmp(factors->type.field->symbols[s], factors->weights.items[i].word) != 0)
			s++;
		if (s == symbols)
			return leat_plan_fail(plan, "weights", "'%s' is not a symbol of '%s'", factors->weights.items[i].word, factors->type.field->name);
		by_symbol[s] = (float)factors->weights.items[i].weight;
	}
	factors->symbol_weights = by_symbol;
	return 0;
}

static int factors_plan(struct leat_plan *plan, void *self)
{
	struct factors *factors = self;
	bool watched = factors->score_every > 0 || factors->negatives > 0;
	if (watched && factors->history == 0)
		return leat_plan_fail(plan, "history", "must be at least 1 with score_every or negatives");
	if (!watched)
		factors->history = 0;
	LEAT_TRY(plan_weights(plan, factors));
	factors->mf = (struct leat_mf){
		.padded = leat_lanes_padded((size_t)factors->rank),
		.learning_rate = (float)factors->learning_rate,
		.regularization = (float)factors->regularization,
	};
	factors->floats = factors->mf.padded + factors->biases;
	factors->history_at = factors->floats * sizeof(float);
	size_t history = factors->history ? sizeof(struct history) + (size_t)factors->history * sizeof(uint32_t) : 0;
	leat_plan_column(plan, FACTORS, LEAT_VECTOR, (uint16_t)factors->rank);
	leat_plan_table(plan, USERS, LEAT_KEYED, factors->history_at + history);
	leat_plan_table(plan, ITEMS, factors->items == ITEMS_SHARED ? LEAT_SHARED : LEAT_LOCAL, factors->floats * sizeof(float));
	return 0;
}

#define OPTION(member) offsetof(struct factors, member)
const struct leat_operator operator_factors = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "factors",
	.help = "Learns factors of users and items from every event by online matrix factorization, and watches their quality.",
	.outputs = (const struct leat_output[]){ [PASSED] = { .name = "passed", .help = "Every event, with the user's factors." }, { 0 } },
	.counters = (const char *const[]){
		[LEARNED] = "learned", [DIVERGED] = "diverged", [SCORED] = "scored", [HITS] = "hits", [POPULARITY_HITS] = "popularity_hits", NULL,
	},
	.options = (const struct leat_option[]){
		{ "item", LEAT_OPTION_FIELD, OPTION(item), .meaning = LEAT_MEANS_VALUE, .types = LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_STRING), .help = "The item's id; events without one are passed on and not learned." },
		{ "type", LEAT_OPTION_FIELD, OPTION(type), .optional = true, .types = LEAT_TYPE_BIT(LEAT_ENUM) | LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT), .help = "What the user did; see weights." },
		{ "weights", LEAT_OPTION_WEIGHTS, OPTION(weights), .optional = true, .help = "Weight of an event by the word in type; words not listed, or of weight 0, are not learned." },
		{ "rank", LEAT_OPTION_INT, OPTION(rank), "32", .meaning = LEAT_MEANS_VALUE, .min = 1, .max = LEAT_MF_RANK_MAX, .help = "Factors per user and item." },
		{ "learning_rate", LEAT_OPTION_DOUBLE, OPTION(learning_rate), "0.05", .min = 1e-6, .max = 1, .help = "Size of a step, per unit of weight." },
		{ "regularization", LEAT_OPTION_DOUBLE, OPTION(regularization), "0.01", .max = 1, .help = "Pull of the factors towards 0." },
		{ "items", LEAT_OPTION_CHOICE, OPTION(items), "shared", .choices = (const char *const[]){ [ITEMS_SHARED] = "shared", [ITEMS_LOCAL] = "local", NULL }, .help = "Item factors: one set for the application, or each task its own, lost at a restart." },
		{ "biases", LEAT_OPTION_BOOL, OPTION(biases), "true", .meaning = LEAT_MEANS_VALUE, .help = "Learns a bias per user and item besides the factors." },
		{ "negatives", LEAT_OPTION_INT, OPTION(negatives), "0", .max = 64, .help = "Known items drawn per event and learned with target 0." },
		{ "score_every", LEAT_OPTION_INT, OPTION(score_every), "16", .max = 1000000, .help = "One event in this many is ranked before it is learned (counters scored, hits, popularity_hits); 0: none." },
		{ "history", LEAT_OPTION_INT, OPTION(history), "32", .max = 1024, .help = "Newest items kept per user; they are neither candidates nor drawn as negatives." },
		{ "ttl", LEAT_OPTION_DURATION, OPTION(ttl_ms), "0s", .max = 3.2e11, .help = "A user without events for this long is forgotten; 0: never." },
		{ 0 },
	},
	.columns = (const struct leat_added_column[]){
		[FACTORS] = { "factors", LEAT_NONE, 0, "The user's factors right after the event: rank floats." },
		{ 0 },
	},
	.tables = (const struct leat_table[]){
		[USERS] = { .name = "users", .kind = LEAT_KEYED, .version = 1, .ttl_option = "ttl", .init = init_user, .upgrade = upgrade_user, .help = "Factors of a user." },
		[ITEMS] = { .name = "items", .kind = LEAT_SHARED, .merge = LEAT_MERGE_FACTOR, .version = 1, .key_option = "item", .init = init_item, .help = "Factors of an item." },
		[POPULARITY] = { .name = "popularity", .kind = LEAT_LOCAL, .entry_size = sizeof(struct popularity), .version = 1, .key_option = "item", .help = "Events of an item in this task, to measure the factors against." },
		{ 0 },
	},
	.self_size = sizeof(struct factors),
	.plan = factors_plan,
	.process = factors_process,
};
