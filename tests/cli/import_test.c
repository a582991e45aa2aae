/* leat import: rows of every format, refused ones by reason, files packed and damaged, and the project's own mappings on the real data (LEAT_DATA, default ../shared/data). */
#include "cli/import_input.h"
#include "schemas/codec.h"
#include "tests/cli/cli_help.h"

#include <lzma.h>
#include <zlib.h>

static const char mapping[] =
	"input: { format: csv, header: true, separator: ';' }\n"
	"time: ts\n"
	"partitions: 1\n"
	"fields:\n"
	"  user_id: \"user\"\n"
	"  item_id: \"upper(item_no)\"\n"
	"  type: \"kind\"\n"
	"  ts: \"parse_time(at, '%Y-%m-%d')\"\n"
	"  price: \"double(price)\"\n"
	"reject:\n"
	"  - { when: \"double(price) < 0.0\", reason: negative_price }\n"
	"  - { when: \"user == null\", reason: nobody }\n"
	"to: [ { topic: clicks, schema: click, when: \"kind != 'SKIP'\" } ]\n";

static int import_as(struct fixture *fixture, const char *map, const char *data, const char *more)
{
	char line[400], file[96];
	snprintf(file, sizeof file, "%s", write_file(fixture, "csv", data));
	snprintf(line, sizeof line, "%s --mapping %s %s", file, write_file(fixture, "yaml", map), more);
	int status = run_verb(fixture, &leat_verb_import, line);
	remove(file);
	remove(fixture->path);
	return status;
}

static void print(void *self, int32_t partition, const struct leat_record *record)
{
	struct leat_buffer *out = self;
	leat_buffer_printf(out, "%d %.*s", (int)partition, (int)record->key.length, record->key.data ? (const char *)record->key.data : "");
	for (uint32_t i = 0; i < record->header_count; i++)
		leat_buffer_printf(out, " %.*s=%.*s", (int)record->headers[i].name.length, (const char *)record->headers[i].name.data, (int)record->headers[i].value.length, (const char *)record->headers[i].value.data);
	leat_buffer_printf(out, " [%.*s]\n", (int)LEAT_MIN(record->value.length, 40u), record->value.data ? (const char *)record->value.data : "");
}

/* Of every record from the first header on, because the file's own name differs from run to run. */
static void letters_are(struct fixture *fixture, const char *expected)
{
	struct leat_buffer out = { 0 }, short_ = { 0 };
	read_topic(fixture, "import.dead-letters", print, &out);
	leat_buffer_append(&out, "", 1);
	char *rest = (char *)out.data, *line;
	while ((line = strsep(&rest, "\n")) && *line) {
		char *reason = strstr(line, "reason="), *at = strstr(line, " line=");
		leat_buffer_printf(&short_, "%.*s%s\n", (int)(strcspn(reason, " ")), reason, at);
	}
	leat_buffer_append(&short_, "", 1);
	assert_string_equal((const char *)short_.data, expected);
	leat_buffer_free(&out);
	leat_buffer_free(&short_);
}

