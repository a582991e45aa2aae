/* Expressions, first pass: text to nodes, by precedence climbing with a bounded depth. */
#include "stream/expression_internal.h"

/* Operators by precedence; longer spellings first, so that <= is not read as <. */
static const struct {
	const char *text;
	int level;
} operators[] = {
	{ "||", 1 }, { "&&", 2 }, { "==", 3 }, { "!=", 3 }, { "<=", 3 }, { ">=", 3 }, { "<", 3 }, { ">", 3 }, { "in", 3 },
	{ "+", 4 }, { "-", 4 }, { "*", 5 }, { "/", 5 }, { "%", 5 },
};

static int parse_expression(struct expression_compiler *compiler);

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static char peek(const struct expression_compiler *compiler)
{
	return compiler->text[compiler->at];      /* the text ends with NUL */
}

static void skip_blanks(struct expression_compiler *compiler)
{
	while (peek(compiler) == ' ' || peek(compiler) == '\t' || peek(compiler) == '\n' || peek(compiler) == '\r')
		compiler->at++;
}

static bool accept(struct expression_compiler *compiler, char wanted)
{
	skip_blanks(compiler);
	if (peek(compiler) != wanted)
		return false;
	compiler->at++;
	return true;
}

/* Says what stands where @wanted should. */
static int unexpected(struct expression_compiler *compiler, const char *wanted)
{
	skip_blanks(compiler);
	if (peek(compiler) == '\0')
		return expression_fail(compiler, compiler->at + 1, "expected %s, but the text ends", wanted);
	unsigned char found = (unsigned char)peek(compiler);
	if (found < ' ' || found > '~')
		return expression_fail(compiler, compiler->at + 1, "expected %s, found byte 0x%02x", wanted, found);
	return expression_fail(compiler, compiler->at + 1, "expected %s, found '%c'", wanted, found);
}

static int deeper(struct expression_compiler *compiler)
{
	if (++compiler->depth > leat_expression_limits.depth)
		return expression_fail(compiler, compiler->at + 1, "nested deeper than %zu", leat_expression_limits.depth);
	return 0;
}

static int add_node(struct expression_compiler *compiler, enum expression_kind kind, size_t column)
{
	if (compiler->count == leat_expression_limits.nodes)
		return expression_fail(compiler, column, "longer than %zu values and operations", leat_expression_limits.nodes);
	LEAT_ASSERT(compiler->count < compiler->capacity);
	compiler->nodes[compiler->count] = (struct expression_node){
		.kind = kind, .column = column, .first = EXPRESSION_NO_NODE, .next = EXPRESSION_NO_NODE,
	};
	return (int)compiler->count++;
}

/* Makes @children, in order, those of @parent. */
static int adopt(struct expression_compiler *compiler, int parent, const int *children, size_t count)
{
	struct expression_node *node = &compiler->nodes[parent];
	uint16_t *link = &node->first;
	for (size_t i = 0; i < count; i++) {
		*link = (uint16_t)children[i];
		link = &compiler->nodes[children[i]].next;
	}
	node->count = (uint16_t)count;
	return parent;
}

static int add_call(struct expression_compiler *compiler, struct leat_bytes name, size_t column, const int *children, size_t count)
{
	int index = add_node(compiler, EXPRESSION_CALL, column);
	LEAT_TRY(index);
	compiler->nodes[index].name = name;
	return adopt(compiler, index, children, count);
}

static int add_constant(struct expression_compiler *compiler, size_t column, uint8_t type, const void *value)
{
	int index = add_node(compiler, EXPRESSION_CONSTANT, column);
	LEAT_TRY(index);
	compiler->nodes[index].type = type;
	compiler->nodes[index].constant = expression_constant(compiler, type, value);
	return compiler->nodes[index].constant ? index : expression_no_memory(compiler);
}

static void skip_digits(struct expression_compiler *compiler)
{
	while (is_digit(peek(compiler)))
		compiler->at++;
}

/* A number; @negative: a minus was read before it, so that the smallest int can be written. */
static int parse_number(struct expression_compiler *compiler, bool negative, size_t column)
{
	size_t start = compiler->at;
	bool whole = true;
	skip_digits(compiler);
	if (peek(compiler) == '.') {
		whole = false;
		compiler->at++;
		skip_digits(compiler);
	}
	if (peek(compiler) == 'e' || peek(compiler) == 'E') {
		whole = false;
		compiler->at++;
		if (peek(compiler) == '+' || peek(compiler) == '-')
			compiler->at++;
		skip_digits(compiler);
	}
	struct leat_bytes digits = leat_bytes(compiler->text + start, compiler->at - start);
	if (is_letter(peek(compiler)) || peek(compiler) == '.')
		return expression_fail(compiler, compiler->at + 1, "'%c' after a number", peek(compiler));
	int64_t number = 0;
	double real = 0;
	if (whole && !expression_read_int(digits, negative, &number))
		return expression_fail(compiler, column, "the number is too large for an int (64 bits)");
	if (!whole && !expression_read_double(digits, &real))
		return expression_fail(compiler, column, "this is no number");
	if (!whole && real > 1.7976931348623157e308)
		return expression_fail(compiler, column, "the number is too large for a double");
	real = negative ? -real : real;
	return whole ? add_constant(compiler, column, LEAT_INT, &number) : add_constant(compiler, column, LEAT_DOUBLE, &real);
}

