/* Schema resolution (Avro 1.11): writer and reader schema to a program for the decoder. */
#include "schemas/program.h"

enum { OPS_MAX = 1 << 16 };          /* unions of records of unions multiply; a schema that needs more is an attack */

struct compiler {
	struct leat_op *ops;
	size_t count, capacity;
	struct leat_arena *arena;
	const int *slots;
	const char *field;              /* for messages */
	struct leat_fault *fault;
};

static int resolve(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf, int depth);

static int no_memory(struct compiler *compiler)
{
	return leat_fail(compiler->fault, LEAT_ENOMEM, "field '%s': out of memory", compiler->field);
}

static const char *type_name(const struct leat_avro_type *type)
{
	return type->name ? type->name : leat_avro_kind_name(type->kind);
}

static int misfit(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader)
{
	return leat_fail(compiler->fault, LEAT_ESCHEMA, "field '%s': the writer's %s does not resolve to our %s", compiler->field, type_name(writer),
			 type_name(reader));
}

static int emit(struct compiler *compiler, struct leat_op op)
{
	if (compiler->count == OPS_MAX)
		return leat_fail(compiler->fault, LEAT_ELIMIT, "field '%s': the schemas resolve to more than %d steps", compiler->field, OPS_MAX);
	if (compiler->count == compiler->capacity) {
		size_t capacity = compiler->capacity ? compiler->capacity * 2 : 32;
		struct leat_op *ops = leat_realloc(compiler->ops, capacity * sizeof *ops);
		if (!ops)
			return no_memory(compiler);
		compiler->ops = ops;
		compiler->capacity = capacity;
	}
	compiler->ops[compiler->count++] = op;
	return 0;
}

/* ---- what nobody keeps ---- */

static int emit_skip(struct compiler *compiler, const struct leat_avro_type *type, int depth)
{
	static const uint8_t codes[] = {
		[LEAT_AVRO_INT] = LEAT_OP_SKIP_INT,     [LEAT_AVRO_LONG] = LEAT_OP_SKIP_LONG,    [LEAT_AVRO_BOOLEAN] = LEAT_OP_SKIP_BOOL,
		[LEAT_AVRO_FLOAT] = LEAT_OP_SKIP_FIXED, [LEAT_AVRO_DOUBLE] = LEAT_OP_SKIP_FIXED, [LEAT_AVRO_FIXED] = LEAT_OP_SKIP_FIXED,
		[LEAT_AVRO_BYTES] = LEAT_OP_SKIP_BYTES, [LEAT_AVRO_STRING] = LEAT_OP_SKIP_BYTES, [LEAT_AVRO_ENUM] = LEAT_OP_SKIP_ENUM,
	};
	uint8_t null_branch = 0;
	const struct leat_avro_type *value = leat_avro_nullable(type, &null_branch);
	const struct leat_avro_type *simple = value ? value : type;
	uint8_t code = codes[simple->kind];
	size_t number = simple->kind == LEAT_AVRO_FIXED ? simple->size : simple->kind == LEAT_AVRO_FLOAT ? sizeof(float) : sizeof(double);

	if (type->kind == LEAT_AVRO_NULL)
		return 0;
	if (!code)
		return emit(compiler, (struct leat_op){ .code = LEAT_OP_SKIP_TREE, .extra = (uint8_t)depth, .type = type });
	if (value)
		LEAT_TRY(emit(compiler, (struct leat_op){ .code = LEAT_OP_SKIP_NULLABLE, .extra = null_branch }));
	if (code == LEAT_OP_SKIP_ENUM)
		number = simple->count;
	return emit(compiler, (struct leat_op){ .code = code, .number = number });
}

/* ---- single values ---- */

