/* Expressions, second pass: chooses the overload of every call, puts conversions in, and computes what is constant. */
#include "stream/expression_internal.h"

static const char *const type_names[LEAT_TYPES + 1] = {
	[LEAT_NONE] = "null", [LEAT_BOOL] = "bool", [LEAT_INT] = "int", [LEAT_ENUM] = "enum", [LEAT_FLOAT] = "float", [LEAT_DOUBLE] = "double",
	[LEAT_STRING] = "string", [LEAT_BYTES] = "bytes", [LEAT_VECTOR] = "vector", [LEAT_STRINGS] = "strings", [LEAT_FLOATS] = "floats",
	[EXPRESSION_ANY] = "anything",
};

const char *expression_type_name(uint8_t type)
{
	LEAT_ASSERT(type <= EXPRESSION_ANY);
	return type_names[type];
}

/* Conversions that the checker may put between a value and what takes it; NULL: none. */
static const struct expression_function *conversion(uint8_t from, uint8_t to)
{
	if (from == LEAT_INT && to == LEAT_DOUBLE)
		return &expression_int_to_double;
	if (from == LEAT_FLOAT && to == LEAT_DOUBLE)
		return &expression_float_to_double;
	if (from == LEAT_ENUM && to == LEAT_STRING)
		return &expression_enum_to_string;
	if (from == LEAT_VECTOR && to == LEAT_FLOATS)
		return &expression_vector_to_floats;
	return NULL;
}

static struct expression_node *child_of(struct expression_compiler *compiler, const struct expression_node *node, size_t at)
{
	uint16_t index = node->first;
	while (at-- > 0)
		index = compiler->nodes[index].next;
	return &compiler->nodes[index];
}

static bool is_null(const struct expression_node *node)
{
	return node->kind == EXPRESSION_CONSTANT && node->constant->null[0];
}

static bool is_text_constant(const struct expression_node *node)
{
	return node->kind == EXPRESSION_CONSTANT && node->type == LEAT_STRING && !node->constant->null[0];
}

static bool is_operator(const struct expression_node *node, const char *name)
{
	return leat_bytes_equal(node->name, leat_text(name));
}

static const struct leat_field *field_of(const struct expression_compiler *compiler, const struct expression_node *node)
{
	return node->kind == EXPRESSION_FIELD ? &compiler->layout->fields[node->slot] : NULL;
}

static void become_constant(struct expression_node *node, uint8_t type, const struct leat_column *constant)
{
	node->kind = EXPRESSION_CONSTANT;
	node->type = type;
	node->constant = constant;
	node->first = EXPRESSION_NO_NODE;
	node->count = 0;
}

/* ---- conversions and folding ---- */

static int become_null(struct expression_compiler *compiler, struct expression_node *node, uint8_t type)
{
	const struct leat_column *constant = expression_constant(compiler, type, NULL);
	if (!constant)
		return expression_no_memory(compiler);
	become_constant(node, type, constant);
	return 0;
}

/* Has @node deliver @type, which it can. */
static int convert(struct expression_compiler *compiler, struct expression_node *node, uint8_t type)
{
	if (node->type == type || type == EXPRESSION_ANY)
		return 0;
	if (node->type == LEAT_NONE)
		return become_null(compiler, node, type);
	struct expression_call call = { .function = conversion(node->type, type), .count = 1 };
	LEAT_ASSERT(call.function);
	if (call.function->prepare)
		LEAT_TRY(call.function->prepare(compiler, node, &call.prepared));
	if (node->kind == EXPRESSION_CONSTANT) {
		const struct leat_column *constant = expression_fold(compiler, &call, &(struct expression_operand){ .column = *node->constant });
		if (!constant)
			return expression_no_memory(compiler);
		become_constant(node, type, constant);
		return 0;
	}
	node->convert = call;
	return 0;
}

/* A constant result, when all arguments are constant or one that has to be there is null. */
static int fold(struct expression_compiler *compiler, struct expression_node *node)
{
	struct expression_operand arguments[EXPRESSION_ARGUMENTS_MAX] = { 0 };
	bool constant = true, null = false;
	for (size_t i = 0; i < node->count; i++) {
		const struct expression_node *child = child_of(compiler, node, i);
		if (child->kind == EXPRESSION_LIST)
			continue;
		constant = constant && child->kind == EXPRESSION_CONSTANT;
		null = null || is_null(child);
		if (constant)
			arguments[node->call.function->swapped ? node->count - 1 - i : i].column = *child->constant;
	}
	if (null && !node->call.function->own_nulls)
		return become_null(compiler, node, node->type);
	if (!constant)
		return 0;
	const struct leat_column *value = expression_fold(compiler, &node->call, arguments);
	if (!value)
		return expression_no_memory(compiler);
	become_constant(node, node->type, value);
	return 0;
}

