/*
 * Reference tables: the newest record per key of a compacted topic, or a history of records by key and time, or inline rows, in memory, the same in every task. Read to the end before the first
 * event; afterwards kept up to date by leat_reference_poll, which one thread calls while all workers are between batches (leat_application does this).
 */
#ifndef LEAT_REFERENCE_H
#define LEAT_REFERENCE_H

#include "stream/operator.h"
#include "stream/transport.h"

struct leat_reference_spec;
struct leat_registry;
/* Inline rows are loaded at once. LEAT_ECONFIG for a row that is not right. */
int leat_reference_open(struct leat_reference **out, const struct leat_reference_spec *spec, struct leat_fault *fault);
void leat_reference_close(struct leat_reference *reference);
/* Reads the topic to its end (all partitions). LEAT_ERETRY: the broker or the schema registry does not answer; call again later. */
int leat_reference_load(struct leat_reference *reference, struct leat_transport *transport, struct leat_registry *registry, struct leat_fault *fault);
/* Applies what has come since, without waiting; 1 when something changed. Bad records are told in the log and skipped. */
int leat_reference_poll(struct leat_reference *reference, struct leat_fault *fault);

#endif
