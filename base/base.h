/* The floor everything stands on: byte views, arenas, hashes, clocks, crash points, logging, counted allocation. Knows nothing of events. */
#ifndef LEAT_BASE_H
#define LEAT_BASE_H

#include "base/column.h"
#include "base/error.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LEAT_COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define LEAT_MIN(a, b) ((a) < (b) ? (a) : (b))
#define LEAT_MAX(a, b) ((a) > (b) ? (a) : (b))
#define LEAT_LIKELY(x) __builtin_expect(!!(x), 1)
#define LEAT_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A broken invariant ends the process, in release builds too: better a crash, which is exactly-once, than a wrong row. */
#define LEAT_ASSERT(condition)                                                         \
	do {                                                                           \
		if (LEAT_UNLIKELY(!(condition)))                                       \
			leat_assert_failed(#condition, __FILE__, __LINE__);            \
	} while (0)
_Noreturn void leat_assert_failed(const char *condition, const char *file, int line);

static inline struct leat_bytes leat_bytes(const void *data, size_t length)
{
	return (struct leat_bytes){ data, (uint32_t)length };
}
static inline struct leat_bytes leat_text(const char *text)
{
	return leat_bytes(text, strlen(text));
}
static inline bool leat_bytes_equal(struct leat_bytes a, struct leat_bytes b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* ---- allocation (base/alloc.c): malloc and friends with a test hook that fails the n-th call in this process ---- */
void *leat_malloc(size_t size);
void *leat_calloc(size_t count, size_t size);            /* zeroed; refuses overflow */
void *leat_realloc(void *pointer, size_t size);
void *leat_aligned(size_t alignment, size_t size);       /* zeroed; free with leat_free */
char *leat_strdup(const char *text);
char *leat_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void leat_free(void *pointer);                           /* NULL is fine */
/* Allocations that failed so far in this process: did memory run out in between? Any thread. */
uint64_t leat_alloc_failures(void);
/* Makes the @nth allocation from now on fail (1 = the next), 0 = none. Tests only. Returns how many were made since the last call. */
uint64_t leat_alloc_fail_at(uint64_t nth);

/* ---- arena (base/arena.c): memory that lives as long as a batch. One thread. ---- */
struct leat_arena;
/* @chunk: bytes taken from malloc at a time. LEAT_ENOMEM. */
int leat_arena_open(struct leat_arena **out, size_t chunk);
void leat_arena_close(struct leat_arena *arena);
/* 16-byte aligned, not zeroed; NULL when memory is out or the arena's limit (64 MiB between resets) is reached. */
void *leat_arena_take(struct leat_arena *arena, size_t size);
/* Everything taken becomes invalid; the chunks are kept for the next batch up to 4 MiB. */
void leat_arena_reset(struct leat_arena *arena);

/* ---- buffer (base/buffer.c): growing bytes that the owner keeps ---- */
struct leat_buffer {
	uint8_t *data;
	size_t length, capacity;
};
int leat_buffer_reserve(struct leat_buffer *buffer, size_t more);
int leat_buffer_append(struct leat_buffer *buffer, const void *data, size_t length);
int leat_buffer_printf(struct leat_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void leat_buffer_free(struct leat_buffer *buffer);

/* ---- files (base/file.c) ---- */
/* Appends the regular file @path, at most @max bytes, and a NUL that is not counted. @secret: refuses one that leat_file_secret() does not take. LEAT_ECONFIG, LEAT_ENOMEM. */
int leat_file_read(const char *path, size_t max, bool secret, struct leat_buffer *out, struct leat_fault *fault);

/*
 * Is a file of this mode and owner fit to hold a secret of process @reader (user ids)? It is open to its owner only; or it is root's and a reader that is not root
 * comes to it by its group, as Kubernetes mounts secrets: it could read it in no other way.
 */
bool leat_file_secret(unsigned mode, unsigned owner, unsigned reader);

/* ---- hashes (base/hash.c) ---- */
uint64_t leat_hash(const void *data, size_t length);             /* XXH3, in-memory tables; not stored */
uint32_t leat_murmur2(const void *data, size_t length);          /* Kafka's partitioner hash; stored in row keys */
static inline int32_t leat_partition_of(const void *key, size_t length, int32_t partitions)
{
	return (int32_t)((leat_murmur2(key, length) & 0x7fffffff) % (uint32_t)partitions);
}
/* splitmix64 (Steele, Lea, Flood 2014): the one source of randomness; a pure function of the seed. */
static inline uint64_t leat_mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15ull;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return z ^ (z >> 31);
}

/* ---- guesses (base/guess.c): the closest of the names that were looked at, for "did you mean". Zeroed at first; any thread. ---- */
struct leat_guess {
	const char *name;        /* NULL: none is near; borrowed */
	size_t distance;
	char hint[96];
};
void leat_guess(struct leat_guess *guess, struct leat_bytes wanted, const char *name);
/* "; did you mean 'x'?" or "", in @guess. */
const char *leat_guess_hint(struct leat_guess *guess);

/* ---- clock (base/clock.c): time is a parameter. NULL means the real clocks. ---- */
struct leat_clock {
	int64_t (*wall_ms)(void *self);      /* unix time, milliseconds */
	int64_t (*mono_us)(void *self);      /* monotonic, microseconds */
	void *self;
};
int64_t leat_clock_wall_ms(const struct leat_clock *clock);
int64_t leat_clock_mono_us(const struct leat_clock *clock);

/*
 * ---- crash points (base/crash.c) ----
 * leat_crashpoint("commit.before_end") ends the process with status 137 as kill -9 would when the environment says
 * LEAT_CRASH=name:n and this is the n-th hit of that name; LEAT_CRASH_STOP=name:n only stops it, until SIGCONT. LEAT_CRASH_LOG=file appends each name at its first hit,
 * so that the tests can show that every named point was reached. Costs one predictable branch when unset.
 */
extern bool leat_crash_armed;
void leat_crash_hit(const char *name);
#define leat_crashpoint(name)                                                          \
	do {                                                                           \
		if (LEAT_UNLIKELY(leat_crash_armed))                                   \
			leat_crash_hit(name);                                          \
	} while (0)

/* ---- log (base/log.c): one line to stderr, "leat: <level>: <text>"; thread-safe ---- */
enum leat_level { LEAT_ERROR, LEAT_WARNING, LEAT_INFO, LEAT_DEBUG };
extern enum leat_level leat_log_level;
void leat_log(enum leat_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At most one line per @every_ms for each @key (any stable pointer); the next line says how many were left out. */
void leat_log_seldom(enum leat_level level, const void *key, int64_t every_ms, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
