/* target - chooses the best ads of a catalogue for every event, from factors and interests. */
#include "operators/model/ads.h"
#include "operators/model/keys.h"
#include "operators/model/random.h"
#include "stream/operator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define K_MAX 64
#define ID_LENGTH 16            /* hexadecimal digits of a 64-bit number */
#define WORDS_PER_AD 8          /* on average: the pool is shared by all ads */
#define DEMO_ADS 0xADull        /* start values of made-up ads derive from here */

enum { SHOWN };
enum { DECISIONS, UNDECIDED };
enum { DROPPED, CAPPED };
enum { AD_ID, SCORE, DECISION_ID };

/* What a user was shown: a ring of the newest showings. */
struct showing {
	uint64_t ad;
	int64_t at_ms;
};
struct shown {
	uint32_t next, count;
	struct showing items[];
};

/* What an ad asks of the event, by lane. */
struct conditions {
	int64_t *starts_ms, *ends_ms;   /* [lanes]: shown from start to before end       */
	uint32_t *word_end;             /* [lanes]: its words end here in the pool       */
	uint64_t *words;                /* pool: hashes; an ad without words fits always */
	bool timed, worded;             /* some ad has such a condition                  */
};

struct target {
	struct leat_reference *catalogue;
	int64_t demo_ads, ads_max, k, cap, cap_memory, cap_window_ms;
	struct leat_field_ref factors, interests, match;
	const char *match_column, *id_column, *salt;
	struct leat_expression *eligible;
	double weight_factors, weight_cosine, weight_interest, weight_bid;
	bool explain;

	struct leat_ads_weights weights;
	size_t rank, categories;
	uint64_t salt_hash;
	int list_ads, list_scores, list_reasons;        /* added columns when explain is on */

	struct leat_ads ads;
	struct conditions conditions;
	const struct leat_column *ids;  /* of the catalogue, as of @version                    */
	uint64_t *key;                  /* [lanes] hash of the ad's id                         */
	uint32_t *admitted;             /* number of the ad -> row of the catalogue            */
	int32_t *category;              /* by number of the ad                                 */
	float *zeros;                   /* factors and interests of a user who has none        */
	float *row;                     /* [rank] for start values                             */
	uint64_t version;
	bool loaded;
};

/* One chosen ad. */
struct choice {
	uint32_t lane;
	float score;
};

/* Rows that are scored together. */
struct block {
	size_t rows, users;             /* rows of the batch it covers, of which @users are scored */
	const float *factors[LEAT_ADS_BLOCK], *interests[LEAT_ADS_BLOCK];
};

/* ---- the catalogue ---- */

static double number_at(const struct leat_column *column, size_t row, double otherwise)
{
	if (!column || column->null[row])
		return otherwise;
	switch (column->type) {
	case LEAT_INT: return (double)column->ints[row];
	case LEAT_FLOAT: return (double)column->floats[row];
	case LEAT_DOUBLE: return column->doubles[row];
	default: return otherwise;
	}
}

static const struct leat_column *catalogue_column(const struct target *target, const char *name)
{
	return leat_reference_column(target->catalogue, name);
}

/* Fills admitted[] and category[]; returns how many ads there are. */
static size_t admit(struct leat_task *task, struct target *target)
{
	const struct leat_column *active = catalogue_column(target, "active"), *category = catalogue_column(target, "category");
	size_t rows = leat_reference_count(target->catalogue), count = 0;
	for (size_t row = 0; row < rows; row++) {
		if (active && !active->null[row] && !active->bools[row])
			continue;
		if (count == (size_t)target->ads_max) {
			leat_count(task, DROPPED, 1);
			continue;
		}
		target->admitted[count] = (uint32_t)row;
		target->category[count++] = category && target->interests.slot >= 0 ? leat_keys_category(category, row, target->categories) : -1;
	}
	return count;
}

