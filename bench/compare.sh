#!/usr/bin/env bash
# compare.sh BASE [NAME...]: builds and runs the micro benches of another commit and of this tree and prints both columns with their ratio. NAME: only these (ads, mf, rows, ...).
# Each program runs RUNS=3 times in turn with the other's; the smallest figure of each line counts. INSTRUCTIONS=1: callgrind's instruction counts instead, where time is too noisy (needs valgrind; slow).
# The other commit is built in a temporary worktree, kept for the next time in $BUILD/bench-base/<commit>.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${BUILD:-build}
base=$(git rev-parse --verify --short=12 "${1:?compare.sh BASE [NAME...]}^{commit}")
shift
tree=$PWD/$build/bench-base/$base
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build_base() {
	[ ! -f "$tree/.built" ] || return 0
	git worktree prune
	rm -rf "$tree"
	git worktree add --quiet --force --detach "$tree" "$base"
	make --no-print-directory -C "$tree" -j"${JOBS:-2}" BUILD=build bench-programs 2>/dev/null || build_base_by_name
	touch "$tree/.built"
	# Git need not know of it any more: what was built stays.
	rm -f "$tree/.git"
	git worktree prune
}
# Commits from before there was a target for building without running.
build_base_by_name() {
	local programs
	programs=$(cd "$tree" && ls bench/micro/*_bench.c | sed 's|bench/micro/\(.*\)\.c|build/bench/\1|')
	# shellcheck disable=SC2086
	make --no-print-directory -C "$tree" -j"${JOBS:-2}" BUILD=build $programs
}

# "program|what|figure" for each number of an output that is a time; the words of its line, with the other numbers, are its name.
figures() { # program
	perl -ne 'BEGIN { $program = shift @ARGV }
		my $name = "";
		while (/([^0-9]*?)(-?\b[0-9][0-9,]*(?:\.[0-9]+)?)(\s*(?:ns|µs|us)(?![A-Za-z]))?/g) {
			my ($words, $number, $unit) = ($1, $2, $3);
			$number =~ s/,//g;
			if (!defined $unit) { $name .= $words . $number; next }
			($name .= $words) =~ s/\s+/ /g;
			$name =~ s/^[ :;,]+|[ :;,]+$//g;
			print "$program|$name|$number\n";
			$name = "";
		}' "$1"
}
measure() { # folder-of-programs out name
	if [ -n "${INSTRUCTIONS:-}" ]; then
		valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1/$3_bench" 2>&1 >/dev/null | sed -n 's/.*Collected *: *\([0-9]*\).*/'"$3"'|instructions|\1/p' >>"$2"
	else
		"$1/$3_bench" | figures "$3" >>"$2"
	fi
}

build_base
make --no-print-directory -j"${JOBS:-2}" BUILD="$build" bench-programs
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd bench/micro && ls -- *_bench.c | sed 's/_bench\.c//')
: >"$work/base" >"$work/here"
runs=${RUNS:-3}
[ -z "${INSTRUCTIONS:-}" ] || runs=1
for name in "${names[@]}"; do
	for _ in $(seq "$runs"); do
		[ ! -x "$tree/build/bench/${name}_bench" ] || measure "$tree/build/bench" "$work/base" "$name"
		measure "$build/bench" "$work/here" "$name"
	done
done
perl -e 'my ($base, %was, %is, @order) = shift;
	sub smallest { my ($file, $least) = @_; open my $in, "<", $file or die; while (<$in>) { chomp; my ($program, $what, $figure) = split /\|/; my $key = "$program: $what";
		push @order, $key if !grep { $_ eq $key } @order; $least->{$key} = $figure if !defined $least->{$key} || $figure < $least->{$key} } }
	smallest($ARGV[1], \%is); smallest($ARGV[0], \%was);
	printf "%-76s %14s %14s %7s\n", "ns; ratio below 1: here is quicker", $base, "here", "ratio";
	for (@order) { printf "%-76s %14s %14s %7s\n", substr($_, 0, 76), $was{$_} // "-", $is{$_} // "-", $was{$_} && $is{$_} ? sprintf("%.3f", $is{$_} / $was{$_}) : "-" }' "$base" "$work/base" "$work/here"
