#!/usr/bin/env bash
# new_operator.sh NAME: writes operators/NAME.c and tests/operators/NAME_test.c from scripts/templates; both build and pass as they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=${1:-}

fail() {
	echo "make operator: $*" >&2
	exit 2
}
[ -n "$name" ] || fail "say its name: make operator NAME=my_operator"
[[ $name =~ ^[a-z][a-z0-9_]{0,40}$ ]] || fail "'$name' is no good name: a small letter, then small letters, digits and _ (at most 41)"
# The name becomes a struct tag and part of C identifiers.
keywords=" auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
[[ $keywords != *" $name "* ]] || fail "'$name' is a word of the C language"
for file in "operators/$name.c" "tests/operators/${name}_test.c"; do
	[ ! -e "$file" ] || fail "$file is there already"
done

mkdir -p operators tests/operators
sed "s/@NAME@/$name/g" scripts/templates/operator.c.in >"operators/$name.c"
sed "s/@NAME@/$name/g" scripts/templates/operator_test.c.in >"tests/operators/${name}_test.c"
echo "wrote operators/$name.c and tests/operators/${name}_test.c; try: make build/tests/operators/${name}_test && build/tests/operators/${name}_test
when its options stand, 'make docs' puts it into operators/REFERENCE.md, which 'make tidy' compares"