static void rows_are_mapped_or_refused_by_reason(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(import_as(fixture, mapping,
		"\xef\xbb\xbfuser;\"item no\";kind;at;price\r\n"
		"u1;a1;VIEW;2024-01-01;1.5\r\n"
		"\"u;2\";\"a\n\"\"2\"\"\";CART;2024-01-02;\n"
		"\n"
		";a3;VIEW;2024-01-01;1\n"
		"u4;a4;VIEW;2024-01-01;-1\n"
		"u5;a5;DANCE;2024-01-01;1\n"
		"u6;a6;VIEW;yesterday;1\n"
		"u7;a7;SKIP;2024-01-01;1\n"
		"u8;a8\n"
		"u9;a9;VIEW;2024-01-03;9", "--json"), 0);
	assert_string_equal(fixture->out, "{\"rows\":9,\"written\":{\"clicks\":3},\"refused\":6,\"reasons\":{\"nobody\":1,\"negative_price\":1,\"unknown_symbol\":1,\"missing_ts\":1,\"no_target\":1,\"csv_syntax\":1}}\n");
	letters_are(fixture,
		"reason=nobody line=6 [;a3;VIEW;2024-01-01;1]\n"
		"reason=negative_price line=7 [u4;a4;VIEW;2024-01-01;-1]\n"
		"reason=unknown_symbol line=8 [u5;a5;DANCE;2024-01-01;1]\n"
		"reason=missing_ts line=9 [u6;a6;VIEW;yesterday;1]\n"
		"reason=no_target line=10 [u7;a7;SKIP;2024-01-01;1]\n"
		"reason=csv_syntax line=11 detail=the line ends after cell 2 of 5 [u8;a8]\n");
	close_topics(fixture);
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "clicks"), 0);
	const char *second = strstr(fixture->out, "\n") + 1;
	assert_non_null(strstr(second, "\"timestamp\":1704153600000,\"key\":\"u;2\""));
	assert_non_null(strstr(second, ".csv:3\",\"user_id\":\"u;2\",\"anonymous_id\":null,\"item_id\":\"A\\n\\\"2\\\"\",\"type\":\"CART\",\"ts\":1704153600000,\"category\":\"\",\"price\":null,"));
}

static void limit_ends_early_and_rate_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	static const char data[] = "user;item_no;kind;at;price\nu1;a;VIEW;2024-01-01;1\nu2;a;VIEW;2024-01-01;1\nu3;a;VIEW;2024-01-01;1\n";
	assert_int_equal(import_as(fixture, mapping, data, "--limit 2 --json"), 0);
	assert_string_equal(fixture->out, "{\"rows\":2,\"written\":{\"clicks\":2},\"refused\":0,\"reasons\":{}}\n");
	assert_int_equal(import_as(fixture, mapping, data, "--rate 100000"), 0);
	assert_non_null(strstr(fixture->out, "3 rows, 3 to clicks, 0 refused\n"));
}

static void json_lines_are_mapped_too(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(import_as(fixture,
		"input: { format: json }\ncolumns: { user: string, n: int, ts: int }\nkey: user_id\npartitions: 1\n"
		"fields: { user_id: user, item_id: \"text(n)\", type: \"'VIEW'\", ts: ts }\nto: [ { topic: clicks, schema: click } ]\n",
		"{\"user\":\"u1\",\"n\":7,\"ts\":5,\"other\":[1]}\n{\"user\":\"u1\",\"n\":\"x\",\"ts\":5}\nnothing\n{\"user\":\"u2\"}\n", "--json"), 0);
	assert_string_equal(fixture->out, "{\"rows\":4,\"written\":{\"clicks\":1},\"refused\":3,\"reasons\":{\"json_type\":1,\"json_syntax\":1,\"missing_item_id\":1}}\n");
	letters_are(fixture, "reason=json_type line=2 detail='n' must be long or null [{\"user\":\"u1\",\"n\":\"x\",\"ts\":5}]\nreason=json_syntax line=3 detail=near byte 2 of 7 [nothing]\nreason=missing_item_id line=4 [{\"user\":\"u2\"}]\n");
}

