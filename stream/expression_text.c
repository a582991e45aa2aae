/* Expressions: kernels of text. Text is UTF-8; characters are counted as code points, letters change case in ASCII only. */
#include "stream/expression_internal.h"

static bool continues(uint8_t byte)
{
	return (byte & 0xC0) == 0x80;
}

static int compare_bytes(struct leat_bytes a, struct leat_bytes b)
{
	size_t common = LEAT_MIN(a.length, b.length);
	int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* ---- comparing ---- */

int expression_equal_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			  const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->bools[i] = leat_bytes_equal(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i));
	});
	return 0;
}

int expression_unequal_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->bools[i] = !leat_bytes_equal(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i));
	});
	return 0;
}

int expression_less_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->bools[i] = compare_bytes(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i)) < 0;
	});
	return 0;
}

int expression_most_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->bools[i] = compare_bytes(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i)) <= 0;
	});
	return 0;
}

/* ---- looking into ---- */

int expression_length_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		struct leat_bytes text = expression_bytes_at(&argument[0], i);
		int64_t count = 0;
		for (size_t at = 0; at < text.length; at++)
			count += !continues(text.data[at]);
		out->ints[i] = count;
	});
	return 0;
}

int expression_length_bytes(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->ints[i] = expression_bytes_at(&argument[0], i).length);
	return 0;
}

static bool contains(struct leat_bytes text, struct leat_bytes part)
{
	return part.length == 0 || (text.length >= part.length && memmem(text.data, text.length, part.data, part.length));
}

static bool ends_with(struct leat_bytes text, struct leat_bytes part)
{
	return part.length == 0 || (text.length >= part.length && memcmp(text.data + text.length - part.length, part.data, part.length) == 0);
}

static bool starts_with(struct leat_bytes text, struct leat_bytes part)
{
	return part.length == 0 || (text.length >= part.length && memcmp(text.data, part.data, part.length) == 0);
}

int expression_contains(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = contains(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i)));
	return 0;
}

int expression_starts_with(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = starts_with(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i)));
	return 0;
}

int expression_ends_with(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = ends_with(expression_bytes_at(&argument[0], i), expression_bytes_at(&argument[1], i)));
	return 0;
}

/* Bytes of the first @characters characters of @text. */
static size_t prefix(struct leat_bytes text, int64_t characters)
{
	size_t at = 0;
	while (at < text.length && characters > 0) {
		at++;
		while (at < text.length && continues(text.data[at]))
			at++;
		characters--;
	}
	return at;
}

int expression_substring(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		struct leat_bytes text = expression_bytes_at(&argument[0], i);
		int64_t start = argument[1].column.ints[i & argument[1].mask], count = argument[2].column.ints[i & argument[2].mask];
		out->null[i] = start < 0 || count < 0;
		size_t skipped = prefix(text, start);
		if (text.length > 0)
			text = leat_bytes(text.data + skipped, text.length - skipped);
		text.length = (uint32_t)prefix(text, count);
		out->bytes[i] = text;
	});
	return 0;
}

/* ---- glob: all states of the pattern in one word, so that a byte of text costs one step whatever the pattern ---- */

enum { GLOB_MAX = 63 };
struct glob {
	uint64_t step[256];     /* bit p: the byte takes state p (p items matched) to p + 1       */
	uint64_t any;           /* bit p: a * stands after p items, so the state outlives any byte */
	uint64_t rest;          /* bit p: the last item was ?, which also takes continuation bytes */
	uint64_t end;
};

static void glob_item(struct glob *glob, unsigned at, bool question, uint8_t literal)
{
	if (!question) {
		glob->step[literal] |= UINT64_C(1) << at;
		return;
	}
	for (size_t byte = 0; byte < 256; byte++)
		if (!continues((uint8_t)byte))
			glob->step[byte] |= UINT64_C(1) << at;
	glob->rest |= UINT64_C(1) << (at + 1);
}

