/* target: catalogues that change, conditions, caps, lists and injected failures. */
#include "tests/operators/loose_task.h"

#include "operators/model/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern const struct leat_operator operator_target;
enum { DECISIONS, UNDECIDED };
enum { DROPPED, CAPPED };
enum { RANK = 2, CATEGORIES = 3, ADS_MOST = 8 };

/* An ad; what is left 0 is null. */
struct ad {
	const char *id, *category, *countries[3];
	float factors[RANK];
	double bid;
	int64_t starts, ends;
	bool off;
};
struct shop {
	struct leat_reference reference;
	struct leat_bytes words[ADS_MOST][3];
};
enum { AD_ID, CATEGORY, FACTORS, BID, ACTIVE, STARTS, ENDS, COUNTRIES, COLUMNS };

static struct leat_bytes text(const char *of)
{
	return (struct leat_bytes){ (const uint8_t *)of, of ? (uint32_t)strlen(of) : 0 };
}

static void shop_set(struct shop *shop, size_t row, const struct ad *ad)
{
	struct leat_column *columns = shop->reference.columns;
	uint32_t words = 0;
	while (words < 3 && ad->countries[words]) {
		shop->words[row][words] = text(ad->countries[words]);
		words++;
	}
	columns[AD_ID].bytes[row] = text(ad->id);
	columns[CATEGORY].bytes[row] = text(ad->category);
	columns[CATEGORY].null[row] = !ad->category;
	columns[FACTORS].lists[row] = (struct leat_list){ ad->factors, RANK };
	columns[FACTORS].null[row] = ad->factors[0] == 0 && ad->factors[1] == 0;
	columns[BID].doubles[row] = ad->bid;
	columns[ACTIVE].bools[row] = !ad->off;
	columns[STARTS].ints[row] = ad->starts;
	columns[STARTS].null[row] = ad->starts == 0;
	columns[ENDS].ints[row] = ad->ends;
	columns[ENDS].null[row] = ad->ends == 0;
	columns[COUNTRIES].lists[row] = (struct leat_list){ shop->words[row], words };
	columns[COUNTRIES].null[row] = words == 0;
}
static void shop_load(struct shop *shop, const struct ad *ads, size_t count)
{
	for (size_t i = 0; i < count; i++)
		shop_set(shop, i, &ads[i]);
	shop->reference.count = count;
	shop->reference.version++;
}
static struct shop *shop_new(const struct ad *ads, size_t count)
{
	static const struct { const char *name; uint8_t type; } columns[COLUMNS] = {
		[AD_ID] = { "ad_id", LEAT_STRING }, [CATEGORY] = { "category", LEAT_STRING }, [FACTORS] = { "factors", LEAT_FLOATS }, [BID] = { "bid", LEAT_DOUBLE },
		[ACTIVE] = { "active", LEAT_BOOL }, [STARTS] = { "starts", LEAT_INT }, [ENDS] = { "ends", LEAT_INT }, [COUNTRIES] = { "countries", LEAT_STRINGS },
	};
	struct shop *shop = calloc(1, sizeof *shop);
	assert_non_null(shop);
	for (size_t i = 0; i < COLUMNS; i++) {
		shop->reference.fields[i] = (struct leat_field){ .name = columns[i].name, .type = columns[i].type, .width = 1, .nullable = true };
		loose_column(&shop->reference.columns[i], columns[i].type, 1, ADS_MOST);
	}
	shop_load(shop, ads, count);
	return shop;
}
static void shop_free(struct shop *shop)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		free(shop->reference.columns[i].null);
		free(shop->reference.columns[i].data);
	}
	free(shop);
}

struct fixture {
	struct loose_stream stream;
	struct loose loose;
	int country, wanted;
};

