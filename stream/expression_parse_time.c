/* Expressions: texts to times by a format, without locale and without the system's idea of a zone. */
#include "stream/expression_internal.h"

struct moment {
	int64_t year, month, day, hour, minute, second, ms, offset_minutes;
};
struct text_at { const uint8_t *at, *end; };

/* @least to @most digits. */
static bool take_number(struct text_at *text, int least, int most, int64_t *value)
{
	int digits = 0;
	*value = 0;
	for (; digits < most && text->at < text->end && *text->at >= '0' && *text->at <= '9'; digits++)
		*value = *value * 10 + (*text->at++ - '0');
	return digits >= least;
}

/* Up to nine digits, of which three count. */
static bool take_fraction(struct text_at *text, int64_t *ms)
{
	const uint8_t *start = text->at;
	int64_t value;
	if (!take_number(text, 1, 9, &value))
		return false;
	for (long digits = text->at - start; digits != 3; digits += digits < 3 ? 1 : -1)
		value = digits < 3 ? value * 10 : value / 10;
	*ms = value;
	return true;
}

static bool take_zone(struct text_at *text, int64_t *offset_minutes)
{
	int64_t hours, minutes = 0;
	if (text->at == text->end)
		return false;
	uint8_t sign = *text->at++;
	*offset_minutes = 0;
	if (sign == 'Z')
		return true;
	if ((sign != '+' && sign != '-') || !take_number(text, 2, 2, &hours))
		return false;
	text->at += text->at < text->end && *text->at == ':';
	if (!take_number(text, 2, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset_minutes = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
	return true;
}

static bool take(struct text_at *text, char what, struct moment *moment)
{
	switch (what) {
	case 'Y':
		return take_number(text, 4, 4, &moment->year);
	case 'm':
		return take_number(text, 1, 2, &moment->month);
	case 'd':
		return take_number(text, 1, 2, &moment->day);
	case 'H':
		return take_number(text, 1, 2, &moment->hour);
	case 'M':
		return take_number(text, 1, 2, &moment->minute);
	case 'S':
		return take_number(text, 1, 2, &moment->second);
	case 'f':
		return take_fraction(text, &moment->ms);
	case 'z':
		return take_zone(text, &moment->offset_minutes);
	default:
		return text->at < text->end && *text->at++ == '%';
	}
}

static bool scan(struct leat_bytes bytes, struct leat_bytes format, struct moment *moment)
{
	struct text_at text = { bytes.data, bytes.data + bytes.length };
	for (uint32_t i = 0; i < format.length; i++) {
		bool fits = format.data[i] == '%' ? take(&text, (char)format.data[++i], moment) : text.at < text.end && *text.at++ == format.data[i];
		if (!fits)
			return false;
	}
	return text.at == text.end;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool exists(const struct moment *moment)
{
	static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (moment->year < 1 || moment->month < 1 || moment->month > 12 || moment->day < 1 || moment->hour > 23 || moment->minute > 59 || moment->second > 59)
		return false;
	return moment->day <= days[moment->month - 1] + (moment->month == 2 && is_leap(moment->year));
}

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is the last. */
static int64_t days_of(const struct moment *moment)
{
	int64_t year = moment->year - (moment->month <= 2), month = (moment->month + 9) % 12;
	int64_t day_of_year = (153 * month + 2) / 5 + moment->day - 1;
	return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static bool parse_time(struct leat_bytes text, struct leat_bytes format, int64_t *ms)
{
	struct moment moment = { .year = 1970, .month = 1, .day = 1 };
	if (!scan(text, format, &moment) || !exists(&moment))
		return false;
	*ms = (((days_of(&moment) * 24 + moment.hour) * 60 + moment.minute - moment.offset_minutes) * 60 + moment.second) * 1000 + moment.ms;
	return true;
}

int expression_parse_time(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	const struct leat_bytes *format = call->prepared;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->null[i] = !parse_time(expression_bytes_at(&argument[0], i), *format, &out->ints[i]));
	return 0;
}

int expression_prepare_time_format(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared)
{
	const struct expression_node *format = &compiler->nodes[compiler->nodes[node->first].next];
	if (format->kind != EXPRESSION_CONSTANT || format->type != LEAT_STRING)
		return expression_fail(compiler, format->column, "the format of a time has to be a constant text");
	struct leat_bytes *kept = expression_memory(compiler, sizeof *kept);
	if (!kept)
		return expression_no_memory(compiler);
	*kept = format->constant->bytes[0];
	for (uint32_t i = 0; i < kept->length; i++)
		if (kept->data[i] == '%' && (++i == kept->length || !strchr("YmdHMSfz%", kept->data[i])))
			return expression_fail(compiler, format->column, "a format of a time has %%Y %%m %%d %%H %%M %%S %%f %%z %%%%, nothing else after a %%");
	*prepared = kept;
	return 0;
}
