/* filter - parts events in two by an expression. */
#include "stream/operator.h"

enum { PASS, REST };
enum { UNDECIDED };

struct filter {
	struct leat_expression *where;
};

static int filter_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct filter *filter = self;
	const struct leat_column *where = leat_evaluate(task, filter->where, in);
	uint64_t undecided = 0;
	if (!where)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		bool null = where->null[row] != 0;
		undecided += null;
		leat_pass(task, !null && where->bools[row] ? PASS : REST, row);
	}
	leat_count(task, UNDECIDED, undecided);
	return 0;
}

const struct leat_operator operator_filter = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "filter",
	.help = "Parts events in two by an expression.",
	.outputs = (const struct leat_output[]){
		[PASS] = { .name = "pass", .help = "Events for which the expression is true." },
		[REST] = { .name = "rest", .help = "All others: it is false or null for them." },
		{ 0 },
	},
	.counters = (const char *const[]){ [UNDECIDED] = "undecided", NULL },
	.options = (const struct leat_option[]){
		{ "where", LEAT_OPTION_EXPRESSION, offsetof(struct filter, where), .types = LEAT_TYPE_BIT(LEAT_BOOL), .help = "The expression; null counts as false (and in undecided)." },
		{ 0 },
	},
	.self_size = sizeof(struct filter),
	.process = filter_process,
};