static void a_mistake_in_the_mapping_is_told_with_its_line(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const char *map, *text; } cases[] = {
		{ "fields: {}\n", ".yaml:1: to: must be a list of { topic, schema, when }" },
		{ "columns: [a, a]\n", ".yaml:1: the column 'a' is there twice" },
		{ "columns: { a: float }\n", ".yaml:1: the type of a column must be string, int, double or boolean" },
		{ "columns: [a]\nfields: { user_id: \"b\" }\n", ".yaml:2: user_id: column 1: " },
		{ "columns: [a]\nfields: { user_id: \"a\" }\ntime: ts\nto: []\n", ".yaml:3: time: 'ts' must be one of fields, and an int" },
		{ "columns: [a]\nfields: { user_id: \"a\" }\nto:\n  - { topic: t, schema: click }\n", ".yaml:4: fields: 'item_id' is missing, which the schema 'click' needs" },
		{ "columns: [a]\nfields: { user_id: a, item_id: a, type: \"'VIEW'\", ts: \"1\", prize: a }\nto: [ { topic: t, schema: click } ]\n", ".yaml:2: fields: no schema under 'to' has a field 'prize'" },
		{ "columns: [a]\nfields: { user_id: \"a\" }\nto:\n  - { topic: t, schema: nonsense }\n", ".yaml:4: schemas/nonsense.avsc" },
		{ "columns: [a]\nfields: { user_id: \"a\" }\nreject: [ { when: \"a\", reason: x } ]\nto: []\n", ".yaml:3: reject: " },
		{ "input: { separator: ab }\n", ".yaml:1: input: 'separator' must be one character, or tab" },
		{ "bogus: 1\n", "bogus" },
		{ "[]\n", ".yaml:1: not a mapping file: it has no input:, fields: and to:" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		char map[400];
		snprintf(map, sizeof map, "%s%s", cases[i].map, strstr(cases[i].map, "columns") || i > 8 ? "" : "columns: [a]\n");
		assert_int_equal(import_as(fixture, i == 0 ? "columns: [a]\nfields: { user_id: a }\nkey: user_id\n" : map, "x\n", ""), LEAT_EXIT_USAGE);
		if (!strstr(fixture->out, i == 0 ? "to: must be a list of { topic, schema, when }" : cases[i].text))
			fail_msg("%s gave %s", cases[i].map, fixture->out);
	}
}

static void a_constant_that_no_row_could_keep_is_a_mistake_of_the_mapping(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const char *fields, *text; } cases[] = {
		{ "item_id: a, type: \"'DANCE'\"", ".yaml:3: fields: 'type' is always 'DANCE', but must be one of VIEW, CART, FAVORITE, SEARCH, PURCHASE (schema 'click')\n" },
		{ "item_id: a, type: \"upper('view') + 'S'\"", ".yaml:3: fields: 'type' is always 'VIEWS', but must be one of VIEW, " },
		{ "item_id: \"'x' == 'x' ? null : 'x'\", type: \"'VIEW'\"", ".yaml:3: fields: 'item_id' is always null, but must have a value (schema 'click')\n" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		char map[400];
		snprintf(map, sizeof map, "columns: [a]\nfields:\n  { user_id: a, ts: \"1\", %s }\nto: [ { topic: t, schema: click } ]\n", cases[i].fields);
		assert_int_equal(import_as(fixture, map, "x\n", ""), LEAT_EXIT_USAGE);
		if (!strstr(fixture->out, cases[i].text))
			fail_msg("%s gave %s", cases[i].fields, fixture->out);
	}
}

static void has_id_77(void *self, int32_t partition, const struct leat_record *record)
{
	(void)self, (void)partition;
	assert_memory_equal(record->value.data, "\0\0\0\0M", LEAT_WIRE_HEADER);
}

static void a_schema_may_be_a_path_from_the_mapping_on(void **state)
{
	struct fixture *fixture = *state;
	static const char schema[] = "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"n\",\"type\":\"int\"},{\"name\":\"s\",\"type\":[\"null\",\"string\"],\"default\":null},"
				     "{\"name\":\"user_id\",\"type\":\"string\"}]}";
	char own[96], map[400];
	snprintf(own, sizeof own, "%s", write_file(fixture, "avsc", schema));
	for (int i = 0; i < 3; i++) {
		snprintf(map, sizeof map, "columns: [a]\nfields: { user_id: a, n: \"%s\", s: \"true ? null : 'x'\" }\nto: [ { topic: t, schema: %s, schema_id: 77 } ]\n",
			 i < 2 ? "7" : "3000000000", i == 0 ? own : strrchr(own, '/') + 1);
		int status = import_as(fixture, map, "x\n", "");
		if (status != (i < 2 ? LEAT_EXIT_OK : LEAT_EXIT_USAGE))
			fail_msg("%s gave %s", map, fixture->out);
		assert_non_null(strstr(fixture->out, i < 2 ? "1 row, 1 to t, 0 refused\n" : ".yaml:2: fields: 'n' is a constant that the type of that field cannot hold (schema '"));
	}
	assert_int_equal(read_topic(fixture, "t", has_id_77, NULL), 2);
	remove(own);
}

