/* Log: one line per call to stderr, whole lines only. */
#include "base/base.h"

#include <pthread.h>

enum { KEYS_MAX = 64, LINE_MAX_ = 2048 };

enum leat_level leat_log_level = LEAT_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { const void *key; int64_t last_us; uint64_t left_out; } seldom[KEYS_MAX];
static const char *const names[] = { "error", "warning", "info", "debug" };

static void write_line(enum leat_level level, const char *format, va_list arguments, uint64_t left_out)
{
	char line[LINE_MAX_];
	int length = snprintf(line, sizeof line, "leat: %s: ", names[level]);
	length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
	length = LEAT_MIN(length, (int)sizeof line - 1);
	if (left_out && length < (int)sizeof line - 1)
		length += snprintf(line + length, sizeof line - (size_t)length, " (%llu more like this)", (unsigned long long)left_out);
	fprintf(stderr, "%s\n", line);
}

void leat_log(enum leat_level level, const char *format, ...)
{
	if (level > leat_log_level)
		return;
	va_list arguments;
	va_start(arguments, format);
	write_line(level, format, arguments, 0);
	va_end(arguments);
}

/* The key's slot, or the one that was used longest ago. */
static size_t slot_of(const void *key)
{
	size_t oldest = 0;
	for (size_t i = 0; i < KEYS_MAX; i++) {
		if (seldom[i].key == key)
			return i;
		if (seldom[i].last_us < seldom[oldest].last_us)
			oldest = i;
	}
	return oldest;
}

void leat_log_seldom(enum leat_level level, const void *key, int64_t every_ms, const char *format, ...)
{
	if (level > leat_log_level)
		return;
	int64_t now = leat_clock_mono_us(NULL);
	uint64_t left_out = 0;
	bool due = true;
	pthread_mutex_lock(&lock);
	size_t i = slot_of(key);
	if (seldom[i].key == key && now - seldom[i].last_us < every_ms * 1000) {
		seldom[i].left_out++;
		due = false;
	} else {
		left_out = seldom[i].key == key ? seldom[i].left_out : 0;
		seldom[i].key = key;
		seldom[i].last_us = now;
		seldom[i].left_out = 0;
	}
	pthread_mutex_unlock(&lock);
	if (!due)
		return;
	va_list arguments;
	va_start(arguments, format);
	write_line(level, format, arguments, left_out);
	va_end(arguments);
}
