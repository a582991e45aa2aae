/* profile - keeps what is known of each user up to date: counts, money, rolling windows, decayed interests, habits. */
#include "operators/model/decay.h"
#include "operators/model/keys.h"
#include "operators/model/lanes.h"
#include "operators/model/windows.h"
#include "stream/operator.h"

#include <stdio.h>
#include <string.h>

#define TYPES_MAX 16
#define WINDOWS_MAX 8
#define HOURS 24
#define NONE (-1)

enum { PROFILE };
enum { PASSED };
enum { MERGED };
enum { EVENTS };

/*
 * The entry: struct core, then the groups that are switched on, at the offsets that plan() laid out:
 * int64 counts per type, struct money, struct level, uint32 per hour, struct leat_window per window, float activity, float per category.
 */
struct core {
	int64_t events, first_ms, last_ms;      /* last: newest event time; what decays is as of it */
};
struct money {
	int64_t purchases, last_ms;
	double spend;
};
/* Decayed sums of prices and of their number, as of core.last_ms. */
struct level {
	float sum, weight;
};

/* Offsets in the entry; 0: the group is off. */
struct places {
	size_t counts, money, level, hours, windows, activity, interests, size;
};
/* Added columns; NONE: the group is off. */
struct added {
	int counts, spend, purchases, recency, frequency, monetary, value, level, hours, windows, activity, interests;
};

struct profile {
	struct leat_field_ref type, price, category, anonymous;
	struct leat_texts types, windows, spend_on;
	int64_t half_life_ms, price_half_life_ms, interests, ttl_ms;
	double margin;
	bool activity, rfm, price_level;
	struct leat_expression *hour;

	struct places at;
	struct added added;
	int64_t span_ms[WINDOWS_MAX];
	const int8_t *symbol_types;             /* by symbol when the type is an enum: index into types or NONE */
	uint64_t spending;                      /* bit per type that counts as a purchase                       */
};

/* What one event says. */
struct fact {
	int64_t at_ms;
	int type;               /* index into types or NONE */
	bool priced, purchase;
	double price;
	int32_t category;       /* -1: none                 */
	int hour;               /* NONE: not told           */
};

static void *part(void *entry, size_t at)
{
	return (char *)entry + at;
}

/* ---- reading an event ---- */

static int type_at(const struct profile *profile, const struct leat_batch *in, size_t row)
{
	const struct leat_column *column = &in->columns[profile->type.slot];
	if (column->null[row])
		return NONE;
	if (profile->symbol_types)
		return profile->symbol_types[column->ints[row]];
	for (size_t i = 0; i < profile->types.count; i++)
		if (leat_keys_is(profile->type.field, column, row, profile->types.items[i]))
			return (int)i;
	return NONE;
}

static bool price_at(const struct profile *profile, const struct leat_batch *in, size_t row, double *out)
{
	const struct leat_column *column = &in->columns[profile->price.slot];
	if (column->null[row])
		return false;
	*out = column->type == LEAT_DOUBLE ? column->doubles[row] : column->type == LEAT_FLOAT ? (double)column->floats[row] : (double)column->ints[row];
	return *out >= -1e15 && *out <= 1e15;   /* not a number fails both */
}

/* @hours: the local hour of each row, NULL when it is not kept. */
static struct fact fact_at(const struct profile *profile, const struct leat_batch *in, const struct leat_column *hours, size_t row)
{
	struct fact fact = { .at_ms = in->time_ms[row], .type = NONE, .category = -1, .hour = NONE };
	if (hours && !hours->null[row] && hours->ints[row] >= 0 && hours->ints[row] < HOURS)
		fact.hour = (int)hours->ints[row];
	if (profile->type.slot >= 0)
		fact.type = type_at(profile, in, row);
	if (profile->price.slot >= 0)
		fact.priced = price_at(profile, in, row, &fact.price);
	if (!fact.priced)
		fact.price = 0;
	fact.purchase = fact.priced && (profile->spend_on.count == 0 || (fact.type != NONE && (profile->spending >> fact.type & 1)));
	if (profile->at.interests)
		fact.category = leat_keys_category(&in->columns[profile->category.slot], row, (size_t)profile->interests);
	return fact;
}

