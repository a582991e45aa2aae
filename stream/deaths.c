/* Deaths of operators: noted by the handler of the signal, counted and told at the next start. */
#include "stream/deaths.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { MAGIC = 0x1ea7dead, KEPT_MAX = 256, STACK = 64 << 10 };

struct death {
	uint32_t magic;
	int32_t task, signal;
	uint32_t rows;                  /* of the batch; 0: none, it was in a timer */
	uint32_t inputs, input;         /* rows is 1: which of them the event is of */
	uint32_t told, unused;          /* the log has it; 0 in the file */
	int64_t offset;                 /* rows is 1: of the event */
	char node[128];
	struct { char topic[256]; int64_t until; } at[LEAT_SOURCES_MAX];   /* the inputs, by name, and where the task stood behind the batch */
};
_Static_assert(sizeof(struct death) == 40 + 128 + LEAT_SOURCES_MAX * 264, "stored");

struct leat_deaths {
	char *path;
	pthread_mutex_t lock;
	struct death *list;             /* oldest first */
	size_t count;
};

/* A watched thread's: the handler allocates nothing, and a stack that has run out is none to stand on. */
struct watch {
	struct leat_deaths *deaths;
	struct death death;
	bool stands;                    /* @stack is the thread's */
	_Alignas(16) char stack[STACK];
};

_Thread_local const struct leat_node_run *volatile leat_deaths_inside;
static _Thread_local struct watch *watching __attribute__((tls_model("initial-exec")));
static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
static pthread_mutex_t watchers_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t watchers;

/* ---- in the handler: nothing but what may be called there ---- */

static void copy_name(char *to, size_t size, const char *name)
{
	size_t length = strlen(name);
	memcpy(to, name, LEAT_MIN(length, size - 1));
}

static void describe(struct death *death, const struct leat_node_run *node, int number)
{
	const struct leat_lane *lane = node->lane;
	const struct leat_stream_run *batch = lane->running;
	memset(death, 0, sizeof *death);
	death->magic = MAGIC;
	death->task = lane->task;
	death->signal = number;
	copy_name(death->node, sizeof death->node, node->node->id);
	death->inputs = (uint32_t)lane->pipeline->source_count;
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		copy_name(death->at[i].topic, sizeof death->at[i].topic, lane->pipeline->sources[i].topic);
		death->at[i].until = lane->intakes[i].next_offset;
	}
	if (!batch)
		return;
	death->rows = (uint32_t)batch->rows;
	death->input = batch->source[0];
	death->offset = batch->record[0]->offset;
}

