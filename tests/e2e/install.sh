#!/usr/bin/env bash
# install.sh: `make install` puts everything in its place, a stranger's program builds with pkg-config leat alone, and `make uninstall` leaves nothing.
# timeout: 300
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
check() { # name command...
	local name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		echo "ok $name"
	else
		cat "$work/log"
		echo "not ok $name"
		status=1
	fi
}

cat >"$work/mine.c" <<'END'
#include <leat/operator.h>
#include <stdio.h>

static int process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	(void)self;
	for (size_t i = 0; i < in->count; i++)
		leat_pass(task, 0, in->row[i]);
	return 0;
}
const struct leat_operator operator_mine = { .abi = LEAT_OPERATOR_ABI, .name = "mine", .help = "Passes rows on.", .process = process };

int main(void)
{
	puts(leat_error_text(operator_mine.abi == LEAT_OPERATOR_ABI ? LEAT_ENOTFOUND : 0));
	return 0;
}
END
make_quietly() {
	make --no-print-directory BUILD="${BUILD:-build}" PREFIX="$work/usr" "$@"
}
builds_with() { # name for pkg-config
	local flags
	read -r -a flags <<<"$(PKG_CONFIG_PATH=$work/usr/lib/pkgconfig pkg-config --cflags --libs "$1")"
	gcc -std=c11 -Wall -Wextra -Wpedantic -Werror "$work/mine.c" -o "$work/mine" "${flags[@]}" &&
		[ "$(LD_LIBRARY_PATH=$work/usr/lib "$work/mine")" = "not found" ]
}
linked_with_soname() {
	readelf -d "$work/mine" | grep 'NEEDED.*libleat\.so\.[0-9]*\]'
}
only_our_names_exported() {
	! nm -D --defined-only "$work/usr/lib/libleat.so" | awk '{ print $NF }' | grep -vE '^(leat|operator)_'
}
no_libleat_needed() {
	! readelf -d "$work/mine" | grep libleat
}
every_header_alone() {
	local header
	! grep -rnE '#include "' "$work/usr/include" || return 1
	for header in "$work"/usr/include/leat/*.h; do
		gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$work/usr/include" -fsyntax-only -x c "$header" || return 1
	done
}
page_without_complaints() {
	[ -s "$work/usr/share/man/man1/leat.1" ] && ! grep -n '@[A-Z]*@' "$work/usr/share/man/man1/leat.1" "$work"/usr/lib/pkgconfig/*.pc
}
nothing_left() {
	[ -z "$(find "$work/usr" -type f -o -type l)" ]
}
runs_from_anywhere() {
	(cd / && timeout 60 "$work/usr/bin/leat" run "$work/usr/share/leat/pipelines/personalize.yaml" --embedded "$work/shop" --shop --seconds 3) &&
		(cd / && "$work/usr/bin/leat" tail shop.decisions --embedded "$work/shop" --count 1 | grep decision_id)
}
hardened() {
	readelf -dl "$work/usr/bin/leat" >"$work/elf" && grep GNU_RELRO "$work/elf" && grep 'FLAGS_1.*NOW.*PIE' "$work/elf"
}

check make_install_succeeds make_quietly install
check the_program_runs_from_there env LD_LIBRARY_PATH= "$work/usr/bin/leat" --version
check the_installed_pipeline_runs_from_anywhere runs_from_anywhere
check the_program_is_hardened hardened
check a_program_builds_with_the_shared_library builds_with leat
check and_names_the_library_by_its_soname linked_with_soname
check the_shared_library_exports_only_our_names only_our_names_exported
check a_program_builds_with_the_static_library builds_with leat-static
check and_needs_no_libleat_then no_libleat_needed
check every_header_compiles_alone every_header_alone
check page_and_pc_file_have_their_values page_without_complaints
check make_uninstall_leaves_nothing make_quietly uninstall
check nothing_is_left nothing_left
exit $status