/* ---- the entry ---- */

/* Brings all that decays to the event's time; a late event changes nothing here. */
static void age(const struct profile *profile, void *entry, int64_t at_ms)
{
	struct core *core = entry;
	if (core->events == 0)
		core->first_ms = core->last_ms = at_ms;
	if (at_ms < core->first_ms)
		core->first_ms = at_ms;
	if (at_ms <= core->last_ms)
		return;
	int64_t elapsed_ms = leat_decay_elapsed(core->last_ms, at_ms);
	core->last_ms = at_ms;
	if (profile->at.activity || profile->at.interests) {
		float left = leat_decay_factor(elapsed_ms, (double)profile->half_life_ms);
		if (profile->at.activity)
			leat_decay_apply(part(entry, profile->at.activity), 1, left);
		if (profile->at.interests)
			leat_decay_apply(part(entry, profile->at.interests), (size_t)profile->interests, left);
	}
	if (profile->at.level)
		leat_decay_apply(part(entry, profile->at.level), 2, leat_decay_factor(elapsed_ms, (double)profile->price_half_life_ms));
}

static void add_money(const struct profile *profile, void *entry, const struct fact *fact)
{
	if (fact->purchase) {
		struct money *money = part(entry, profile->at.money);
		if (money->purchases == 0 || fact->at_ms > money->last_ms)
			money->last_ms = fact->at_ms;
		money->purchases++;
		money->spend += fact->price;
	}
	if (profile->at.level && fact->priced) {
		struct level *level = part(entry, profile->at.level);
		level->sum += (float)fact->price;
		level->weight += 1;
	}
}

static void add_habits(const struct profile *profile, void *entry, const struct fact *fact)
{
	struct leat_window *windows = part(entry, profile->at.windows);
	uint32_t *hours = part(entry, profile->at.hours);
	for (size_t i = 0; i < profile->windows.count; i++)
		leat_window_add(&windows[i], profile->span_ms[i], fact->at_ms, fact->purchase ? fact->price : 0);
	if (fact->hour != NONE)
		hours[fact->hour]++;
}

static void add(const struct profile *profile, void *entry, const struct fact *fact)
{
	struct core *core = entry;
	age(profile, entry, fact->at_ms);
	core->events++;
	if (profile->at.counts && fact->type != NONE)
		((int64_t *)part(entry, profile->at.counts))[fact->type]++;
	if (fact->priced)
		add_money(profile, entry, fact);
	if (profile->at.activity)
		*(float *)part(entry, profile->at.activity) += 1;
	if (fact->category >= 0)
		((float *)part(entry, profile->at.interests))[fact->category] += 1;
	if (profile->at.windows || profile->at.hours)
		add_habits(profile, entry, fact);
}

/* ---- an anonymous visitor turns out to be a known user ---- */

static void merge_money(const struct profile *profile, void *into, const void *from)
{
	struct money *money = part(into, profile->at.money);
	const struct money *other = part((void *)from, profile->at.money);
	if (other->purchases == 0)
		return;
	if (money->purchases == 0 || other->last_ms > money->last_ms)
		money->last_ms = other->last_ms;
	money->purchases += other->purchases;
	money->spend += other->spend;
}

static void merge_decayed(const struct profile *profile, void *into, const void *from)
{
	const struct { size_t at, count; int64_t half_life_ms; } groups[] = {
		{ profile->at.activity, 1, profile->half_life_ms },
		{ profile->at.interests, (size_t)profile->interests, profile->half_life_ms },
		{ profile->at.level, 2, profile->price_half_life_ms },
	};
	int64_t into_ms = ((const struct core *)into)->last_ms, from_ms = ((const struct core *)from)->last_ms;
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (groups[i].at)
			leat_decay_merge(part(into, groups[i].at), into_ms, part((void *)from, groups[i].at), from_ms, groups[i].count, (double)groups[i].half_life_ms);
}