/* Takes the place of @node: only for a child that needs no conversion. */
static void become_child(struct expression_node *node, const struct expression_node *child)
{
	uint16_t next = node->next;
	size_t column = node->column;
	*node = *child;
	node->next = next;
	node->column = column;
}

/* true && x is x, false && x is false, true ? x : y is x: fields that cannot matter are not read. */
static void simplify(struct expression_compiler *compiler, struct expression_node *node)
{
	bool both = is_operator(node, "&&"), choice = is_operator(node, "?:");
	if (!both && !choice && !is_operator(node, "||"))
		return;
	for (size_t i = 0; i < (choice ? 1 : 2); i++) {
		const struct expression_node *child = child_of(compiler, node, i), *kept;
		if (child->kind != EXPRESSION_CONSTANT || is_null(child))
			continue;
		if (choice)
			kept = child_of(compiler, node, child->constant->bools[0] ? 1 : 2);
		else
			kept = (child->constant->bools[0] != 0) == both ? child_of(compiler, node, 1 - i) : child;
		if (!kept->convert.function)
			become_child(node, kept);
		return;
	}
}

/* ---- choosing the overload ---- */

static size_t fixed_parameters(const struct expression_function *function)
{
	size_t count = 0;
	while (count < LEAT_COUNT_OF(function->parameters) && function->parameters[count] != LEAT_NONE)
		count++;
	return count;
}

static uint8_t parameter(const struct expression_function *function, size_t at)
{
	return function->parameters[LEAT_MIN(at, fixed_parameters(function) - 1)];
}

static bool takes_count(const struct expression_function *function, size_t count)
{
	size_t fixed = fixed_parameters(function);
	return count == fixed || (function->more && count > fixed);
}

/* Conversions needed for the call, or -1. */
static int cost(struct expression_compiler *compiler, const struct expression_function *function, const struct expression_node *node)
{
	int sum = 0;
	if (!takes_count(function, node->count))
		return -1;
	for (size_t i = 0; i < node->count; i++) {
		uint8_t has = child_of(compiler, node, i)->type, wants = parameter(function, i);
		if (has == wants || wants == EXPRESSION_ANY || has == LEAT_NONE)
			continue;
		if (!conversion(has, wants))
			return -1;
		sum++;
	}
	return sum;
}

static size_t append(char *text, size_t size, size_t at, const char *more)
{
	int made = snprintf(text + at, size - at, "%s", more);
	return LEAT_MIN(size - 1, at + (size_t)made);
}

static size_t append_types(struct expression_compiler *compiler, char *text, size_t size, size_t at, const struct expression_function *function,
			   const struct expression_node *node)
{
	size_t count = function ? fixed_parameters(function) : node->count;
	at = append(text, size, at, "(");
	for (size_t i = 0; i < count; i++) {
		at = append(text, size, at, i > 0 ? ", " : "");
		at = append(text, size, at, expression_type_name(function ? function->parameters[i] : child_of(compiler, node, i)->type));
	}
	return append(text, size, at, function && function->more ? ", ...)" : ")");
}

/* Is there a row of the same name that fits the number of arguments? If so only such rows are worth showing. */
static bool any_of_count(const struct expression_function *first, size_t count)
{
	for (const struct expression_function *row = first; row->name && strcmp(row->name, first->name) == 0; row++)
		if (takes_count(row, count))
			return true;
	return false;
}

static int no_overload(struct expression_compiler *compiler, const struct expression_node *node, const struct expression_function *first)
{
	char takes[300] = "", has[100] = "";
	size_t at = 0;
	bool fits = any_of_count(first, node->count);
	bool word = first->name[0] >= 'a' && first->name[0] <= 'z' && strcmp(first->name, "in") != 0;
	for (const struct expression_function *row = first; row->name && strcmp(row->name, first->name) == 0; row++) {
		if (fits && !takes_count(row, node->count))
			continue;
		at = append(takes, sizeof takes, at, at > 0 ? " or " : "");
		at = append_types(compiler, takes, sizeof takes, at, row, node);
	}
	append_types(compiler, has, sizeof has, 0, NULL, node);
	return expression_fail(compiler, node->column, word ? "%s() takes %s, not %s" : "'%s' takes %s, not %s", first->name, takes, has);
}

