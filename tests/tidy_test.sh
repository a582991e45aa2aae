#!/usr/bin/env bash
# tidy_test.sh: tidy.sh accepts a clean little project and finds one planted fault of each kind, at its place.
set -uo pipefail
tidy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/tidy.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# A project that keeps every rule: one function in the library, used by the program.
clean_project() {
	rm -rf "$work/p"
	mkdir -p "$work/p"/{base,stream,operators,cli,tests/e2e,build/obj/base,build/obj/cli}
	cd "$work/p" || exit 2
	git init -q . && git config user.name t && git config user.email t
	echo build/ >.gitignore
	printf '/* Adds. */\n#ifndef ADD_H\n#define ADD_H\nint leat_add(int a, int b);\n#endif\n' >base/add.h
	printf '/* Adds. */\n#include "base/add.h"\n\nint leat_add(int a, int b)\n{\n\treturn a + b;\n}\n' >base/add.c
	printf '/* What operators see. */\n' >stream/operator.h
	printf '/* One operator. */\n#include "stream/operator.h"\n' >operators/one.c
	printf '/* main. */\n#include "base/add.h"\n\nint main(void)\n{\n\treturn leat_add(1, -1); /* not "malloc(" but words: strcpy(a, b) */\n}\n' >cli/main.c
	printf '/* A test. */\nextern int nothing;\n' >tests/one_test.c
	for folder in base stream operators cli; do echo "# $folder" >$folder/README.md; done
	printf '# tests\n`e2e/` has the long ones.\n' >tests/README.md
	echo true >tests/e2e/long.sh
	build_it
	git add -A
}
build_it() {
	gcc -I. -c base/add.c -o build/obj/base/add.c.o && gcc -I. -c cli/main.c -o build/obj/cli/main.c.o && rm -f build/libleat.a && ar rcs build/libleat.a build/obj/base/add.c.o
}

# finds NAME CHECK "text of the complaint": after a change to the clean project, that check and no other fails, with that complaint.
finds() {
	local out others
	git add -A
	out=$(BUILD=build bash "$tidy" 2>&1)
	others=$(grep '^not ok' <<<"$out" | grep -cv "^not ok $2:")
	if grep -q "^not ok $2:" <<<"$out" && grep -qF -- "$3" <<<"$out" && [ "$others" = 0 ]; then
		echo "ok $1"
	else
		printf '%s\n' "$out"
		echo "not ok $1: wanted '$3' from $2"
		status=1
	fi
	clean_project
}
long_function() { # lines in all
	printf '\nint leat_long(void)\n{\n'
	for _ in $(seq $(($1 - 4))); do printf '\t;\n'; done
	printf '\treturn 0;\n}\n'
}

clean_project
if out=$(BUILD=build bash "$tidy" 2>&1); then
	echo "ok a_clean_project_passes"
else
	printf '%s\n' "$out"
	echo "not ok a_clean_project_passes"
	status=1
fi

long_function 71 >>cli/main.c
finds a_function_of_71_lines_is_too_long lengths "cli/main.c:9: 71 lines, at most 70"

{ printf '\nint leat_long(void)\n{\n'; for _ in $(seq 40); do printf '\t;\n'; done; printf 'out:\n'; for _ in $(seq 40); do printf '\t;\n'; done; printf '\treturn 0;\n}\n'; } >>cli/main.c
finds a_label_does_not_end_a_function lengths "cli/main.c:9: 85 lines, at most 70"

for _ in $(seq 800); do echo; done >>cli/main.c
finds a_file_over_800_lines_is_too_long lengths "cli/main.c: 807 lines, at most 800"

sed -i 1d cli/main.c
finds a_file_opens_with_a_comment openings "cli/main.c:1: a file opens with one sentence"

printf 'int f(char *a, const char *b)\n{\n\treturn !strcpy (a, b);\n}\n' >>cli/main.c
finds a_banned_call_is_found banned "cli/main.c:10: strcpy() is banned"

printf 'void *f(void)\n{\n\treturn malloc(1);\n}\n' >>operators/one.c
finds malloc_outside_base_is_found banned "operators/one.c:5: malloc() is banned"

printf 'void f(void *d, void *o)\n{\n\trocksdb_flush_cf(d, o, 0, 0);\n}\n' >>base/add.c
finds a_flush_of_one_family_is_found_even_in_base banned "base/add.c:10: rocksdb_flush_cf() is banned"

printf 'void f(void)\n{\n\tusleep(1000);\n}\n' >>tests/one_test.c
finds a_sleeping_test_is_found banned "tests/one_test.c:5: usleep() is banned"

printf 'long f(void)\n{\n\treturn time(0);\n}\n' >>operators/one.c
finds an_operator_that_reads_the_clock_is_found banned "operators/one.c:5: time() is banned"

printf '#include "stream/operator.h"\n' >>base/add.c
finds a_lower_layer_may_not_include_a_higher_one layers 'base/add.c:8: base/ may not include "stream/operator.h"'

printf '#include "base/add.h"\n' >>operators/one.c
finds an_operator_includes_its_one_header_only layers 'operators/one.c:3: operators/ may not include "base/add.h"'

printf '#include "add.h"\n' >>base/add.c
finds includes_are_written_from_the_root layers 'base/add.c:8: "add.h": no such file'

rm operators/README.md
finds a_folder_without_a_readme_is_found readmes "operators: no README.md"

mkdir -p tests/faults && echo true >tests/faults/x.sh
finds a_subfolder_that_no_readme_names_is_found readmes "tests/faults: no README.md"

echo "see /""work/main and /home""/someone" >>cli/README.md
finds a_machine_path_is_found machine_paths "cli/README.md:2:"

echo "from https://repo1"".maven"".org/x" >>cli/README.md
finds a_registry_host_is_found machine_paths "cli/README.md:2:"

head -c 1000001 /dev/zero >cli/data.bin
finds a_file_over_a_megabyte_is_found size "cli/data.bin: 1000001 bytes"

printf 'int leat_lonely(void)\n{\n\treturn 1;\n}\n' >>base/add.c && build_it
finds a_global_function_that_nobody_uses_is_found unused_functions "leat_lonely is used by no other file"

printf 'int add_more(void);\nint lonely;\n' >>base/add.c && build_it
finds a_global_name_without_the_prefix_is_found unused_functions "lonely: global names begin with leat_"

printf '#!/bin/sh\necho "# Operators"\n' >build/leat && chmod +x build/leat && echo "# Other" >operators/REFERENCE.md
finds a_stale_generated_page_is_found generated_pages "operators/REFERENCE.md is not what the operators say now"

exit $status