static struct fixture *fixture_new(void)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	assert_non_null(fixture);
	(void)loose_field(&fixture->stream, "p", LEAT_VECTOR, RANK, NULL);
	(void)loose_field(&fixture->stream, "taste", LEAT_VECTOR, CATEGORIES, NULL);
	fixture->country = loose_field(&fixture->stream, "country", LEAT_STRING, 1, NULL);
	fixture->wanted = loose_field(&fixture->stream, "wanted", LEAT_BOOL, 1, NULL);
	(void)loose_field(&fixture->stream, "wide", LEAT_VECTOR, 129, NULL);
	return fixture;
}
static struct fixture *fixture_open(const struct loose_setting *settings)
{
	struct fixture *fixture = fixture_new();
	assert_int_equal(loose_open(&fixture->loose, &operator_target, &fixture->stream, settings), 0);
	return fixture;
}
static void fixture_free(struct fixture *fixture)
{
	loose_close(&fixture->loose);
	loose_stream_free(&fixture->stream);
	free(fixture);
}
static void put(struct fixture *fixture, size_t row, const char *key, int64_t time_ms, float p0, float p1, const char *country)
{
	fixture->stream.key[row] = text(key);
	fixture->stream.time_ms[row] = time_ms;
	fixture->stream.id[row] = 1000 + row;
	fixture->stream.columns[0].floats[row * RANK] = p0;
	fixture->stream.columns[0].floats[row * RANK + 1] = p1;
	fixture->stream.columns[fixture->country].bytes[row] = text(country);
	fixture->stream.columns[fixture->country].null[row] = !country;
}
static struct leat_column *column_of(struct fixture *fixture, const char *name)
{
	return &fixture->stream.columns[loose_slot(&fixture->stream, name)];
}
/* The ads of @rows rows, "-" where there is none, separated by spaces. */
static void expect(struct fixture *fixture, size_t rows, const char *wanted)
{
	char got[512] = "";
	size_t at = 0, decided = 0;
	const struct leat_column *ads = column_of(fixture, "ad_id");
	assert_int_equal(loose_process(&fixture->loose, 0, rows), 0);
	for (size_t row = 0; row < rows; row++) {
		struct leat_bytes ad = ads->null[row] ? text("-") : ads->bytes[row];
		at += (size_t)snprintf(got + at, sizeof got - at, "%s%.*s", row ? " " : "", (int)ad.length, (const char *)ad.data);
		decided += !ads->null[row];
	}
	assert_string_equal(got, wanted);
	assert_int_equal(fixture->loose.outs[DECISIONS].count, decided);
	assert_int_equal(fixture->loose.outs[UNDECIDED].count, rows - decided);
}

static const struct ad two[] = { { .id = "east", .factors = { 1, 0 } }, { .id = "north", .factors = { 0, 1 } } };

static void the_ad_that_points_where_the_user_does_wins(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 2, 1, NULL);
	put(fixture, 1, "u", 0, 1, 2, NULL);
	put(fixture, 2, "u", 0, 1, 1, NULL);
	put(fixture, 3, "u", 0, NAN, 1, NULL);
	put(fixture, 4, "u", 0, 5, 5, NULL);
	fixture->stream.columns[0].null[4] = 1;
	expect(fixture, 5, "east north east - east");
	assert_true(column_of(fixture, "score")->floats[0] == 2 && column_of(fixture, "score")->floats[4] == 0);
	fixture_free(fixture);
	shop_free(shop);
}

static void a_changed_catalogue_is_seen_at_the_next_batch(void **state)
{
	static const struct ad changed[] = { { .id = "east", .factors = { 1, 0 }, .off = true }, { .id = "north", .factors = { 0, 1 } }, { .id = "far", .factors = { 9, 0 } } };
	struct shop *shop = shop_new(two, 0);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 2, 1, NULL);
	expect(fixture, 1, "-");
	shop_load(shop, two, 2);
	expect(fixture, 1, "east");
	shop_load(shop, changed, 2);
	expect(fixture, 1, "north");
	shop_load(shop, changed, 3);
	expect(fixture, 1, "far");
	fixture_free(fixture);
	shop_free(shop);
}

static void an_ad_shows_from_its_start_to_before_its_end(void **state)
{
	static const struct ad ads[] = { { .id = "sale", .factors = { 9, 9 }, .starts = 100, .ends = 200 }, { .id = "rest", .factors = { 1, 1 } } };
	struct shop *shop = shop_new(ads, 2);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	static const int64_t times[] = { 99, 100, 199, 200, INT64_MIN, INT64_MAX };
	(void)state;
	for (size_t i = 0; i < 6; i++)
		put(fixture, i, "u", times[i], 1, 1, NULL);
	expect(fixture, 6, "rest sale sale rest rest rest");
	fixture_free(fixture);
	shop_free(shop);
}

static void an_ad_with_countries_shows_only_there(void **state)
{
	static const struct ad ads[] = {
		{ .id = "alps", .factors = { 9, 9 }, .countries = { "AT", "CH" } }, { .id = "world", .factors = { 1, 1 } }, { .id = "japan", .factors = { 5, 5 }, .countries = { "JP" } },
	};
	struct shop *shop = shop_new(ads, 3);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "match", "country", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 1, 1, "CH");
	put(fixture, 1, "u", 0, 1, 1, "JP");
	put(fixture, 2, "u", 0, 1, 1, "DE");
	put(fixture, 3, "u", 0, 1, 1, NULL);
	put(fixture, 4, "u", 0, 1, 1, "");
	expect(fixture, 5, "alps japan world world world");
	fixture_free(fixture);
	shop_free(shop);
}

