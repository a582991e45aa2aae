/* YAML files as trees with line numbers: libyaml parses, this keeps what the pipeline check needs. */
#include "stream/yaml.h"

#include <stdlib.h>
#include <yaml.h>

enum { DEPTH_MAX = 32, NODES_MAX = 20000, FILE_MAX = 1 << 20 };

struct block {
	struct block *next;
	_Alignas(16) char bytes[];
};

struct leat_yaml_file {
	char *path;
	struct leat_yaml *root;
	struct block *blocks;
	size_t nodes;
};

static void *keep(struct leat_yaml_file *file, size_t size)
{
	struct block *block = leat_calloc(1, sizeof *block + size);
	if (!block)
		return NULL;
	block->next = file->blocks;
	file->blocks = block;
	return block->bytes;
}

static char *keep_text(struct leat_yaml_file *file, const char *text, size_t length)
{
	char *copy = keep(file, length + 1);
	if (copy && length)   /* @text may be NULL for none */
		memcpy(copy, text, length);
	return copy;
}

int leat_yaml_fail(const struct leat_yaml_file *file, const struct leat_yaml *node, struct leat_fault *fault, const char *format, ...)
{
	char text[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (!node || node->line == 0)
		return leat_fail(fault, LEAT_ECONFIG, "%s: %s", file->path, text);
	if (node->line == LEAT_YAML_SET)
		return leat_fail(fault, LEAT_ECONFIG, "%s as changed by --set: %s", file->path, text);
	return leat_fail(fault, LEAT_ECONFIG, "%s:%d: %s", file->path, node->line, text);
}

/* ---- ${env:NAME}, ${env:NAME:-default}, ${file:/path} ---- */

static int replace_file(struct leat_yaml_file *file, const struct leat_yaml *node, const char *path, struct leat_buffer *out, struct leat_fault *fault)
{
	struct leat_fault inner = { 0 };
	if (leat_file_read(path, 4096, true, out, &inner) < 0)
		return leat_yaml_fail(file, node, fault, "%s", inner.text);
	while (out->length && (out->data[out->length - 1] == '\n' || out->data[out->length - 1] == '\r'))
		out->length--;
	return 0;
}

static int replace_env(struct leat_yaml_file *file, struct leat_yaml *node, char *name, struct leat_buffer *out, struct leat_fault *fault)
{
	char *fallback = strstr(name, ":-");
	if (fallback) {
		*fallback = 0;
		fallback += 2;
	}
	const char *value = getenv(name);
	if (!value) {
		value = fallback;
		node->literal = true;
	}
	if (!value)
		return leat_yaml_fail(file, node, fault, "the environment variable %s is not set", name);
	return leat_buffer_append(out, value, strlen(value));
}

static int replace_one(struct leat_yaml_file *file, struct leat_yaml *node, const char *from, const char *end, struct leat_buffer *out, struct leat_fault *fault)
{
	char inside[1024];
	size_t length = (size_t)(end - from);
	if (length >= sizeof inside)
		return leat_yaml_fail(file, node, fault, "${...} is too long");
	memcpy(inside, from, length);
	inside[length] = 0;
	if (strncmp(inside, "env:", 4) == 0)
		return replace_env(file, node, inside + 4, out, fault);
	if (strncmp(inside, "file:", 5) == 0)
		return replace_file(file, node, inside + 5, out, fault);
	return leat_yaml_fail(file, node, fault, "${%s}: only ${env:NAME}, ${env:NAME:-default} and ${file:/path} are known", inside);
}

static int replace_variables(struct leat_yaml_file *file, struct leat_yaml *node, const char *text, struct leat_fault *fault)
{
	struct leat_buffer out = { 0 };
	int rc = 0;
	node->literal = !*text;
	for (const char *at = text; rc >= 0 && *at;) {
		const char *dollar = strstr(at, "${");
		const char *end = dollar ? strchr(dollar, '}') : NULL;
		node->literal = node->literal || !end || dollar > at;
		node->variable = node->variable || end;
		if (!end) {
			rc = leat_buffer_append(&out, at, strlen(at));
			break;
		}
		rc = leat_buffer_append(&out, at, (size_t)(dollar - at));
		if (rc >= 0)
			rc = replace_one(file, node, dollar + 2, end, &out, fault);
		at = end + 1;
	}
	if (rc >= 0) {
		node->text = keep_text(file, (const char *)out.data, out.length);
		rc = node->text ? 0 : LEAT_ENOMEM;
	}
	leat_buffer_free(&out);
	return rc;
}

/* ---- building the tree ---- */

static int too_deep(const struct leat_yaml_file *file, const struct leat_yaml *node, struct leat_fault *fault)
{
	return leat_yaml_fail(file, node, fault, "too large or too deep (at most %d values, depth %d)", NODES_MAX, DEPTH_MAX);
}

static int build(struct leat_yaml_file *file, yaml_document_t *document, int index, int depth, struct leat_yaml **out, struct leat_fault *fault);

static int append_child(struct leat_yaml *parent, struct leat_yaml ***tail, struct leat_yaml *child)
{
	**tail = child;
	*tail = &child->next;
	parent->count++;
	return 0;
}

static int build_list(struct leat_yaml_file *file, yaml_document_t *document, const yaml_node_t *from, int depth, struct leat_yaml *list, struct leat_fault *fault)
{
	struct leat_yaml **tail = &list->first;
	for (yaml_node_item_t *item = from->data.sequence.items.start; item < from->data.sequence.items.top; item++) {
		struct leat_yaml *child;
		LEAT_TRY(build(file, document, *item, depth + 1, &child, fault));
		LEAT_TRY(append_child(list, &tail, child));
	}
	return 0;
}

static int build_map(struct leat_yaml_file *file, yaml_document_t *document, const yaml_node_t *from, int depth, struct leat_yaml *map, struct leat_fault *fault)
{
	struct leat_yaml **tail = &map->first;
	for (yaml_node_pair_t *pair = from->data.mapping.pairs.start; pair < from->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(document, pair->key);
		struct leat_yaml *child;
		if (key->type != YAML_SCALAR_NODE)
			return leat_yaml_fail(file, map, fault, "a key must be a word");
		const char *name = (const char *)key->data.scalar.value;
		LEAT_TRY(build(file, document, pair->value, depth + 1, &child, fault));
		child->line = (int)key->start_mark.line + 1;
		if (leat_yaml_get(map, name))
			return leat_yaml_fail(file, child, fault, "'%s' is given twice", name);
		child->key = keep_text(file, name, key->data.scalar.length);
		if (!child->key)
			return LEAT_ENOMEM;
		LEAT_TRY(append_child(map, &tail, child));
	}
	return 0;
}

static int build(struct leat_yaml_file *file, yaml_document_t *document, int index, int depth, struct leat_yaml **out, struct leat_fault *fault)
{
	const yaml_node_t *from = yaml_document_get_node(document, index);
	struct leat_yaml *node = keep(file, sizeof *node);
	*out = node;
	if (!node)
		return LEAT_ENOMEM;
	node->line = (int)from->start_mark.line + 1;
	if (++file->nodes > NODES_MAX || depth > DEPTH_MAX)
		return too_deep(file, node, fault);
	switch (from->type) {
	case YAML_SEQUENCE_NODE:
		node->kind = LEAT_YAML_LIST;
		return build_list(file, document, from, depth, node, fault);
	case YAML_MAPPING_NODE:
		node->kind = LEAT_YAML_MAP;
		return build_map(file, document, from, depth, node, fault);
	default:
		node->kind = LEAT_YAML_SCALAR;
		node->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		if (strlen((const char *)from->data.scalar.value) != from->data.scalar.length)
			return leat_yaml_fail(file, node, fault, "a NUL byte in a value");
		return replace_variables(file, node, (const char *)from->data.scalar.value, fault);
	}
}

/* Before libyaml's loader, whose time grows with the square of the depth. What is wrong otherwise the loader says. */
static int check_depth(struct leat_yaml_file *file, const char *text, size_t length, struct leat_fault *fault)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool done = false;
	int rc = 0, depth = 0;
	if (!yaml_parser_initialize(&parser))
		return LEAT_ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	while (rc >= 0 && !done && yaml_parser_parse(&parser, &event)) {
		const struct leat_yaml at = { .line = (int)event.start_mark.line + 1 };
		depth += (event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT) - (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT);
		if (depth > DEPTH_MAX + 1)      /* the outermost has depth 0 */
			rc = too_deep(file, &at, fault);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int load_document(struct leat_yaml_file *file, yaml_parser_t *parser, struct leat_fault *fault)
{
	yaml_document_t document;
	if (!yaml_parser_load(parser, &document)) {
		struct leat_yaml at = { .line = (int)parser->problem_mark.line + 1 };
		return leat_yaml_fail(file, &at, fault, "not YAML: %s", parser->problem ? parser->problem : "unreadable");
	}
	int rc = 0;
	if (yaml_document_get_root_node(&document))
		rc = build(file, &document, 1, 0, &file->root, fault);
	else
		rc = leat_yaml_fail(file, NULL, fault, "the file is empty");
	yaml_document_delete(&document);
	return rc;
}

int leat_yaml_parse(struct leat_yaml_file **out, const char *path, const char *text, size_t length, struct leat_fault *fault)
{
	struct leat_yaml_file *file = leat_calloc(1, sizeof *file);
	yaml_parser_t parser;
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!file || !(file->path = leat_strdup(path)) || (rc = check_depth(file, text, length, fault)) < 0)
		goto out;
	rc = LEAT_ENOMEM;
	if (!yaml_parser_initialize(&parser))
		goto out;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	rc = load_document(file, &parser, fault);
	yaml_parser_delete(&parser);
	if (rc < 0)
		goto out;
	*out = file;
	file = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "%s: out of memory", path);
	leat_yaml_free(file);
	return rc;
}