/* Promotions: int to long to float to double, string to bytes and back; 0 where there is none. */
static uint8_t leaf_code(const struct leat_avro_type *writer, const struct leat_avro_type *reader)
{
	static const uint8_t codes[LEAT_AVRO_STRING + 1][LEAT_AVRO_STRING + 1] = {
		[LEAT_AVRO_BOOLEAN] = { [LEAT_AVRO_BOOLEAN] = LEAT_OP_BOOL },
		[LEAT_AVRO_INT] = { [LEAT_AVRO_INT] = LEAT_OP_INT, [LEAT_AVRO_LONG] = LEAT_OP_INT, [LEAT_AVRO_FLOAT] = LEAT_OP_INT_FLOAT,
				    [LEAT_AVRO_DOUBLE] = LEAT_OP_INT_DOUBLE },
		[LEAT_AVRO_LONG] = { [LEAT_AVRO_LONG] = LEAT_OP_LONG, [LEAT_AVRO_FLOAT] = LEAT_OP_LONG_FLOAT, [LEAT_AVRO_DOUBLE] = LEAT_OP_LONG_DOUBLE },
		[LEAT_AVRO_FLOAT] = { [LEAT_AVRO_FLOAT] = LEAT_OP_FLOAT, [LEAT_AVRO_DOUBLE] = LEAT_OP_FLOAT_DOUBLE },
		[LEAT_AVRO_DOUBLE] = { [LEAT_AVRO_DOUBLE] = LEAT_OP_DOUBLE },
		[LEAT_AVRO_STRING] = { [LEAT_AVRO_STRING] = LEAT_OP_TEXT, [LEAT_AVRO_BYTES] = LEAT_OP_BYTES },
		[LEAT_AVRO_BYTES] = { [LEAT_AVRO_STRING] = LEAT_OP_TEXT, [LEAT_AVRO_BYTES] = LEAT_OP_BYTES },
	};
	if (writer->kind > LEAT_AVRO_STRING || reader->kind > LEAT_AVRO_STRING)
		return 0;
	uint8_t code = codes[writer->kind][reader->kind];
	/* What the writer says of its unit holds for what it wrote; where it says nothing, our schema speaks for both. */
	int divisor = reader->time_divisor && writer->time_divisor ? writer->time_divisor : reader->time_divisor;
	if (code && divisor == 1000)
		return code == LEAT_OP_INT ? LEAT_OP_INT_MICROS : LEAT_OP_LONG_MICROS;
	return code;
}

static int emit_enum(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, struct leat_op op)
{
	struct leat_op_table *table = leat_arena_take(compiler->arena, sizeof *table + writer->count * sizeof table->to[0]);
	if (!table)
		return no_memory(compiler);
	table->count = (uint32_t)writer->count;
	for (size_t i = 0; i < writer->count; i++) {
		table->to[i] = (int32_t)reader->symbol_default;
		for (size_t j = 0; j < reader->count; j++)
			if (strcmp(writer->symbols[i], reader->symbols[j]) == 0)
				table->to[i] = (int32_t)j;
	}
	op.code = LEAT_OP_ENUM;
	op.table = table;
	return emit(compiler, op);
}

bool leat_op_list_takes(const struct leat_op_list *list, enum leat_avro_kind kind)
{
	if (list->column == LEAT_STRINGS)
		return kind == LEAT_AVRO_STRING || kind == LEAT_AVRO_BYTES;
	return kind == LEAT_AVRO_INT || kind == LEAT_AVRO_LONG || kind == LEAT_AVRO_FLOAT || (list->doubles && kind == LEAT_AVRO_DOUBLE);
}

static int emit_list(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, struct leat_op op, int depth)
{
	struct leat_op_list *list = leat_avro_take(compiler->arena, 1, sizeof *list);
	const struct leat_avro_type *item = writer->item;
	bool any = false;

	if (!list)
		return no_memory(compiler);
	*list = (struct leat_op_list){
		.type = writer, .column = leat_avro_column(reader, NULL), .doubles = reader->item->kind == LEAT_AVRO_DOUBLE, .depth = (uint8_t)depth,
	};
	if (item->kind == LEAT_AVRO_UNION)
		for (size_t i = 0; i < item->count; i++)
			any |= leat_op_list_takes(list, item->branches[i]->kind);
	else
		any = leat_op_list_takes(list, item->kind);
	if (!any)
		return misfit(compiler, item, reader->item);
	op.code = LEAT_OP_LIST;
	op.list = list;
	return emit(compiler, op);
}