static void an_ad_whose_words_have_no_room_is_left_out_and_counted(void **state)
{
	static const struct ad ads[] = { { .id = "wordy", .factors = { 9, 9 }, .countries = { "A", "B", "C" } }, { .id = "other", .factors = { 1, 1 } } };
	struct leat_bytes many[9];
	struct shop *shop = shop_new(ads, 1);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "match", "country", NULL }, { "ads_max", "1", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	for (size_t i = 0; i < 9; i++)
		many[i] = text("A");
	put(fixture, 0, "u", 0, 1, 1, "A");
	expect(fixture, 1, "wordy");
	shop->reference.columns[COUNTRIES].lists[0] = (struct leat_list){ many, 9 };
	shop->reference.version++;
	expect(fixture, 1, "-");
	assert_int_equal(fixture->loose.counters[DROPPED], 1);
	fixture_free(fixture);
	shop_free(shop);
}

static void ads_beyond_the_limit_are_counted(void **state)
{
	static const struct ad ads[] = { { .id = "a", .factors = { 1, 1 }, .off = true }, { .id = "b", .factors = { 1, 1 } }, { .id = "c", .factors = { 2, 2 } }, { .id = "d", .factors = { 9, 9 } } };
	struct shop *shop = shop_new(ads, 4);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "ads_max", "2", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 1, 1, NULL);
	expect(fixture, 1, "c");
	assert_int_equal(fixture->loose.counters[DROPPED], 1);
	fixture_free(fixture);
	shop_free(shop);
}

static void the_same_ad_at_most_cap_times_per_user_and_window(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "cap", "2", NULL }, { "cap_window", "1s", NULL }, { 0 } };
	static const struct { const char *user; int64_t at; } events[] = {
		{ "u", 0 }, { "u", 100 }, { "u", 200 }, { "v", 200 }, { "u", 300 }, { "u", 400 }, { "u", 999 }, { "u", 1000 }, { "u", 1001 }, { "u", 1150 },
	};
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	for (size_t i = 0; i < 10; i++)
		put(fixture, i, events[i].user, events[i].at, 2, 1, NULL);
	expect(fixture, 10, "east east north east north - - east - east");
	assert_true(fixture->loose.counters[CAPPED] > 0);
	fixture_free(fixture);
	shop_free(shop);
}

static void showings_beyond_the_memory_are_forgotten(void **state)
{
	struct shop *shop = shop_new(two, 1);
	const struct loose_setting settings[] = {
		{ "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "cap", "2", NULL }, { "cap_memory", "2", NULL }, { "cap_window", "100s", NULL }, { 0 },
	};
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	for (size_t i = 0; i < 3; i++)
		put(fixture, i, "u", (int64_t)i, 2, 1, NULL);
	expect(fixture, 3, "east east -");
	shop_load(shop, two, 2);
	expect(fixture, 2, "north east");
	expect(fixture, 2, "east north");
	fixture_free(fixture);
	shop_free(shop);
}

static void only_eligible_events_get_a_decision(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const struct leat_expression wanted = { 3 };
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "eligible", NULL, &wanted }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	for (size_t i = 0; i < 40; i++) {
		put(fixture, i, "u", 0, i % 4 == 0 ? 2 : 1, i % 4 == 0 ? 1 : 2, NULL);
		fixture->stream.columns[fixture->wanted].bools[i] = i % 2 == 0;
		fixture->stream.columns[fixture->wanted].null[i] = i == 6;
	}
	assert_int_equal(fixture->wanted, 3);
	expect(fixture, 12, "east - north - east - - - east - north -");
	expect(fixture, 40, "east - north - east - - - east - north - east - north - east - north - east - north - east - north - east - north - east - north - east - north -");
	fixture_free(fixture);
	shop_free(shop);
}

static void list_text(const struct leat_column *column, size_t row, char *out, size_t size)
{
	size_t at = 0;
	for (uint32_t i = 0; i < column->lists[row].count; i++) {
		const struct leat_bytes *items = column->lists[row].items;
		const float *numbers = column->lists[row].items;
		if (column->type == LEAT_FLOATS)
			at += (size_t)snprintf(out + at, size - at, "%g ", (double)numbers[i]);
		else
			at += (size_t)snprintf(out + at, size - at, "%.*s ", (int)items[i].length, (const char *)items[i].data);
	}
	out[at] = '\0';
}

