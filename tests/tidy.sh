#!/usr/bin/env bash
# tidy.sh [CHECK...]: the rules of the house that a machine can hold, over the tracked files of the current folder's repository; one "ok CHECK" or "not ok CHECK: why" line each.
# BUILD=build is where objects and the program lie, for the checks that need them.
set -uo pipefail
build=${BUILD:-build}
checks=(lengths openings banned layers readmes machine_paths size unused_functions generated_pages)

# ---- tables: what is allowed where ----

function_lines_max=70
function_lines_median=15
file_lines_max=800
file_bytes_max=1000000

# folder: what its files may include with "..."; a folder stands for all below it. The first row that fits counts.
layers='
base             base/
schemas          base/ schemas/
state            base/ state/
stream           base/ schemas/ state/ stream/
operators/model  operators/model/ base/column.h base/error.h
operators        stream/operator.h operators/model/ base/column.h base/error.h base/row.h
cli              base/ schemas/ state/ stream/ serve/ cli/
serve            base/ schemas/ state/ stream/ serve/
'
# where | except | calls | why. (Tests and benches may call malloc: what they allocate must not be counted among the allocations that are made to fail.)
banned='
.               | -      | sprintf vsprintf strcpy strcat strncpy strncat strtok gets atoi atol atof system alloca popen | there are bounded calls
.               | base/ tests/ bench/ | malloc calloc realloc reallocarray strdup strndup asprintf vasprintf aligned_alloc posix_memalign free | leat_malloc and its kin can be made to fail
.               | -      | rocksdb_flush rocksdb_flush_cf rocksdb_flush_cfs | they flush one family even with atomic_flush on
tests           | -      | sleep usleep nanosleep clock_nanosleep | time is a parameter
operators       | -      | rand random drand48 time clock_gettime gettimeofday getenv pthread_create | the result may hang only on rows, options and tables
'
# file function: banned elsewhere, needed here for the reason beside it.
exceptions='
state/shim.cc strdup    # its error texts are freed as those of RocksDB are
tests/operators/sessionize_real_test.c popen    # the log that it reads is packed by xz
'
machine_paths='(^|[^a-zA-Z0-9_.$}/-])/(work|root|home)/[a-z]|(deb|security|snapshot)[.]debian[.]org|repo[0-9]*[.]maven|maven[.]org|maven[.]google|pypi[.]org|pythonhosted|crates[.]io|npmjs|proxy[.]golang|registry-1[.]docker|artifactregistry|pkg[.]dev'

# ---- the files ----