/* The ad's own factors when it has the right number of them, else start values from its id. */
static const float *factors_of(const struct target *target, const struct leat_column *column, size_t row, uint64_t id)
{
	if (column && !column->null[row] && column->type == LEAT_VECTOR && column->width == target->rank)
		return column->floats + row * target->rank;
	if (column && !column->null[row] && column->type == LEAT_FLOATS && column->lists[row].count == target->rank)
		return column->lists[row].items;
	leat_random_fill(id, target->row, target->rank);
	return target->row;
}

/* Adds the words of @row to the pool; false when it is full. */
static bool add_words(struct target *target, const struct leat_column *column, size_t row, uint32_t *used)
{
	const struct leat_bytes *words;
	uint32_t count;
	if (!column || column->null[row])
		return true;
	if (column->type == LEAT_STRING) {
		words = &column->bytes[row];
		count = 1;
	} else {
		words = column->lists[row].items;
		count = column->lists[row].count;
	}
	if (count > (size_t)target->ads_max * WORDS_PER_AD - *used)
		return false;
	for (uint32_t i = 0; i < count; i++)
		target->conditions.words[(*used)++] = leat_random_hash(words[i]);
	target->conditions.worded |= count > 0;
	return true;
}

static void set_times(struct conditions *conditions, size_t lane, const struct leat_column *starts, const struct leat_column *ends, size_t row)
{
	conditions->starts_ms[lane] = starts && !starts->null[row] ? starts->ints[row] : INT64_MIN;
	conditions->ends_ms[lane] = ends && !ends->null[row] ? ends->ints[row] : INT64_MAX;
	conditions->timed |= conditions->starts_ms[lane] != INT64_MIN || conditions->ends_ms[lane] != INT64_MAX;
}

/* Derives everything from the catalogue's newest records. */
static void load(struct leat_task *task, struct target *target)
{
	struct leat_ads *ads = &target->ads;
	const struct leat_column *factors = catalogue_column(target, "factors"), *bid = catalogue_column(target, "bid");
	const struct leat_column *starts = catalogue_column(target, "starts"), *ends = catalogue_column(target, "ends");
	const struct leat_column *words = target->match.slot >= 0 ? catalogue_column(target, target->match_column) : NULL;
	uint32_t used = 0;
	target->ids = catalogue_column(target, target->id_column);
	target->conditions.timed = target->conditions.worded = false;
	leat_ads_begin(ads, target->category, admit(task, target));
	for (size_t lane = 0; lane < ads->count; lane++) {
		size_t row = target->admitted[ads->order[lane]];
		uint64_t id = leat_keys_id(target->ids, row);
		double base = target->weight_bid * number_at(bid, row, 0);
		target->key[lane] = leat_random_mix(id);
		leat_ads_set(ads, lane, factors_of(target, factors, row, id), isfinite(base) ? (float)base : 0);
		set_times(&target->conditions, lane, starts, ends, row);
		if (!add_words(target, words, row, &used)) {
			target->conditions.ends_ms[lane] = INT64_MIN;   /* nobody may see an ad whose conditions are not known */
			target->conditions.timed = true;
			leat_count(task, DROPPED, 1);
		}
		target->conditions.word_end[lane] = used;
	}
}

static void load_demo(struct target *target)
{
	for (int64_t ad = 0; ad < target->demo_ads; ad++) {
		target->admitted[ad] = (uint32_t)ad;
		target->category[ad] = target->interests.slot >= 0 ? (int32_t)((size_t)ad % target->categories) : -1;
	}
	leat_ads_begin(&target->ads, target->category, (size_t)target->demo_ads);
	for (size_t lane = 0; lane < target->ads.count; lane++) {
		uint64_t ad = target->ads.order[lane];
		leat_random_fill(DEMO_ADS * 1000003 + ad, target->row, target->rank);
		for (size_t k = 0; k < target->rank; k++)
			target->row[k] *= 10;
		leat_ads_set(&target->ads, lane, target->row, 0);
		target->key[lane] = leat_random_mix(ad);
	}
}

static void refresh(struct leat_task *task, struct target *target)
{
	if (!target->catalogue)
		return;
	uint64_t version = leat_reference_version(target->catalogue);
	if (target->loaded && version == target->version)
		return;
	load(task, target);
	target->version = version;
	target->loaded = true;
}

