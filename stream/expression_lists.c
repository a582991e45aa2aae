/* Expressions: kernels of lists and vectors, and membership in a list of constants. */
#include "stream/expression_internal.h"

#include <math.h>
#include <stdlib.h>

/* ---- x in [constants]: numbers sorted, texts in a table with room ---- */

struct set {
	size_t count;
	size_t mask;                    /* of the table of texts */
	union {
		int64_t *ints;
		double *doubles;
		struct leat_bytes *texts;      /* data NULL: free */
	};
};

static int order_ints(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

static int order_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static struct leat_bytes *find_text(const struct set *set, struct leat_bytes text)
{
	size_t at = (size_t)leat_hash(text.data, text.length) & set->mask;
	while (set->texts[at].data && !leat_bytes_equal(set->texts[at], text))
		at = (at + 1) & set->mask;
	return &set->texts[at];
}

static int fill_texts(struct expression_compiler *compiler, struct set *set, const struct expression_node *list)
{
	set->mask = 7;
	while (set->mask < 2 * set->count)
		set->mask = 2 * set->mask + 1;
	set->texts = expression_memory(compiler, (set->mask + 1) * sizeof *set->texts);
	if (!set->texts)
		return expression_no_memory(compiler);
	for (uint16_t i = list->first; i != EXPRESSION_NO_NODE; i = compiler->nodes[i].next) {
		struct leat_bytes text = compiler->nodes[i].constant->bytes[0];
		*find_text(set, text) = text;
	}
	return 0;
}

int expression_set(struct expression_compiler *compiler, const struct expression_node *list, uint8_t type, const void **out)
{
	struct set *set = expression_memory(compiler, sizeof *set);
	if (!set)
		return expression_no_memory(compiler);
	set->count = list->count;
	*out = set;
	if (type == LEAT_STRING)
		return fill_texts(compiler, set, list);
	size_t at = 0;
	set->ints = expression_memory(compiler, set->count * sizeof *set->ints);
	if (!set->ints)
		return expression_no_memory(compiler);
	for (uint16_t i = list->first; i != EXPRESSION_NO_NODE; i = compiler->nodes[i].next)
		memcpy(&set->ints[at++], compiler->nodes[i].constant->data, sizeof *set->ints);
	qsort(set->ints, set->count, sizeof *set->ints, type == LEAT_DOUBLE ? order_doubles : order_ints);
	return 0;
}

static bool has_int(const struct set *set, int64_t value)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (set->ints[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->ints[low] == value;
}

static bool has_double(const struct set *set, double value)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (set->doubles[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->doubles[low] == value;
}

int expression_member_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			  const struct expression_call *call)
{
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = has_int(call->prepared, argument[0].column.ints[i]));
	return 0;
}

int expression_member_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			     const struct expression_call *call)
{
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = has_double(call->prepared, argument[0].column.doubles[i]));
	return 0;
}

int expression_member_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = find_text(call->prepared, expression_bytes_at(&argument[0], i))->data != NULL);
	return 0;
}

/* ---- lists in columns ---- */

static const struct leat_list *list_at(const struct expression_operand *operand, size_t i)
{
	return &operand->column.lists[i & operand->mask];
}

int expression_list_of_vector(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	size_t width = argument[0].column.width;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->lists[i] = (struct leat_list){ argument[0].column.floats + i * width, (uint32_t)width };
	});
	return 0;
}

static bool list_has_text(const struct leat_list *list, struct leat_bytes wanted)
{
	const struct leat_bytes *items = list->items;
	for (size_t at = 0; at < list->count; at++)
		if (items[at].data && leat_bytes_equal(items[at], wanted))
			return true;
	return false;
}

static bool list_has_number(const struct leat_list *list, double wanted)
{
	const float *items = list->items;
	for (size_t at = 0; at < list->count; at++)
		if ((double)items[at] == wanted)
			return true;
	return false;
}

int expression_text_in_list(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bools[i] = list_has_text(list_at(&argument[1], i), expression_bytes_at(&argument[0], i)));
	return 0;
}

int expression_number_in_list(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->bools[i] = list_has_number(list_at(&argument[1], i), argument[0].column.doubles[i & argument[0].mask]);
	});
	return 0;
}

int expression_size(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->ints[i] = list_at(&argument[0], i)->count);
	return 0;
}

int expression_text_at(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		const struct leat_list *list = list_at(&argument[0], i);
		uint64_t at = (uint64_t)argument[1].column.ints[i & argument[1].mask];
		const struct leat_bytes *item = at < list->count ? (const struct leat_bytes *)list->items + at : NULL;
		out->null[i] = !item || !item->data;
		out->bytes[i] = item ? *item : leat_bytes(NULL, 0);
	});
	return 0;
}

int expression_number_at(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		const struct leat_list *list = list_at(&argument[0], i);
		uint64_t at = (uint64_t)argument[1].column.ints[i & argument[1].mask];
		out->doubles[i] = at < list->count ? (double)((const float *)list->items)[at] : NAN;
		out->null[i] = !isfinite(out->doubles[i]);
	});
	return 0;
}

/* ---- vector arithmetic: sums in double, in one fixed order, so that every build gives the same bits ---- */

static double dot(const float *a, const float *b, size_t count)
{
	double sum[4] = { 0 };
	size_t at = 0;
	for (; at + 4 <= count; at += 4)
		for (size_t lane = 0; lane < 4; lane++)
			sum[lane] += (double)a[at + lane] * (double)b[at + lane];
	for (; at < count; at++)
		sum[0] += (double)a[at] * (double)b[at];
	return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

static double dot_lists(const struct leat_list *a, const struct leat_list *b)
{
	return a->count == b->count ? dot(a->items, b->items, a->count) : NAN;
}

int expression_dot(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->doubles[i] = dot_lists(list_at(&argument[0], i), list_at(&argument[1], i));
		out->null[i] = !isfinite(out->doubles[i]);
	});
	return 0;
}

/* A vector of length 0 has no direction: 0 / 0 is null. */
int expression_cosine(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		      const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		const struct leat_list *a = list_at(&argument[0], i), *b = list_at(&argument[1], i);
		double lengths = sqrt(dot_lists(a, a)) * sqrt(dot_lists(b, b));
		out->doubles[i] = dot_lists(a, b) / lengths;
		out->null[i] = !isfinite(out->doubles[i]);
	});
	return 0;
}

int expression_norm(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->doubles[i] = sqrt(dot_lists(list_at(&argument[0], i), list_at(&argument[0], i)));
		out->null[i] = !isfinite(out->doubles[i]);
	});
	return 0;
}
