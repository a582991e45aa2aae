/* Reading a whole small file: configuration, schemas, secrets. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool leat_file_secret(unsigned mode, unsigned owner, unsigned reader)
{
	bool by_group = owner == 0 && reader != 0;
	return !(mode & (by_group ? 037u : 077u));
}

static int check_file(int fd, const char *path, bool secret, struct leat_fault *fault)
{
	struct stat about;
	if (fstat(fd, &about) != 0)
		return leat_fail(fault, LEAT_ECONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return leat_fail(fault, LEAT_ECONFIG, "%s: not a regular file", path);
	if (secret && !leat_file_secret(about.st_mode, about.st_uid, geteuid()))
		return leat_fail(fault, LEAT_ECONFIG, "%s: holds a secret but others may open it (mode %03o); chmod 600 it", path,
				 (unsigned)(about.st_mode & 0777));
	return 0;
}

static int read_all(int fd, const char *path, size_t max, struct leat_buffer *out, struct leat_fault *fault)
{
	size_t before = out->length;
	for (;;) {
		if (leat_buffer_reserve(out, 4097) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", path);
		ssize_t got = read(fd, out->data + out->length, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return leat_fail(fault, LEAT_ECONFIG, "%s: %s", path, strerror(errno));
		out->length += (size_t)got;
		if (out->length - before > max)
			return leat_fail(fault, LEAT_ECONFIG, "%s: larger than %zu bytes", path, max);
		if (got == 0)
			break;
	}
	out->data[out->length] = 0;
	return 0;
}

int leat_file_read(const char *path, size_t max, bool secret, struct leat_buffer *out, struct leat_fault *fault)
{
	/* Not blocking, so that a pipe in the file's place is refused instead of waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return leat_fail(fault, LEAT_ECONFIG, "%s: %s", path, strerror(errno));
	int rc = check_file(fd, path, secret, fault);
	if (rc == 0)
		rc = read_all(fd, path, max, out, fault);
	close(fd);
	return rc;
}