/* ---- who may see what ---- */

/* An end of INT64_MAX is none. */
static bool in_time(const struct conditions *conditions, size_t lane, int64_t now_ms)
{
	return now_ms >= conditions->starts_ms[lane] && (now_ms < conditions->ends_ms[lane] || conditions->ends_ms[lane] == INT64_MAX);
}

static bool words_fit(const struct conditions *conditions, size_t lane, bool known, uint64_t word)
{
	uint32_t first = lane ? conditions->word_end[lane - 1] : 0, end = conditions->word_end[lane];
	for (uint32_t i = first; i < end && known; i++)
		if (conditions->words[i] == word)
			return true;
	return first == end;
}

static void exclude_by_conditions(const struct target *target, const struct leat_batch *in, size_t row, float *scores)
{
	const struct conditions *conditions = &target->conditions;
	int64_t now_ms = in->time_ms[row];
	bool known = false;
	uint64_t word = 0;
	if (!conditions->timed && !conditions->worded)
		return;
	if (target->match.slot >= 0)
		known = leat_keys_word(target->match.field, &in->columns[target->match.slot], row, &word);
	for (size_t lane = 0; lane < target->ads.count; lane++)
		if (!in_time(conditions, lane, now_ms) || !words_fit(conditions, lane, known, word))
			scores[lane] = -INFINITY;
}

static int64_t cap_start(const struct target *target, int64_t now_ms)
{
	int64_t start;
	return __builtin_sub_overflow(now_ms, target->cap_window_ms, &start) ? INT64_MIN : start;
}

static bool is_capped(const struct shown *shown, uint64_t ad, int64_t since_ms, int64_t cap)
{
	int64_t times = 0;
	for (uint32_t i = 0; i < shown->count; i++)
		times += shown->items[i].ad == ad && shown->items[i].at_ms > since_ms;
	return times >= cap;
}

static void exclude_capped(struct leat_task *task, const struct target *target, size_t row, int64_t now_ms, float *scores)
{
	const struct shown *shown = leat_entry(task, SHOWN, row);
	int64_t since_ms = cap_start(target, now_ms);
	for (uint32_t i = 0; i < shown->count; i++) {
		uint64_t ad = shown->items[i].ad;
		if (!is_capped(shown, ad, since_ms, target->cap))
			continue;
		for (size_t lane = 0; lane < target->ads.count; lane++) {
			if (target->key[lane] != ad || scores[lane] == -INFINITY)
				continue;
			scores[lane] = -INFINITY;
			leat_count(task, CAPPED, 1);
		}
	}
}

static void remember(struct leat_task *task, const struct target *target, size_t row, int64_t now_ms, const struct choice *choices, size_t count)
{
	struct shown *shown = leat_entry_write(task, SHOWN, row);
	for (size_t i = 0; i < count; i++) {
		shown->items[shown->next] = (struct showing){ target->key[choices[i].lane], now_ms };
		shown->next = (shown->next + 1) % (uint32_t)target->cap_memory;
		if (shown->count < (uint32_t)target->cap_memory)
			shown->count++;
	}
}

/* An entry from before cap_memory was changed: the newest showings stay. */
static int upgrade_shown(const void *self, void *entry, const void *old, size_t old_size, uint16_t version)
{
	const struct target *target = self;
	struct shown *shown = entry, before;
	const char *items = (const char *)old + sizeof before;
	uint32_t room = target->cap ? (uint32_t)target->cap_memory : 0;
	(void)version;
	if (old_size < sizeof before)
		return LEAT_EFOREIGN;
	memcpy(&before, old, sizeof before);
	uint32_t places = (uint32_t)((old_size - sizeof before) / sizeof *before.items);
	if (before.count > places || (before.count && before.next >= places))
		return LEAT_EFOREIGN;
	shown->count = before.count < room ? before.count : room;
	shown->next = room ? shown->count % room : 0;
	for (uint32_t i = 0; i < shown->count; i++)
		memcpy(&shown->items[i], items + (before.next + places - shown->count + i) % places * sizeof *shown->items, sizeof *shown->items);
	return 0;
}