static void an_import_that_refuses_every_row_has_failed(void **state)
{
	struct fixture *fixture = *state;
	static const char map[] = "columns: [a]\nfields: { user_id: a, item_id: a, ts: \"1\", type: a }\nto: [ { topic: t, schema: click } ]\n";
	assert_int_equal(import_as(fixture, map, "x\ny\n", ""), LEAT_EXIT_FAILED);
	assert_non_null(strstr(fixture->out, "2 rows, 0 to t, 2 refused\n           2 unknown_symbol\n"));
	assert_non_null(strstr(fixture->out, "leat: no row was taken: all of them are in the topic 'import.dead-letters', each with its reason\n"));
	assert_int_equal(import_as(fixture, map, "x\nVIEW\n", ""), LEAT_EXIT_OK);
	assert_int_equal(import_as(fixture, map, "", ""), LEAT_EXIT_OK);
}

/* ---- files ---- */

static size_t write_bytes(const char *path, const void *data, size_t length)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	size_t wrote = fwrite(data, 1, length, file);
	fclose(file);
	return wrote;
}

/* All records, joined; the code that ended them in *rc. */
static struct leat_buffer read_all(const char *path, enum leat_input_format format, int *rc)
{
	struct leat_buffer out = { 0 };
	struct leat_fault fault = { 0 };
	struct leat_input *input;
	struct leat_input_record record;
	*rc = leat_input_open(&input, path, format, ',', &fault);
	while (*rc >= 0 && (*rc = leat_input_next(input, &record, &fault)) == 1)
		leat_buffer_printf(&out, "%lld%s:%.*s|", (long long)record.line, record.too_large ? "!" : "", (int)record.bytes.length, (const char *)record.bytes.data);
	leat_buffer_append(&out, "", 1);
	leat_input_close(input);
	return out;
}

static void expect(struct fixture *fixture, enum leat_input_format format, int code, const char *text)
{
	int rc;
	struct leat_buffer got = read_all(fixture->path, format, &rc);
	assert_int_equal(rc, code);
	assert_string_equal((const char *)got.data, text);
	leat_buffer_free(&got);
}

static const char lines[] = "a,\"b\nc\"\r\n\nx,y\"z\n\"\"\"q\"\"\n\"\n";
static const char lines_as_csv[] = "1:a,\"b\nc\"|4:x,y\"z|5:\"\"\"q\"\"\n\"|";

static void packed_files_read_as_plain_ones(void **state)
{
	struct fixture *fixture = *state;
	uint8_t packed[4096];
	size_t at = 0;
	write_file(fixture, "in", lines);
	expect(fixture, LEAT_INPUT_CSV, 0, lines_as_csv);
	gzFile zip = gzopen(fixture->path, "w");
	gzwrite(zip, lines, sizeof lines - 1);
	gzclose(zip);
	expect(fixture, LEAT_INPUT_CSV, 0, lines_as_csv);
	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)lines, sizeof lines - 1, packed, &at, sizeof packed), LZMA_OK);
	write_bytes(fixture->path, packed, at);
	expect(fixture, LEAT_INPUT_CSV, 0, lines_as_csv);
	for (size_t cut = 8; cut < at; cut += 7) {
		int rc;
		write_bytes(fixture->path, packed, cut);
		struct leat_buffer got = read_all(fixture->path, LEAT_INPUT_CSV, &rc);
		assert_int_equal(rc, LEAT_ECORRUPT);
		leat_buffer_free(&got);
	}
	remove(fixture->path);
}

static void a_gzip_file_that_is_cut_short_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct leat_buffer whole = { 0 };
	struct leat_fault fault = { 0 };
	int rc;
	write_file(fixture, "in", "");
	gzFile zip = gzopen(fixture->path, "w");
	gzwrite(zip, lines, sizeof lines - 1);
	gzclose(zip);
	assert_int_equal(leat_file_read(fixture->path, 4096, false, &whole, &fault), 0);
	write_bytes(fixture->path, whole.data, whole.length - 9);
	struct leat_buffer got = read_all(fixture->path, LEAT_INPUT_CSV, &rc);
	assert_int_equal(rc, LEAT_ECORRUPT);
	leat_buffer_free(&got);
	leat_buffer_free(&whole);
	remove(fixture->path);
}