static char escaped(char c)
{
	static const char from[] = "nrt\\'\"", to[] = "\n\r\t\\'\"";
	const char *found = c ? strchr(from, c) : NULL;
	return found ? to[found - from] : '\0';
}

static int parse_text(struct expression_compiler *compiler)
{
	size_t column = compiler->at + 1, length = 0;
	char quote = compiler->text[compiler->at++];
	char *bytes = expression_memory(compiler, compiler->length - compiler->at + 1);
	if (!bytes)
		return expression_no_memory(compiler);
	while (peek(compiler) != quote) {
		char c = compiler->text[compiler->at];
		if (c == '\0')
			return expression_fail(compiler, column, "the text that begins here has no closing %c", quote);
		compiler->at++;
		if (c == '\\') {
			c = escaped(peek(compiler));
			if (c == '\0')
				return expression_fail(compiler, compiler->at, "unknown escape; \\n \\r \\t \\\\ \\' \\\" exist");
			compiler->at++;
		}
		bytes[length++] = c;
	}
	compiler->at++;
	struct leat_bytes value = leat_bytes(bytes, length);
	return add_constant(compiler, column, LEAT_STRING, &value);
}

static struct leat_bytes parse_name(struct expression_compiler *compiler)
{
	size_t start = compiler->at;
	const char *text = compiler->text;
	while (is_letter(text[compiler->at]) || is_digit(text[compiler->at]) || (text[compiler->at] == '.' && is_letter(text[compiler->at + 1])))
		compiler->at++;
	return leat_bytes(text + start, compiler->at - start);
}

static bool is_word(struct leat_bytes name, const char *word)
{
	return leat_bytes_equal(name, leat_text(word));
}

/* Values separated by commas up to @close; @what for the message. Returns how many. */
static int parse_values(struct expression_compiler *compiler, char close, int *children, size_t limit, const char *what)
{
	size_t count = 0;
	if (accept(compiler, close))
		return 0;
	do {
		skip_blanks(compiler);
		if (count == limit)
			return expression_fail(compiler, compiler->at + 1, "more than %zu %s", limit, what);
		children[count] = parse_expression(compiler);
		LEAT_TRY(children[count]);
		count++;
	} while (accept(compiler, ','));
	if (!accept(compiler, close))
		return unexpected(compiler, close == ')' ? "',' or ')'" : "',' or ']'");
	return (int)count;
}

static int parse_call(struct expression_compiler *compiler, struct leat_bytes name, size_t column)
{
	int children[EXPRESSION_ARGUMENTS_MAX];
	LEAT_TRY(deeper(compiler));
	int count = parse_values(compiler, ')', children, EXPRESSION_ARGUMENTS_MAX, "arguments");
	LEAT_TRY(count);
	compiler->depth--;
	return add_call(compiler, name, column, children, (size_t)count);
}

static int unknown_field(struct expression_compiler *compiler, struct leat_bytes name, size_t column)
{
	struct leat_guess guess = { 0 };
	for (size_t slot = 0; slot < compiler->layout->count; slot++)
		leat_guess(&guess, name, compiler->layout->fields[slot].name);
	return expression_fail(compiler, column, "unknown field '%.*s'%s", (int)LEAT_MIN(name.length, 64u), (const char *)name.data, leat_guess_hint(&guess));
}

static int parse_field(struct expression_compiler *compiler, struct leat_bytes name, size_t column)
{
	char *text = expression_memory(compiler, name.length + 1);
	if (!text)
		return expression_no_memory(compiler);
	memcpy(text, name.data, name.length);
	int slot = leat_layout_find(compiler->layout, text);
	if (slot < 0)
		return unknown_field(compiler, name, column);
	int index = add_node(compiler, EXPRESSION_FIELD, column);
	LEAT_TRY(index);
	compiler->nodes[index].slot = (uint16_t)slot;
	compiler->nodes[index].type = compiler->layout->fields[slot].type;
	compiler->nodes[index].name = name;
	return index;
}

