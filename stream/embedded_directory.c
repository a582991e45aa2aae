/* The directory of the embedded transport: is it ours, and does another process own it. */
#include "stream/embedded_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char format_name[] = "leat embedded ";

static int io_fault(struct leat_fault *fault, const char *path, const char *what)
{
	return leat_fail(fault, errno == ENOSPC ? LEAT_ENOSPC : LEAT_EIO, "%s: %s: %s", path, what, strerror(errno));
}

static int make_directory(const char *path, struct leat_fault *fault)
{
	char *copy = leat_strdup(path);
	int rc = 0;
	if (!copy)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for %s", path);
	for (char *slash = copy + 1; rc == 0 && (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			rc = io_fault(fault, path, "cannot make the directory");
	}
	if (rc == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		rc = io_fault(fault, path, "cannot make the directory");
	leat_free(copy);
	return rc;
}

static int open_directory(struct leat_directory *directory, struct leat_fault *fault)
{
	struct stat status;
	const char *path = directory->path;
	if (stat(path, &status) < 0) {
		if (errno != ENOENT)
			return io_fault(fault, path, "cannot be read");
		LEAT_TRY(make_directory(path, fault));
	} else if (!S_ISDIR(status.st_mode)) {
		return leat_fail(fault, LEAT_EFOREIGN, "%s is not a directory", path);
	}
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return directory->fd < 0 ? io_fault(fault, path, "cannot be opened") : 0;
}

/* The first name in it that leat would not have put there before the format file; a mount point's lost+found is nobody's. */
static int find_stranger(const struct leat_directory *directory, char *name, size_t size, struct leat_fault *fault)
{
	int copy = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	if (!list) {
		int rc = io_fault(fault, directory->path, "cannot be listed");
		if (copy >= 0)
			close(copy);
		return rc;
	}
	static const char *const known[] = { ".", "..", "owner", "format.new", "lost+found" };
	name[0] = '\0';
	for (struct dirent *entry; !name[0] && (entry = readdir(list));) {
		bool ours = false;
		for (size_t i = 0; i < LEAT_COUNT_OF(known); i++)
			ours |= strcmp(entry->d_name, known[i]) == 0;
		if (!ours)
			snprintf(name, size, "%s", entry->d_name);
	}
	closedir(list);
	return 0;
}

/* 1: it says our version; 0: there is none, and nothing else either. */
static int check_format(const struct leat_directory *directory, struct leat_fault *fault)
{
	char text[64] = "", stranger[256];
	int fd = openat(directory->fd, "format", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return io_fault(fault, directory->path, "format cannot be read");
	if (fd < 0) {
		LEAT_TRY(find_stranger(directory, stranger, sizeof stranger, fault));
		/* Its first owner may be about to write it. */
		if (!stranger[0] || faccessat(directory->fd, "format", R_OK, 0) == 0)
			return 0;
		return leat_fail(fault, LEAT_EFOREIGN, "%s is not a directory of leat: it holds %s", directory->path, stranger);
	}
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	if (length < 0)
		return io_fault(fault, directory->path, "format cannot be read");
	if (strncmp(text, format_name, sizeof format_name - 1) != 0)
		return leat_fail(fault, LEAT_EFOREIGN, "%s is not a directory of leat: its file format says otherwise", directory->path);
	long version = strtol(text + sizeof format_name - 1, NULL, 10);
	if (version != LEAT_EMBEDDED_FORMAT)
		return leat_fail(fault, LEAT_EFOREIGN, "%s was written in format %ld, this leat knows format %d", directory->path, version, LEAT_EMBEDDED_FORMAT);
	return 1;
}

static int write_format(const struct leat_directory *directory, struct leat_fault *fault)
{
	int fd = openat(directory->fd, "format.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_fault(fault, directory->path, "cannot be written");
	bool written = dprintf(fd, "%s%d\n", format_name, LEAT_EMBEDDED_FORMAT) > 0 && fsync(fd) == 0;
	if (close(fd) < 0 || !written || renameat(directory->fd, "format.new", directory->fd, "format") < 0 || fsync(directory->fd) < 0)
		return io_fault(fault, directory->path, "cannot be written");
	return 0;
}

/* "<pid> <state>"; torn or empty while its owner writes it: then neither is known. */
static void read_owner(struct leat_directory *directory)
{
	char text[64] = "", *end;
	ssize_t length = pread(directory->owner_fd, text, sizeof text - 1, 0);
	directory->pid = length > 0 ? strtoll(text, &end, 10) : 0;
	const char *state = directory->pid && *end == ' ' ? end + 1 : "opening";
	snprintf(directory->state, sizeof directory->state, "%.*s", (int)strcspn(state, "\n"), state);
}

int leat_directory_say(struct leat_directory *directory, const char *state, struct leat_fault *fault)
{
	char text[64];
	int length = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), state);
	if (pwrite(directory->owner_fd, text, (size_t)length, 0) != length || ftruncate(directory->owner_fd, length) < 0)
		return io_fault(fault, directory->path, "cannot be written");
	return 0;
}

static int take_ownership(struct leat_directory *directory, struct leat_fault *fault)
{
	directory->owner_fd = openat(directory->fd, "owner", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (directory->owner_fd < 0)
		return io_fault(fault, directory->path, "cannot be written");
	if (flock(directory->owner_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return io_fault(fault, directory->path, "cannot be locked");
		read_owner(directory);
		return 0;
	}
	directory->owned = true;
	return leat_directory_say(directory, "opening", fault);
}

int leat_directory_open(struct leat_directory *directory, const char *path, struct leat_fault *fault)
{
	*directory = (struct leat_directory){ .path = leat_strdup(path), .fd = -1, .owner_fd = -1 };
	int rc = directory->path ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory for %s", path);
	if (rc == 0)
		rc = open_directory(directory, fault);
	int format = rc == 0 ? check_format(directory, fault) : rc;
	rc = LEAT_MIN(format, 0);
	if (rc == 0)
		rc = take_ownership(directory, fault);
	if (rc == 0 && directory->owned && format == 0)
		rc = write_format(directory, fault);
	if (rc < 0)
		leat_directory_close(directory);
	return rc;
}

void leat_directory_close(struct leat_directory *directory)
{
	if (directory->owned)
		unlinkat(directory->fd, "control.sock", 0);
	if (directory->owner_fd >= 0)
		close(directory->owner_fd);
	if (directory->fd >= 0)
		close(directory->fd);
	leat_free(directory->path);
	*directory = (struct leat_directory){ .fd = -1, .owner_fd = -1 };
}