/* Exactly one step, whatever happens: NULLABLE leaves it out as one. @reader is not a union. */
static int emit_leaf(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf, int depth)
{
	int slot = compiler->slots[leaf];
	uint8_t code = leaf_code(writer, reader);
	struct leat_op op = { .code = code, .size = (uint8_t)leat_type_size(leat_avro_column(reader, NULL)), .slot = (uint32_t)slot };

	if (code)
		return slot < 0 ? emit_skip(compiler, writer, depth) : emit(compiler, op);
	if (writer->kind == LEAT_AVRO_ENUM && reader->kind == LEAT_AVRO_ENUM && leat_avro_names_match(writer, reader))
		return slot < 0 ? emit_skip(compiler, writer, depth) : emit_enum(compiler, writer, reader, op);
	if (writer->kind != LEAT_AVRO_ARRAY || reader->kind != LEAT_AVRO_ARRAY)
		return misfit(compiler, writer, reader);
	size_t before = compiler->count;
	LEAT_TRY(emit_list(compiler, writer, reader, op, depth));
	if (slot >= 0)
		return 0;
	compiler->count = before;       /* it would resolve; that is all we wanted to know */
	return emit_skip(compiler, writer, depth);
}

static int emit_null(struct compiler *compiler, const struct leat_avro_type *reader, size_t leaf)
{
	int slot = compiler->slots[leaf];
	if (slot < 0)
		return 0;
	return emit(compiler, (struct leat_op){ .code = LEAT_OP_SET_NULL, .size = (uint8_t)leat_type_size(leat_avro_column(reader, NULL)), .slot = (uint32_t)slot });
}

/* ---- unions ---- */

/* The steps of one branch; one that does not resolve is refused only when it comes. *@fits counts those that do. */
static int emit_branch(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf, int depth,
		       size_t *fits)
{
	size_t before = compiler->count;
	int rc = resolve(compiler, writer, reader, leaf, depth);
	if (rc != LEAT_ESCHEMA) {
		*fits += 1;
		return rc;
	}
	compiler->count = before;
	return emit(compiler, (struct leat_op){ .code = LEAT_OP_INCOMPATIBLE });
}

/* Null and one other on both sides, by far the commonest union, without jumps. */
static int emit_nullable(struct compiler *compiler, const struct leat_avro_type *writer, uint8_t null_branch, const struct leat_avro_type *reader,
			 size_t leaf, int depth)
{
	int slot = compiler->slots[leaf];
	size_t fits = 0;
	LEAT_TRY(emit(compiler, (struct leat_op){
					.code = slot < 0 ? LEAT_OP_SKIP_NULLABLE : LEAT_OP_NULLABLE,
					.extra = null_branch,
					.size = (uint8_t)leat_type_size(leat_avro_column(reader, NULL)),
					.slot = (uint32_t)slot,
				}));
	return emit_branch(compiler, writer, reader, leaf, depth + 1, &fits);
}

static int emit_union(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf, int depth)
{
	struct leat_op_table *table = leat_arena_take(compiler->arena, sizeof *table + writer->count * sizeof table->to[0]);
	size_t fits = 0;

	if (!table)
		return no_memory(compiler);
	table->count = (uint32_t)writer->count;
	LEAT_TRY(emit(compiler, (struct leat_op){ .code = LEAT_OP_UNION, .table = table }));
	for (size_t i = 0; i < writer->count; i++) {
		table->to[i] = (int32_t)compiler->count;
		LEAT_TRY(emit_branch(compiler, writer->branches[i], reader, leaf, depth + 1, &fits));
		LEAT_TRY(emit(compiler, (struct leat_op){ .code = LEAT_OP_JUMP }));
	}
	if (fits == 0)
		return LEAT_ESCHEMA;    /* the last branch has said why */
	for (size_t i = 1; i <= writer->count; i++) {
		size_t end = i < writer->count ? (size_t)table->to[i] : compiler->count;
		compiler->ops[end - 1].number = compiler->count;
	}
	return 0;
}

/* ---- records ---- */

