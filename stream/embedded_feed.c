/* Feeds of the embedded transport: the records of one partition as a session's worker takes them. */
#include "stream/embedded_session.h"

struct leat_feed {
	struct leat_session *session;        /* NULL: closed before the feed */
	struct leat_feed *next;
	struct leat_cursor cursor;
	bool shown;                          /* what the chunk holds was taken and nothing released since: not news */
};

int leat_embedded_feed_open(struct leat_session *session, const char *topic, int32_t partition, int64_t offset, struct leat_feed **out, struct leat_fault *fault)
{
	struct leat_feed *feed = leat_calloc(1, sizeof *feed);
	int rc = feed ? leat_cursor_open(&feed->cursor, session->embedded, topic, partition, offset, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory for a feed of %s", topic);
	*out = NULL;
	if (rc < 0) {
		leat_free(feed);
		return rc;
	}
	feed->session = session;
	feed->next = session->feeds;
	session->feeds = feed;
	*out = feed;
	return 0;
}

long leat_embedded_feed_take(struct leat_feed *feed, const struct leat_record **records, bool *at_end, struct leat_fault *fault)
{
	struct leat_chunk *chunk = &feed->cursor.chunk;
	long count = leat_cursor_fill(&feed->cursor, fault);
	feed->shown = true;
	*at_end = count >= 0 && feed->cursor.position >= leat_cursor_end(&feed->cursor);
	*records = count > 0 ? chunk->records + chunk->taken : NULL;
	return count;
}

void leat_embedded_feed_release(struct leat_feed *feed, size_t count)
{
	LEAT_ASSERT(count <= leat_chunk_left(&feed->cursor.chunk));
	feed->cursor.chunk.taken += count;
	if (count)
		feed->shown = false;
}

static bool feed_ready(const struct leat_feed *feed)
{
	if (leat_chunk_left(&feed->cursor.chunk) > 0)
		return !feed->shown;
	return feed->cursor.position < leat_cursor_end(&feed->cursor);
}

bool leat_feeds_ready(const struct leat_feed *feeds)
{
	while (feeds && !feed_ready(feeds))
		feeds = feeds->next;
	return feeds;
}

void leat_feeds_detach(struct leat_feed *feeds)
{
	for (; feeds; feeds = feeds->next)
		feeds->session = NULL;
}

int64_t leat_embedded_feed_lag(struct leat_feed *feed)
{
	const struct leat_chunk *chunk = &feed->cursor.chunk;
	int64_t at = leat_chunk_left(chunk) > 0 ? chunk->records[chunk->taken].offset : feed->cursor.position;
	return leat_cursor_end(&feed->cursor) - at;
}

void leat_embedded_feed_close(struct leat_feed *feed)
{
	if (!feed)
		return;
	struct leat_feed **link = feed->session ? &feed->session->feeds : NULL;
	while (link && *link != feed)
		link = &(*link)->next;
	if (link)
		*link = feed->next;
	leat_cursor_close(&feed->cursor);
	leat_free(feed);
}
