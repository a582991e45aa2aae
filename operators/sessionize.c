/* sessionize - puts events of a key that follow one another without a long pause into sessions, and says what each session was when it is over. */
#include "operators/model/random.h"
#include "operators/model/values.h"
#include "stream/operator.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MAX 4              /* sessions of a key that wait for their end at the same time */
#define ID_LENGTH 16            /* hexadecimal digits                                          */
#define NUMBER_LENGTH 21        /* of an int64, with a NUL                                     */

enum { OPEN };
enum { EVENTS, SESSIONS };
enum { OPENED, CLOSED, LATE, CROWDED };
enum { SESSION_ID, SESSION_START, SESSION_EVENTS };
enum { KEY, ID, START, END, DURATION, COUNT, CLOSED_BY };
enum why { BY_GAP, BY_LENGTH, BY_EVENTS, BY_LATENESS, BY_CROWD };

struct session {
	uint64_t id;
	int64_t start_ms, last_ms;
	int64_t events;                 /* 0: the place is free */
};
/* The entry. The timer is never later than the earliest end; it may be earlier, then it only looks and is set again. */
struct sessions {
	int64_t armed, armed_ms;
	struct session open[OPEN_MAX];
};
struct sessionize {
	struct leat_field_ref key;
	int64_t gap_ms, max_length_ms, max_events;
};

/* ---- arithmetic ---- */

static int64_t plus(int64_t time_ms, int64_t span_ms)
{
	int64_t sum;
	return __builtin_add_overflow(time_ms, span_ms, &sum) ? INT64_MAX : sum;
}

static uint64_t span(int64_t from_ms, int64_t to_ms)
{
	return (uint64_t)to_ms - (uint64_t)from_ms;
}

/* How far the time lies outside of the session. */
static uint64_t distance(const struct session *session, int64_t at_ms)
{
	if (at_ms < session->start_ms)
		return span(at_ms, session->start_ms);
	return at_ms > session->last_ms ? span(session->last_ms, at_ms) : 0;
}

static bool is_too_long(const struct sessionize *sessionize, const struct session *session, int64_t at_ms)
{
	int64_t start_ms = at_ms < session->start_ms ? at_ms : session->start_ms, last_ms = at_ms > session->last_ms ? at_ms : session->last_ms;
	return sessionize->max_length_ms && span(start_ms, last_ms) > (uint64_t)sessionize->max_length_ms;
}

/* The nearest session within the gap, or -1. An older event does not end a session by making it too long: it stays outside. */
static int find(const struct sessionize *sessionize, const struct sessions *sessions, int64_t at_ms)
{
	uint64_t nearest = (uint64_t)sessionize->gap_ms;
	int found = -1;
	for (int i = 0; i < OPEN_MAX; i++) {
		const struct session *session = &sessions->open[i];
		uint64_t away = distance(session, at_ms);
		bool outside = session->events == 0 || (at_ms < session->start_ms && is_too_long(sessionize, session, at_ms));
		bool nearer = away < nearest || (found >= 0 && away == nearest && session->start_ms < sessions->open[found].start_ms);
		if (!outside && nearer) {
			nearest = away;
			found = i;
		}
	}
	return found;
}

/* The open session that began first to be silent, or -1. */
static int oldest(const struct sessions *sessions)
{
	int found = -1;
	for (int i = 0; i < OPEN_MAX; i++)
		if (sessions->open[i].events > 0 && (found < 0 || sessions->open[i].last_ms < sessions->open[found].last_ms))
			found = i;
	return found;
}

static int free_place(const struct sessions *sessions)
{
	for (int i = 0; i < OPEN_MAX; i++)
		if (sessions->open[i].events == 0)
			return i;
	return -1;
}

/* ---- keys and ids ---- */

/* As in the table: a number's eight bytes, else the text. */
static struct leat_bytes key_of(const struct sessionize *sessionize, const struct leat_batch *in, size_t row)
{
	if (sessionize->key.slot < 0)
		return in->key[row];
	const struct leat_column *column = &in->columns[sessionize->key.slot];
	return column->type == LEAT_INT ? (struct leat_bytes){ (const uint8_t *)&column->ints[row], sizeof column->ints[row] } : column->bytes[row];
}

