/* Crash points: end the process at a named place as kill -9 would, for the tests of exactly once. */
#include "base/base.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAMES_MAX = 128 };

bool leat_crash_armed;
static const char *log_path;
static const char *seen[NAMES_MAX];
static struct target {
	const char *variable;
	int signal;
	char name[64];
	long hit, hits;
} targets[] = { { .variable = "LEAT_CRASH", .signal = SIGKILL }, { .variable = "LEAT_CRASH_STOP", .signal = SIGSTOP } };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void read_target(struct target *target)
{
	const char *spec = getenv(target->variable);
	const char *colon = spec ? strrchr(spec, ':') : NULL;
	if (!colon || (size_t)(colon - spec) >= sizeof target->name)
		return;
	memcpy(target->name, spec, (size_t)(colon - spec));
	target->hit = strtol(colon + 1, NULL, 10);
}

__attribute__((constructor)) static void arm(void)
{
	log_path = getenv("LEAT_CRASH_LOG");
	leat_crash_armed = log_path != NULL;
	for (size_t i = 0; i < LEAT_COUNT_OF(targets); i++) {
		read_target(&targets[i]);
		leat_crash_armed |= targets[i].hit > 0;
	}
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
	for (size_t i = 0; i < LEAT_COUNT_OF(targets); i++)
		if (targets[i].hit > 0 && strcmp(name, targets[i].name) == 0 && ++targets[i].hits == targets[i].hit)
			kill(getpid(), targets[i].signal);
	pthread_mutex_unlock(&lock);
}