static int unknown_function(struct expression_compiler *compiler, const struct expression_node *node)
{
	struct leat_guess guess = { 0 };
	for (const struct expression_function *row = expression_functions; row->name; row++)
		if (row->name[0] >= 'a')
			leat_guess(&guess, node->name, row->name);
	return expression_fail(compiler, node->column, "unknown function '%.*s'%s", (int)LEAT_MIN(node->name.length, 64u), (const char *)node->name.data, leat_guess_hint(&guess));
}

static int choose(struct expression_compiler *compiler, const struct expression_node *node, const struct expression_function **out)
{
	const struct expression_function *first = expression_functions, *best = NULL;
	int least = 0;
	while (first->name && !leat_bytes_equal(leat_text(first->name), node->name))
		first++;
	if (!first->name)
		return unknown_function(compiler, node);
	for (const struct expression_function *row = first; row->name && strcmp(row->name, first->name) == 0; row++) {
		int conversions = cost(compiler, row, node);
		if (conversions < 0 || (best && conversions >= least))
			continue;
		best = row;
		least = conversions;
	}
	*out = best;
	return best ? 0 : no_overload(compiler, node, first);
}

/* ---- what hangs on more than types ---- */

/* A symbol of the enum @field in place of the text @node: compared as numbers from then on. */
static int become_symbol(struct expression_compiler *compiler, const struct leat_field *field, struct expression_node *node)
{
	struct leat_bytes text = node->constant->bytes[0];
	struct leat_guess guess = { 0 };
	for (int64_t i = 0; field->symbols && field->symbols[i]; i++) {
		if (leat_bytes_equal(leat_text(field->symbols[i]), text)) {
			const struct leat_column *constant = expression_constant(compiler, LEAT_ENUM, &i);
			if (!constant)
				return expression_no_memory(compiler);
			become_constant(node, LEAT_ENUM, constant);
			return 0;
		}
		leat_guess(&guess, text, field->symbols[i]);
	}
	return expression_fail(compiler, node->column, "'%.*s' is no symbol of the enum '%s'%s", (int)LEAT_MIN(text.length, 64u), (const char *)text.data, field->name, leat_guess_hint(&guess));
}

static bool same_symbols(const struct leat_field *a, const struct leat_field *b)
{
	size_t i = 0;
	if (a->symbols == b->symbols || !a->symbols || !b->symbols)
		return a->symbols == b->symbols;
	while (a->symbols[i] && b->symbols[i] && strcmp(a->symbols[i], b->symbols[i]) == 0)
		i++;
	return a->symbols[i] == b->symbols[i];
}

/* == and != with null ask for absence; enums compare by number where that is the same as by text. Sets *out when it decided. */
static int check_equality(struct expression_compiler *compiler, struct expression_node *node, const struct expression_function **out)
{
	bool equal = is_operator(node, "==");
	struct expression_node *left = child_of(compiler, node, 0), *right = child_of(compiler, node, 1);
	if (left->type == LEAT_NONE || right->type == LEAT_NONE) {
		if (right->type != LEAT_NONE)
			node->first = (uint16_t)(right - compiler->nodes);
		compiler->nodes[node->first].next = EXPRESSION_NO_NODE;
		node->count = 1;
		*out = equal ? &expression_is_null : &expression_is_present;
		return 0;
	}
	if (left->type == LEAT_ENUM && is_text_constant(right))
		LEAT_TRY(become_symbol(compiler, field_of(compiler, left), right));
	else if (right->type == LEAT_ENUM && is_text_constant(left))
		LEAT_TRY(become_symbol(compiler, field_of(compiler, right), left));
	else if (left->type != LEAT_ENUM || right->type != LEAT_ENUM || !same_symbols(field_of(compiler, left), field_of(compiler, right)))
		return 0;
	*out = equal ? &expression_equal_ints : &expression_unequal_ints;
	return 0;
}

static int list_element(struct expression_compiler *compiler, const struct expression_node *item, uint8_t type)
{
	if (item->kind != EXPRESSION_CONSTANT)
		return expression_fail(compiler, item->column, "a list after 'in' holds constants only");
	if (is_null(item))
		return expression_fail(compiler, item->column, "null in a list; use == null");
	if (item->type != type && !conversion(item->type, type))
		return expression_fail(compiler, item->column, "%s in a list that is compared with %s", expression_type_name(item->type), expression_type_name(type));
	return 0;
}

