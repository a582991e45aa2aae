#!/usr/bin/env bash
# What is wrong before anything runs: no broker there, broken pipeline files, folders that cannot be used. Nobody listens on the port it names. timeout: 120
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
leat=${BUILD:-build}/leat
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
failed=0
result() { # name ok? why
	if [ "$2" = 0 ]; then echo "ok $1"; else echo "not ok $1: $3"; failed=1; fi
}
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# ---- no broker ----

good='pipeline: absent
sources:
  events: { topic: absent-in, format: json, fields: "user:string n:int" }
operators:
  - { id: kept, use: filter, from: events, with: { where: "n > 1" } }
sinks:
  out: { from: kept, topic: absent-out, format: json, record: "user:string n:int" }
'
printf '%s' "$good" >"$work/good.yaml"
$leat check "$work/good.yaml" >"$work/check" 2>&1
result "the good pipeline is good" $? "$(cat "$work/check")"
$leat run "$work/good.yaml" --brokers 127.0.0.1:9 --state "$work/state" --quiet >"$work/log" 2>&1 &
pid=$!
for _ in $(seq 100); do
	[ "$(grep -c 'trying again' "$work/log")" -ge 3 ] && break
	sleep 0.1
done
waits=$(sed -n 's/.*trying again in \([0-9]*\) ms.*/\1/p' "$work/log" | head -n 3 | tr '\n' ' ')
[ "$waits" = "100 200 400 " ] && grep -q '127.0.0.1:9' "$work/log"
result "no broker: said with its address, tried again ever more slowly" $? "waits '$waits': $(head -c 300 "$work/log")"
start=$(now_ms)
kill -INT $pid
wait $pid
status=$? took=$(($(now_ms) - start))
[ $status = 0 ] && [ $took -lt 1000 ]
result "no broker: Ctrl-C ends it at once" $? "status $status after $took ms"

start=$(now_ms)
timeout 20 $leat run "$work/good.yaml" --brokers 127.0.0.1:9 --state "$work/state" --quiet --seconds 1 >"$work/log" 2>&1
status=$? took=$(($(now_ms) - start))
[ $status = 1 ] && [ $took -ge 1000 ] && [ $took -lt 5000 ] && grep -q 'over before Kafka could be reached' "$work/log"
result "no broker: --seconds ends it with status 1" $? "status $status after $took ms: $(tail -c 300 "$work/log")"

# ---- broken pipeline files ----

wrong() { # name, text that the message must hold, then the file on standard input
	cat >"$work/bad.yaml"
	local start took status
	start=$(now_ms)
	timeout 5 $leat run "$work/bad.yaml" --brokers 127.0.0.1:9 --state "$work/none" --quiet >"$work/log" 2>&1
	status=$? took=$(($(now_ms) - start))
	[ $status = 2 ] && [ $took -lt 1000 ] && [ "$(wc -l <"$work/log")" = 1 ] && grep -q "bad.yaml:[0-9]*: " "$work/log" && grep -q -- "$2" "$work/log" && [ ! -e "$work/none" ]
	result "wrong: $1" $? "status $status after $took ms: $(head -c 300 "$work/log")"
}
with() { printf '%s' "$good" | sed "$1"; }
with 's/^pipeline: absent/pipeline: absent\ncolour: red/' | wrong "an unknown key" colour
with 's/topic: absent-in,/topic: absent-in, tropic: x,/' | wrong "an unknown key of a source" tropic
with 's/^pipeline: absent/pipeline: absent\ncommit_ms: soon/' | wrong "a word for a number" commit_ms
with 's/^pipeline: absent/pipeline: absent\ncommit_ms: 0/' | wrong "a number out of bounds" commit_ms
with 's/use: filter/use: sieve/' | wrong "an unknown operator" sieve
with 's/from: events/from: kept/' | wrong "a cycle" kept
with 's/from: events/from: nobody/' | wrong "an unknown feeder" nobody
with 's/n > 1/n > /' | wrong "a broken expression" kept
with 's/n > 1/m > 1/' | wrong "an unknown field in an expression" m
with 's/n > 1/user/' | wrong "an expression of another type" kept
with 's/where:/wear:/' | wrong "an unknown option of an operator" wear
with 's/user:string n:int" }$/user:string n:integer" }/' | wrong "an unknown type" integer
with 's/format: json/format: xml/' | wrong "an unknown format" xml
with 's/pipeline: absent/pipeline: "a b"/' | wrong "a name that no topic may have" "name must be"
with 's/^sources:/sources: [/' | wrong "no YAML" "bad.yaml"
with 's/^pipeline: absent/pipeline: absent\nkafka: { settings: { group.id: x } }/' | wrong "a setting of Kafka that is ours" group.id
with 's/absent-in,/"${env:LEAT_TEST_NOT_SET}",/' | wrong "an environment variable that is not set" LEAT_TEST_NOT_SET
with '$a\  twice: { from: kept, topic: absent-out, format: json, record: "user:string", emit: early }' | wrong "a topic written early and in transactions" early

timeout 5 $leat run "$work/there-is-none.yaml" --brokers 127.0.0.1:9 >"$work/log" 2>&1
status=$?
[ $status = 2 ] && grep -q there-is-none "$work/log"
result "wrong: no such file" $? "status $status: $(cat "$work/log")"

# ---- folders ----

refused() { # name, text, state folder, more arguments
	local start took status
	start=$(now_ms)
	timeout 5 $leat run "$work/good.yaml" --brokers 127.0.0.1:9 --state "$3" --instance a --quiet "${@:4}" >"$work/log" 2>&1
	status=$? took=$(($(now_ms) - start))
	[ $status = 1 ] && [ $took -lt 1000 ] && grep -q -- "$2" "$work/log"
	result "refused: $1" $? "status $status after $took ms: $(head -c 300 "$work/log")"
}
: >"$work/file"
refused "a state folder below a file" "$work/file" "$work/file/state"
refused "a state folder where nobody may write" /proc "/proc/leat"
mkdir -p "$work/held/absent/a"
: >"$work/held/absent/a/lock"
exec 9>"$work/held/absent/a/lock"
flock 9
refused "an instance in use" "already running" "$work/held"
exit $failed
