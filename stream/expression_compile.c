/* Expressions, third pass: nodes to a flat list of operations on registers; and the life of a compiled expression. */
#include "stream/expression_program.h"

const struct leat_expression_limits leat_expression_limits = { .text = 4096, .nodes = 512, .depth = 64 };

enum { ARENA_CHUNK = 2048 };

size_t expression_type_size(uint8_t type)
{
	static const uint8_t sizes[LEAT_TYPES] = {
		[LEAT_BOOL] = 1, [LEAT_INT] = 8, [LEAT_ENUM] = 8, [LEAT_FLOAT] = 4, [LEAT_DOUBLE] = 8,
		[LEAT_STRING] = sizeof(struct leat_bytes), [LEAT_BYTES] = sizeof(struct leat_bytes),
		[LEAT_STRINGS] = sizeof(struct leat_list), [LEAT_FLOATS] = sizeof(struct leat_list),
	};
	return type < LEAT_TYPES ? sizes[type] : 0;
}

int expression_fail(struct expression_compiler *compiler, size_t column, const char *format, ...)
{
	char text[480];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return leat_fail(compiler->fault, LEAT_ECONFIG, "column %zu: %s", column, text);
}

int expression_no_memory(struct expression_compiler *compiler)
{
	return leat_fail(compiler->fault, LEAT_ENOMEM, "out of memory while compiling an expression");
}

void *expression_memory(struct expression_compiler *compiler, size_t size)
{
	void *memory = leat_arena_take(compiler->arena, size);
	return memory ? memset(memory, 0, size) : NULL;
}

struct leat_column *expression_constant(struct expression_compiler *compiler, uint8_t type, const void *value)
{
	size_t size = expression_type_size(type);
	struct leat_column *column = expression_memory(compiler, sizeof *column + 16 + size);
	if (!column)
		return NULL;
	column->type = type;
	column->width = 1;
	column->null = (uint8_t *)(column + 1);
	column->null[0] = value == NULL;
	column->data = column->null + 16;
	if (value)
		memcpy(column->data, value, size);
	return column;
}

const struct leat_column *expression_fold(struct expression_compiler *compiler, const struct expression_call *call, const struct expression_operand *arguments)
{
	static const uint16_t first[] = { 0 };
	struct expression_rows rows = { .row = first, .count = 1, .first = 0, .end = 1, .span = true, .arena = compiler->arena };
	struct leat_column *out = expression_constant(compiler, call->function->result, NULL);
	if (!out || expression_apply(&rows, out, arguments, call) < 0)
		return NULL;
	if (out->null[0])
		memset(out->data, 0, expression_type_size(out->type));
	return out;
}

/* ---- registers ---- */

struct registers {
	struct {
		uint32_t offset;
		uint16_t size;
		bool busy;
	} *items;
	size_t count;
	size_t bytes;
};

static uint32_t take_register(struct registers *registers, size_t size)
{
	for (size_t i = 0; i < registers->count; i++) {
		if (registers->items[i].busy || registers->items[i].size != size)
			continue;
		registers->items[i].busy = true;
		return registers->items[i].offset;
	}
	size_t at = registers->count++;
	registers->items[at].offset = (uint32_t)registers->bytes;
	registers->items[at].size = (uint16_t)size;
	registers->items[at].busy = true;
	registers->bytes += LEAT_BATCH_MAX * (1 + size);
	return registers->items[at].offset;
}

static void release(struct registers *registers, const struct expression_reference *value)
{
	if (value->place != EXPRESSION_AT_REGISTER)
		return;
	for (size_t i = 0; i < registers->count; i++)
		if (registers->items[i].offset == value->at)
			registers->items[i].busy = false;
}

/* ---- operations ---- */

static void note_slot(struct leat_expression *expression, const struct expression_reference *value)
{
	if (value->place != EXPRESSION_AT_SLOT)
		return;
	for (size_t i = 0; i < expression->slot_count; i++)
		if (expression->slots[i] == value->at)
			return;
	expression->slots[expression->slot_count++] = (uint16_t)value->at;
}

/* Appends an operation whose arguments are already in place, and gives its result a place. */
static int emit(struct expression_compiler *compiler, struct leat_expression *expression, struct registers *registers, const struct expression_call *call,
		const struct expression_reference *arguments, struct expression_reference *out, bool last)
{
	struct expression_operation *operation = &expression->operations[expression->count++];
	struct expression_reference *copy = expression_memory(compiler, call->count * sizeof *copy);
	if (!copy)
		return expression_no_memory(compiler);
	bool swapped = call->function->swapped;
	for (size_t i = 0; i < call->count; i++)
		copy[i] = arguments[swapped ? call->count - 1 - i : i];
	*out = (struct expression_reference){ .place = EXPRESSION_AT_RESULT, .type = call->function->result };
	if (!last) {
		out->place = EXPRESSION_AT_REGISTER;
		out->at = take_register(registers, expression_type_size(out->type));
	}
	for (size_t i = 0; i < call->count; i++) {
		release(registers, &copy[i]);
		note_slot(expression, &copy[i]);
	}
	*operation = (struct expression_operation){ .call = *call, .arguments = copy, .out = *out };
	return 0;
}

