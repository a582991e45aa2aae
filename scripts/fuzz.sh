#!/usr/bin/env bash
# fuzz.sh NAME...: runs each fuzz program for SECONDS_EACH (60); what it learns stays in $BUILD/corpus/NAME, what breaks it in $BUILD/crashes/NAME-*. Exit status: how many broke.
set -uo pipefail
build=${BUILD:-build-fuzz}
seconds=${SECONDS_EACH:-60}
# The sanitizer's quarantine of freed memory would by itself reach the limit below.
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=16}

broken=0
for name in "$@"; do
	corpus=$build/corpus/$name
	mkdir -p "$corpus" "$build/crashes"
	seeds=()
	[ -d "tests/fuzz/seeds/$name" ] && seeds=("tests/fuzz/seeds/$name")
	log=$build/crashes/$name.log
	if "$build/tests/fuzz/$name" -max_total_time="$seconds" -rss_limit_mb=256 -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$build/crashes/$name-" "$corpus" "${seeds[@]}" >"$log" 2>&1; then
		echo "ok $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $seconds s, at most $(sed -n 's/^stat::peak_rss_mb: *//p' "$log") MB"
	else
		broken=$((broken + 1))
		tail -n 40 "$log"
		echo "not ok $name: see $log"
	fi
done
[ $# -gt 0 ] || echo "no fuzz programs in tests/fuzz"
exit "$broken"
