/*
 * Harness for operator tests: given an operator, when these events come, then exactly these rows leave it.
 *
 * A scenario is data. leat_scenario() runs the whole engine (decode, batches, tables, commit, embedded transport, virtual clock) once plainly and then again by itself:
 * with every batch size 1..events, killed and restored after each event, with tables evicted to disk between batches, and with the n-th allocation failing until none fails.
 * Every run must give the same lines.
 */
#ifndef LEAT_HARNESS_H
#define LEAT_HARNESS_H

struct leat_scenario {
	const char *use;             /* operator name                                                                                   */
	const char *with;            /* its options as YAML flow text, e.g. "{ window: 1s }"; NULL: none                               */
	/* Input fields, "name:type" separated by spaces; types: bool int double float string enum(A,B,..) strings floats; a trailing ? makes one nullable. */
	const char *fields;
	const char *time;            /* the field that is the event time (ms); NULL: the record's timestamp, which is 0, 1, 2, ...       */
	const char *id;              /* the field that is the event id; NULL: origin                                                    */
	const char *key;             /* the field whose text becomes the message key; NULL: key "k" for every event                     */
	const char *lateness;        /* e.g. "5s"; NULL: 0                                                                              */
	const char *tables;          /* YAML flow for `tables:` with inline rows: "{ ads: { key: ad_id, fields: \"ad_id:string bid:double\", rows: [ '{\"ad_id\":\"a\",\"bid\":1}' ] } }"; NULL: none */
	const char *before;          /* YAML list items of operators put before it, e.g. "[{ id: m, use: map, with: {...} }]", chained in order; NULL: none */
	const char *const *when;     /* events, JSON objects, NULL-terminated                                                            */
	const char *show;            /* columns to print for each row that leaves, separated by spaces                                    */
	/* One line per row that leaves any output, in order: "<output>: <value> <value> ...\n"; then one per rejected row, in order: "rejected: <reason>\n". Numbers %.6g, null as "null", lists as [a,b]. A column that an output does not have is left out. */
	const char *then;
	unsigned without;            /* LEAT_SCENARIO_* reruns that cannot hold for it (say why in the test)                             */
};
enum { LEAT_SCENARIO_RESTORE = 1 /* e.g. local tables are lost */, LEAT_SCENARIO_ALLOCATIONS = 2 };

/* Fails the running cmocka test with both texts when they differ. */
void leat_scenario(const struct leat_scenario *scenario);
/* Checks that the pipeline check refuses these options with a message that contains @text. */
void leat_scenario_refused(const char *use, const char *with, const char *fields, const char *text);

#endif