/* The @k highest of @scores, which are used up. */
static size_t choose(const struct target *target, float *scores, struct choice *choices)
{
	size_t count = 0;
	while (count < (size_t)target->k) {
		long lane = leat_ads_best(&target->ads, scores);
		if (lane < 0)
			break;
		choices[count++] = (struct choice){ (uint32_t)lane, scores[lane] };
		scores[lane] = -INFINITY;
	}
	return count;
}

/* ---- what is said about it ---- */

static int copy_text(struct leat_task *task, struct leat_bytes text, struct leat_bytes *out)
{
	uint8_t *copy = leat_scratch(task, text.length + 1);
	if (!copy)
		return LEAT_ENOMEM;
	if (text.length)
		memcpy(copy, text.data, text.length);
	*out = (struct leat_bytes){ copy, text.length };
	return 0;
}

static int number_text(struct leat_task *task, const char *before, int64_t number, struct leat_bytes *out)
{
	char text[64];
	int length = snprintf(text, sizeof text, "%s%lld", before, (long long)number);
	return copy_text(task, (struct leat_bytes){ (const uint8_t *)text, (uint32_t)length }, out);
}

static size_t row_of(const struct target *target, uint32_t lane)
{
	return target->admitted[target->ads.order[lane]];
}

static int ad_text(struct leat_task *task, const struct target *target, uint32_t lane, struct leat_bytes *out)
{
	size_t row = row_of(target, lane);
	if (!target->ids)
		return number_text(task, "", (int64_t)row, out);
	if (target->ids->type == LEAT_INT)
		return number_text(task, "", target->ids->ints[row], out);
	return copy_text(task, target->ids->bytes[row], out);
}

static int interest_text(struct leat_task *task, const struct target *target, uint32_t lane, struct leat_bytes *out)
{
	const struct leat_column *categories = target->catalogue ? catalogue_column(target, "category") : NULL;
	size_t row = row_of(target, lane);
	char text[256];
	if (!categories)
		return number_text(task, "interest:", target->ads.category[lane], out);
	if (categories->type != LEAT_STRING)
		return number_text(task, "interest:", categories->ints[row], out);
	const struct leat_bytes *name = &categories->bytes[row];
	uint32_t length = name->length < 200 ? name->length : 200;
	while (length && length < name->length && (name->data[length] & 0xC0) == 0x80)
		length--;       /* never in the middle of a character */
	memcpy(text, "interest:", 9);
	if (length)
		memcpy(text + 9, name->data, length);
	return copy_text(task, (struct leat_bytes){ (const uint8_t *)text, 9 + length }, out);
}

/* The part that gave most of the score. */
static int reason_text(struct leat_task *task, const struct target *target, const struct choice *choice, const float *interests, struct leat_bytes *out)
{
	static const struct leat_bytes words[] = { { (const uint8_t *)"factors", 7 }, { (const uint8_t *)"bid", 3 } };
	int32_t category = target->ads.category[choice->lane];
	float bid = target->ads.base[choice->lane], interest = category >= 0 ? target->weights.interest * interests[category] : 0;
	float factors = choice->score - bid - interest;
	if (interest > 0 && interest >= factors && interest >= bid)
		return interest_text(task, target, choice->lane, out);
	*out = words[bid > factors];
	return 0;
}

static int explain(struct leat_task *task, const struct target *target, size_t row, const struct choice *choices, size_t count, const float *interests)
{
	struct leat_bytes *ads = leat_scratch(task, count * sizeof *ads), *reasons = leat_scratch(task, count * sizeof *reasons);
	float *scores = leat_scratch(task, count * sizeof *scores);
	if (!ads || !reasons || !scores)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		LEAT_TRY(ad_text(task, target, choices[i].lane, &ads[i]));
		LEAT_TRY(reason_text(task, target, &choices[i], interests, &reasons[i]));
		scores[i] = choices[i].score;
	}
	const struct { int column; const void *items; } lists[] = {
		{ target->list_ads, ads }, { target->list_scores, scores }, { target->list_reasons, reasons },
	};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct leat_column *column = leat_added(task, lists[i].column);
		column->lists[row] = (struct leat_list){ lists[i].items, (uint32_t)count };
		column->null[row] = 0;
	}
	return 0;
}