static int write_id(struct leat_task *task, uint64_t id, struct leat_bytes *out)
{
	uint8_t *text = leat_scratch(task, ID_LENGTH);
	if (!text)
		return LEAT_ENOMEM;
	for (int i = ID_LENGTH - 1; i >= 0; i--, id >>= 4)
		text[i] = (uint8_t)"0123456789abcdef"[id & 15];
	*out = (struct leat_bytes){ text, ID_LENGTH };
	return 0;
}

static int write_key(struct leat_task *task, const struct sessionize *sessionize, struct leat_bytes key, struct leat_bytes *out)
{
	bool number = sessionize->key.slot >= 0 && sessionize->key.field->type == LEAT_INT;
	size_t room = number ? NUMBER_LENGTH : (size_t)key.length + 1;
	char *text = leat_scratch(task, room);
	int64_t value;
	if (!text)
		return LEAT_ENOMEM;
	if (number) {
		memcpy(&value, key.data, sizeof value);
		*out = (struct leat_bytes){ (const uint8_t *)text, (uint32_t)snprintf(text, room, "%" PRId64, value) };
		return 0;
	}
	if (key.length)
		memcpy(text, key.data, key.length);
	*out = (struct leat_bytes){ (const uint8_t *)text, key.length };
	return 0;
}

/* ---- a session is over ---- */

static void set_int(struct leat_column *column, size_t row, int64_t value)
{
	column->ints[row] = value;
	column->null[row] = 0;
}

static void set_text(struct leat_column *column, size_t row, struct leat_bytes text)
{
	column->bytes[row] = text;
	column->null[row] = 0;
}

/* @time_ms: when it was known to be over. */
static int report(struct leat_task *task, const struct sessionize *sessionize, const struct session *session, struct leat_bytes key, long parent, int64_t time_ms, enum why why)
{
	static const char *const words[] = { [BY_GAP] = "gap", [BY_LENGTH] = "max_length", [BY_EVENTS] = "max_events", [BY_LATENESS] = "late", [BY_CROWD] = "crowded" };
	struct leat_bytes id, text;
	size_t row;
	LEAT_TRY(write_id(task, session->id, &id));
	LEAT_TRY(write_key(task, sessionize, key, &text));
	LEAT_TRY(leat_emit(task, SESSIONS, parent, time_ms, text, &row));
	if (leat_values_is_utf8(text))
		set_text(leat_emitted(task, SESSIONS, KEY), row, text);
	set_text(leat_emitted(task, SESSIONS, ID), row, id);
	set_int(leat_emitted(task, SESSIONS, START), row, session->start_ms);
	set_int(leat_emitted(task, SESSIONS, END), row, session->last_ms);
	set_int(leat_emitted(task, SESSIONS, DURATION), row, (int64_t)span(session->start_ms, session->last_ms));
	set_int(leat_emitted(task, SESSIONS, COUNT), row, session->events);
	set_text(leat_emitted(task, SESSIONS, CLOSED_BY), row, (struct leat_bytes){ (const uint8_t *)words[why], (uint32_t)strlen(words[why]) });
	leat_count(task, CLOSED, 1);
	return 0;
}

/* ---- events ---- */

static int show(struct leat_task *task, const struct session *session, size_t row)
{
	struct leat_bytes id;
	LEAT_TRY(write_id(task, session->id, &id));
	set_text(leat_added(task, SESSION_ID), row, id);
	set_int(leat_added(task, SESSION_START), row, session->start_ms);
	set_int(leat_added(task, SESSION_EVENTS), row, session->events);
	leat_pass(task, EVENTS, row);
	return 0;
}

static struct session new_session(struct leat_bytes key, const struct leat_batch *in, size_t row)
{
	uint64_t id = leat_random_mix(leat_random_hash(key) ^ leat_random_mix(in->id[row] ^ leat_random_mix((uint64_t)in->time_ms[row])));
	return (struct session){ .id = id, .start_ms = in->time_ms[row], .last_ms = in->time_ms[row], .events = 1 };
}

