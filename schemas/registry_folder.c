/* The folder of schemas in place of a registry: ids.txt says which file has which id. */
#include "schemas/registry_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IDS_MAX = 1 << 20, NAME_MAX_LENGTH = 255 };

static int check_file(int fd, const char *path, bool secret, struct leat_fault *fault)
{
	struct stat about;
	if (fstat(fd, &about) != 0)
		return leat_fail(fault, LEAT_ECONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(about.st_mode))
		return leat_fail(fault, LEAT_ECONFIG, "%s: not a regular file", path);
	if (secret && (about.st_mode & 077))
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

static int check_json(const char *path, const struct leat_buffer *text, struct leat_fault *fault)
{
	json_error_t error;
	json_t *json = json_loadb((const char *)text->data, text->length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!json)
		return leat_fail(fault, LEAT_ECONFIG, "%s:%d: %s", path, error.line, error.text);
	json_decref(json);
	return 0;
}

static int read_schema(const char *folder, const char *file, int32_t id, leat_folder_each *each, void *self, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	int rc = LEAT_ENOMEM;
	char *path = leat_printf("%s/%s", folder, file);
	if (!path) {
		leat_fail(fault, rc, "%s: out of memory", folder);
		goto out;
	}
	rc = leat_file_read(path, LEAT_REGISTRY_ANSWER_MAX, false, &text, fault);
	if (rc == 0)
		rc = check_json(path, &text, fault);
	if (rc == 0)
		rc = each(self, id, (const char *)text.data, text.length, fault);
out:
	leat_buffer_free(&text);
	leat_free(path);
	return rc;
}

/* "<id> <file>", blanks around allowed; 1 for a line without content. Cuts @line in place. */
static int parse_line(char *line, int32_t *id, const char **file)
{
	line += strspn(line, " \t\r");
	line[strcspn(line, "#")] = 0;
	if (!*line)
		return 1;
	int64_t number = 0;
	char *at = line;
	while (*at >= '0' && *at <= '9' && number <= INT32_MAX)
		number = number * 10 + (*at++ - '0');
	size_t blank = strspn(at, " \t");
	char *name = at + blank;
	size_t length = strcspn(name, " \t\r");
	bool rest = name[length + strspn(name + length, " \t\r")] != 0;
	if (at == line || !blank || number < 1 || number > INT32_MAX || !length || length > NAME_MAX_LENGTH || rest)
		return LEAT_ECONFIG;
	name[length] = 0;
	*id = (int32_t)number;
	*file = name;
	return strchr(name, '/') ? LEAT_ECONFIG : 0;
}

static int read_lines(const char *folder, char *text, leat_folder_each *each, void *self, struct leat_fault *fault)
{
	int number = 0;
	for (char *line = text, *next; line; line = next) {
		int32_t id;
		const char *file;
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		number++;
		int rc = parse_line(line, &id, &file);
		if (rc < 0)
			return leat_fail(fault, rc, "%s/ids.txt:%d: a line is \"<id> <file>\", the id from 1, the file in this folder", folder, number);
		if (rc == 0)
			LEAT_TRY(read_schema(folder, file, id, each, self, fault));
	}
	return 0;
}

int leat_folder_read(const char *folder, leat_folder_each *each, void *self, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	int rc = LEAT_ENOMEM;
	char *path = leat_printf("%s/ids.txt", folder);
	if (!path) {
		leat_fail(fault, rc, "%s: out of memory", folder);
		goto out;
	}
	rc = leat_file_read(path, IDS_MAX, false, &text, fault);
	if (rc == 0)
		rc = read_lines(folder, (char *)text.data, each, self, fault);
out:
	leat_buffer_free(&text);
	leat_free(path);
	return rc;
}