static void merge_counted(const struct profile *profile, void *into, const void *from)
{
	int64_t *counts = part(into, profile->at.counts);
	const int64_t *other_counts = part((void *)from, profile->at.counts);
	uint32_t *hours = part(into, profile->at.hours);
	const uint32_t *other_hours = part((void *)from, profile->at.hours);
	struct leat_window *windows = part(into, profile->at.windows);
	const struct leat_window *other_windows = part((void *)from, profile->at.windows);
	for (size_t i = 0; profile->at.counts && i < profile->types.count; i++)
		counts[i] += other_counts[i];
	for (size_t i = 0; profile->at.hours && i < HOURS; i++)
		hours[i] += other_hours[i];
	for (size_t i = 0; i < profile->windows.count; i++)
		leat_window_merge(&windows[i], &other_windows[i]);
}

static void merge(const struct profile *profile, void *into, const void *from)
{
	struct core *core = into;
	const struct core *other = from;
	if (core->events == 0) {
		memcpy(into, from, profile->at.size);
		return;
	}
	merge_decayed(profile, into, from);
	merge_counted(profile, into, from);
	if (profile->at.money)
		merge_money(profile, into, from);
	core->events += other->events;
	if (other->first_ms < core->first_ms)
		core->first_ms = other->first_ms;
	if (other->last_ms > core->last_ms)
		core->last_ms = other->last_ms;
}

/* The profile of the id the visitor had before moves into this row's, once: what is left behind is empty. */
static int adopt(struct leat_task *task, const struct profile *profile, const struct leat_batch *in, size_t row)
{
	const struct leat_column *column = &in->columns[profile->anonymous.slot];
	const struct core *seen = NULL;
	void *before;
	if (column->null[row] || column->bytes[row].length == 0)
		return 0;
	struct leat_bytes key = column->bytes[row], own = in->key[row];
	if (own.data && own.length == key.length && memcmp(own.data, key.data, key.length) == 0)
		return 0;
	LEAT_TRY(leat_lookup(task, PROFILE, key, (const void **)&seen));
	if (!seen || seen->events == 0)
		return 0;
	LEAT_TRY(leat_lookup_write(task, PROFILE, key, &before));
	merge(profile, leat_entry_write(task, PROFILE, row), before);
	memset(before, 0, profile->at.size);
	leat_count(task, MERGED, 1);
	return 0;
}

/* ---- columns ---- */

static void set_int(struct leat_task *task, int column, size_t row, int64_t value)
{
	leat_added(task, column)->ints[row] = value;
	leat_added(task, column)->null[row] = 0;
}

static void set_double(struct leat_task *task, int column, size_t row, bool known, double value)
{
	leat_added(task, column)->doubles[row] = known ? value : 0;
	leat_added(task, column)->null[row] = !known;
}

static void show_money(struct leat_task *task, const struct profile *profile, const void *entry, size_t row)
{
	const struct core *core = entry;
	const struct money *money = part((void *)entry, profile->at.money);
	bool bought = money->purchases > 0;
	set_double(task, profile->added.spend, row, true, money->spend);
	if (profile->added.recency == NONE)
		return;
	set_int(task, profile->added.recency, row, bought ? leat_decay_elapsed(money->last_ms, core->last_ms) : 0);
	leat_added(task, profile->added.recency)->null[row] = !bought;
	set_int(task, profile->added.frequency, row, money->purchases);
	set_double(task, profile->added.monetary, row, bought, bought ? money->spend / (double)money->purchases : 0);
	set_double(task, profile->added.value, row, true, money->spend * profile->margin);
}