static void lists_tell_the_best_ads_and_what_spoke_for_them(void **state)
{
	static const struct ad ads[] = {
		{ .id = "a", .factors = { 1, 0 }, .category = "shoes" }, { .id = "b", .factors = { 0.5f, 0 }, .category = "hats", .bid = 10 },
		{ .id = "c", .factors = { 3, 0 } }, { .id = "d", .factors = { 0.25f, 0 } },
	};
	struct shop *shop = shop_new(ads, 4);
	const struct loose_setting settings[] = {
		{ "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "interests", "taste", NULL }, { "weight_interest", "0.5", NULL }, { "weight_bid", "0.125", NULL },
		{ "k", "3", NULL }, { "explain", "true", NULL }, { 0 },
	};
	struct fixture *fixture = fixture_open(settings);
	char got[256];
	(void)state;
	put(fixture, 0, "u", 0, 1, 0, NULL);
	float *taste = fixture->stream.columns[1].floats;
	taste[leat_random_hash(text("shoes")) % CATEGORIES] = 8;
	assert_true(leat_random_hash(text("shoes")) % CATEGORIES != leat_random_hash(text("hats")) % CATEGORIES);
	expect(fixture, 1, "a");
	list_text(column_of(fixture, "ads"), 0, got, sizeof got);
	assert_string_equal(got, "a c b ");
	list_text(column_of(fixture, "scores"), 0, got, sizeof got);
	assert_string_equal(got, "5 3 1.75 ");
	list_text(column_of(fixture, "reasons"), 0, got, sizeof got);
	assert_string_equal(got, "interest:shoes factors bid ");
	fixture_free(fixture);
	shop_free(shop);
}

static void fewer_ads_than_k_give_a_shorter_list_and_none_give_none(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "k", "5", NULL }, { "explain", "true", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 2, 1, NULL);
	expect(fixture, 1, "east");
	assert_int_equal(column_of(fixture, "ads")->lists[0].count, 2);
	shop_load(shop, two, 0);
	expect(fixture, 1, "-");
	assert_int_equal(column_of(fixture, "ads")->null[0], 1);
	assert_int_equal(column_of(fixture, "scores")->null[0], 1);
	assert_int_equal(column_of(fixture, "reasons")->null[0], 1);
	fixture_free(fixture);
	shop_free(shop);
}

static void an_ad_without_factors_starts_from_its_id(void **state)
{
	static const struct ad ads[] = { { .id = "12" }, { .id = "north" } };
	struct shop *shop = shop_new(ads, 1);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 1, 0, NULL);
	expect(fixture, 1, "12");
	assert_true(column_of(fixture, "score")->floats[0] == leat_random_start(12, 0));
	fixture_free(fixture);
	shop_free(shop);
}

