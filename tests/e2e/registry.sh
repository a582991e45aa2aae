#!/usr/bin/env bash
# Runs the registry client against a real schema registry: Apicurio Registry (Confluent-compatible REST API) from Maven, in memory, on
# loopback. About 20 s and 100 MB of download the first time, 12 s then. timeout: 150
set -u
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
VERSION=3.0.9                    # the last that runs on Java 17, Debian 12's
HOME_DIR=$BUILD/e2e/registry-$VERSION
WORK=$(mktemp -d)
PID=

skip() { echo "skip registry: $*"; exit 0; }
fail() { tail -20 "$WORK/registry.log"; echo "not ok registry: $*"; exit 1; }
stop() { [ -n "$PID" ] && kill "$PID" 2>/dev/null && wait "$PID" 2>/dev/null; PID=; }
trap 'stop; rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM

for tool in java mvn curl openssl timeout; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done
java=$(java -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p')
[ "${java:-0}" -ge 17 ] || skip "Java 17 is needed, this is ${java:-unknown}"

if [ ! -e "$HOME_DIR/complete" ]; then
	rm -rf "$HOME_DIR"
	mkdir -p "$HOME_DIR"
	# get, not unpack: that one also wants the parent's descriptor, which need not be there. 2.8 is the last that copies to a place of choice.
	timeout 60 mvn -B org.apache.maven.plugins:maven-dependency-plugin:2.8:get -Dtransitive=false \
		-Dartifact=io.apicurio:apicurio-registry-app:$VERSION:tar.gz:all -Ddest="$WORK/registry.tar.gz" >"$WORK/mvn.log" 2>&1 ||
		skip "Maven could not get it: $(grep -m1 -o 'Could not.*\|Failed to.*\|Couldn.t.*' "$WORK/mvn.log" | cut -c1-200)"
	tar xzf "$WORK/registry.tar.gz" -C "$HOME_DIR" || exit 1
	rm "$WORK/registry.tar.gz"
	touch "$HOME_DIR/complete"
fi

free_port() {
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 10000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}
HTTP=$(free_port)
HTTPS=$(free_port)
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
	-keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null || skip "openssl could not make a certificate"

QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$HTTP QUARKUS_HTTP_SSL_PORT=$HTTPS QUARKUS_HTTP_INSECURE_REQUESTS=enabled \
QUARKUS_HTTP_SSL_CERTIFICATE_FILES=$WORK/cert.pem QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES=$WORK/key.pem \
	java -Xmx384m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -jar "$HOME_DIR/apicurio-registry-app-$VERSION-runner.jar" >"$WORK/registry.log" 2>&1 &
PID=$!
export no_proxy='*' REGISTRY_URL=http://127.0.0.1:$HTTP/apis/ccompat/v7
curl -sf -m 2 --retry 60 --retry-delay 1 --retry-all-errors --retry-max-time 60 "$REGISTRY_URL/subjects" >/dev/null || fail "it did not start"

put() { curl -sf -m 10 -H 'Content-Type: application/vnd.schemaregistry.v1+json' "$@"; }
put "$REGISTRY_URL/subjects/base-value/versions" -d '{"schema":"{\"type\":\"record\",\"name\":\"Base\",\"fields\":[]}"}' >/dev/null &&
put -X PUT "$REGISTRY_URL/config/strict-value" -d '{"compatibility":"BACKWARD"}' >/dev/null &&
answer=$(put "$REGISTRY_URL/subjects/referencing-value/versions" -d '{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"type\":\"Base\"}]}","references":[{"name":"Base","subject":"base-value","version":1}]}') ||
	fail "it could not be prepared"
export REGISTRY_REFERENCING_ID=$(echo "$answer" | tr -cd 0-9) REGISTRY_WRONG_URL=http://127.0.0.1:$HTTP/nowhere
export REGISTRY_HTTPS_URL=https://localhost:$HTTPS/apis/ccompat/v7 REGISTRY_HTTPS_WRONG_NAME_URL=https://127.0.0.1:$HTTPS/apis/ccompat/v7 REGISTRY_CA=$WORK/cert.pem

client=$BUILD/tests/e2e/registry_client_tool
[ -x "$client" ] || make -s BUILD="$BUILD" "$client" || fail "the test program could not be built"
"$client" || fail "see above"
stop
REGISTRY_GONE=1 "$client"
