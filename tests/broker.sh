#!/bin/bash
# broker.sh libs|start|stop|kill|wipe: one Kafka broker in KRaft mode on loopback for the tests, everything under $BROKER_DIR (build/broker).
#   libs   fetches Kafka's jars by Maven (start does it too when they are missing)
#   start  formats the data directory if new, starts, returns when the broker answers a metadata request; the pid lies in $BROKER_DIR/pid
#   stop   ends it in order; kill: kill -9, as a crash would; wipe: stop and delete the data
# BROKER=host:port, default 127.0.0.1:19092; the controller listens on the port after it. KAFKA_VERSION, default 4.1.0.
# BROKER_PROPERTIES=file: more lines of server.properties; they win over those written here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BROKER=${BROKER:-127.0.0.1:19092}
KAFKA_VERSION=${KAFKA_VERSION:-4.1.0}
dir=${BROKER_DIR:-$here/../build/broker}
libs=${BROKER_LIBS:-$here/../build/kafka-libs}-$KAFKA_VERSION
host=${BROKER%:*}
port=${BROKER##*:}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

running() {
	[ -s "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null && tr '\0' ' ' <"/proc/$(cat "$dir/pid")/cmdline" | grep -q kafka.Kafka
}

fetch_libs() {
	[ -d "$libs" ] && return
	rm -rf "$libs.new"
	mvn -q -B -f "$here/kafka/pom.xml" -Dkafka.version="$KAFKA_VERSION" dependency:copy-dependencies -DoutputDirectory="$libs.new"
	mv "$libs.new" "$libs"
}

# An ApiVersions request (v0, correlation 1, no client id) is the cheapest thing only a working broker answers: 4 bytes of length, correlation id 1, error 0.
answers() {
	local reply
	reply=$({ exec 3<>"/dev/tcp/$host/$port" && printf '\0\0\0\12\0\22\0\0\0\0\0\1\377\377' >&3 && timeout 1 head -c 10 <&3 | od -An -tx1 | tr -d ' \n'; } 2>/dev/null) || true
	[ "${reply:8:12}" = 000000010000 ]
}

write_properties() {
	cat >"$dir/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@$host:$((port + 1))
		listeners=PLAINTEXT://$host:$port,CONTROLLER://$host:$((port + 1))
		advertised.listeners=PLAINTEXT://$host:$port
		controller.listener.names=CONTROLLER
		log.dirs=$dir/data
		num.partitions=4
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=4
		group.initial.rebalance.delay.ms=0
		log.cleaner.dedupe.buffer.size=16777216
	END
	[ -z "${BROKER_PROPERTIES:-}" ] || cat "$BROKER_PROPERTIES" >>"$dir/server.properties"
}

run_java() {
	java -cp "$libs/*" -Dorg.slf4j.simpleLogger.defaultLogLevel="$1" "${@:2}"
}

start() {
	if running; then
		echo "already running, pid $(cat "$dir/pid")"
		return
	fi
	if (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; then
		echo "something else listens on $BROKER: set BROKER to a free port" >&2
		exit 1
	fi
	fetch_libs
	write_properties
	if [ ! -f "$dir/data/meta.properties" ]; then
		run_java error kafka.tools.StorageTool format -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'AA' | tr -d =)" -c "$dir/server.properties" >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; exit 1; }
	fi
	setsid nohup java -Xmx1g -XX:TieredStopAtLevel="${BROKER_JIT:-4}" -cp "$libs/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
		kafka.Kafka "$dir/server.properties" >"$dir/log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	for _ in $(seq 600); do
		sleep 0.2
		if ! running; then
			echo "broker did not start:" >&2
			tail -n 20 "$dir/log" >&2
			rm -f "$dir/pid"
			exit 1
		fi
		if answers; then
			echo "broker on $BROKER, pid $(cat "$dir/pid")"
			return
		fi
	done
	echo "broker does not answer on $BROKER, see $dir/log" >&2
	exit 1
}

stop() {
	local pid signal=${1:-TERM}
	if running; then
		pid=$(cat "$dir/pid")
		kill "-$signal" "$pid"
		for _ in $(seq 300); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.2
		done
	fi
	rm -f "$dir/pid"
}

case ${1:-} in
libs) fetch_libs ;;
start) start ;;
stop) stop ;;
kill) stop KILL ;;
wipe) stop && rm -rf "$dir/data" ;;
*) sed -n 2,7p "${BASH_SOURCE[0]}"; exit 2 ;;
esac