/* The type in which @value is compared with the list: numbers become doubles as soon as one is. */
static uint8_t list_type(struct expression_compiler *compiler, const struct expression_node *value, const struct expression_node *list)
{
	uint8_t type = value->type == LEAT_FLOAT ? (uint8_t)LEAT_DOUBLE : value->type;
	for (uint16_t i = list->first; i != EXPRESSION_NO_NODE; i = compiler->nodes[i].next) {
		uint8_t has = compiler->nodes[i].type;
		if (type == LEAT_NONE || (type == LEAT_INT && has == LEAT_DOUBLE))
			type = has;
	}
	return type;
}

/* x in [constants]. */
static int check_list(struct expression_compiler *compiler, struct expression_node *node, const struct expression_function **out)
{
	struct expression_node *value = child_of(compiler, node, 0), *list = child_of(compiler, node, 1);
	uint8_t type = list_type(compiler, value, list), compared = type == LEAT_ENUM ? (uint8_t)LEAT_STRING : type;
	if (compared != LEAT_INT && compared != LEAT_DOUBLE && compared != LEAT_STRING)
		return expression_fail(compiler, node->column, "'in [..]' takes int, double, string or enum, not %s", expression_type_name(type));
	for (uint16_t i = list->first; i != EXPRESSION_NO_NODE; i = compiler->nodes[i].next) {
		struct expression_node *item = &compiler->nodes[i];
		LEAT_TRY(list_element(compiler, item, compared));
		if (type == LEAT_ENUM)
			LEAT_TRY(become_symbol(compiler, field_of(compiler, value), item));
		else
			LEAT_TRY(convert(compiler, item, compared));
	}
	LEAT_TRY(convert(compiler, value, type));
	LEAT_TRY(expression_set(compiler, list, type, &node->call.prepared));
	*out = compared == LEAT_DOUBLE ? &expression_in_doubles : type == LEAT_STRING ? &expression_in_strings : &expression_in_ints;
	return 0;
}

/* ---- nodes ---- */

static int check_call(struct expression_compiler *compiler, struct expression_node *node)
{
	const struct expression_function *function = NULL;
	bool listed = node->count == 2 && child_of(compiler, node, 1)->kind == EXPRESSION_LIST;
	if (listed)
		LEAT_TRY(check_list(compiler, node, &function));
	else if (is_operator(node, "==") || is_operator(node, "!="))
		LEAT_TRY(check_equality(compiler, node, &function));
	if (!function) {
		LEAT_TRY(choose(compiler, node, &function));
		for (size_t i = 0; i < node->count; i++)
			LEAT_TRY(convert(compiler, child_of(compiler, node, i), parameter(function, i)));
	}
	node->call.function = function;
	node->call.count = listed ? 1 : node->count;
	node->type = function->result;
	if (function->prepare)
		LEAT_TRY(function->prepare(compiler, node, &node->call.prepared));
	LEAT_TRY(fold(compiler, node));
	if (node->kind == EXPRESSION_CALL)
		simplify(compiler, node);
	return 0;
}

/* The result as one of @types; ints widen to double, enums to their text, where only those are wanted. */
static int check_result(struct expression_compiler *compiler, struct expression_node *root, uint32_t types)
{
	char wanted[160] = "";
	size_t at = 0;
	if (root->type == LEAT_NONE)
		return expression_fail(compiler, root->column, "the result is always null");
	if (types == 0 || (types & LEAT_TYPE_BIT(root->type)))
		return 0;
	for (uint8_t type = LEAT_BOOL; type < LEAT_TYPES; type++)
		if ((types & LEAT_TYPE_BIT(type)) && conversion(root->type, type))
			return convert(compiler, root, type);
	for (uint8_t type = LEAT_BOOL; type < LEAT_TYPES; type++) {
		if (!(types & LEAT_TYPE_BIT(type)))
			continue;
		at = append(wanted, sizeof wanted, at, at > 0 ? " or " : "");
		at = append(wanted, sizeof wanted, at, expression_type_name(type));
	}
	return expression_fail(compiler, 1, "the result is %s, but has to be %s", expression_type_name(root->type), wanted);
}

int expression_check(struct expression_compiler *compiler, uint32_t types)
{
	for (size_t i = 0; i < compiler->count; i++)
		if (compiler->nodes[i].kind == EXPRESSION_CALL)
			LEAT_TRY(check_call(compiler, &compiler->nodes[i]));
	return check_result(compiler, &compiler->nodes[compiler->count - 1], types);
}