static void write_hex(uint8_t *out, uint64_t number)
{
	static const char digits[] = "0123456789abcdef";
	for (int i = ID_LENGTH - 1; i >= 0; i--, number >>= 4)
		out[i] = (uint8_t)digits[number & 15];
}

static int set_ad(struct leat_task *task, const struct target *target, size_t row, uint32_t lane)
{
	struct leat_column *column = leat_added(task, AD_ID);
	column->null[row] = 0;
	if (column->type == LEAT_STRING)
		return ad_text(task, target, lane, &column->bytes[row]);
	size_t ad = row_of(target, lane);
	column->ints[row] = target->ids ? target->ids->ints[ad] : (int64_t)ad;
	return 0;
}

static void undecided(struct leat_task *task, const struct target *target, size_t row)
{
	struct leat_column *ad = leat_added(task, AD_ID), *score = leat_added(task, SCORE), *id = leat_added(task, DECISION_ID);
	ad->null[row] = score->null[row] = id->null[row] = 1;
	score->floats[row] = 0;
	id->bytes[row] = (struct leat_bytes){ 0 };
	if (ad->type == LEAT_STRING)
		ad->bytes[row] = (struct leat_bytes){ 0 };
	else
		ad->ints[row] = 0;
	for (int list = target->list_ads; target->explain && list <= target->list_reasons; list++) {
		leat_added(task, list)->null[row] = 1;
		leat_added(task, list)->lists[row] = (struct leat_list){ 0 };
	}
	leat_pass(task, UNDECIDED, row);
}

/* @id: room for the decision's id. */
static int decide(struct leat_task *task, const struct target *target, const struct leat_batch *in, size_t row, float *scores, const float *interests, uint8_t *id)
{
	struct choice choices[K_MAX];
	exclude_by_conditions(target, in, row, scores);
	if (target->cap > 0)
		exclude_capped(task, target, row, in->time_ms[row], scores);
	size_t count = choose(target, scores, choices);
	if (count == 0) {
		undecided(task, target, row);
		return 0;
	}
	write_hex(id, leat_random_mix(in->id[row] ^ target->salt_hash));
	leat_added(task, DECISION_ID)->bytes[row] = (struct leat_bytes){ id, ID_LENGTH };
	leat_added(task, DECISION_ID)->null[row] = 0;
	leat_added(task, SCORE)->floats[row] = choices[0].score;
	leat_added(task, SCORE)->null[row] = 0;
	LEAT_TRY(set_ad(task, target, row, choices[0].lane));
	if (target->explain)
		LEAT_TRY(explain(task, target, row, choices, count, interests));
	if (target->cap > 0)
		remember(task, target, row, in->time_ms[row], choices, count);
	leat_pass(task, DECISIONS, row);
	return 0;
}

/* ---- batches ---- */

static const float *vector_at(const struct target *target, const struct leat_batch *in, const struct leat_field_ref *field, size_t row)
{
	if (field->slot < 0 || in->columns[field->slot].null[row])
		return target->zeros;
	return in->columns[field->slot].floats + row * in->columns[field->slot].width;
}

static bool is_eligible(const struct leat_column *eligible, size_t row)
{
	return !eligible || (!eligible->null[row] && eligible->bools[row]);
}

static struct block gather(const struct target *target, const struct leat_batch *in, size_t from, const struct leat_column *eligible)
{
	struct block block = { 0 };
	for (; from + block.rows < in->count && block.users < LEAT_ADS_BLOCK; block.rows++) {
		size_t row = in->row[from + block.rows];
		if (!is_eligible(eligible, row))
			continue;
		block.factors[block.users] = vector_at(target, in, &target->factors, row);
		block.interests[block.users++] = vector_at(target, in, &target->interests, row);
	}
	return block;
}