static void note(struct watch *watch, const struct leat_node_run *node, int number)
{
	describe(&watch->death, node, number);
	int fd = open(watch->deaths->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	ssize_t written = write(fd, &watch->death, sizeof watch->death);
	(void)written;   /* of a part of it the next start makes nothing */
	close(fd);
}

static void on_signal(int number, siginfo_t *about, void *context)
{
	int kept = errno;
	const struct leat_node_run *node = leat_deaths_inside;
	bool met = about->si_code > 0;   /* by an instruction, which meets it again when this returns */
	(void)context;
	leat_deaths_inside = NULL;
	if (node && watching && (met || about->si_pid == getpid()))
		note(watching, node, number);
	signal(number, SIG_DFL);
	if (!met)
		raise(number);
	errno = kept;
}

/* ---- watching ---- */

/* Whoever has a handler, a sanitizer for one, keeps it. */
static void set_handlers(void)
{
	struct sigaction ours = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK }, now;
	sigemptyset(&ours.sa_mask);
	for (size_t i = 0; i < LEAT_COUNT_OF(signals); i++)
		sigaddset(&ours.sa_mask, signals[i]);
	for (size_t i = 0; i < LEAT_COUNT_OF(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
			sigaction(signals[i], &ours, NULL);
}

static void take_handlers_back(void)
{
	struct sigaction now;
	for (size_t i = 0; i < LEAT_COUNT_OF(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_signal)
			signal(signals[i], SIG_DFL);
}

static void count_watcher(bool more)
{
	pthread_mutex_lock(&watchers_lock);
	if (more && watchers++ == 0)
		set_handlers();
	else if (!more && --watchers == 0)
		take_handlers_back();
	pthread_mutex_unlock(&watchers_lock);
}

void leat_deaths_watch(struct leat_deaths *deaths)
{
	struct watch *watch = deaths ? leat_calloc(1, sizeof *watch) : NULL;
	stack_t now, stack;
	if (!watch)
		return;
	watch->deaths = deaths;
	stack = (stack_t){ .ss_sp = watch->stack, .ss_size = sizeof watch->stack };
	if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE))
		watch->stands = sigaltstack(&stack, NULL) == 0;
	watching = watch;
	count_watcher(true);
}

void leat_deaths_unwatch(void)
{
	struct watch *watch = watching;
	stack_t none = { .ss_flags = SS_DISABLE };
	if (!watch)
		return;
	count_watcher(false);
	watching = NULL;
	if (watch->stands)
		sigaltstack(&none, NULL);
	leat_free(watch);
}

/* ---- which deaths are of which event ---- */

static bool same_operator(const struct death *a, const struct death *b)
{
	return a->task == b->task && strcmp(a->node, b->node) == 0;
}

static bool same_event(const struct death *a, const struct death *b)
{
	return a->rows == 1 && b->rows == 1 && same_operator(a, b) && a->offset == b->offset && strcmp(a->at[a->input].topic, b->at[b->input].topic) == 0;
}

/* Was the event that @later names among those that @earlier had? */
static bool covers(const struct death *earlier, const struct death *later)
{
	for (uint32_t i = 0; earlier->rows > 1 && later->rows == 1 && same_operator(earlier, later) && i < earlier->inputs; i++)
		if (strcmp(earlier->at[i].topic, later->at[later->input].topic) == 0)
			return later->offset < earlier->at[i].until;
	return false;
}

/* A death on many events is one of those on the event among them that the operator died on next, and counts for no other. */
static void lay_to_events(struct leat_deaths *deaths)
{
	for (size_t later = 1; later < deaths->count; later++)
		for (size_t i = 0; i < later; i++) {
			struct death *death = &deaths->list[i];
			const struct death *named = &deaths->list[later];
			if (!covers(death, named))
				continue;
			for (uint32_t k = 0; k < death->inputs; k++)
				if (strcmp(death->at[k].topic, named->at[named->input].topic) == 0)
					death->input = k;
			death->offset = named->offset;
			death->rows = 1;
		}
}

static size_t count_event(const struct leat_deaths *deaths, const struct death *death)
{
	size_t count = 0;
	for (size_t i = 0; i < deaths->count; i++)
		count += same_event(&deaths->list[i], death);
	return count;
}

/* ---- the file ---- */

static bool well_formed(struct death *death)
{
	bool good = death->magic == MAGIC && death->inputs <= LEAT_SOURCES_MAX && (death->rows == 0 || death->input < death->inputs) && memchr(death->node, 0, sizeof death->node) && sigabbrev_np(death->signal);
	for (uint32_t i = 0; good && i < death->inputs; i++)
		good = memchr(death->at[i].topic, 0, sizeof death->at[i].topic);
	death->told = 0;
	return good;
}

static int write_list(const struct leat_deaths *deaths, const char *path)
{
	FILE *out = fopen(path, "we");
	bool written = out;
	for (size_t i = 0; written && i < deaths->count; i++) {
		struct death death = deaths->list[i];
		death.told = 0;
		written = fwrite(&death, sizeof death, 1, out) == 1;
	}
	if (out && fclose(out) != 0)
		written = false;
	return written ? 0 : LEAT_EIO;
}

static void rewrite(const struct leat_deaths *deaths)
{
	char *next = deaths->count ? leat_printf("%s.new", deaths->path) : NULL;
	bool done = deaths->count ? next && write_list(deaths, next) == 0 && rename(next, deaths->path) == 0 : unlink(deaths->path) == 0 || errno == ENOENT;
	if (!done)
		leat_log(LEAT_WARNING, "%s cannot be written: deaths of operators may be counted that are over", deaths->path);
	leat_free(next);
}

static int take_list(struct leat_deaths *deaths, const struct leat_buffer *file)
{
	size_t there = file->length / sizeof(struct death), from = there > KEPT_MAX ? there - KEPT_MAX : 0;
	if (there == 0)
		return 0;
	deaths->list = leat_calloc(there - from, sizeof *deaths->list);
	if (!deaths->list)
		return LEAT_ENOMEM;
	for (size_t i = from; i < there; i++) {
		struct death *death = &deaths->list[deaths->count];
		memcpy(death, file->data + i * sizeof *death, sizeof *death);
		deaths->count += well_formed(death);
	}
	lay_to_events(deaths);
	return 0;
}

static int read_file(struct leat_deaths *deaths)
{
	struct leat_buffer file = { 0 };
	struct leat_fault own = { 0 };
	if (access(deaths->path, F_OK) < 0 && errno == ENOENT)
		return 0;
	int rc = leat_file_read(deaths->path, 2 * KEPT_MAX * sizeof(struct death), false, &file, &own);
	if (rc >= 0)
		rc = take_list(deaths, &file);
	if (rc != LEAT_ENOMEM && (rc < 0 || deaths->count * sizeof(struct death) != file.length)) {
		leat_log(LEAT_WARNING, "%s is damaged: %zu deaths of operators can be read in it", deaths->path, deaths->count);
		rewrite(deaths);
	}
	leat_buffer_free(&file);
	return rc == LEAT_ENOMEM ? rc : 0;
}

int leat_deaths_open(struct leat_deaths **out, const char *path, struct leat_fault *fault)
{
	struct leat_deaths *deaths = leat_calloc(1, sizeof *deaths);
	*out = NULL;
	if (!deaths)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	pthread_mutex_init(&deaths->lock, NULL);
	deaths->path = leat_strdup(path);
	if (!deaths->path || read_file(deaths) < 0) {
		leat_deaths_close(deaths);
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	}
	*out = deaths;
	return 0;
}

void leat_deaths_close(struct leat_deaths *deaths)
{
	if (!deaths)
		return;
	pthread_mutex_destroy(&deaths->lock);
	leat_free(deaths->path);
	leat_free(deaths->list);
	leat_free(deaths);
}

/* ---- a task's ---- */

/* Where the task stands on an input; INT64_MAX when the pipeline reads it no more. */
static int64_t position(const struct leat_lane *lane, const char *topic)
{
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		if (strcmp(lane->pipeline->sources[i].topic, topic) == 0)
			return lane->intakes[i].committed_offset;
	return INT64_MAX;
}

static bool has_operator(const struct leat_pipeline *pipeline, const char *id)
{
	for (size_t i = 0; i < pipeline->node_count; i++)
		if (strcmp(pipeline->nodes[i].id, id) == 0)
			return true;
	return false;
}

/* Is it over? One in a timer is when it has been told: there is no event to wait for. */
static bool is_over(const struct leat_lane *lane, const struct death *death)
{
	if (!has_operator(lane->pipeline, death->node))
		return true;
	if (death->rows == 0)
		return death->told;
	if (death->rows == 1)
		return position(lane, death->at[death->input].topic) > death->offset;
	for (uint32_t i = 0; i < death->inputs; i++)
		if (position(lane, death->at[i].topic) < death->at[i].until)
			return false;
	return true;
}

static void drop_what_is_over(struct leat_deaths *deaths, struct leat_lane *lane)
{
	size_t kept = 0, before = deaths->count;
	lane->haunted = false;
	for (size_t i = 0; i < before; i++) {
		const struct death *death = &deaths->list[i];
		bool ours = death->task == lane->task;
		if (ours && is_over(lane, death))
			continue;
		lane->haunted |= ours;
		if (kept != i)
			deaths->list[kept] = *death;
		kept++;
	}
	deaths->count = kept;
	if (kept < before)
		rewrite(deaths);
}

static void tell_event(const struct leat_deaths *deaths, const struct death *death)
{
	size_t count = count_event(deaths, death);
	char then[1200] = "";
	if (count >= LEAT_DEATHS_MOST)
		snprintf(then, sizeof then, ". It is kept from the operator now and set aside as operator_crash, by on_bad; to have it tried again instead, delete %s before a start", deaths->path);
	leat_log(LEAT_WARNING, "task %d: operator '%s' died of SIG%s on the event of %s[%d] at offset %lld, death %zu of %d%s", (int)death->task, death->node, sigabbrev_np(death->signal),
		 death->at[death->input].topic, (int)death->task, (long long)death->offset, count, LEAT_DEATHS_MOST, then);
}

static void tell(const struct leat_deaths *deaths, const struct death *death)
{
	if (death->rows == 1)
		tell_event(deaths, death);
	else if (death->rows > 1)
		leat_log(LEAT_WARNING, "task %d: operator '%s' died of SIG%s on one of %u events, death 1 of %d: they are done one by one, so that the next death names its event", (int)death->task, death->node,
			 sigabbrev_np(death->signal), death->rows, LEAT_DEATHS_MOST);
	else
		leat_log(LEAT_WARNING, "task %d: operator '%s' died of SIG%s in a timer: no event is to blame, so nothing can be set aside, and the timer fires again", (int)death->task, death->node,
			 sigabbrev_np(death->signal));
}

/* Once for all deaths on one event. */
static void tell_all(struct leat_deaths *deaths, int32_t task)
{
	for (size_t i = 0; i < deaths->count; i++) {
		struct death *death = &deaths->list[i];
		bool again = death->told || death->task != task;
		for (size_t later = i + 1; !again && later < deaths->count; later++)
			again = same_event(death, &deaths->list[later]);
		if (!again)
			tell(deaths, death);
		death->told |= death->task == task;
	}
}

static void suspect(struct leat_lane *lane, const struct death *death)
{
	for (size_t i = 0; lane->suspects && i < lane->pipeline->source_count; i++)
		for (uint32_t k = 0; k < death->inputs; k++)
			if (strcmp(lane->pipeline->sources[i].topic, death->at[k].topic) == 0)
				lane->suspects->until[i] = LEAT_MAX(lane->suspects->until[i], death->at[k].until);
}

void leat_deaths_recall(struct leat_lane *lane)
{
	struct leat_deaths *deaths = lane->engine->deaths;
	if (!deaths)
		return;
	pthread_mutex_lock(&deaths->lock);
	drop_what_is_over(deaths, lane);
	tell_all(deaths, lane->task);
	drop_what_is_over(deaths, lane);
	for (size_t i = 0; i < deaths->count; i++)
		if (deaths->list[i].task == lane->task)
			suspect(lane, &deaths->list[i]);
	pthread_mutex_unlock(&deaths->lock);
}

void leat_deaths_settle(struct leat_lane *lane)
{
	struct leat_deaths *deaths = lane->engine->deaths;
	pthread_mutex_lock(&deaths->lock);
	drop_what_is_over(deaths, lane);
	pthread_mutex_unlock(&deaths->lock);
}

static bool refuses(const struct leat_deaths *deaths, const struct leat_lane *lane, const struct leat_node *node, const char *topic, int64_t offset)
{
	for (size_t i = 0; i < deaths->count; i++) {
		const struct death *death = &deaths->list[i];
		bool is = death->task == lane->task && death->rows == 1 && death->offset == offset && strcmp(death->at[death->input].topic, topic) == 0;
		if (is && (!node || strcmp(death->node, node->id) == 0) && count_event(deaths, death) >= LEAT_DEATHS_MOST)
			return true;
	}
	return false;
}

bool leat_deaths_refuse(const struct leat_lane *lane, const struct leat_node *node, size_t source, int64_t offset)
{
	struct leat_deaths *deaths = lane->engine->deaths;
	if (!lane->haunted)
		return false;
	pthread_mutex_lock(&deaths->lock);
	bool is = refuses(deaths, lane, node, lane->pipeline->sources[source].topic, offset);
	pthread_mutex_unlock(&deaths->lock);
	return is;
}