/* The place for a new session; the one that has been silent longest gives way. */
static int make_place(struct leat_task *task, const struct sessionize *sessionize, struct sessions *sessions, const struct leat_batch *in, size_t row, int *place)
{
	*place = free_place(sessions);
	if (*place >= 0)
		return 0;
	*place = oldest(sessions);
	leat_count(task, CROWDED, 1);
	return report(task, sessionize, &sessions->open[*place], key_of(sessionize, in, row), (long)row, in->time_ms[row], BY_CROWD);
}

static int open_session(struct leat_task *task, const struct sessionize *sessionize, struct sessions *sessions, int place, const struct leat_batch *in, size_t row)
{
	int64_t end_ms = plus(in->time_ms[row], sessionize->gap_ms);
	sessions->open[place] = new_session(key_of(sessionize, in, row), in, row);
	leat_count(task, OPENED, 1);
	if (sessions->armed && sessions->armed_ms <= end_ms)
		return 0;
	sessions->armed = 1;
	sessions->armed_ms = end_ms;
	return leat_timer(task, OPEN, row, end_ms);
}

/* It fits no session, and its own would be over already: a session of one event that nothing can join. */
static int take_late(struct leat_task *task, const struct sessionize *sessionize, const struct leat_batch *in, size_t row)
{
	struct leat_bytes key = key_of(sessionize, in, row);
	struct session alone = new_session(key, in, row);
	leat_count(task, OPENED, 1);
	leat_count(task, LATE, 1);
	LEAT_TRY(report(task, sessionize, &alone, key, (long)row, in->watermark_ms[row], BY_LATENESS));
	return show(task, &alone, row);
}

static int take(struct leat_task *task, const struct sessionize *sessionize, const struct leat_batch *in, size_t row)
{
	int64_t at_ms = in->time_ms[row];
	int place = find(sessionize, leat_entry(task, OPEN, row), at_ms);
	if (place < 0 && plus(at_ms, sessionize->gap_ms) <= in->watermark_ms[row])
		return take_late(task, sessionize, in, row);
	struct sessions *sessions = leat_entry_write(task, OPEN, row);
	bool is_new = place < 0;
	if (is_new) {
		LEAT_TRY(make_place(task, sessionize, sessions, in, row, &place));
	} else {
		const struct session *full = &sessions->open[place];
		bool by_length = is_too_long(sessionize, full, at_ms), by_events = sessionize->max_events && full->events >= sessionize->max_events;
		is_new = by_length || by_events;
		if (is_new)
			LEAT_TRY(report(task, sessionize, full, key_of(sessionize, in, row), (long)row, at_ms, by_length ? BY_LENGTH : BY_EVENTS));
	}
	struct session *session = &sessions->open[place];
	if (is_new) {
		LEAT_TRY(open_session(task, sessionize, sessions, place, in, row));
	} else {
		session->events++;
		session->start_ms = at_ms < session->start_ms ? at_ms : session->start_ms;
		session->last_ms = at_ms > session->last_ms ? at_ms : session->last_ms;
	}
	return show(task, session, row);
}

static int sessionize_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	for (size_t i = 0; i < in->count; i++)
		LEAT_TRY(take(task, self, in, in->row[i]));
	return 0;
}

static int sessionize_on_timer(struct leat_task *task, void *self, const struct leat_timer_event *event)
{
	const struct sessionize *sessionize = self;
	struct sessions *sessions = event->entry;
	int place;
	while ((place = oldest(sessions)) >= 0) {
		struct session *session = &sessions->open[place];
		int64_t end_ms = plus(session->last_ms, sessionize->gap_ms);
		if (end_ms > event->at_ms) {
			sessions->armed_ms = end_ms;
			return leat_timer_again(task, event, end_ms);
		}
		LEAT_TRY(report(task, sessionize, session, event->key, -1, end_ms, BY_GAP));
		*session = (struct session){ 0 };
	}
	leat_timer_delete_entry(task, event);
	return 0;
}