static void a_record_over_the_limit_costs_only_itself(void **state)
{
	struct fixture *fixture = *state;
	size_t size = LEAT_INPUT_RECORD_MAX + 1000;
	char *data = calloc(1, size + 16);
	int rc;
	memset(data, 'x', size);
	data[0] = '"';                   /* never closed */
	memcpy(data + size, "\nnext\n", 7);
	write_file(fixture, "in", data);
	struct leat_buffer got = read_all(fixture->path, LEAT_INPUT_CSV, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(strncmp((const char *)got.data, "1!:\"xxx", 7), 0);
	assert_string_equal((const char *)got.data + got.length - 9, "|2:next|");
	assert_int_equal(got.length, 3 + 1024 + 9);
	leat_buffer_free(&got);
	remove(fixture->path);
	free(data);
}

/* ---- containers ---- */

static const char row_schema[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"user\",\"type\":\"string\"},{\"name\":\"n\",\"type\":\"long\"}]}";

static void put_text(struct leat_buffer *out, const char *text)
{
	size_t length = strlen(text) * 2;
	for (; length > 127; length >>= 7)
		leat_buffer_append(out, &(uint8_t){ (uint8_t)(length | 128) }, 1);
	leat_buffer_append(out, &(uint8_t){ (uint8_t)length }, 1);
	leat_buffer_append(out, text, strlen(text));
}

/* Two records in one block. */
static struct leat_buffer container(bool packs)
{
	struct leat_buffer out = { 0 };
	uint8_t data[] = { 4, 'u', '1', 14, 4, 'u', '2', 1 }, packed[100];
	z_stream zip = { .next_in = data, .avail_in = sizeof data, .next_out = packed, .avail_out = sizeof packed };
	assert_int_equal(deflateInit2(&zip, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&zip, Z_FINISH), Z_STREAM_END);
	size_t length = packs ? sizeof packed - zip.avail_out : sizeof data;
	deflateEnd(&zip);
	leat_buffer_append(&out, "Obj\1\4", 5);
	put_text(&out, "avro.schema");
	put_text(&out, row_schema);
	put_text(&out, "avro.codec");
	put_text(&out, packs ? "deflate" : "null");
	leat_buffer_append(&out, "\0" "0123456789abcdef\4", 18);
	leat_buffer_append(&out, &(uint8_t){ (uint8_t)(length * 2) }, 1);
	leat_buffer_append(&out, packs ? packed : data, length);
	leat_buffer_append(&out, "0123456789abcdef", 16);
	return out;
}

static const char container_map[] =
	"input: { format: avro }\npartitions: 1\nfields: { user_id: user, item_id: \"text(n)\", type: \"'VIEW'\", ts: \"n\" }\nto: [ { topic: clicks, schema: click } ]\n";

static void containers_plain_and_deflated_are_imported(void **state)
{
	struct fixture *fixture = *state;
	for (int packs = 0; packs < 2; packs++) {
		struct leat_buffer file = container(packs);
		char line[300], data[96];
		snprintf(data, sizeof data, "%s", write_file(fixture, "avro", ""));
		write_bytes(data, file.data, file.length);
		snprintf(line, sizeof line, "%s --mapping %s --json", data, write_file(fixture, "yaml", container_map));
		assert_int_equal(run_verb(fixture, &leat_verb_import, line), 0);
		assert_string_equal(fixture->out, "{\"rows\":2,\"written\":{\"clicks\":2},\"refused\":0,\"reasons\":{}}\n");
		remove(data);
		remove(fixture->path);
		leat_buffer_free(&file);
	}
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "clicks"), 0);
	assert_non_null(strstr(fixture->out, "\"user_id\":\"u2\",\"anonymous_id\":null,\"item_id\":\"-1\",\"type\":\"VIEW\",\"ts\":-1,"));
}

