#!/usr/bin/env bash
# make_run.sh: `make run` ends by itself after RUN_SECONDS with status 0, Ctrl-C ends it in order and at once, and what it stored opens again.
# timeout: 300
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
owner=$BASHPID
trap '[ "$BASHPID" != "$owner" ] || rm -rf "$work"' EXIT
# They are there before the commands that fill them: a signal to a command not yet started would end this very script's copy of itself, traps and all.
touch "$work/first.log" "$work/second.log" "$work/third.log"
export BUILD=${BUILD:-build} SHOP=$work/shop
status=0
say() { # status name
	if [ "$1" = 0 ]; then
		echo "ok $2"
	else
		tail -n 20 "$work"/*.log
		echo "not ok $2"
		status=1
	fi
}

RUN_SECONDS=5 make --no-print-directory run >"$work/first.log" 2>&1
say $? run_seconds_end_it_with_status_0
[ "$(wc -l <"$work/first.log")" -gt 2 ]
say $? it_says_what_it_does

# As a terminal does it: the signal goes to the whole foreground group, make included.
set -m
make --no-print-directory run >"$work/second.log" 2>&1 &
group=$!
set +m
until=$((SECONDS + 60))
while kill -0 $group 2>/dev/null && [ "$(wc -l <"$work/second.log")" -lt 4 ] && [ $SECONDS -lt $until ]; do sleep 0.2; done
began=$SECONDS
kill -INT -- "-$group"
say $? it_runs_until_it_is_told_to_stop
wait "$group"
[ $((SECONDS - began)) -le 5 ] && ! pgrep -g "$group" >/dev/null
say $? ctrl_c_ends_it_within_5_seconds
! grep -E 'Error|rror:|assert|anitizer' "$work/second.log"
say $? ctrl_c_is_no_error

set -m
"$BUILD/leat" run pipelines/personalize.yaml --embedded "$SHOP" --shop >"$work/third.log" 2>&1 &
leat=$!
set +m
until=$((SECONDS + 30))
while kill -0 $leat 2>/dev/null && [ "$(wc -l <"$work/third.log")" -lt 3 ] && [ $SECONDS -lt $until ]; do sleep 0.2; done
kill -INT $leat
wait $leat
say $? leat_ends_with_status_0_on_ctrl_c
exit $status
