#!/usr/bin/env bash
# operator.sh: `make operator` writes the operator of the README and its test, which build without a warning and pass as they are; what is no good name or is there already is refused.
# timeout: 300
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
say() { # status name
	if [ "$1" = 0 ]; then echo "ok $2"; else echo "not ok $2" && status=1; fi
}
refuses() { # name text
	! make --no-print-directory operator NAME="$1" >"$work/log" 2>&1 && grep -qF "$2" "$work/log"
	say $? "$3"
}

# In a copy: the objects come along so that only the new files are compiled.
mkdir "$work/leat"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp -a --parents -t "$work/leat" 2>/dev/null
mkdir "$work/leat/build"
cp -a "${BUILD:-build}"/{flags,gen,obj,*.a} "$work/leat/build/"
cd "$work/leat" || exit 1

# The README's n-th block of C, and the same of what was written: the whole operator, and of its test the scenario.
block() { awk -v wanted="$1" '/^```c$/ { inside = ++n == wanted; next } /^```/ { inside = 0 } inside' README.md; }
make --no-print-directory operator NAME=ordinal >/dev/null && block 1 | diff - operators/ordinal.c
say $? the_readmes_operator_is_what_is_written
sed -n '/^\tleat_scenario/,/^\t});/s/^\t//p' tests/operators/ordinal_test.c | diff <(block 2) - && [ -n "$(block 2)" ]
say $? the_readmes_test_is_what_is_written
rm operators/ordinal.c tests/operators/ordinal_test.c

make --no-print-directory operator NAME=sample_probe
say $? a_new_operator_is_written
make --no-print-directory BUILD=build build/tests/operators/sample_probe_test
say $? it_builds_without_warnings
CMOCKA_MESSAGE_OUTPUT=stdout build/tests/operators/sample_probe_test
say $? its_test_passes
grep -q '&operator_sample_probe,' build/gen/operators_list.c
say $? it_is_in_the_list_of_operators
refuses sample_probe "operators/sample_probe.c is there already" an_existing_name_is_refused
refuses Sample "no good name" a_capital_letter_is_refused
refuses ../x "no good name" a_path_is_refused
refuses while "a word of the C language" a_keyword_is_refused
refuses "" "say its name" no_name_is_refused
exit $status