static void show_habits(struct leat_task *task, const struct profile *profile, const void *entry, size_t row)
{
	const struct leat_window *windows = part((void *)entry, profile->at.windows);
	const uint32_t *hours = part((void *)entry, profile->at.hours);
	for (size_t i = 0; i < profile->windows.count; i++) {
		set_int(task, profile->added.windows + 2 * (int)i, row, (int64_t)leat_window_events(&windows[i]));
		set_double(task, profile->added.windows + 2 * (int)i + 1, row, true, leat_window_amount(&windows[i]));
	}
	if (!profile->at.hours)
		return;
	struct leat_column *column = leat_added(task, profile->added.hours);
	column->null[row] = 0;
	for (size_t i = 0; i < HOURS; i++)
		column->floats[row * HOURS + i] = (float)hours[i];
}

static void show_decayed(struct leat_task *task, const struct profile *profile, const void *entry, size_t row)
{
	if (profile->at.activity) {
		struct leat_column *column = leat_added(task, profile->added.activity);
		column->floats[row] = *(const float *)part((void *)entry, profile->at.activity);
		column->null[row] = 0;
	}
	if (profile->at.interests) {
		struct leat_column *column = leat_added(task, profile->added.interests);
		size_t count = (size_t)profile->interests;
		memcpy(column->floats + row * count, part((void *)entry, profile->at.interests), count * sizeof(float));
		column->null[row] = 0;
	}
	if (profile->at.level) {
		const struct level *level = part((void *)entry, profile->at.level);
		struct leat_column *column = leat_added(task, profile->added.level);
		bool known = level->weight > 1e-6f;     /* decayed away otherwise */
		column->floats[row] = known ? level->sum / level->weight : 0;
		column->null[row] = !known;
	}
}

static void show(struct leat_task *task, const struct profile *profile, const void *entry, size_t row)
{
	const struct core *core = entry;
	const int64_t *counts = part((void *)entry, profile->at.counts);
	set_int(task, EVENTS, row, core->events);
	for (size_t i = 0; profile->at.counts && i < profile->types.count; i++)
		set_int(task, profile->added.counts + (int)i, row, counts[i]);
	if (profile->at.money)
		show_money(task, profile, entry, row);
	if (profile->at.windows || profile->at.hours)
		show_habits(task, profile, entry, row);
	show_decayed(task, profile, entry, row);
}

static int profile_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct profile *profile = self;
	const struct leat_column *hours = profile->hour ? leat_evaluate(task, profile->hour, in) : NULL;
	if (profile->hour && !hours)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		struct fact fact = fact_at(profile, in, hours, row);
		if (profile->anonymous.slot >= 0)
			LEAT_TRY(adopt(task, profile, in, row));
		void *entry = leat_entry_write(task, PROFILE, row);
		add(profile, entry, &fact);
		show(task, profile, entry, row);
		leat_pass(task, PASSED, row);
	}
	return 0;
}

/* ---- planning ---- */

static int type_index(const struct profile *profile, const char *word)
{
	for (size_t i = 0; i < profile->types.count; i++)
		if (strcmp(profile->types.items[i], word) == 0)
			return (int)i;
	return NONE;
}

static int plan_symbols(struct leat_plan *plan, struct profile *profile)
{
	const char *const *symbols = profile->type.field->symbols;
	size_t count = 0;
	while (symbols[count])
		count++;
	int8_t *types = leat_plan_memory(plan, count + 1);
	if (!types)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < count; i++)
		types[i] = (int8_t)type_index(profile, symbols[i]);
	for (size_t i = 0; i < profile->types.count; i++) {
		size_t s = 0;
		while (s < count && strcmp(symbols[s], profile->types.items[i]) != 0)
			s++;
		if (s == count)
			return leat_plan_fail(plan, "types", "'%s' is not a symbol of '%s'", profile->types.items[i], profile->type.field->name);
	}
	profile->symbol_types = types;
	return 0;
}