/* A result has a value per row: a constant is copied to all of them. */
static int emit_constant(struct expression_compiler *compiler, struct leat_expression *expression, struct registers *registers,
			 const struct expression_node *root)
{
	static const struct expression_function *const copies[] = { [1] = &expression_copy_1, [8] = &expression_copy_8, [16] = &expression_copy_16 };
	struct expression_call call = { .function = copies[expression_type_size(root->type)], .count = 1 };
	struct expression_reference out;
	LEAT_TRY(emit(compiler, expression, registers, &call, &root->value, &out, true));
	return 0;
}

static int emit_node(struct expression_compiler *compiler, struct leat_expression *expression, struct registers *registers, struct expression_node *node)
{
	bool root = node == &compiler->nodes[compiler->count - 1];
	if (node->kind == EXPRESSION_CONSTANT)
		node->value = (struct expression_reference){ .place = EXPRESSION_AT_CONSTANT, .type = node->type, .constant = node->constant };
	if (node->kind == EXPRESSION_FIELD)
		node->value = (struct expression_reference){ .place = EXPRESSION_AT_SLOT, .type = node->type, .at = node->slot };
	if (node->kind == EXPRESSION_CALL) {
		struct expression_reference arguments[EXPRESSION_ARGUMENTS_MAX];
		uint16_t child = node->first;
		for (size_t i = 0; i < node->call.count; i++, child = compiler->nodes[child].next)
			arguments[i] = compiler->nodes[child].value;
		LEAT_TRY(emit(compiler, expression, registers, &node->call, arguments, &node->value, root && !node->convert.function));
	}
	if (node->convert.function) {
		struct expression_reference before = node->value;
		LEAT_TRY(emit(compiler, expression, registers, &node->convert, &before, &node->value, root));
	}
	return root && node->kind == EXPRESSION_CONSTANT ? emit_constant(compiler, expression, registers, node) : 0;
}

/* Marks what the root needs; folding left the rest behind. */
static void mark_live(struct expression_compiler *compiler)
{
	compiler->nodes[compiler->count - 1].live = true;
	for (size_t i = compiler->count; i-- > 0;) {
		const struct expression_node *node = &compiler->nodes[i];
		if (!node->live)
			continue;
		for (uint16_t child = node->first; child != EXPRESSION_NO_NODE; child = compiler->nodes[child].next)
			compiler->nodes[child].live = true;
	}
}

static int emit_all(struct expression_compiler *compiler, struct leat_expression *expression)
{
	struct registers registers = { .items = leat_calloc(2 * compiler->count, sizeof *registers.items) };
	const struct expression_node *root = &compiler->nodes[compiler->count - 1];
	int rc = LEAT_ENOMEM;
	expression->operations = expression_memory(compiler, (2 * compiler->count + 1) * sizeof *expression->operations);
	expression->slots = expression_memory(compiler, (compiler->count + 1) * sizeof *expression->slots);
	if (!registers.items || !expression->operations || !expression->slots) {
		rc = expression_no_memory(compiler);
		goto out;
	}
	mark_live(compiler);
	for (size_t i = 0; i < compiler->count; i++)
		if (compiler->nodes[i].live && (rc = emit_node(compiler, expression, &registers, &compiler->nodes[i])) < 0)
			goto out;
	expression->workspace = registers.bytes;
	expression->type = root->value.type;
	note_slot(expression, &root->value);
	rc = 0;
out:
	leat_free(registers.items);
	return rc;
}

static int compile(struct expression_compiler *compiler, struct leat_expression *expression, uint32_t types)
{
	if (compiler->length > leat_expression_limits.text)
		return expression_fail(compiler, leat_expression_limits.text + 1, "longer than %zu bytes", leat_expression_limits.text);
	compiler->capacity = LEAT_MIN(compiler->length + 1, leat_expression_limits.nodes);
	compiler->nodes = leat_calloc(compiler->capacity, sizeof *compiler->nodes);
	if (!compiler->nodes)
		return expression_no_memory(compiler);
	LEAT_TRY(expression_parse(compiler));
	LEAT_TRY(expression_check(compiler, types));
	return emit_all(compiler, expression);
}

int leat_expression_compile(struct leat_expression **out, const char *text, const struct leat_layout *layout, uint32_t types, struct leat_fault *fault)
{
	struct expression_compiler compiler = { .text = text, .length = strlen(text), .layout = layout, .fault = fault };
	struct leat_expression *expression = leat_calloc(1, sizeof *expression);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!expression || leat_arena_open(&expression->arena, ARENA_CHUNK) < 0) {
		rc = expression_no_memory(&compiler);
		goto out;
	}
	compiler.arena = expression->arena;
	rc = compile(&compiler, expression, types);
	if (rc < 0)
		goto out;
	*out = expression;
	expression = NULL;
out:
	leat_free(compiler.nodes);
	leat_expression_free(expression);
	return rc;
}

void leat_expression_free(struct leat_expression *expression)
{
	if (!expression)
		return;
	leat_arena_close(expression->arena);
	leat_free(expression);
}

uint8_t leat_expression_type(const struct leat_expression *expression)
{
	return expression->type;
}

void leat_expression_reads(const struct leat_expression *expression, void (*each)(void *self, int slot), void *self)
{
	for (size_t i = 0; i < expression->slot_count; i++)
		each(self, expression->slots[i]);
}
