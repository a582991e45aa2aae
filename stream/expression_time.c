/* Expressions: kernels of time. A time is an int, ms since 1970 UTC; zones are looked up once, when compiled. */
#include "stream/expression_internal.h"
#include "stream/zone.h"

enum { SECOND_MS = 1000, HOUR_S = 3600, DAY_S = 86400 };

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t hour_of(int64_t seconds)
{
	return (seconds - floor_divide(seconds, DAY_S) * DAY_S) / HOUR_S;
}

static int64_t day_of(int64_t seconds)
{
	return floor_divide(seconds, DAY_S);
}

/* 1970-01-01 was a Thursday: 4. */
static int64_t day_of_week_of(int64_t seconds)
{
	int64_t days = day_of(seconds) + 3;
	return days - floor_divide(days, 7) * 7 + 1;
}

/* The local seconds of each row, and of them @part; the zone is argument 1, if any. */
EXPRESSION_INLINE int part_of(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call, int64_t (*part)(int64_t))
{
	const struct leat_zone *zone = call->prepared;
	struct leat_zone_span span = { INT64_MIN, zone ? INT64_MIN : INT64_MAX, 0 };
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		int64_t seconds = floor_divide(argument[0].column.ints[i & argument[0].mask], SECOND_MS);
		if (LEAT_UNLIKELY(seconds < span.from_s || seconds >= span.until_s))
			span = leat_zone_span(zone, seconds);
		out->ints[i] = part(seconds + span.offset_s);
	});
	return 0;
}

int expression_hour(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	return part_of(rows, out, argument, call, hour_of);
}

int expression_day(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	return part_of(rows, out, argument, call, day_of);
}

int expression_day_of_week(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	return part_of(rows, out, argument, call, day_of_week_of);
}

int expression_prepare_zone(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared)
{
	const struct expression_node *name = &compiler->nodes[compiler->nodes[node->first].next];
	if (name->kind != EXPRESSION_CONSTANT)
		return expression_fail(compiler, name->column, "the time zone has to be a constant");
	const struct leat_zone *zone = NULL;
	struct leat_fault fault = { 0 };
	int rc = leat_zone_load(&zone, name->constant->bytes[0], compiler->arena, &fault);
	*prepared = zone;
	if (rc == LEAT_ENOMEM)
		return expression_no_memory(compiler);
	return rc < 0 ? expression_fail(compiler, name->column, "%s", fault.text) : 0;
}