/* The column of a type is count_ and its word in lower case; what cannot stand in a name becomes an underscore. */
static int plan_count(struct leat_plan *plan, const char *word)
{
	char name[64] = "count_";
	size_t at = 6;
	for (; *word && at + 1 < sizeof name; word++, at++) {
		char c = *word;
		bool upper = c >= 'A' && c <= 'Z', fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		name[at] = upper ? (char)(c + 'a' - 'A') : fine ? c : '_';
	}
	return leat_plan_add(plan, name, LEAT_INT, 1, "Events of this type.");
}

static int plan_types(struct leat_plan *plan, struct profile *profile)
{
	if (profile->types.count && profile->type.slot < 0)
		return leat_plan_fail(plan, "types", "needs type, the field whose words they are");
	if (profile->type.slot >= 0 && profile->types.count == 0)
		return leat_plan_fail(plan, "types", "say which words of '%s' are counted", profile->type.field->name);
	if (profile->types.count > TYPES_MAX)
		return leat_plan_fail(plan, "types", "at most %d", TYPES_MAX);
	if (profile->type.slot >= 0 && profile->type.field->type == LEAT_ENUM)
		LEAT_TRY(plan_symbols(plan, profile));
	for (size_t i = 0; i < profile->spend_on.count; i++) {
		int type = type_index(profile, profile->spend_on.items[i]);
		if (type == NONE)
			return leat_plan_fail(plan, "spend_on", "'%s' is not among types", profile->spend_on.items[i]);
		profile->spending |= UINT64_C(1) << type;
	}
	for (size_t i = 0; i < profile->types.count; i++) {
		int column = plan_count(plan, profile->types.items[i]);
		LEAT_TRY(column);
		if (i == 0)
			profile->added.counts = column;
	}
	return 0;
}

/* "90m" -> milliseconds; 0: not a duration. */
static int64_t duration_of(const char *text)
{
	static const struct { char unit; int64_t ms; } units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
	int64_t number = 0;
	for (; *text >= '0' && *text <= '9' && number < 100000; text++)
		number = number * 10 + (*text - '0');
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (text[0] == units[i].unit && text[1] == '\0')
			return number * units[i].ms;
	return 0;
}

static int plan_windows(struct leat_plan *plan, struct profile *profile)
{
	if (profile->windows.count > WINDOWS_MAX)
		return leat_plan_fail(plan, "windows", "at most %d", WINDOWS_MAX);
	for (size_t i = 0; i < profile->windows.count; i++) {
		const char *text = profile->windows.items[i];
		char events[32], spend[32];
		profile->span_ms[i] = duration_of(text);
		if (profile->span_ms[i] < 60000 || profile->span_ms[i] > 3660 * INT64_C(86400000))
			return leat_plan_fail(plan, "windows", "'%s' is not a time from 1m to 3660d", text);
		(void)snprintf(events, sizeof events, "events_%.16s", text);
		(void)snprintf(spend, sizeof spend, "spend_%.16s", text);
		int first = leat_plan_add(plan, events, LEAT_INT, 1, "Events in this time, up to the newest.");
		LEAT_TRY(first);
		LEAT_TRY(leat_plan_add(plan, spend, LEAT_DOUBLE, 1, "Money spent in this time, up to the newest event."));
		if (i == 0)
			profile->added.windows = first;
	}
	return 0;
}

/* One column that is added when its group is on. */
static int plan_column(struct leat_plan *plan, bool on, int *index, const char *name, uint8_t type, size_t width, const char *help)
{
	*index = on ? leat_plan_add(plan, name, type, (uint16_t)width, help) : NONE;
	return on && *index < 0 ? *index : 0;
}

