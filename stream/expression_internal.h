/*
 * What the files of the expression evaluator share, in the order in which a text goes through them:
 * parse (text -> nodes), check (types, conversions, constants), compile (nodes -> operations on registers), run.
 * Nodes lie in one array, children before their parent, so that no later pass needs recursion. All memory of a
 * compiled expression is in its own arena; what a run needs comes from the caller's. No globals; a compiled
 * expression is not changed by running it.
 */
#ifndef LEAT_EXPRESSION_INTERNAL_H
#define LEAT_EXPRESSION_INTERNAL_H

#include "stream/expression.h"
#include "stream/operator.h"

#define EXPRESSION_INLINE static inline __attribute__((always_inline))

enum {
	EXPRESSION_ARGUMENTS_MAX = 16,
	EXPRESSION_TEXT_MAX = 64 << 10,     /* bytes of a text that a function makes; longer ones are null */
	EXPRESSION_ANY = LEAT_TYPES,        /* a parameter that takes every type                            */
};

/* ---- running ---- */

/* The rows to compute. Where rows lie close together, cheap kernels do all of [first, end): a loop without gather is worth rows nobody asked for. */
struct expression_rows {
	const uint16_t *row;
	size_t count, first, end;
	bool span;
	struct leat_arena *arena;
};
/* An argument of a kernel: a column, or a constant, which is a column of one value; value i lies at [i & mask]. */
struct expression_operand {
	struct leat_column column;
	size_t mask;
};
struct expression_function;
/* One use of a function. */
struct expression_call {
	const struct expression_function *function;
	const void *prepared;      /* what .prepare made of constant arguments */
	size_t count;
};
/* Fills @out for the rows. out->null is already the OR of the arguments' unless own_nulls; the value of a null row does not matter. 0 or LEAT_ENOMEM. */
typedef int expression_kernel(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call);

#define EXPRESSION_ALL SIZE_MAX      /* mask of a column */

/* For cheap statements that are harmless on any bits: blocks of 16, because gcc -O2 vectorises only loops whose count it knows. */
#define EXPRESSION_EACH_NEAR(rows, i, ...)                                       \
	do {                                                                           \
		if ((rows)->span) {                                                    \
			size_t at_ = (rows)->first;                                    \
			for (; at_ + 16 <= (rows)->end; at_ += 16)                     \
				for (size_t in_ = 0; in_ < 16; in_++) {                \
					size_t i = at_ + in_;                          \
					__VA_ARGS__;                                     \
				}                                                      \
			for (size_t i = at_; i < (rows)->end; i++) {                   \
				__VA_ARGS__;                                             \
			}                                                              \
		} else {                                                               \
			for (size_t at_ = 0; at_ < (rows)->count; at_++) {             \
				size_t i = (rows)->row[at_];                           \
				__VA_ARGS__;                                             \
			}                                                              \
		}                                                                      \
	} while (0)
/* For everything else: only the rows asked for, and of them only those whose result is not yet null. */
#define EXPRESSION_EACH_PRESENT(rows, out, i, ...)                               \
	do {                                                                           \
		for (size_t at_ = 0; at_ < (rows)->count; at_++) {                     \
			size_t i = (rows)->row[at_];                                   \
			if ((out)->null[i])                                            \
				continue;                                              \
			__VA_ARGS__;                                                     \
		}                                                                      \
	} while (0)

EXPRESSION_INLINE struct leat_bytes expression_bytes_at(const struct expression_operand *operand, size_t i)
{
	return operand->column.bytes[i & operand->mask];
}
/* Bytes of one value of @type in a column. */
size_t expression_type_size(uint8_t type);

/* ---- the table of operators and functions (expression_functions.c) ---- */

struct expression_compiler;
struct expression_node;

/* One overload. Rows of the same name stand together; the first carries the help. */
struct expression_function {
	const char *name;
	uint8_t parameters[3];      /* types; LEAT_NONE ends them                                        */
	uint8_t result;
	bool more;                  /* the last parameter may be repeated                                 */
	bool swapped;               /* run with both arguments exchanged, so that > needs no own kernel   */
	bool own_nulls;             /* sets out->null itself                                              */
	expression_kernel *run;
	int (*prepare)(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared);
	const char *help;           /* one sentence                                                       */
};
extern const struct expression_function expression_functions[];      /* the last has name NULL */
/* What the checker puts in by itself. */
extern const struct expression_function expression_is_null, expression_is_present, expression_copy_1, expression_copy_8, expression_copy_16;
extern const struct expression_function expression_int_to_double, expression_float_to_double, expression_enum_to_string, expression_vector_to_floats;
extern const struct expression_function expression_equal_ints, expression_unequal_ints, expression_in_ints, expression_in_doubles, expression_in_strings;

/* Kernels by file. */
expression_kernel expression_add_ints, expression_subtract_ints, expression_multiply_ints, expression_divide_ints, expression_rest_ints, expression_negate_ints;
expression_kernel expression_add_doubles, expression_subtract_doubles, expression_multiply_doubles, expression_divide_doubles, expression_rest_doubles,
	expression_negate_doubles;