/* Cut at every byte and with every byte changed: read to an end or refused, never more, under the sanitizers too. One cut leaves a sound container: that before the block. */
static void damaged_containers_are_refused(void **state)
{
	struct fixture *fixture = *state;
	for (int packs = 0; packs < 2; packs++) {
		struct leat_buffer file = container(packs);
		int sound = 0;
		write_file(fixture, "avro", "");
		for (size_t i = 0; i < 2 * file.length; i++) {
			int rc;
			bool cut = i >= file.length;
			uint8_t before = file.data[i % file.length];
			file.data[i % file.length] = cut ? before : (uint8_t)(before ^ (1 + i % 255));
			write_bytes(fixture->path, file.data, cut ? i - file.length : file.length);
			struct leat_buffer got = read_all(fixture->path, LEAT_INPUT_AVRO, &rc);
			assert_true(rc <= 0);
			sound += cut && rc == 0;
			leat_buffer_free(&got);
			file.data[i % file.length] = before;
		}
		assert_int_equal(sound, 1);
		leat_buffer_free(&file);
		remove(fixture->path);
	}
}

static void memory_that_runs_out_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct leat_buffer file = container(true);
	int rc = LEAT_ENOMEM;
	write_file(fixture, "avro", "");
	write_bytes(fixture->path, file.data, file.length);
	for (uint64_t n = 1; rc == LEAT_ENOMEM; n++) {
		struct leat_input *input;
		struct leat_input_record record;
		leat_alloc_fail_at(n);
		rc = leat_input_open(&input, fixture->path, LEAT_INPUT_AVRO, ',', NULL);
		while (rc >= 0 && (rc = leat_input_next(input, &record, NULL)) == 1)
			;
		leat_alloc_fail_at(0);
		leat_input_close(input);
		assert_true(n < 500);
	}
	assert_int_equal(rc, 0);
	remove(fixture->path);
	leat_buffer_free(&file);
}

/* ---- the real data: figures of a script of Python's csv module that shares nothing with leat ---- */

static bool find_data(char *path, size_t size, const char *name)
{
	const char *folder = getenv("LEAT_DATA");
	snprintf(path, size, "%s/%s", folder ? folder : "../shared/data", name);
	if (access(path, R_OK) == 0)
		return true;
	printf("skip: %s is not there; LEAT_DATA names the folder of the data sets\n", path);
	return false;
}

struct sums {
	struct leat_schema *schema;
	struct leat_decoder *decoder;
	struct leat_column *columns;
	struct leat_arena *arena;
	int64_t seconds, quantity, thousandths;
};

static void open_sums(struct sums *sums, const char *path)
{
	const struct leat_field *fields[64];
	int slots[64];
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_schema_load(&sums->schema, path, &fault), 0);
	for (size_t i = 0; i < leat_schema_count(sums->schema); i++) {
		fields[i] = leat_schema_field(sums->schema, i);
		slots[i] = (int)i;
	}
	const char *json = leat_schema_json(sums->schema);
	assert_int_equal(leat_decoder_compile(&sums->decoder, json, strlen(json), sums->schema, slots, &fault), 0);
	assert_int_equal(leat_columns_make(&sums->columns, fields, leat_schema_count(sums->schema)), 0);
	assert_int_equal(leat_arena_open(&sums->arena, 4096), 0);
}

static void close_sums(struct sums *sums)
{
	leat_columns_free(sums->columns, leat_schema_count(sums->schema));
	leat_decoder_free(sums->decoder);
	leat_schema_free(sums->schema);
	leat_arena_close(sums->arena);
}

static struct leat_column *column(struct sums *sums, const char *name)
{
	long at = leat_schema_find(sums->schema, name);
	return at < 0 ? NULL : &sums->columns[at];
}