static int target_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	struct target *target = self;
	const struct leat_column *eligible = NULL;
	uint8_t *ids = leat_scratch(task, in->count * ID_LENGTH + 1);
	refresh(task, target);
	if (!ids)
		return LEAT_ENOMEM;
	if (target->eligible && !(eligible = leat_evaluate(task, target->eligible, in)))
		return LEAT_ENOMEM;
	for (size_t i = 0; i < in->count;) {
		struct block block = gather(target, in, i, eligible);
		leat_ads_score(&target->ads, &target->weights, block.factors, block.interests, block.users);
		for (size_t end = i + block.rows, user = 0; i < end; i++) {
			size_t row = in->row[i];
			if (is_eligible(eligible, row)) {
				LEAT_TRY(decide(task, target, in, row, leat_ads_scores(&target->ads, user), block.interests[user], ids + i * ID_LENGTH));
				user++;
			} else {
				undecided(task, target, row);
			}
		}
	}
	return 0;
}

/* ---- opening ---- */

static int target_open(struct leat_task *task, void *self)
{
	struct target *target = self;
	size_t lanes = leat_ads_lanes((size_t)target->ads_max), widest = target->rank > target->categories ? target->rank : target->categories;
	void *memory = leat_task_memory(task, leat_ads_size((size_t)target->ads_max, target->rank, target->categories));
	struct conditions *conditions = &target->conditions;
	conditions->starts_ms = leat_task_memory(task, lanes * sizeof *conditions->starts_ms);
	conditions->ends_ms = leat_task_memory(task, lanes * sizeof *conditions->ends_ms);
	conditions->word_end = leat_task_memory(task, lanes * sizeof *conditions->word_end);
	conditions->words = leat_task_memory(task, lanes * WORDS_PER_AD * sizeof *conditions->words);
	target->key = leat_task_memory(task, lanes * sizeof *target->key);
	target->admitted = leat_task_memory(task, lanes * sizeof *target->admitted);
	target->category = leat_task_memory(task, lanes * sizeof *target->category);
	target->zeros = leat_task_memory(task, widest * sizeof *target->zeros);
	target->row = leat_task_memory(task, (target->rank + 1) * sizeof *target->row);
	if (!memory || !conditions->starts_ms || !conditions->ends_ms || !conditions->word_end || !conditions->words || !target->key ||
	    !target->admitted || !target->category || !target->zeros || !target->row)
		return LEAT_ENOMEM;
	leat_ads_place(&target->ads, memory, (size_t)target->ads_max, target->rank, target->categories);
	if (!target->catalogue)
		load_demo(target);
	return 0;
}

#define NUMBERS (LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_FLOAT) | LEAT_TYPE_BIT(LEAT_DOUBLE))
#define TEXTS (LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_STRINGS))

static int plan_catalogue(struct leat_plan *plan, const struct target *target)
{
	const struct { const char *name; uint32_t types; const char *wanted; } columns[] = {
		{ target->id_column, LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT), "string or int" },
		{ "active", LEAT_TYPE_BIT(LEAT_BOOL), "bool" },
		{ "category", LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_ENUM), "string, enum or int" },
		{ "factors", LEAT_TYPE_BIT(LEAT_VECTOR) | LEAT_TYPE_BIT(LEAT_FLOATS), "a list of floats" },
		{ "bid", NUMBERS, "a number" },
		{ "starts", LEAT_TYPE_BIT(LEAT_INT), "int (ms since 1970)" },
		{ "ends", LEAT_TYPE_BIT(LEAT_INT), "int (ms since 1970)" },
		{ target->match_column, target->match.slot >= 0 ? TEXTS : 0, "string or strings" },
	};
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		const struct leat_field *field = leat_reference_field(target->catalogue, columns[i].name);
		if (field && columns[i].types && !(LEAT_TYPE_BIT(field->type) & columns[i].types))
			return leat_plan_fail(plan, "ads", "the catalogue's column '%s' must be %s", columns[i].name, columns[i].wanted);
	}
	const struct leat_field *id = leat_reference_field(target->catalogue, target->id_column);
	if (leat_reference_dated(target->catalogue))
		return leat_plan_fail(plan, "ads", "names a table with a history: an ad would be offered once per date; use the columns starts and ends");
	if (!id)
		return leat_plan_fail(plan, "id", "the catalogue has no column '%s'", target->id_column);
	if (target->match.slot >= 0 && !leat_reference_field(target->catalogue, target->match_column))
		return leat_plan_fail(plan, "match_column", "the catalogue has no column '%s'", target->match_column);
	leat_plan_column(plan, AD_ID, id->type, 1);
	return 0;
}

