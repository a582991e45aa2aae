#!/usr/bin/env bash
# run.sh all|unit: runs the tests and closes with the line "N passed, N failed" (", N skipped").
#   unit: the programs tests/**/*_test.c that need no broker, JOBS at a time
#   all:  those, then tests/tidy.sh and tests/tidy_test.sh, then what needs a broker or the whole program: tests/e2e/*.sh and the other *_test.c, one by one
# TEST=text runs only tests whose path holds the text. LABEL=word stands before the closing line. BUILD=build is where the programs lie; whole outputs: $BUILD/test-logs.
# A test that mentions BROKER gets one started by tests/broker.sh, address in $BROKER. "timeout: N" in a test's first lines gives it N seconds instead of the usual.
# A C test speaks cmocka, a script prints "ok NAME", "not ok NAME: why" or "skip NAME: why" lines; a test that ends otherwise than with status 0, or reports nothing, has failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export BUILD=${BUILD:-build}
export BROKER=${BROKER:-127.0.0.1:19092} BROKER_DIR=${BROKER_DIR:-$PWD/$BUILD/broker}
logs=$BUILD/test-logs
# Only what libraries of others do wrong stands in these files.
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=${ASAN_OPTIONS:-malloc_context_size=10}
[ ! -f tests/sanitizers/lsan.supp ] || export LSAN_OPTIONS=suppressions=$PWD/tests/sanitizers/lsan.supp
[ ! -f tests/sanitizers/tsan.supp ] || export TSAN_OPTIONS=suppressions=$PWD/tests/sanitizers/tsan.supp

# ---- one test: its output in $log, then "pass NAME", "fail NAME: why", "skip NAME: why" and "time SECONDS" lines in $log.result ----

# cmocka's own words (TAP) and the scripts' lines become ours. A skipped cmocka test has printed its reason before, as "skip: reason".
judge() { # status log limit
	awk -v status="$1" -v limit="$3" '
		/^1\.\.[0-9]+$/ { planned += substr($0, 4); next }
		/^skip: / { reason = substr($0, 7); next }
		/^not ok [0-9]+ # SKIP / { seen++; sub(/^not ok [0-9]+ # SKIP /, ""); skip($0, reason); reason = ""; next }
		/^ok [0-9]+ - / { seen++; sub(/^ok [0-9]+ - /, ""); print "pass " $0; next }
		/^not ok [0-9]+ - / { seen++; failed++; sub(/^not ok [0-9]+ - /, ""); print "fail " $0; next }
		/^not ok / { failed++; print "fail " substr($0, 8); next }
		/^ok / { passed++; print "pass " substr($0, 4); next }
		/^skip / { skipped++; name = substr($0, 6); why = name; sub(/:.*/, "", name); sub(/^[^:]*: */, "", why); skip(name, why); next }
		function skip(name, why) { print "skip " name ": " (why == "" ? "no reason given" : why) }
		END {
			if (status == 124) print "fail (not ended after " limit " s)"
			else if (status != 0 && !failed) print "fail (ended with status " status ")"
			else if (seen < planned && !failed) print "fail (only " seen " of " planned " tests ran)"
			else if (!seen && !passed && !failed && !skipped) print "fail (reported no test)"
		}' "$2"
}

run_one() { # seconds path-of-the-source
	local source=$2 name=${2#tests/} command limit start
	name=${name%.*}
	case $source in
	*.c) command=("$BUILD/${source%.c}") ;;
	*) command=(bash "$source") ;;
	esac
	limit=$(sed -n '1,5s/.*timeout: \([0-9][0-9]*\).*/\1/p' "$source" | head -n 1)
	limit=${limit:-$1}
	local log=$logs/$name.log
	mkdir -p "${log%/*}"
	start=${EPOCHREALTIME/./}
	CMOCKA_MESSAGE_OUTPUT=tap timeout -k 10 "$limit" "${command[@]}" >"$log" 2>&1 </dev/null
	local status=$? ms=$(((${EPOCHREALTIME/./} - start) / 1000))
	# timeout itself is killed along with a test that did not end when asked to.
	[ "$status" = 137 ] && [ "$ms" -ge $((limit * 1000)) ] && status=124
	{ judge "$status" "$log" "$limit"; echo "time $ms $name"; } >"$log.result"
	if grep -q '^fail' "$log.result"; then
		# Printed at once, because others print at the same time.
		printf '%s\n' "FAILED $name (its output, the last 60 lines of $log):
