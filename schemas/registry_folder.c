/* The folder of schemas in place of a registry: ids.txt says which file has which id. */
#include "schemas/registry_internal.h"

#include <errno.h>
#include <jansson.h>

enum { IDS_MAX = 1 << 20, NAME_MAX_LENGTH = 255 };

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