tracked() {
	git ls-files -- "$@" | while read -r file; do [ -f "$file" ] && echo "$file"; done
}
sources() {
	tracked '*.c' '*.h' '*.cc' | grep -v '^bench/peers/'
}
# The sources without comments and without what stands in quotes, line by line in the same places, as FILE:LINE:TEXT.
code() {
	# shellcheck disable=SC2016
	sources | xargs -r perl -0777 -ne '
		s{(/\*.*?\*/|//[^\n]*)|("(?:[^"\\\n]|\\.)*"|\x27(?:[^\x27\\\n]|\\.)*\x27)}{ my $t = $&; my $q = substr($t, 0, 1); if ($q eq "/") { $t =~ s/[^\n]//g; $t } else { "$q$q" } }gse;
		my $n = 0; print map { $n++; "$ARGV:$n:$_\n" } split /\n/, $_, -1;'
}

# ---- the checks: each prints what is wrong, one line per fault; lines that begin with "# " are only told ----

check_lengths() {
	sources | xargs -r awk -v most="$function_lines_max" -v aim="$function_lines_median" -v file_most="$file_lines_max" '
		function close_file() { if (lines > file_most) printf "%s: %d lines, at most %d\n", file, lines, file_most }
		FNR == 1 { close_file(); file = FILENAME; start = 0; body = 0 }
		{ lines = FNR }
		/^[A-Za-z_]/ && !body { start = FNR; name = $0 }
		/^\{/ || /^[A-Za-z_].*\)[ \t]*\{$/ { body = 1 }
		/^\}/ && body {
			n = FNR - start + 1
			length_of[count++] = n
			if (n > most) printf "%s:%d: %d lines, at most %d: %s\n", FILENAME, start, n, most, name
			body = 0
		}
		END {
			close_file()
			for (i = 1; i < count; i++) { v = length_of[i]; for (j = i - 1; j >= 0 && length_of[j] > v; j--) length_of[j + 1] = length_of[j]; length_of[j + 1] = v }
			if (count) printf "# %d functions, median %d lines (the aim is %d), longest %d\n", count, length_of[int(count / 2)], aim, length_of[count - 1]
		}'
}

check_openings() {
	sources | while read -r file; do
		head -n 1 "$file" | grep -q '^/[*/]' || echo "$file:1: a file opens with one sentence in a comment"
	done
}

check_banned() {
	local where except calls why
	code >"$work/code"
	printf '%s\n' "$exceptions" | sed 's/#.*//' >"$work/exceptions"
	while IFS='|' read -r where except calls why; do
		where=$(echo $where) except=$(echo $except) calls=$(echo $calls)
		[ -n "$where" ] || continue
		awk -v where="$where/" -v except="$except" -v calls="$calls" -v why="$why" -v list="$work/exceptions" '
			BEGIN {
				while ((getline line < list) > 0) { split(line, w, " "); allowed[w[1] " " w[2]] = 1 }
				count = split(calls, call, " ")
				skipped = split(except, skip, " ")
				any = calls
				gsub(/ +/, "|", any)
				any = "(" any ")[ \t]*\\("
			}
			$0 !~ any { next }
			{
				file = $0; sub(/:.*/, "", file)
				if (where != "./" && index(file, where) != 1) next
				for (i = 1; i <= skipped; i++) if (index(file, skip[i]) == 1) next
				text = $0; sub(/^[^:]*:[0-9]*:/, "", text)
				place = substr($0, 1, length($0) - length(text))
				for (i = 1; i <= count; i++)
					if (match(text, "(^|[^A-Za-z0-9_.>])" call[i] "[ \t]*\\(") && !((file " " call[i]) in allowed))
						print place " " call[i] "() is banned:" why
			}' "$work/code"
	done <<<"$banned"
}

check_layers() {
	local folder allowed file line included ok one
	sources | xargs -r grep -nHE '^[ \t]*#[ \t]*include[ \t]*"' | while IFS=: read -r file line included; do
		included=${included#*\"}
		included=${included%%\"*}
		[ -e "$included" ] || { echo "$file:$line: \"$included\": no such file (includes are written from the project's root)"; continue; }
		while read -r folder allowed; do
			[ -n "$folder" ] && [[ $file == "$folder"/* ]] || continue
			ok=
			for one in $allowed; do [[ $included == "$one" || ($one == */ && $included == "$one"*) ]] && ok=yes; done
			[ -n "$ok" ] || echo "$file:$line: $folder/ may not include \"$included\" (only: $allowed)"
			break
		done <<<"$layers"
	done
}

# A folder has a README.md of its own, or the next one above it names the folder as `name/`.
check_readmes() {
	local folder above
	tracked | grep / | grep -v '^\.' | sed 's|/[^/]*$||' | awk '{ n = split($0, part, "/"); path = ""; for (i = 1; i <= n; i++) { path = path (i > 1 ? "/" : "") part[i]; print path } }' | LC_ALL=C sort -u | while read -r folder; do
		[ -f "$folder/README.md" ] && continue
		above=${folder%/*}
		while [ "$above" != "${above%/*}" ] && [ ! -f "$above/README.md" ]; do above=${above%/*}; done
		[ "$above" != "$folder" ] && [ -f "$above/README.md" ] && grep -qF "${folder##*/}/" "$above/README.md" && continue
		echo "$folder: no README.md"
	done
}

check_machine_paths() {
	tracked | grep -vx 'tests/tidy.sh' | xargs -r -d '\n' grep -nIE "$machine_paths" | cut -c 1-160
}

check_size() {
	tracked | xargs -r -d '\n' stat -c '%s %n' | awk -v most="$file_bytes_max" '$1 > most { print $2 ": " $1 " bytes, at most " most }'
}

# A global function of the library is used by another object, a test, the program or a bench, or stands in an installed header. (Unused statics: the compiler.)
# What files of one family share (expression_parse in expression_*.c) may have its name instead of leat_; the shared library exports leat_ and operator_ only.
check_unused_functions() {
	local object source archive=$build/libleat.a
	[ -f "$archive" ] || { echo "$archive is not built"; return; }
	nm -A --defined-only "$archive" 2>/dev/null | awk '$(NF - 1) ~ /^[TDBR]$/ { split($1, p, ":"); print $NF, p[2] }' | grep -vE '^_Z' >"$work/defined"
	# Only objects whose source is still there: an old build may hold others.
	find "$build/obj" -name '*.o' | while read -r object; do
		source=${object#"$build/obj/"}
		[ -f "${source%.o}" ] || [ -f "$build/${source%.o}" ] && echo "$object"
	done | xargs -r nm -A --undefined-only 2>/dev/null | awk '{ print $NF }' | LC_ALL=C sort -u >"$work/used"
	cat base/error.h base/column.h base/row.h stream/operator.h stream/leat.h 2>/dev/null | grep -oE '\bleat_[a-z0-9_]+' | LC_ALL=C sort -u >"$work/public"
	awk -v used="$work/used" -v public="$work/public" '
		BEGIN { while ((getline n < used) > 0) known[n] = 1; while ((getline n < public) > 0) known[n] = 1 }
		{ family = $2; sub(/[_.].*/, "", family) }
		$1 !~ /^(leat_|operator_)/ && index($1, family "_") != 1 { print $2 ": " $1 ": global names begin with leat_, or inside a family of files with its name"; next }
		!($1 in known) { print $2 ": " $1 " is used by no other file: make it static or take it out" }' "$work/defined"
}

check_generated_pages() {
	[ -x "$build/leat" ] || { echo "# $build/leat is not built: pages not compared"; return; }
	"$build/leat" operators --markdown >"$work/page" 2>"$work/error" || { echo "$build/leat operators --markdown: $(head -n 1 "$work/error")"; return; }
	cmp -s "$work/page" operators/REFERENCE.md || echo "operators/REFERENCE.md is not what the operators say now: make docs"
}

# ---- running them ----

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -eq 0 ] || checks=("$@")
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || { echo "skip tidy: not a git work tree, so nothing says which files are ours"; exit 0; }
status=0
for check in "${checks[@]}"; do
	declare -F "check_$check" >/dev/null || { echo "tidy.sh: no check '$check' (there are: ${checks[*]})" >&2; exit 2; }
	"check_$check" >"$work/found" 2>&1
	grep '^# ' "$work/found"
	if faults=$(grep -v '^# ' "$work/found"); then
		printf '%s\n' "$faults"
		echo "not ok $check: $(wc -l <<<"$faults") found"
		status=1
	else
		echo "ok $check"
	fi
done
exit $status
