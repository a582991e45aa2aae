#!/usr/bin/env bash
# compose-standin.sh up [--scale SERVICE=N]... [--seconds N]: brings docker-compose.yml up where there is no container engine. Ctrl-C, SIGTERM or the time end it in order.
#   Same: services, their order, commands, environment, counts, host names, a state folder per container, the user without rights (when started as root), stop signal and grace.
#   Stood in for: the Kafka image by tests/broker.sh (same version), service names by addresses on loopback, containers by processes, volumes by folders in $BUILD/compose.
#   Not tried here: the image build, read-only root, dropped capabilities of containers, health checks, restarts.
# COMPOSE_BROKER=127.0.0.1:29292 is where the broker listens. Outputs: $BUILD/compose/<service>-<n>.log. Exit status 0 when every process ended with 0.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$(cd "${BUILD:-build}" && pwd)
dir=$build/compose
export BROKER=${COMPOSE_BROKER:-127.0.0.1:29292} BROKER_DIR=$dir/kafka

usage() {
	sed -n 2,6p "${BASH_SOURCE[0]}" >&2
	exit 2
}
declare -A scale=()
seconds=
[ "${1:-}" = up ] || usage
shift
while [ $# -gt 0 ]; do
	case $1 in
	--scale) scale[${2%%=*}]=${2#*=} && shift 2 ;;
	--seconds) seconds=$2 && shift 2 ;;
	*) usage ;;
	esac
done

# The file as calls of the function service below, in the order of depends_on.
read_compose() {
	$(command -v /usr/bin/python3 || echo python3) - docker-compose.yml <<-'END'
		import shlex, sys, yaml
		services = yaml.safe_load(open(sys.argv[1]))["services"]
		done = []
		def visit(name):
		    if name in done: return
		    for other in services[name].get("depends_on", {}): visit(other)
		    done.append(name)
		for name in services: visit(name)
		def words(value): return shlex.split(value) if isinstance(value, str) else [str(v) for v in value or []]
		for name in done:
		    s = services[name]
		    env = s.get("environment", {})
		    env = [f"{k}={v}" for k, v in env.items()] if isinstance(env, dict) else env
		    paths = [v.split(":")[1] if ":" in v else v for v in s.get("volumes", [])]
		    args = (words(s.get("entrypoint")) or ["leat"]) + words(s.get("command"))
		    grace = str(s.get("stop_grace_period", "10s")).rstrip("s")
		    fields = [name, s.get("image", ""), grace, str(len(env)), *env, str(len(paths)), *paths, *args]
		    print("service", *[shlex.quote(f.replace("$$", "$")) for f in fields])
	END
}

pids=()
names=()
grace_max=10
start_one() { # name number, then: env... -- paths... -- args...
	local name=$1 own=$1-$2 path arg part=0 env=() paths=() args=()
	shift 2
	for arg in "$@"; do
		if [ "$arg" = -- ] && [ $part -lt 2 ]; then part=$((part + 1)) && continue; fi
		case $part in 0) env+=("$arg") ;; 1) paths+=("$arg") ;; 2) args+=("${arg//kafka:9092/$BROKER}") ;; esac
	done
	mkdir -p "$dir/$own"
	for path in "${paths[@]}"; do
		mkdir -p "$dir/$own$path"
		args=("${args[@]//$path/$dir/$own$path}")
	done
	local as=()
	if [ "$(id -u)" = 0 ]; then
		as=(setpriv --reuid 10001 --regid 10001 --clear-groups --inh-caps=-all --no-new-privs)
		if "${as[@]}" test -x "$build/leat" -a -x "$dir/$own"; then
			chown -R 10001:10001 "$dir/$own"
		else
			echo "$own runs as root: user 10001 may not enter $build"
			as=()
		fi
	fi
	env -i PATH="$build:$PATH" HOME="$dir/$own" HOSTNAME="$own" "${env[@]//kafka:9092/$BROKER}" "${as[@]}" "${args[@]}" >"$dir/$own.log" 2>&1 </dev/null &
	pids+=($!)
	names+=("$own")
	echo "started $own, pid $!"
}
service() { # name image grace, count env..., count paths..., args...
	local name=$1 image=$2 grace=$3 count env paths i
	shift 3
	count=$1 && shift && env=("${@:1:count}") && shift "$count"
	count=$1 && shift && paths=("${@:1:count}") && shift "$count"
	[ "$grace" -gt "$grace_max" ] && grace_max=$grace
	if [[ $image == apache/kafka:* ]]; then
		KAFKA_VERSION=${image##*:} bash tests/broker.sh start
		return
	fi
	for i in $(seq "${scale[$name]:-1}"); do
		start_one "$name" "$i" "${env[@]}" -- "${paths[@]}" -- "$@"
	done
}

ending=
status=0
end_all() {
	local i pid deadline=$((SECONDS + grace_max))
	trap - EXIT
	[ ${#pids[@]} = 0 ] || kill -TERM "${pids[@]}" 2>/dev/null || true
	for i in "${!pids[@]}"; do
		pid=${pids[$i]}
		while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
		kill -KILL "$pid" 2>/dev/null && echo "${names[$i]} did not end in $grace_max s"
		local rc=0
		wait "$pid" || rc=$?
		echo "ended ${names[$i]} with status $rc"
		[ $rc = 0 ] || status=1
	done
	bash tests/broker.sh stop
	exit $status
}

rm -rf "$dir"
mkdir -p "$dir"
trap end_all EXIT
trap 'ending=yes' INT TERM
calls=$(read_compose)
eval "$calls"
echo "up${seconds:+ for $seconds s}: outputs in ${dir#"$PWD/"}"
until=$((SECONDS + ${seconds:-2000000000}))
while [ -z "$ending" ] && [ $SECONDS -lt $until ]; do
	for i in "${!pids[@]}"; do
		if ! kill -0 "${pids[$i]}" 2>/dev/null; then
			echo "${names[$i]} ended by itself; its last lines:"
			tail -n 5 "$dir/${names[$i]}.log"
			status=1 ending=yes
		fi
	done
	sleep 0.2
done
