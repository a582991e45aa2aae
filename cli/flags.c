/* Arguments of verbs by tables, exit statuses, signals. */
#include "cli/cli.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_MAX = 64, STOP_SECONDS = 30 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	if (interrupted)
		_exit(128 + number);
	interrupted = 1;
	alarm(STOP_SECONDS);
}

/* A broker that has stopped answering may hold a call for longer than its time-out. What is not committed is done again, as after any crash. */
static void on_alarm(int number)
{
	static const char text[] = "leat: did not end within 30 s of being asked to, because the broker or the disk does not answer; ending at once\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
	(void)written;
	(void)number;
	_exit(LEAT_EXIT_FAILED);
}

void leat_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal }, late = { .sa_handler = on_alarm };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &late, NULL);
}

bool leat_interrupted(void *unused)
{
	(void)unused;
	return interrupted != 0;
}

int leat_usage(const struct leat_verb *verb, const char *format, ...)
{
	va_list arguments;
	fprintf(stderr, "leat %s: ", verb->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nusage: leat %s %s\n", verb->name, verb->arguments);
	return LEAT_EXIT_USAGE;
}

int leat_failed(const struct leat_fault *fault)
{
	fprintf(stderr, "leat: %s\n", fault->text[0] ? fault->text : leat_error_text(fault->code));
	return fault->code == LEAT_ECONFIG ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
}

static void print_help(const struct leat_verb *verb, const struct leat_flag *flags, size_t flag_count)
{
	printf("usage: leat %s %s\n%s\n\n", verb->name, verb->arguments, verb->help);
	for (size_t i = 0; i < flag_count; i++)
		printf("  %-22s %s\n", flags[i].name, flags[i].help);
	if (verb->more)
		printf("\n%s\n", verb->more);
}

static const struct leat_flag *find_flag(const struct leat_flag *flags, size_t flag_count, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);
	for (size_t i = 0; i < flag_count; i++)
		if (strlen(flags[i].name) == length && strncmp(flags[i].name, text, length) == 0)
			return &flags[i];
	return NULL;
}

static int unknown_flag(const struct leat_verb *verb, const struct leat_flag *flags, size_t flag_count, const char *text)
{
	struct leat_guess guess = { 0 };
	size_t length = strcspn(text, "=");
	for (size_t i = 0; i < flag_count; i++)
		leat_guess(&guess, leat_bytes(text, length), flags[i].name);
	return leat_usage(verb, "unknown option %.*s%s", (int)length, text, leat_guess_hint(&guess));
}

static int set_flag(const struct leat_verb *verb, const struct leat_flag *flag, char *value)
{
	char *end;
	const char **list = flag->at;
	switch (flag->type) {
	case LEAT_FLAG_TEXT:
		*(const char **)flag->at = value;
		return 0;
	case LEAT_FLAG_NUMBER:
		*(double *)flag->at = strtod(value, &end);
		if (end == value || *end || !isfinite(*(double *)flag->at))
			return leat_usage(verb, "%s must be a number, not '%s'", flag->name, value);
		return 0;
	default:
		for (size_t i = 0; i < LIST_MAX - 1; i++)
			if (!list[i]) {
				list[i] = value;
				return 0;
			}
		return leat_usage(verb, "%s is given too often", flag->name);
	}
}

int leat_ranges_check(const struct leat_verb *verb, const struct leat_range *ranges, size_t count)
{
	for (const struct leat_range *range = ranges; range < ranges + count; range++) {
		if (isnan(range->value))
			continue;
		if (range->value < range->min || range->value > range->max || (range->whole && range->value > floor(range->value)))
			return leat_usage(verb, "%s must be a %snumber from %.15g to %.15g, not %.15g", range->name, range->whole ? "whole " : "", range->min, range->max, range->value);
	}
	return LEAT_EXIT_OK;
}

double leat_number_or(double value, double otherwise)
{
	return isnan(value) ? otherwise : value;
}

int leat_flags_parse(const struct leat_verb *verb, const struct leat_flag *flags, size_t flag_count, int count, char **arguments)
{
	int left = 0;
	for (int i = 0; i < count; i++) {
		char *text = arguments[i];
		if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
			print_help(verb, flags, flag_count);
			exit(LEAT_EXIT_OK);
		}
		if (text[0] != '-' || !text[1]) {
			arguments[left++] = text;
			continue;
		}
		const struct leat_flag *flag = find_flag(flags, flag_count, text);
		char *value = strchr(text, '=');
		if (!flag)
			return unknown_flag(verb, flags, flag_count, text), -1;
		if (flag->type == LEAT_FLAG_SWITCH) {
			if (value)
				return leat_usage(verb, "%s takes no value", flag->name), -1;
			*(bool *)flag->at = true;
			continue;
		}
		if (!value && i + 1 == count)
			return leat_usage(verb, "%s needs a value", flag->name), -1;
		if (set_flag(verb, flag, value ? value + 1 : arguments[++i]))
			return -1;
	}
	return left;
}