static const struct leat_avro_field *find_field(const struct leat_avro_type *record, const char *name)
{
	for (size_t i = 0; i < record->count; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return &record->fields[i];
	return NULL;
}

/* The writer's field for our @field: the one of its name, else of an alias that no other field of ours has as its name. */
static const struct leat_avro_field *find_writer(const struct leat_avro_type *writer, const struct leat_avro_type *reader,
						 const struct leat_avro_field *field)
{
	const struct leat_avro_field *found = find_field(writer, field->name);
	for (const char **alias = field->aliases; !found && alias && *alias; alias++)
		if (!find_field(reader, *alias))
			found = find_field(writer, *alias);
	return found;
}

static int emit_default(struct compiler *compiler, const struct leat_avro_field *field, size_t leaf)
{
	size_t leaves = leat_avro_leaves(field->type);
	struct leat_value *values = leat_avro_take(compiler->arena, leaves, sizeof *values);

	if (!values)
		return no_memory(compiler);
	if (!field->value)
		return leat_fail(compiler->fault, LEAT_ESCHEMA, "field '%s' is missing in the writer's schema and has no default", field->name);
	LEAT_TRY(leat_avro_default_values(field, compiler->arena, values, compiler->fault));
	for (size_t i = 0; i < leaves; i++) {
		struct leat_op op = { .code = LEAT_OP_SET, .size = values[i].size, .slot = (uint32_t)compiler->slots[leaf + i], .value = &values[i] };
		if (compiler->slots[leaf + i] >= 0)
			LEAT_TRY(emit(compiler, op));
	}
	return 0;
}

/* Our fields that the writer has: the leaf each starts at, by the writer's index, -1 for those we do not know. Defaults for the others go to the end. */
static int match_fields(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf,
			const struct leat_avro_field **ours, size_t *leaves)
{
	for (size_t i = 0; i < reader->count; i++) {
		const struct leat_avro_field *field = &reader->fields[i];
		const struct leat_avro_field *theirs = find_writer(writer, reader, field);
		size_t index = theirs ? (size_t)(theirs - writer->fields) : 0;
		if (theirs && ours[index])
			return leat_fail(compiler->fault, LEAT_ESCHEMA, "fields '%s' and '%s' both stand for the writer's '%s'", ours[index]->name, field->name,
					 theirs->name);
		if (theirs) {
			ours[index] = field;
			leaves[index] = leaf;
		}
		leaf += leat_avro_leaves(field->type);
	}
	return 0;
}

static int emit_record(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf, int depth)
{
	const struct leat_avro_field **ours = leat_avro_take(compiler->arena, writer->count, sizeof(void *));
	size_t *leaves = leat_avro_take(compiler->arena, writer->count, sizeof *leaves);

	if (!ours || !leaves)
		return no_memory(compiler);
	LEAT_TRY(match_fields(compiler, writer, reader, leaf, ours, leaves));
	for (size_t i = 0; i < writer->count; i++) {
		compiler->field = writer->fields[i].name;
		if (ours[i])
			LEAT_TRY(resolve(compiler, writer->fields[i].type, ours[i]->type, leaves[i], depth + 1));
		else
			LEAT_TRY(emit_skip(compiler, writer->fields[i].type, depth + 1));
	}
	for (size_t i = 0; i < reader->count; i++) {
		compiler->field = reader->fields[i].name;
		if (!find_writer(writer, reader, &reader->fields[i]))
			LEAT_TRY(emit_default(compiler, &reader->fields[i], leaf));
		leaf += leat_avro_leaves(reader->fields[i].type);
	}
	return 0;
}

static int resolve(struct compiler *compiler, const struct leat_avro_type *writer, const struct leat_avro_type *reader, size_t leaf, int depth)
{
	uint8_t our_null, their_null;
	const struct leat_avro_type *our_value = leat_avro_nullable(reader, &our_null);
	const struct leat_avro_type *their_value = leat_avro_nullable(writer, &their_null);

	if (our_value && their_value)
		return emit_nullable(compiler, their_value, their_null, our_value, leaf, depth);
	if (writer->kind == LEAT_AVRO_UNION)
		return emit_union(compiler, writer, reader, leaf, depth);
	if (our_value && writer->kind == LEAT_AVRO_NULL)
		return emit_null(compiler, our_value, leaf);
	if (our_value)
		reader = our_value;
	if (reader->kind != LEAT_AVRO_RECORD)
		return emit_leaf(compiler, writer, reader, leaf, depth);
	if (writer->kind != LEAT_AVRO_RECORD)
		return misfit(compiler, writer, reader);
	if (!leat_avro_names_match(writer, reader))
		return leat_fail(compiler->fault, LEAT_ESCHEMA, "the writer's record %s is not our %s; an alias would make it so", writer->name, reader->name);
	return emit_record(compiler, writer, reader, leaf, depth);
}

/* ---- programs ---- */

static int compile(struct leat_decoder *decoder, const struct leat_avro_type *writer, const struct leat_avro_type *reader, const int *slots,
		   struct leat_fault *fault)
{
	struct compiler compiler = { .arena = decoder->arena, .slots = slots, .field = "", .fault = fault };
	int rc = resolve(&compiler, writer, reader, 0, 0);
	if (rc == 0)
		rc = emit(&compiler, (struct leat_op){ .code = LEAT_OP_END });
	decoder->ops = compiler.ops;
	if (rc == LEAT_ELIMIT)          /* told apart only here: no branch may be left out for it */
		rc = LEAT_ESCHEMA;
	if (rc < 0 && fault)
		fault->code = rc;
	return rc;
}

int leat_decoder_compile(struct leat_decoder **out, const char *writer_json, size_t length, const struct leat_schema *reader, const int *slots,
			 struct leat_fault *fault)
{
	struct leat_decoder *decoder = leat_calloc(1, sizeof *decoder);
	int rc = LEAT_ENOMEM;

	*out = NULL;
	if (!decoder || (rc = leat_arena_open(&decoder->arena, 4096)) < 0)
		goto out;
	if ((rc = leat_avro_parse(&decoder->writer, writer_json, length, "the writer's schema", fault)) < 0)
		goto out;
	if ((rc = compile(decoder, decoder->writer->type, leat_schema_type(reader), slots, fault)) < 0)
		goto out;
	*out = decoder;
	decoder = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "the writer's schema: out of memory");
	leat_decoder_free(decoder);
	return rc;
}