static int plan_columns(struct leat_plan *plan, struct profile *profile)
{
	struct added *added = &profile->added;
	bool money = profile->price.slot >= 0, rfm = money && profile->rfm;
	LEAT_TRY(plan_types(plan, profile));
	LEAT_TRY(plan_column(plan, money, &added->spend, "spend", LEAT_DOUBLE, 1, "Money spent so far."));
	LEAT_TRY(plan_column(plan, rfm, &added->recency, "recency_ms", LEAT_INT, 1, "Time since the last purchase (ms); null before the first."));
	LEAT_TRY(plan_column(plan, rfm, &added->frequency, "frequency", LEAT_INT, 1, "Purchases so far."));
	LEAT_TRY(plan_column(plan, rfm, &added->monetary, "monetary", LEAT_DOUBLE, 1, "Money per purchase; null before the first."));
	LEAT_TRY(plan_column(plan, rfm, &added->value, "lifetime_value", LEAT_DOUBLE, 1, "Money spent so far times margin."));
	LEAT_TRY(plan_column(plan, money && profile->price_level, &added->level, "price_level", LEAT_FLOAT, 1, "Decayed mean of the prices; null before the first."));
	LEAT_TRY(plan_column(plan, profile->activity, &added->activity, "activity", LEAT_FLOAT, 1, "Decayed number of events."));
	LEAT_TRY(plan_column(plan, profile->interests > 0, &added->interests, "interests", LEAT_VECTOR, (size_t)profile->interests, "Decayed number of events per category."));
	LEAT_TRY(plan_column(plan, profile->hour, &added->hours, "hours", LEAT_VECTOR, HOURS, "Events per hour of the local day."));
	return plan_windows(plan, profile);
}

static void place(size_t *used, size_t *at, bool on, size_t size)
{
	*at = on ? *used : 0;
	*used += on ? (size + 7) / 8 * 8 : 0;
}

static size_t plan_entry(struct profile *profile)
{
	struct places *at = &profile->at;
	bool money = profile->price.slot >= 0;
	size_t used = sizeof(struct core);
	place(&used, &at->counts, profile->types.count > 0, profile->types.count * sizeof(int64_t));
	place(&used, &at->money, money, sizeof(struct money));
	place(&used, &at->level, money && profile->price_level, sizeof(struct level));
	place(&used, &at->hours, profile->hour, HOURS * sizeof(uint32_t));
	place(&used, &at->windows, profile->windows.count > 0, profile->windows.count * sizeof(struct leat_window));
	place(&used, &at->activity, profile->activity, sizeof(float));
	place(&used, &at->interests, profile->interests > 0, (size_t)profile->interests * sizeof(float));
	return at->size = used;
}

static int profile_plan(struct leat_plan *plan, void *self)
{
	struct profile *profile = self;
	const char *wants_price = profile->rfm ? "rfm" : profile->price_level ? "price_level" : profile->spend_on.count ? "spend_on" : NULL;
	if (wants_price && profile->price.slot < 0)
		return leat_plan_fail(plan, wants_price, "needs price");
	if ((profile->interests > 0) != (profile->category.slot >= 0))
		return leat_plan_fail(plan, "interests", "interests (how many) and category (the field) go together");
	LEAT_TRY(plan_columns(plan, profile));
	leat_plan_table(plan, PROFILE, LEAT_KEYED, plan_entry(profile));
	return 0;
}