int leat_yaml_load(struct leat_yaml_file **out, const char *path, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	*out = NULL;
	int rc = leat_file_read(path, FILE_MAX, false, &text, fault);
	if (rc >= 0)
		rc = leat_yaml_parse(out, path, (const char *)text.data, text.length, fault);
	leat_buffer_free(&text);
	return rc;
}

void leat_yaml_free(struct leat_yaml_file *file)
{
	if (!file)
		return;
	for (struct block *block = file->blocks, *next; block; block = next) {
		next = block->next;
		leat_free(block);
	}
	leat_free(file->path);
	leat_free(file);
}

struct leat_yaml *leat_yaml_root(const struct leat_yaml_file *file)
{
	return file->root;
}

const char *leat_yaml_path(const struct leat_yaml_file *file)
{
	return file->path;
}

struct leat_yaml *leat_yaml_get(const struct leat_yaml *map, const char *key)
{
	if (!map || map->kind != LEAT_YAML_MAP)
		return NULL;
	for (struct leat_yaml *child = map->first; child; child = child->next)
		if (child->key && strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

/* ---- overriding single values from the command line ---- */

static struct leat_yaml *step_into(struct leat_yaml *at, const char *name)
{
	if (at->kind == LEAT_YAML_MAP)
		return leat_yaml_get(at, name);
	for (struct leat_yaml *child = at->first; child; child = child->next) {
		const struct leat_yaml *id = leat_yaml_get(child, "id");
		if (id && id->text && strcmp(id->text, name) == 0)
			return child;
	}
	return NULL;
}

static struct leat_yaml *add_member(struct leat_yaml_file *file, struct leat_yaml *map, const char *name)
{
	struct leat_yaml *child = map->kind == LEAT_YAML_MAP ? keep(file, sizeof *child) : NULL;
	if (!child || !(child->key = keep_text(file, name, strlen(name))))
		return NULL;
	child->kind = LEAT_YAML_MAP;
	child->line = LEAT_YAML_SET;
	struct leat_yaml **tail = &map->first;
	while (*tail)
		tail = &(*tail)->next;
	*tail = child;
	map->count++;
	return child;
}

int leat_yaml_set(struct leat_yaml_file *file, const char *dotted, const char *value, struct leat_fault *fault)
{
	struct leat_yaml *at = file->root;
	char path[512], *rest = path, *name;
	if (strlen(dotted) >= sizeof path)
		return leat_fail(fault, LEAT_ECONFIG, "--set: the path is too long");
	memcpy(path, dotted, strlen(dotted) + 1);
	while ((name = strsep(&rest, "."))) {
		struct leat_yaml *next = step_into(at, name);
		if (!next)
			next = add_member(file, at, name);
		if (!next)
			return leat_fail(fault, LEAT_ECONFIG, "--set %s: there is no '%s'", dotted, name);
		at = next;
	}
	if (at->first)
		return leat_fail(fault, LEAT_ECONFIG, "--set %s: is not a single value", dotted);
	at->kind = LEAT_YAML_SCALAR;
	at->plain = true;
	at->line = LEAT_YAML_SET;
	at->literal = true;
	at->variable = false;
	at->text = keep_text(file, value, strlen(value));
	return at->text ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory");
}
