/*
 * leat.h - the engine inside a program of your own: open a pipeline, run it, look at it, stop it. One object per application; several may live in one process.
 * Functions may be called from any thread, but for one object not at the same time, except leat_stop() and leat_look(). Errors are negative codes of error.h with a text in @fault.
 */
#ifndef LEAT_H
#define LEAT_H

#include "base/error.h"

#include <stdint.h>
#include <stdio.h>

#define LEAT_VERSION "0.1.0"

struct leat;

struct leat_config {
	const char *pipeline;                /* path of the pipeline file                                                            */
	const char *const *overrides;        /* "sinks.decisions.topic=x", NULL-terminated; may be NULL                              */
	const char *brokers;                 /* host:port,...: Kafka. NULL: the file's `kafka: brokers`, unless @embedded is given   */
	const char *embedded;                /* folder: topics and state there, no Kafka                                             */
	const char *state_dir;               /* Kafka: folder for local state; NULL: $LEAT_STATE, else ~/.local/state/leat            */
	const char *instance;                /* name of this instance; NULL: the first free <host>-N                                 */
	bool accept_state_loss;              /* go on when the changelog is behind the state                                         */
	bool until_end;                      /* stop by itself when every input has been read to its end                             */
};

struct leat_look {
	uint64_t events, outputs, bad, commits, aborts;
	uint64_t tasks_running, tasks_opening, tasks_failed, tasks;
	int64_t lag_events, lag_ms;          /* not yet processed; age of the newest processed                                       */
	int64_t p50_ms, p99_ms;              /* record's timestamp → committed, since the last look, of records not older than their task's start here; -1: there was none */
	uint64_t memory;                     /* resident bytes of the process                                                        */
	bool at_end;                         /* every input has been read to its end                                                 */
};

/* Checks the pipeline whole, connects, makes the topics it owns, takes the instance's folder. Nothing runs yet. LEAT_ECONFIG: something the caller or a file says is wrong. */
int leat_open(struct leat **out, const struct leat_config *config, struct leat_fault *fault);
/*
 * Starts the workers. While they run, those of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT that have no handler get one: it notes in a file beside the state which operator died on what,
 * and then lets the signal do what it does without it. A program that wants handlers of its own sets them before, and they stay; then such deaths do not count towards setting an event aside.
 */
int leat_start(struct leat *leat, struct leat_fault *fault);
/* Asks the workers to stop; returns at once. Safe in a signal handler's deferred part, not in the handler. */
void leat_stop(struct leat *leat);
/* Waits until the workers have ended or @timeout_ms has passed: 1 ended, 0 not yet; negative: why a worker failed. */
int leat_wait(struct leat *leat, int64_t timeout_ms, struct leat_fault *fault);
void leat_look(struct leat *leat, struct leat_look *look);
/* The value of a counter of operator @id ("scored"), summed over tasks, as of the last look of the workers; -1: there is none. */
int64_t leat_counter(struct leat *leat, const char *id, const char *counter);
/* Table of cost per operator: events, batches, ns per event, share. */
void leat_profile(struct leat *leat, FILE *out);
const char *leat_name(const struct leat *leat);
const char *leat_instance(const struct leat *leat);
/* Stops, waits, frees. Accepts NULL. */
void leat_close(struct leat *leat);

#endif
