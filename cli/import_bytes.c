/* Unpacking by zlib and liblzma. zlib hands through what is not gzip, which makes it the reader of plain and xz files too. */
#include "cli/import_bytes.h"

#include <errno.h>
#include <lzma.h>
#include <zlib.h>

enum { CHUNK = 1 << 16 };
static const uint64_t xz_memory = 256u << 20;

struct leat_unpacker {
	char *path;
	gzFile file;
	bool xz, ended;
	lzma_stream lzma;
	size_t first, count;             /* in chunk: what was read but not handed out or unpacked */
	uint8_t chunk[CHUNK];
};

static int damaged(const struct leat_unpacker *unpacker, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECORRUPT, "%s: its compressed data is damaged or cut short", unpacker->path);
}

/* A gzip file that ends too early is not said to by gzread, only by gzerror. */
static long read_file(struct leat_unpacker *unpacker, uint8_t *to, size_t size, struct leat_fault *fault)
{
	int code = Z_OK;
	int got = gzread(unpacker->file, to, (unsigned)LEAT_MIN(size, (size_t)1 << 30));
	if (got < 0 || (size_t)got < size)
		gzerror(unpacker->file, &code);
	if (code == Z_ERRNO)
		return leat_fail(fault, LEAT_EIO, "%s: %s", unpacker->path, strerror(errno));
	return code == Z_OK && got >= 0 ? got : damaged(unpacker, fault);
}

static int refill(struct leat_unpacker *unpacker, struct leat_fault *fault)
{
	long got = read_file(unpacker, unpacker->chunk, CHUNK, fault);
	unpacker->first = 0;
	unpacker->count = (size_t)LEAT_MAX(got, 0);
	return got < 0 ? (int)got : 0;
}

int leat_unpacker_open(struct leat_unpacker **out, const char *path, struct leat_fault *fault)
{
	static const uint8_t xz_magic[] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	struct leat_unpacker *unpacker = leat_calloc(1, sizeof *unpacker);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!unpacker || !(unpacker->path = leat_strdup(path))) {
		leat_fail(fault, rc, "%s: out of memory", path);
		goto out;
	}
	unpacker->lzma = (lzma_stream)LZMA_STREAM_INIT;
	unpacker->file = gzopen(path, "rbe");
	if (!unpacker->file) {
		rc = leat_fail(fault, LEAT_ECONFIG, "%s: %s", path, strerror(errno ? errno : ENOMEM));
		goto out;
	}
	if ((rc = refill(unpacker, fault)) < 0)
		goto out;
	unpacker->xz = unpacker->count >= sizeof xz_magic && memcmp(unpacker->chunk, xz_magic, sizeof xz_magic) == 0;
	if (unpacker->xz && lzma_stream_decoder(&unpacker->lzma, xz_memory, LZMA_CONCATENATED) != LZMA_OK)
		rc = leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", path);
	if (rc < 0)
		goto out;
	*out = unpacker;
	unpacker = NULL;
out:
	leat_unpacker_close(unpacker);
	return rc;
}

void leat_unpacker_close(struct leat_unpacker *unpacker)
{
	if (!unpacker)
		return;
	if (unpacker->file)
		gzclose(unpacker->file);
	lzma_end(&unpacker->lzma);
	leat_free(unpacker->path);
	leat_free(unpacker);
}

static long read_xz(struct leat_unpacker *unpacker, uint8_t *to, size_t size, struct leat_fault *fault)
{
	lzma_stream *lzma = &unpacker->lzma;
	lzma->next_out = to;
	lzma->avail_out = size;
	while (lzma->avail_out == size && !unpacker->ended) {
		if (unpacker->count == 0)
			LEAT_TRY(refill(unpacker, fault));
		lzma->next_in = unpacker->chunk + unpacker->first;
		lzma->avail_in = unpacker->count;
		lzma_ret code = lzma_code(lzma, unpacker->count ? LZMA_RUN : LZMA_FINISH);
		unpacker->first += unpacker->count - lzma->avail_in;
		unpacker->count = lzma->avail_in;
		unpacker->ended = code == LZMA_STREAM_END;
		if (code != LZMA_OK && code != LZMA_STREAM_END)
			return code == LZMA_MEM_ERROR ? leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", unpacker->path) : damaged(unpacker, fault);
	}
	return (long)(size - lzma->avail_out);
}

long leat_unpacker_read(struct leat_unpacker *unpacker, uint8_t *to, size_t size, struct leat_fault *fault)
{
	if (unpacker->xz)
		return read_xz(unpacker, to, size, fault);
	if (unpacker->count == 0)
		return read_file(unpacker, to, size, fault);
	size_t some = LEAT_MIN(size, unpacker->count);
	memcpy(to, unpacker->chunk + unpacker->first, some);
	unpacker->first += some;
	unpacker->count -= some;
	return (long)some;
}

int leat_inflate(struct leat_bytes packed, size_t max, struct leat_buffer *out)
{
	z_stream zip = { .next_in = (uint8_t *)(uintptr_t)packed.data, .avail_in = packed.length };
	int rc = 0, code = Z_OK;
	out->length = 0;
	if (inflateInit2(&zip, -MAX_WBITS) != Z_OK)
		return LEAT_ENOMEM;
	while (rc == 0 && code == Z_OK) {
		rc = out->length > max ? LEAT_ELIMIT : leat_buffer_reserve(out, CHUNK);
		if (rc < 0)
			break;
		zip.next_out = out->data + out->length;
		zip.avail_out = CHUNK;
		code = inflate(&zip, Z_NO_FLUSH);
		out->length += CHUNK - zip.avail_out;
	}
	inflateEnd(&zip);
	return rc < 0 ? rc : code == Z_STREAM_END && out->length <= max ? 0 : LEAT_ECORRUPT;
}