static void sum_record(void *self, int32_t partition, const struct leat_record *record)
{
	struct sums *sums = self;
	struct leat_bytes body;
	int32_t id;
	(void)partition;
	leat_arena_reset(sums->arena);
	assert_int_equal(leat_wire_read(record->value, &id, &body), LEAT_BAD_NONE);
	assert_int_equal(leat_decoder_run(sums->decoder, body, sums->columns, 0, sums->arena), LEAT_BAD_NONE);
	assert_true(leat_bytes_equal(column(sums, "user_id")->bytes[0], record->key));
	assert_int_equal(column(sums, "ts")->ints[0], record->timestamp_ms);
	sums->seconds += column(sums, "ts")->ints[0] / 1000;
	if (!column(sums, "quantity"))
		return;
	sums->quantity += column(sums, "quantity")->ints[0];
	sums->thousandths += (int64_t)(column(sums, "price")->doubles[0] * 1000 + 0.5) * column(sums, "quantity")->ints[0];
}

static void all_of_online_retail_lands_where_the_rules_say(void **state)
{
	struct fixture *fixture = *state;
	struct sums sums = { 0 };
	char path[300], line[400];
	if (!find_data(path, sizeof path, "online-retail/online_retail.csv.xz"))
		skip();
	snprintf(line, sizeof line, "%s --mapping pipelines/import/online_retail.yaml --json", path);
	assert_int_equal(run_verb(fixture, &leat_verb_import, line), 0);
	assert_string_equal(fixture->out,
		"{\"rows\":541909,\"written\":{\"shop.purchases\":396337},\"refused\":145572,\"reasons\":{\"not_an_item\":1547,\"cancellation\":9288,\"zero_price\":1179,"
		"\"missing_customer\":132220,\"negative_quantity\":1336,\"negative_price\":2}}\n");
	open_sums(&sums, "schemas/purchase.avsc");
	assert_int_equal(read_topic(fixture, "shop.purchases", sum_record, &sums), 396337);
	assert_int_equal(sums.quantity, 5157354);
	assert_int_equal(sums.thousandths, 8761066650);
	assert_int_equal(sums.seconds, 519337286359080);
	close_sums(&sums);
}

static void all_of_taobao_lands_where_the_rules_say(void **state)
{
	struct fixture *fixture = *state;
	struct sums clicks = { 0 }, purchases = { 0 };
	char path[300], line[400];
	if (!find_data(path, sizeof path, "taobao/UserBehavior.csv.gz"))
		skip();
	snprintf(line, sizeof line, "%s --mapping pipelines/import/taobao.yaml --json", path);
	assert_int_equal(run_verb(fixture, &leat_verb_import, line), 0);
	assert_string_equal(fixture->out, "{\"rows\":96167,\"written\":{\"shop.clicks\":94023,\"shop.purchases\":2144},\"refused\":0,\"reasons\":{}}\n");
	open_sums(&clicks, "schemas/click.avsc");
	open_sums(&purchases, "schemas/purchase.avsc");
	assert_int_equal(read_topic(fixture, "shop.clicks", sum_record, &clicks), 94023);
	assert_int_equal(read_topic(fixture, "shop.purchases", sum_record, &purchases), 2144);
	assert_int_equal(clicks.seconds + purchases.seconds, 145371962282398);
	close_sums(&clicks);
	close_sums(&purchases);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(rows_are_mapped_or_refused_by_reason), TEST(limit_ends_early_and_rate_changes_nothing), TEST(json_lines_are_mapped_too), TEST(a_mistake_in_the_mapping_is_told_with_its_line),
		TEST(a_constant_that_no_row_could_keep_is_a_mistake_of_the_mapping), TEST(a_schema_may_be_a_path_from_the_mapping_on), TEST(an_import_that_refuses_every_row_has_failed),
		TEST(packed_files_read_as_plain_ones), TEST(a_gzip_file_that_is_cut_short_is_an_error), TEST(a_record_over_the_limit_costs_only_itself), TEST(containers_plain_and_deflated_are_imported),
		TEST(damaged_containers_are_refused), TEST(memory_that_runs_out_is_an_error), TEST(all_of_online_retail_lands_where_the_rules_say), TEST(all_of_taobao_lands_where_the_rules_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