$(tail -n 60 "$log" | sed 's/^/    /')"
	else
		echo "ok     $name"
	fi
}

# ---- which tests there are ----

needs_broker() {
	grep -qw BROKER "$1"
}
selected() { # kind: unit or whole
	local source
	{
		find tests -name '*_test.c'
		[ "$1" = unit ] || ls tests/e2e/*.sh 2>/dev/null
	} | LC_ALL=C sort | while read -r source; do
		[[ $source == *"${TEST:-}"* ]] || continue
		if [[ $source != tests/e2e/* ]] && ! needs_broker "$source"; then
			[ "$1" = unit ] && echo "$source"
		else
			[ "$1" = unit ] || echo "$source"
		fi
	done
}

# ---- the broker, started by us and ended by us ----

broker_is_ours=
start_broker() {
	[ -z "$broker_is_ours" ] || return 0
	mkdir -p "$BROKER_DIR"
	bash tests/broker.sh wipe >/dev/null 2>&1
	if bash tests/broker.sh start >"$logs/broker.log" 2>&1; then
		broker_is_ours=yes
	else
		cat "$logs/broker.log"
		return 1
	fi
}
stop_broker() {
	[ -z "$broker_is_ours" ] || bash tests/broker.sh wipe >/dev/null 2>&1
	broker_is_ours=
}

# ---- all of them ----

run_unit() {
	selected unit | xargs -r -P "${JOBS:-$(nproc)}" -I{} bash "${BASH_SOURCE[0]}" one "${UNIT_SECONDS:-120}" {}
}
run_whole() {
	local source
	for source in tests/tidy.sh tests/tidy_test.sh; do
		[[ $source == *"${TEST:-}"* ]] && run_one 300 "$source"
	done
	while read -r source; do
		if needs_broker "$source" && ! start_broker; then
			mkdir -p "$logs/e2e"
			echo "fail (no broker to run it on)" >"$logs/e2e/$(basename "$source").log.result"
			continue
		fi
		run_one "${E2E_SECONDS:-600}" "$source"
	done < <(selected whole)
}

summary() {
	local results=$logs/all.results failed
	find "$logs" -name '*.log.result' | LC_ALL=C sort | while read -r file; do
		name=${file#"$logs/"}
		sed "/^time/!s|^\([a-z]*\) |\1 ${name%.log.result}: |" "$file"
	done >"$results"
	echo
	echo "took $SECONDS s; slowest:"
	sed -n 's/^time //p' "$results" | sort -rn | head -n 5 | awk '{ printf "  %6.1f s  %s\n", $1 / 1000, $2 }'
	if grep -q '^skip' "$results"; then
		echo "skipped, and why:"
		sed -n 's/^skip /  /p' "$results"
	fi
	if grep -q '^fail' "$results"; then
		echo "failed:"
		sed -n 's/^fail /  /p' "$results"
	fi
	echo
	failed=$(grep -c '^fail' "$results")
	awk -v label="${LABEL:+$LABEL: }" '
		/^pass/ { p++ } /^fail/ { f++ } /^skip/ { s++ }
		END { printf "%s%d passed, %d failed", label, p, f; if (s) printf ", %d skipped", s; print "" }' "$results"
	[ "$failed" = 0 ] && grep -q '^pass' "$results"
}

case ${1:-} in
one)
	run_one "$2" "$3"
	exit 0
	;;
unit | all)
	rm -rf "$logs"
	mkdir -p "$logs"
	trap stop_broker EXIT
	trap 'exit 130' INT TERM
	run_unit
	[ "$1" = unit ] || run_whole
	summary
	;;
*)
	sed -n 2,8p "${BASH_SOURCE[0]}"
	exit 2
	;;
esac