static int parse_word(struct expression_compiler *compiler)
{
	static const uint8_t no = 0, yes = 1;
	size_t column = compiler->at + 1;
	struct leat_bytes name = parse_name(compiler);
	if (is_word(name, "true") || is_word(name, "false"))
		return add_constant(compiler, column, LEAT_BOOL, name.length == 4 ? &yes : &no);
	if (is_word(name, "null"))
		return add_constant(compiler, column, LEAT_NONE, NULL);
	if (is_word(name, "in"))
		return expression_fail(compiler, column, "expected a value before 'in'");
	if (accept(compiler, '('))
		return parse_call(compiler, name, column);
	return parse_field(compiler, name, column);
}

static int parse_primary(struct expression_compiler *compiler)
{
	skip_blanks(compiler);
	char c = peek(compiler);
	if (is_digit(c))
		return parse_number(compiler, false, compiler->at + 1);
	if (c == '\'' || c == '"')
		return parse_text(compiler);
	if (is_letter(c))
		return parse_word(compiler);
	if (c == '[')
		return expression_fail(compiler, compiler->at + 1, "a list can only stand after 'in'");
	if (!accept(compiler, '('))
		return unexpected(compiler, "a value");
	LEAT_TRY(deeper(compiler));
	int index = parse_expression(compiler);
	LEAT_TRY(index);
	compiler->depth--;
	return accept(compiler, ')') ? index : unexpected(compiler, "')'");
}

static int parse_unary(struct expression_compiler *compiler)
{
	skip_blanks(compiler);
	char c = peek(compiler);
	if (c != '-' && c != '!')
		return parse_primary(compiler);
	size_t column = ++compiler->at;
	if (c == '-' && is_digit(peek(compiler)))
		return parse_number(compiler, true, column);
	LEAT_TRY(deeper(compiler));
	int child = parse_unary(compiler);
	LEAT_TRY(child);
	compiler->depth--;
	return add_call(compiler, leat_text(c == '-' ? "-" : "!"), column, &child, 1);
}

/* The operator that stands here, or -1. */
static int peek_operator(struct expression_compiler *compiler)
{
	skip_blanks(compiler);
	for (size_t i = 0; i < LEAT_COUNT_OF(operators); i++) {
		size_t length = strlen(operators[i].text);
		const char *here = compiler->text + compiler->at;
		if (strncmp(here, operators[i].text, length) != 0)
			continue;
		if (is_letter(*here) && (is_letter(here[length]) || is_digit(here[length])))
			continue;
		return (int)i;
	}
	return -1;
}

/* What stands right of `in`: a list in brackets or any value. */
static int parse_list(struct expression_compiler *compiler)
{
	int *children = expression_memory(compiler, leat_expression_limits.nodes * sizeof *children);
	size_t column = compiler->at;
	if (!children)
		return expression_no_memory(compiler);
	LEAT_TRY(deeper(compiler));
	int count = parse_values(compiler, ']', children, leat_expression_limits.nodes, "values in a list");
	LEAT_TRY(count);
	compiler->depth--;
	if (count == 0)
		return expression_fail(compiler, column, "the list is empty");
	int index = add_node(compiler, EXPRESSION_LIST, column);
	LEAT_TRY(index);
	return adopt(compiler, index, children, (size_t)count);
}

static int parse_operators(struct expression_compiler *compiler, int level)
{
	int left = parse_unary(compiler);
	LEAT_TRY(left);
	for (int found; (found = peek_operator(compiler)) >= 0 && operators[found].level >= level;) {
		const char *name = operators[found].text;
		size_t column = compiler->at + 1;
		compiler->at += strlen(name);
		bool list = strcmp(name, "in") == 0 && accept(compiler, '[');
		int right = list ? parse_list(compiler) : parse_operators(compiler, operators[found].level + 1);
		LEAT_TRY(right);
		left = add_call(compiler, leat_text(name), column, (int[]){ left, right }, 2);
		LEAT_TRY(left);
	}
	return left;
}

static int parse_expression(struct expression_compiler *compiler)
{
	int children[3] = { parse_operators(compiler, 1) };
	LEAT_TRY(children[0]);
	size_t column = compiler->at + 1;
	if (!accept(compiler, '?'))
		return children[0];
	column = compiler->at;
	LEAT_TRY(deeper(compiler));
	children[1] = parse_expression(compiler);
	LEAT_TRY(children[1]);
	if (!accept(compiler, ':'))
		return unexpected(compiler, "':'");
	children[2] = parse_expression(compiler);
	LEAT_TRY(children[2]);
	compiler->depth--;
	return add_call(compiler, leat_text("?:"), column, children, 3);
}

int expression_parse(struct expression_compiler *compiler)
{
	LEAT_TRY(parse_expression(compiler));
	skip_blanks(compiler);
	return compiler->at == compiler->length ? 0 : unexpected(compiler, "an operator or the end");
}