static void cosine_ignores_how_long_an_ad_is(void **state)
{
	static const struct ad ads[] = { { .id = "long", .factors = { 10, 10 } }, { .id = "straight", .factors = { 0.1f, 0 } } };
	struct shop *shop = shop_new(ads, 2);
	const struct loose_setting settings[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "weight_factors", "0", NULL }, { "weight_cosine", "1", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	put(fixture, 0, "u", 0, 3, 0, NULL);
	expect(fixture, 1, "straight");
	assert_float_equal(column_of(fixture, "score")->floats[0], 1, 1e-5f);
	fixture_free(fixture);
	shop_free(shop);
}

static void decision_ids_hang_on_the_event_and_the_salt_alone(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const struct loose_setting plain[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { 0 } };
	const struct loose_setting salted[] = { { "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "salt", "other", NULL }, { 0 } };
	char ids[3][2][17] = { { "" } };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fixture *fixture = fixture_open(i == 2 ? salted : plain);
		put(fixture, 0, "u", 0, i == 1 ? 1 : 2, 1, NULL);
		put(fixture, 1, "v", 5, 2, 1, NULL);
		assert_int_equal(loose_process(&fixture->loose, 0, 2), 0);
		for (size_t row = 0; row < 2; row++) {
			assert_int_equal(column_of(fixture, "decision_id")->bytes[row].length, 16);
			memcpy(ids[i][row], column_of(fixture, "decision_id")->bytes[row].data, 16);
			assert_int_equal(strspn(ids[i][row], "0123456789abcdef"), 16);
		}
		fixture_free(fixture);
	}
	assert_string_equal(ids[0][0], ids[1][0]);
	assert_string_equal(ids[0][1], ids[1][1]);
	assert_string_not_equal(ids[0][0], ids[0][1]);
	assert_string_not_equal(ids[0][0], ids[2][0]);
	shop_free(shop);
}

static void running_out_of_memory_is_reported_wherever_it_happens(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const struct leat_expression wanted = { 3 };
	const struct loose_setting settings[] = {
		{ "ads", NULL, &shop->reference }, { "factors", "p", NULL }, { "k", "2", NULL }, { "explain", "true", NULL }, { "eligible", NULL, &wanted }, { 0 },
	};
	size_t failures = 0;
	(void)state;
	for (size_t n = 1;; n++) {
		struct fixture *fixture = fixture_new();
		fixture->loose.fail_at = n;
		int rc = loose_open(&fixture->loose, &operator_target, &fixture->stream, settings);
		put(fixture, 0, "u", 0, 2, 1, NULL);
		fixture->stream.columns[fixture->wanted].bools[0] = 1;
		if (rc == 0)
			rc = loose_process(&fixture->loose, 0, 1);
		bool fired = fixture->loose.fail_at == 0;
		fixture_free(fixture);
		assert_int_equal(rc, fired ? LEAT_ENOMEM : 0);
		if (!fired)
			break;
		failures++;
	}
	assert_true(failures > 15);
	shop_free(shop);
}

static void options_that_make_no_sense_are_refused(void **state)
{
	struct shop *shop = shop_new(two, 2);
	const void *ads = &shop->reference;
	const struct { struct loose_setting settings[5]; const char *text; } cases[] = {
		{ { { "factors", "p", NULL }, { 0 } }, "either ads" },
		{ { { "factors", "p", NULL }, { "ads", NULL, ads }, { "demo_ads", "5", NULL }, { 0 } }, "either ads" },
		{ { { "ads", NULL, ads }, { 0 } }, "needs factors, interests or both" },
		{ { { "ads", NULL, ads }, { "factors", "wide", NULL }, { 0 } }, "at most 128" },
		{ { { "ads", NULL, ads }, { "factors", "p", NULL }, { "id", "name", NULL }, { 0 } }, "no column 'name'" },
		{ { { "ads", NULL, ads }, { "factors", "p", NULL }, { "id", "bid", NULL }, { 0 } }, "'bid' must be string or int" },
		{ { { "ads", NULL, ads }, { "factors", "p", NULL }, { "match", "country", NULL }, { "match_column", "lands", NULL }, { 0 } }, "no column 'lands'" },
		{ { { "ads", NULL, ads }, { "factors", "p", NULL }, { "match", "country", NULL }, { "match_column", "bid", NULL }, { 0 } }, "'bid' must be string or strings" },
		{ { { "ads", NULL, ads }, { "factors", "p", NULL }, { "cap", "5", NULL }, { "cap_memory", "4", NULL }, { 0 } }, "at least cap (5)" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *fixture = fixture_new();
		assert_int_equal(loose_open(&fixture->loose, &operator_target, &fixture->stream, cases[i].settings), LEAT_ECONFIG);
		assert_non_null(strstr(fixture->loose.refused, cases[i].text));
		fixture_free(fixture);
	}
	shop->reference.dated = true;
	struct fixture *fixture = fixture_new();
	assert_int_equal(loose_open(&fixture->loose, &operator_target, &fixture->stream, (const struct loose_setting[]){ { "ads", NULL, ads }, { "factors", "p", NULL }, { 0 } }), LEAT_ECONFIG);
	assert_non_null(strstr(fixture->loose.refused, "a table with a history"));
	fixture_free(fixture);
	shop_free(shop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ad_that_points_where_the_user_does_wins),
		cmocka_unit_test(a_changed_catalogue_is_seen_at_the_next_batch),
		cmocka_unit_test(an_ad_shows_from_its_start_to_before_its_end),
		cmocka_unit_test(an_ad_with_countries_shows_only_there),
		cmocka_unit_test(an_ad_whose_words_have_no_room_is_left_out_and_counted),
		cmocka_unit_test(ads_beyond_the_limit_are_counted),
		cmocka_unit_test(the_same_ad_at_most_cap_times_per_user_and_window),
		cmocka_unit_test(showings_beyond_the_memory_are_forgotten),
		cmocka_unit_test(only_eligible_events_get_a_decision),
		cmocka_unit_test(lists_tell_the_best_ads_and_what_spoke_for_them),
		cmocka_unit_test(fewer_ads_than_k_give_a_shorter_list_and_none_give_none),
		cmocka_unit_test(an_ad_without_factors_starts_from_its_id),
		cmocka_unit_test(cosine_ignores_how_long_an_ad_is),
		cmocka_unit_test(decision_ids_hang_on_the_event_and_the_salt_alone),
		cmocka_unit_test(running_out_of_memory_is_reported_wherever_it_happens),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