static int plan_user(struct leat_plan *plan, struct target *target)
{
	target->rank = target->factors.slot >= 0 ? target->factors.field->width : 0;
	target->categories = target->interests.slot >= 0 ? target->interests.field->width : 1;
	if (target->factors.slot < 0 && target->interests.slot < 0)
		return leat_plan_fail(plan, "factors", "needs factors, interests or both");
	if (target->rank > LEAT_ADS_RANK_MAX)
		return leat_plan_fail(plan, "factors", "at most %d numbers, the field has %zu", LEAT_ADS_RANK_MAX, target->rank);
	if (target->categories > LEAT_ADS_CATEGORIES)
		return leat_plan_fail(plan, "interests", "at most %d numbers, the field has %zu", LEAT_ADS_CATEGORIES, target->categories);
	target->weights = (struct leat_ads_weights){
		.factors = target->rank ? (float)target->weight_factors : 0,
		.cosine = target->rank ? (float)target->weight_cosine : 0,
		.interest = (float)target->weight_interest,
	};
	return 0;
}

static int plan_lists(struct leat_plan *plan, struct target *target)
{
	LEAT_TRY(target->list_ads = leat_plan_add(plan, "ads", LEAT_STRINGS, 1, "The chosen ads, best first."));
	LEAT_TRY(target->list_scores = leat_plan_add(plan, "scores", LEAT_FLOATS, 1, "Their scores."));
	return target->list_reasons = leat_plan_add(plan, "reasons", LEAT_STRINGS, 1, "For each of them what gave most of its score: factors, interest:<category> or bid.");
}

static int target_plan(struct leat_plan *plan, void *self)
{
	struct target *target = self;
	size_t showings = target->cap ? (size_t)target->cap_memory : 0;
	if (!target->catalogue == !target->demo_ads)
		return leat_plan_fail(plan, "ads", "give either ads (a table) or demo_ads (a number)");
	if (target->cap > target->cap_memory)
		return leat_plan_fail(plan, "cap_memory", "must be at least cap (%lld)", (long long)target->cap);
	LEAT_TRY(plan_user(plan, target));
	target->salt_hash = leat_random_hash((struct leat_bytes){ (const uint8_t *)target->salt, (uint32_t)strlen(target->salt) });
	leat_plan_table(plan, SHOWN, LEAT_KEYED, sizeof(struct shown) + showings * sizeof(struct showing));
	if (target->explain)
		LEAT_TRY(plan_lists(plan, target));
	if (target->catalogue)
		return plan_catalogue(plan, target);
	target->ads_max = target->demo_ads;
	leat_plan_column(plan, AD_ID, LEAT_INT, 1);
	return 0;
}