/* ---- planning ---- */

static int sessionize_plan(struct leat_plan *plan, void *self)
{
	const struct sessionize *sessionize = self;
	leat_plan_timer_min(plan, sessionize->gap_ms);
	return 0;
}

#define OPTION(member) offsetof(struct sessionize, member)
const struct leat_operator operator_sessionize = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "sessionize",
	.help = "Puts events of a key that follow one another without a long pause into sessions, and says what each session was when it is over.",
	.outputs = (const struct leat_output[]){
		[EVENTS] = { .name = "events", .help = "Every event, with its session as it is right after this event." },
		[SESSIONS] = { .name = "sessions", .help = "One row per session when it is over: when the watermark has reached its last event + gap, or a limit was hit.",
			.fields = (const struct leat_field[]){
				[KEY] = { .name = "key", .type = LEAT_STRING, .width = 1, .nullable = true, .help = "The key as text; null when it is none." },
				[ID] = { .name = "session_id", .type = LEAT_STRING, .width = 1, .help = "16 hexadecimal digits, from the key and from id and time of the first event to arrive." },
				[START] = { .name = "start", .type = LEAT_INT, .width = 1, .help = "Time of the oldest event, ms." },
				[END] = { .name = "end", .type = LEAT_INT, .width = 1, .help = "Time of the newest event, ms." },
				[DURATION] = { .name = "duration_ms", .type = LEAT_INT, .width = 1, .help = "Between the two, ms." },
				[COUNT] = { .name = "events", .type = LEAT_INT, .width = 1, .help = "Events in the session." },
				[CLOSED_BY] = { .name = "closed_by", .type = LEAT_STRING, .width = 1, .help = "gap, max_length, max_events, late, or crowded." },
				{ .name = NULL } } },
		{ 0 },
	},
	.counters = (const char *const[]){ [OPENED] = "opened", [CLOSED] = "closed", [LATE] = "late", [CROWDED] = "crowded", NULL },
	.options = (const struct leat_option[]){
		{ "gap", LEAT_OPTION_DURATION, OPTION(gap_ms), "30m", .min = 1, .max = 3.2e11,
		  .help = "A pause of this or more parts two sessions. An event joins the nearest open session that is less than this away, also from before: its start moves back, its id stays. "
			  "Open sessions never merge. An event that fits none and whose own session would be over by the watermark is a session for itself (late)." },
		{ "max_length", LEAT_OPTION_DURATION, OPTION(max_length_ms), "0", .max = 3.2e11, .help = "An event that would make the session longer than this begins the next one; 0: no limit." },
		{ "max_events", LEAT_OPTION_INT, OPTION(max_events), "0", .max = 1e15, .help = "The event after so many begins the next session; 0: no limit." },
		{ "key", LEAT_OPTION_FIELD, OPTION(key), .meaning = LEAT_MEANS_VALUE, .optional = true, .types = LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT),
		  .help = "Whose sessions: a field, finer than or equal to the message key; default: the message key. At most 4 sessions per key are open at a time; more close the oldest (crowded)." },
		{ 0 },
	},
	.columns = (const struct leat_added_column[]){
		[SESSION_ID] = { "session_id", LEAT_STRING, 1, "The session: 16 hexadecimal digits." },
		[SESSION_START] = { "session_start", LEAT_INT, 1, "Time of its oldest event so far, ms." },
		[SESSION_EVENTS] = { "session_events", LEAT_INT, 1, "Its events so far, this one included." },
		{ 0 },
	},
	.tables = (const struct leat_table[]){
		[OPEN] = { .name = "open", .kind = LEAT_KEYED, .entry_size = sizeof(struct sessions), .version = 1, .key_option = "key", .help = "Open sessions of the key; gone when the last is over." },
		{ 0 },
	},
	.self_size = sizeof(struct sessionize),
	.plan = sessionize_plan,
	.process = sessionize_process,
	.on_timer = sessionize_on_timer,
};
