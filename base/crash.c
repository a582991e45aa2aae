/* Crash points: end the process at a named place as kill -9 would, for the tests of exactly once. */
#include "base/base.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAMES_MAX = 128 };

bool leat_crash_armed;
static char target[64];
static long target_hit;
static int target_signal = SIGKILL;
static const char *log_path;
static const char *seen[NAMES_MAX];
static long hits;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void arm(void)
{
	const char *spec = getenv("LEAT_CRASH");
	const char *colon = spec ? strrchr(spec, ':') : NULL;
	if (colon && (size_t)(colon - spec) < sizeof target) {
		memcpy(target, spec, (size_t)(colon - spec));
		target_hit = strtol(colon + 1, NULL, 10);
	}
	if (getenv("LEAT_CRASH_STOPS"))
		target_signal = SIGSTOP;
	log_path = getenv("LEAT_CRASH_LOG");
	leat_crash_armed = target_hit > 0 || log_path;
}

static void note_first_hit(const char *name)
{
	size_t i = 0;
	while (i < NAMES_MAX && seen[i] && strcmp(seen[i], name) != 0)
		i++;
	if (i == NAMES_MAX || seen[i])
		return;
	seen[i] = name;
	int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	dprintf(fd, "%s\n", name);
	close(fd);
}

void leat_crash_hit(const char *name)
{
	pthread_mutex_lock(&lock);
	if (log_path)
		note_first_hit(name);
	if (target_hit > 0 && strcmp(name, target) == 0 && ++hits == target_hit)
		kill(getpid(), target_signal);
	pthread_mutex_unlock(&lock);
}