int expression_prepare_glob(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared)
{
	const struct expression_node *pattern = &compiler->nodes[compiler->nodes[node->first].next];
	if (pattern->kind != EXPRESSION_CONSTANT)
		return expression_fail(compiler, pattern->column, "the pattern of matches() has to be a constant");
	struct glob *glob = expression_memory(compiler, sizeof *glob);
	if (!glob)
		return expression_no_memory(compiler);
	struct leat_bytes text = pattern->constant->bytes[0];
	unsigned items = 0;
	for (size_t at = 0; at < text.length; at++) {
		bool escaped = text.data[at] == '\\' && at + 1 < text.length;
		at += escaped;
		if (!escaped && text.data[at] == '*') {
			glob->any |= UINT64_C(1) << items;
			continue;
		}
		if (items == GLOB_MAX)
			return expression_fail(compiler, pattern->column, "the pattern of matches() is longer than %d bytes", GLOB_MAX);
		glob_item(glob, items++, !escaped && text.data[at] == '?', text.data[at]);
	}
	glob->end = UINT64_C(1) << items;
	*prepared = glob;
	return 0;
}

static bool glob_matches(const struct glob *glob, struct leat_bytes text)
{
	uint64_t states = 1;
	for (size_t at = 0; at < text.length && states; at++) {
		uint64_t stay = glob->any | (continues(text.data[at]) ? glob->rest : 0);
		states = ((states & glob->step[text.data[at]]) << 1) | (states & stay);
	}
	return (states & glob->end) != 0;
}

int expression_matches(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = glob_matches(call->prepared, expression_bytes_at(&argument[0], i)));
	return 0;
}

/* ---- making text: one piece of memory for all rows ---- */

EXPRESSION_INLINE int change_case(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, uint8_t first)
{
	size_t total = 0;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		uint32_t length = expression_bytes_at(&argument[0], i).length;
		out->null[i] = length > EXPRESSION_TEXT_MAX;
		total += out->null[i] ? 0 : length;
	});
	uint8_t *memory = leat_arena_take(rows->arena, total + 1);
	if (!memory)
		return LEAT_ENOMEM;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		struct leat_bytes text = expression_bytes_at(&argument[0], i);
		for (size_t at = 0; at < text.length; at++)
			memory[at] = text.data[at] ^ ((uint8_t)(text.data[at] - first) < 26 ? 0x20 : 0);
		out->bytes[i] = leat_bytes(memory, text.length);
		memory += text.length;
	});
	return 0;
}

int expression_lower(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	return change_case(rows, out, argument, 'A');
}

int expression_upper(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	return change_case(rows, out, argument, 'a');
}

int expression_concat(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		      const struct expression_call *call)
{
	size_t total = 0;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		size_t length = 0;
		for (size_t part = 0; part < call->count; part++)
			length += expression_bytes_at(&argument[part], i).length;
		out->null[i] = length > EXPRESSION_TEXT_MAX;
		total += out->null[i] ? 0 : length;
	});
	uint8_t *memory = leat_arena_take(rows->arena, total + 1);
	if (!memory)
		return LEAT_ENOMEM;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		uint8_t *start = memory;
		for (size_t part = 0; part < call->count; part++) {
			struct leat_bytes text = expression_bytes_at(&argument[part], i);
			if (text.length > 0)
				memcpy(memory, text.data, text.length);
			memory += text.length;
		}
		out->bytes[i] = leat_bytes(start, (size_t)(memory - start));
	});
	return 0;
}

/* ---- symbols of an enum; a number without a symbol is null ---- */

struct symbols {
	size_t count;
	struct leat_bytes texts[];
};

int expression_prepare_symbols(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared)
{
	LEAT_ASSERT(node->kind == EXPRESSION_FIELD);
	const char *const *names = compiler->layout->fields[node->slot].symbols;
	size_t count = 0;
	while (names && names[count])
		count++;
	struct symbols *symbols = expression_memory(compiler, sizeof *symbols + count * sizeof symbols->texts[0]);
	if (!symbols)
		return expression_no_memory(compiler);
	symbols->count = count;
	for (size_t i = 0; i < count; i++)
		symbols->texts[i] = leat_text(names[i]);
	*prepared = symbols;
	return 0;
}

int expression_symbols(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	const struct symbols *symbols = call->prepared;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		uint64_t index = (uint64_t)argument[0].column.ints[i];
		out->null[i] = index >= symbols->count;
		out->bytes[i] = index < symbols->count ? symbols->texts[index] : leat_bytes(NULL, 0);
	});
	return 0;
}