#define OPTION(member) offsetof(struct profile, member)
#define WORDS (LEAT_TYPE_BIT(LEAT_ENUM) | LEAT_TYPE_BIT(LEAT_STRING))
#define NUMBERS (LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_FLOAT) | LEAT_TYPE_BIT(LEAT_DOUBLE))
const struct leat_operator operator_profile = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "profile",
	.help = "Keeps what is known of each user up to date: counts, money, rolling windows, decayed interests, habits.",
	.outputs = (const struct leat_output[]){ [PASSED] = { .name = "passed", .help = "Every event, with the profile right after it." }, { 0 } },
	.counters = (const char *const[]){ [MERGED] = "merged", NULL },
	.options = (const struct leat_option[]){
		{ "type", LEAT_OPTION_FIELD, OPTION(type), .meaning = LEAT_MEANS_VALUE, .optional = true, .types = WORDS, .help = "What the user did." },
		{ "types", LEAT_OPTION_TEXTS, OPTION(types), .meaning = LEAT_MEANS_VALUE, .optional = true, .help = "Words of type that are counted, each in a column count_<word>; at most 16." },
		{ "price", LEAT_OPTION_FIELD, OPTION(price), .meaning = LEAT_MEANS_VALUE, .optional = true, .types = NUMBERS, .help = "Money; adds the column spend. Negative prices (refunds) reduce it." },
		{ "spend_on", LEAT_OPTION_TEXTS, OPTION(spend_on), .meaning = LEAT_MEANS_SET, .optional = true, .help = "Words among types that spend money; not given: every event with a price does." },
		{ "rfm", LEAT_OPTION_BOOL, OPTION(rfm), "false", .help = "Adds recency_ms, frequency, monetary and lifetime_value." },
		{ "margin", LEAT_OPTION_DOUBLE, OPTION(margin), "1", .max = 1, .help = "Share of the money spent that counts as lifetime_value." },
		{ "price_level", LEAT_OPTION_BOOL, OPTION(price_level), "false", .meaning = LEAT_MEANS_VALUE, .help = "Adds price_level, the decayed mean of all prices the user met." },
		{ "price_half_life", LEAT_OPTION_DURATION, OPTION(price_half_life_ms), "30d", .meaning = LEAT_MEANS_VALUE, .min = 1000, .max = 3.2e11, .help = "Time after which a price counts half in price_level." },
		{ "activity", LEAT_OPTION_BOOL, OPTION(activity), "true", .meaning = LEAT_MEANS_VALUE, .help = "Adds activity, the decayed number of events." },
		{ "half_life", LEAT_OPTION_DURATION, OPTION(half_life_ms), "1h", .meaning = LEAT_MEANS_VALUE, .min = 1000, .max = 3.2e11, .help = "Time after which an event counts half in activity and interests." },
		{ "interests", LEAT_OPTION_INT, OPTION(interests), "0", .meaning = LEAT_MEANS_VALUE, .max = 1024, .help = "Number of categories; adds interests, decayed events per category." },
		{ "category", LEAT_OPTION_FIELD, OPTION(category), .meaning = LEAT_MEANS_VALUE, .optional = true, .types = LEAT_TYPE_BIT(LEAT_INT) | WORDS, .help = "Category of the event: a number modulo interests, a text by its hash." },
		{ "windows", LEAT_OPTION_TEXTS, OPTION(windows), .meaning = LEAT_MEANS_VALUE, .optional = true, .help = "Rolling windows such as [1h, 24h, 30d]; adds events_<window> and spend_<window>, exact to 1/24 of the window." },
		{ "hour", LEAT_OPTION_EXPRESSION, OPTION(hour), .meaning = LEAT_MEANS_VALUE, .optional = true, .types = LEAT_TYPE_BIT(LEAT_INT), .help = "Local hour of the event, such as hour_in(ts, 'Europe/Berlin'); adds hours, the events per hour of the day." },
		{ "anonymous", LEAT_OPTION_FIELD, OPTION(anonymous), .optional = true, .types = LEAT_TYPE_BIT(LEAT_STRING), .help = "Message key that the user had before it was known: its profile moves into this one's, if it is in the same task." },
		{ "ttl", LEAT_OPTION_DURATION, OPTION(ttl_ms), "0s", .max = 3.2e11, .help = "A user without events for this long is forgotten; 0: never." },
		{ 0 },
	},
	.columns = (const struct leat_added_column[]){
		[EVENTS] = { "events", LEAT_INT, 1, "Events of the user so far." },
		{ 0 },
	},
	.tables = (const struct leat_table[]){
		[PROFILE] = { .name = "profile", .kind = LEAT_KEYED, .version = 1, .ttl_option = "ttl", .help = "What is known of a user." },
		{ 0 },
	},
	.self_size = sizeof(struct profile),
	.plan = profile_plan,
	.process = profile_process,
};
