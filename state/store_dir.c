/* Directories of stores: made, recognised, set aside, deleted. */
#include "state/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, DESCRIPTORS = 16 };

/* What RocksDB puts into a directory; a half-made one has no CURRENT yet. */
static const char *const patterns[] = {
	".", "..", "CURRENT", "IDENTITY", "LOCK", "LOG", "LOG.old.*", "MANIFEST-*", "OPTIONS-*", "*.sst", "*.log", "*.dbtmp", "*.blob", "lost", "archive", "*.trash",
};

static bool known(const char *name)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(patterns); i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	return false;
}

static int fail_errno(struct leat_fault *fault, const char *what, const char *dir)
{
	int error = errno;
	int code = error == ENOSPC || error == EDQUOT ? LEAT_ENOSPC : LEAT_EIO;
	return leat_fail(fault, code, "%s %s: %s", what, dir, strerror(error));
}

int leat_store_dir_check(const char *dir, struct leat_fault *fault)
{
	DIR *handle = opendir(dir);
	if (!handle)
		return errno == ENOENT ? 0 : fail_errno(fault, "cannot read the directory", dir);
	int rc = 0;
	for (const struct dirent *entry = readdir(handle); entry && rc == 0; entry = readdir(handle))
		if (!known(entry->d_name))
			rc = leat_fail(fault, LEAT_EFOREIGN, "%s is not a state directory: it holds %s", dir, entry->d_name);
	closedir(handle);
	return rc;
}

int leat_store_dir_make(const char *dir, struct leat_fault *fault)
{
	char path[PATH_BYTES];
	size_t length = strlen(dir);
	if (length == 0 || length >= sizeof path)
		return leat_fail(fault, LEAT_ECONFIG, "the name of the state directory has %zu bytes", length);
	memcpy(path, dir, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		char kept = path[i];
		path[i] = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return fail_errno(fault, "cannot make the directory", path);
		path[i] = kept;
	}
	return 0;
}

int leat_store_quarantine(const char *dir, const struct leat_clock *clock, struct leat_fault *fault)
{
	char aside[PATH_BYTES];
	int length = snprintf(aside, sizeof aside, "%s.corrupt-%lld", dir, (long long)leat_clock_wall_ms(clock));
	if (length < 0 || (size_t)length >= sizeof aside)
		return leat_fail(fault, LEAT_ECONFIG, "the name of the state directory is too long");
	return rename(dir, aside) < 0 ? fail_errno(fault, "cannot set aside", dir) : 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
	(void)info, (void)kind, (void)walk;
	return remove(path);
}

int leat_store_remove(const char *dir, struct leat_fault *fault)
{
	LEAT_TRY(leat_store_dir_check(dir, fault));
	if (nftw(dir, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return 0;
	return fail_errno(fault, "cannot delete", dir);
}
