#!/usr/bin/env bash
# compose.sh: docker-compose.yml with three leats, by processes in place of containers: the shop's events become decisions, every instance gets tasks, all end in order.
# timeout: 180
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${BUILD:-build}
export COMPOSE_BROKER=127.0.0.1:29292
status=0
say() { # status name
	if [ "$1" = 0 ]; then echo "ok $2"; else echo "not ok $2" && status=1; fi
}
log=$build/compose.log
bash scripts/compose-standin.sh up --scale leat=3 >"$log" 2>&1 &
standin=$!
trap 'kill -TERM $standin 2>/dev/null; wait $standin' EXIT

# within SECONDS command...: until it holds
within() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] && kill -0 $standin 2>/dev/null || return 1
		sleep 0.3
	done
}
decisions_come() {
	[ -n "$(timeout 5 kcat -q -b $COMPOSE_BROKER -C -t shop.decisions -o beginning -c 20 -e 2>/dev/null)" ]
}
every_instance_has_tasks() {
	local n
	for n in 1 2 3; do
		[ -n "$(find "$build/compose/leat-$n/var/lib/leat" -mindepth 3 -maxdepth 3 -type d 2>/dev/null | head -n 1)" ] || return 1
	done
}
within 60 grep -q '^up' "$log"
say $? everything_starts
within 40 decisions_come
say $? the_shops_events_become_decisions
within 40 every_instance_has_tasks
say $? three_instances_share_the_tasks
kill -TERM $standin
wait $standin
say $? all_end_in_order_with_status_0
trap - EXIT
[ $status = 0 ] || tail -n 30 "$log" "$build"/compose/*.log
exit $status
