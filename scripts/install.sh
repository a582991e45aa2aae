#!/usr/bin/env bash
# install.sh PURPOSE...: installs the Debian packages that are missing for build, run, test, bench, clang, runtime. Says nothing and asks no server when all are there.
set -euo pipefail

declare -A packages=(
	# The compiler and every library that leat is linked with.
	[build]="gcc g++ make pkg-config libc6-dev
		librdkafka-dev libavro-dev librocksdb-dev libopenblas-dev liblapacke-dev libuv1-dev libcyaml-dev libyaml-dev
		libjansson-dev libcurl4-openssl-dev libxxhash-dev uthash-dev libssl-dev libjemalloc-dev zlib1g-dev liblzma-dev"
	# cmocka; the JRE and Maven for a real Kafka broker; curl asks the schema registry as a foreign client does; kcat as a foreign reader of our topics; openssl makes certificates; Python reads YAML for the stand-in of Docker Compose.
	[test]="libcmocka-dev ca-certificates default-jre-headless maven kcat curl openssl python3 python3-yaml git procps xz-utils"
	# The systems measured beside leat, in Java, and a broker; what reads the results.
	[bench]="ca-certificates default-jdk-headless maven python3 git perl"
	# Sanitizers and the fuzzer.
	[clang]="clang libclang-rt-14-dev llvm"
	# What the binary needs where it only runs: the container image.
	[runtime]="librdkafka1 libavro23 librocksdb7.8 libopenblas0-pthread liblapacke libuv1 libcyaml1 libyaml-0-2
		libjansson4 libcurl4 libxxhash0 libssl3 libjemalloc2 zlib1g liblzma5 ca-certificates"
)

wanted=()
for purpose in "$@"; do
	[ -n "${packages[$purpose]:-}" ] || { echo "install.sh: unknown purpose '$purpose' (known: ${!packages[*]})" >&2; exit 2; }
	read -r -d '' -a list <<<"${packages[$purpose]}" || true
	wanted+=("${list[@]}")
done
[ ${#wanted[@]} -gt 0 ] || { sed -n 2p "$0" >&2; exit 2; }

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	# Not Debian: nothing can be installed from here, but a machine that has everything may build all the same.
	echo "install.sh: no apt-get here, so nothing was installed; leat needs what these Debian packages hold: ${wanted[*]}" >&2
	exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' || true)
missing=()
for package in "${wanted[@]}"; do
	grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "install.sh: these packages are missing and there is no sudo; as root run: apt-get install ${missing[*]}" >&2; exit 1; }
	as_root=(sudo)
fi
echo "leat: installing ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
	tail -n 20 "$log" >&2
	echo "install.sh: apt-get could not install ${missing[*]}" >&2
	exit 1
fi