expression_kernel expression_equal_int, expression_unequal_int, expression_less_int, expression_most_int;
expression_kernel expression_equal_double, expression_unequal_double, expression_less_double, expression_most_double;
expression_kernel expression_equal_bool, expression_unequal_bool;
expression_kernel expression_and, expression_or, expression_not, expression_null, expression_present;
expression_kernel expression_select_1, expression_select_8, expression_select_16, expression_otherwise_1, expression_otherwise_8, expression_otherwise_16;
expression_kernel expression_copy_bytes_1, expression_copy_bytes_8, expression_copy_bytes_16;
expression_kernel expression_widen_ints, expression_widen_floats;

expression_kernel expression_equal_text, expression_unequal_text, expression_less_text, expression_most_text;
expression_kernel expression_length_text, expression_length_bytes, expression_lower, expression_upper, expression_contains, expression_starts_with,
	expression_ends_with, expression_matches, expression_substring, expression_concat;
expression_kernel expression_text_of_bool, expression_text_of_int, expression_text_of_double;
expression_kernel expression_int_of_bool, expression_int_of_double, expression_int_of_text, expression_double_of_text;
expression_kernel expression_hash_int, expression_hash_bool, expression_hash_text, expression_symbols;

expression_kernel expression_member_int, expression_member_double, expression_member_text, expression_list_of_vector;
expression_kernel expression_text_in_list, expression_number_in_list, expression_size, expression_text_at, expression_number_at;
expression_kernel expression_hour, expression_day, expression_day_of_week, expression_parse_time;
expression_kernel expression_dot, expression_cosine, expression_norm;

const char *expression_type_name(uint8_t type);
/* Reads "12.5e3" (no blanks, no hex, no infinity) whatever the locale; false when it is not that. */
bool expression_read_double(struct leat_bytes text, double *value);
/* Reads an int; @negative: a minus stood before it. False: no digits only, or out of range. */
bool expression_read_int(struct leat_bytes digits, bool negative, int64_t *value);

/* ---- compiling ---- */

enum expression_kind { EXPRESSION_CONSTANT, EXPRESSION_FIELD, EXPRESSION_CALL, EXPRESSION_LIST };
#define EXPRESSION_NO_NODE UINT16_MAX

/* Where an operation finds an argument or leaves its result. */
enum expression_place { EXPRESSION_AT_SLOT, EXPRESSION_AT_CONSTANT, EXPRESSION_AT_REGISTER, EXPRESSION_AT_RESULT };
struct expression_reference {
	enum expression_place place;
	uint8_t type;
	uint32_t at;                            /* the slot, or the register's offset in the workspace */
	const struct leat_column *constant;
};

struct expression_node {
	enum expression_kind kind;
	uint8_t type;                           /* LEAT_NONE: the word null */
	bool live;
	uint16_t slot, count;
	uint16_t first, next;                   /* children and siblings; EXPRESSION_NO_NODE ends them */
	size_t column;                          /* in the text, from 1 */
	struct leat_bytes name;                 /* of a field, a function or an operator */
	const struct leat_column *constant;
	struct expression_call call;
	struct expression_call convert;         /* function NULL: the value goes to its parent as it is */
	struct expression_reference value;
};

struct expression_compiler {
	const char *text;
	size_t length, at, depth;
	const struct leat_layout *layout;
	struct leat_arena *arena;
	struct leat_fault *fault;
	struct expression_node *nodes;
	size_t count, capacity;
};

/* LEAT_ECONFIG with "column n: " before the text. */
int expression_fail(struct expression_compiler *compiler, size_t column, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* LEAT_ENOMEM with its text. */
int expression_no_memory(struct expression_compiler *compiler);
/* Zeroed, from the expression's arena; NULL when memory is out. */
void *expression_memory(struct expression_compiler *compiler, size_t size);
/* A column of one value, null when @value is NULL. NULL: memory is out. */
struct leat_column *expression_constant(struct expression_compiler *compiler, uint8_t type, const void *value);
/* Fills compiler->nodes; the last node is the root. */
int expression_parse(struct expression_compiler *compiler);
/* Types and folds all nodes; the root gets a type that @types allows. */
int expression_check(struct expression_compiler *compiler, uint32_t types);
/* Computes call->function of @arguments, all constant, into one value. NULL: memory is out. */
const struct leat_column *expression_fold(struct expression_compiler *compiler, const struct expression_call *call, const struct expression_operand *arguments);
/* Fills out->null from the arguments' when the function does not, and runs it. */
int expression_apply(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *arguments, const struct expression_call *call);

/* The constants of `in [...]`, for the member kernels. */
int expression_set(struct expression_compiler *compiler, const struct expression_node *list, uint8_t type, const void **set);
int expression_prepare_glob(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared);
int expression_prepare_time_format(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared);
int expression_prepare_zone(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared);
/* The symbols of the enum field @node as texts. */
int expression_prepare_symbols(struct expression_compiler *compiler, const struct expression_node *node, const void **prepared);

#endif