void leat_decoder_free(struct leat_decoder *decoder)
{
	if (!decoder)
		return;
	leat_free(decoder->ops);
	leat_avro_free(decoder->writer);
	leat_arena_close(decoder->arena);
	leat_free(decoder);
}

/* ---- defaults: written as a body, read by a program of our type for our type ---- */

static struct leat_value *set_sizes(const struct leat_avro_type *type, struct leat_value *values)
{
	if (type->kind != LEAT_AVRO_RECORD) {
		values->size = (uint8_t)leat_type_size(leat_avro_column(type, NULL));
		return values + 1;
	}
	for (size_t i = 0; i < type->count; i++)
		values = set_sizes(type->fields[i].type, values);
	return values;
}

static int read_defaults(struct leat_decoder *decoder, const struct leat_avro_field *field, struct leat_bytes body, struct leat_value *values,
			 struct leat_fault *fault)
{
	size_t count = leat_avro_leaves(field->type);
	int *slots = leat_avro_take(decoder->arena, count, sizeof *slots);
	struct leat_column *columns = leat_avro_take(decoder->arena, count, sizeof *columns);

	if (!slots || !columns)
		return leat_fail(fault, LEAT_ENOMEM, "field '%s': out of memory", field->name);
	for (size_t i = 0; i < count; i++) {
		slots[i] = (int)i;
		columns[i].null = &values[i].null;
		columns[i].data = values[i].bytes;
	}
	set_sizes(field->type, values);
	LEAT_TRY(compile(decoder, field->type, field->type, slots, fault));
	enum leat_bad bad = leat_decoder_run(decoder, body, columns, 0, decoder->arena);
	if (bad == LEAT_BAD_NO_MEMORY)
		return leat_fail(fault, LEAT_ENOMEM, "field '%s': out of memory", field->name);
	return bad ? leat_fail(fault, LEAT_ESCHEMA, "the default of field '%s': %s", field->name, leat_bad_text(bad)) : 0;
}

int leat_avro_default_values(const struct leat_avro_field *field, struct leat_arena *arena, struct leat_value *values, struct leat_fault *fault)
{
	struct leat_decoder decoder = { .arena = arena };
	struct leat_buffer text = { 0 };
	int rc = leat_avro_default(field->type, field->value, &text, field->name, fault);
	uint8_t *body = rc == 0 ? leat_arena_take(arena, text.length) : NULL;

	if (body && text.length)
		memcpy(body, text.data, text.length);
	if (rc == 0)
		rc = body ? read_defaults(&decoder, field, leat_bytes(body, text.length), values, fault)
			  : leat_fail(fault, LEAT_ENOMEM, "field '%s': out of memory", field->name);
	leat_free(decoder.ops);
	leat_buffer_free(&text);
	return rc;
}