#define OPTION(member) offsetof(struct target, member)
const struct leat_operator operator_target = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "target",
	.help = "Chooses the best ads of a catalogue for every event, from factors and interests.",
	.outputs = (const struct leat_output[]){
		[DECISIONS] = { .name = "decisions", .help = "Events with a decision." },
		[UNDECIDED] = { .name = "undecided", .help = "Events that are not eligible or that no ad may be shown for." },
		{ 0 },
	},
	.counters = (const char *const[]){ [DROPPED] = "dropped_ads", [CAPPED] = "capped", NULL },
	.options = (const struct leat_option[]){
		{ "ads", LEAT_OPTION_REFERENCE, OPTION(catalogue), .optional = true, .help = "Catalogue: columns ad_id, and where there are any category, factors, bid, active, starts, ends (ms; end excluded)." },
		{ "demo_ads", LEAT_OPTION_INT, OPTION(demo_ads), "0", .max = 65536, .help = "Instead of a catalogue: this many made-up ads with ids 0, 1, ..." },
		{ "ads_max", LEAT_OPTION_INT, OPTION(ads_max), "1024", .min = 1, .max = 65536, .help = "Active ads at most; more are counted as dropped_ads and left out." },
		{ "id", LEAT_OPTION_TEXT, OPTION(id_column), "ad_id", .meaning = LEAT_MEANS_VALUE, .help = "The catalogue's column with the ad's id." },
		{ "factors", LEAT_OPTION_FIELD, OPTION(factors), .optional = true, .types = LEAT_TYPE_BIT(LEAT_VECTOR), .help = "The user's factors." },
		{ "interests", LEAT_OPTION_FIELD, OPTION(interests), .optional = true, .types = LEAT_TYPE_BIT(LEAT_VECTOR), .help = "The user's interest per category." },
		{ "weight_factors", LEAT_OPTION_DOUBLE, OPTION(weight_factors), "1", .min = -1e6, .max = 1e6, .help = "Weight of the dot product of the user's and the ad's factors." },
		{ "weight_cosine", LEAT_OPTION_DOUBLE, OPTION(weight_cosine), "0", .min = -1e6, .max = 1e6, .help = "Weight of their cosine." },
		{ "weight_interest", LEAT_OPTION_DOUBLE, OPTION(weight_interest), "0.1", .min = -1e6, .max = 1e6, .help = "Weight of the user's interest in the ad's category." },
		{ "weight_bid", LEAT_OPTION_DOUBLE, OPTION(weight_bid), "0", .min = -1e6, .max = 1e6, .help = "Weight of the ad's bid." },
		{ "k", LEAT_OPTION_INT, OPTION(k), "1", .min = 1, .max = K_MAX, .help = "Ads to choose per event; with explain all of them are handed on." },
		{ "eligible", LEAT_OPTION_EXPRESSION, OPTION(eligible), .optional = true, .types = LEAT_TYPE_BIT(LEAT_BOOL), .help = "Only events for which this is true get a decision." },
		{ "match", LEAT_OPTION_FIELD, OPTION(match), .optional = true, .types = LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_ENUM), .help = "An ad with words in match_column is shown only if one of them is this field's value." },
		{ "match_column", LEAT_OPTION_TEXT, OPTION(match_column), "countries", .help = "The catalogue's column with the words for match." },
		{ "cap", LEAT_OPTION_INT, OPTION(cap), "0", .max = 1000, .help = "The same ad at most this often per user and cap_window; 0: no cap." },
		{ "cap_window", LEAT_OPTION_DURATION, OPTION(cap_window_ms), "24h", .min = 1, .max = 3.2e11, .help = "Time that the cap looks back." },
		{ "cap_memory", LEAT_OPTION_INT, OPTION(cap_memory), "32", .min = 1, .max = 1024, .help = "Showings remembered per user; the cap knows no others." },
		{ "explain", LEAT_OPTION_BOOL, OPTION(explain), "false", .help = "Adds ads, scores and reasons: lists of all k choices." },
		{ "salt", LEAT_OPTION_TEXT, OPTION(salt), "target", .help = "Goes into decision_id; two target operators on the same events need different ones." },
		{ 0 },
	},
	.columns = (const struct leat_added_column[]){
		[AD_ID] = { "ad_id", LEAT_NONE, 1, "The best ad." },
		[SCORE] = { "score", LEAT_FLOAT, 1, "Its score." },
		[DECISION_ID] = { "decision_id", LEAT_STRING, 1, "16 hexadecimal digits, always the same for the same event id." },
		{ 0 },
	},
	.tables = (const struct leat_table[]){
		[SHOWN] = { .name = "shown", .kind = LEAT_KEYED, .version = 1, .ttl_option = "cap_window", .upgrade = upgrade_shown, .help = "The newest ads shown to the user." },
		{ 0 },
	},
	.self_size = sizeof(struct target),
	.plan = target_plan,
	.open = target_open,
	.process = target_process,
};
