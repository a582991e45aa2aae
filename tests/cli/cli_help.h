/* What the tests of verbs share: a folder of their own, a verb run with arguments and its standard output, a topic read or written. */
#ifndef LEAT_CLI_HELP_H
#define LEAT_CLI_HELP_H

#include "cli/cli.h"
#include "state/store.h"
#include "stream/transport.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HELP_ARGUMENTS = 32, HELP_OUTPUT = 4 << 20 };

struct fixture {
	char folder[64], path[96];       /* path: for a file in it */
	struct leat_storage *storage;
	struct leat_transport *transport;
	char *out;                       /* of the last verb */
};

static inline int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	snprintf(fixture->folder, sizeof fixture->folder, "/tmp/leat-cli-XXXXXX");
	fixture->out = calloc(1, HELP_OUTPUT);
	*state = fixture;
	return mkdtemp(fixture->folder) && fixture->out ? 0 : -1;
}

static inline void close_topics(struct fixture *fixture)
{
	leat_tool_close(fixture->transport, fixture->storage);
	fixture->transport = NULL;
	fixture->storage = NULL;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	close_topics(fixture);
	nftw(fixture->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(fixture->out);
	free(fixture);
	return 0;
}

/* Runs @verb in this process with the words of @line, standard output into fixture->out, standard error too if @errors. The status. */
static inline int run_line(struct fixture *fixture, const struct leat_verb *verb, bool errors, const char *line)
{
	char text[1024], *rest = text, *word, *arguments[HELP_ARGUMENTS];
	int count = 0;
	snprintf(text, sizeof text, "%s", line);
	while ((word = strsep(&rest, " ")))
		if (*word && count < HELP_ARGUMENTS)
			arguments[count++] = word;
	FILE *file = tmpfile();
	assert_non_null(file);
	fflush(stdout);
	fflush(stderr);
	int saved_out = dup(1), saved_errors = dup(2);
	dup2(fileno(file), 1);
	if (errors)
		dup2(fileno(file), 2);
	int status = verb->run(count, arguments);
	fflush(stdout);
	fflush(stderr);
	dup2(saved_out, 1);
	dup2(saved_errors, 2);
	close(saved_out);
	close(saved_errors);
	rewind(file);
	fixture->out[fread(fixture->out, 1, HELP_OUTPUT - 1, file)] = '\0';
	fclose(file);
	return status;
}

/* The same with "--embedded FOLDER" put after @line. */
static inline int run_verb(struct fixture *fixture, const struct leat_verb *verb, const char *line)
{
	char text[1024];
	snprintf(text, sizeof text, "%s --embedded %s", line, fixture->folder);
	return run_line(fixture, verb, true, text);
}

static inline void open_topics(struct fixture *fixture)
{
	if (!fixture->transport)
		assert_int_equal(leat_tool_transport(&leat_verb_generate, &(struct leat_tool_where){ .embedded = fixture->folder }, &fixture->storage, &fixture->transport), 0);
}

static inline const char *write_file(struct fixture *fixture, const char *name, const char *text)
{
	snprintf(fixture->path, sizeof fixture->path, "%s.%s", fixture->folder, name);
	FILE *file = fopen(fixture->path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return fixture->path;
}

static inline void send_record(struct fixture *fixture, const char *topic, int32_t partition, const struct leat_record *record)
{
	const struct leat_session_config config = { .worker = -1, .tasks = 1, .memory = 1 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	open_topics(fixture);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	assert_true(leat_tool_topic(fixture->transport, topic, 2, false, &fault) >= 0);
	assert_int_equal(ops->session_open(fixture->transport, &config, &session, &fault), 0);
	assert_int_equal(ops->session_send(session, topic, partition, record, 0, &fault), 0);
	ops->session_close(session, true);
}

/* Calls @each for all records of @topic, partition by partition. How many. */
static inline size_t read_topic(struct fixture *fixture, const char *topic, void (*each)(void *self, int32_t partition, const struct leat_record *record), void *self)
{
	struct leat_fault fault = { 0 };
	int32_t partitions;
	size_t all = 0;
	open_topics(fixture);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	assert_int_equal(ops->partitions(fixture->transport, topic, &partitions, &fault), 0);
	for (int32_t i = 0; i < partitions; i++) {
		struct leat_reader *reader;
		bool at_end = false;
		int64_t position;
		assert_int_equal(ops->reader_open(fixture->transport, topic, i, -1, &reader, &fault), 0);
		while (!at_end) {
			const struct leat_record *records;
			long count = ops->reader_next(reader, &records, 500, 0, &at_end, &position, &fault);
			assert_true(count >= 0);
			for (long k = 0; k < count; k++)
				each(self, i, &records[k]);
			all += (size_t)count;
		}
		ops->reader_close(reader);
	}
	return all;
}

#endif
