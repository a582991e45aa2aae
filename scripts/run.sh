#!/usr/bin/env bash
# run.sh: what `make run` does: installs what is missing, builds, runs the example pipeline on the embedded transport with the simulated shop. RUN_SECONDS=n ends it after n seconds; topics and state lie in SHOP=build/shop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${BUILD:-build}

bash scripts/install.sh build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ -x "$build/leat" ] || echo "leat: building, which takes a minute or two the first time"
if ! make --no-print-directory -j"$(nproc)" "$build/leat" >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	exit 1
fi
rm -f "$log"
trap - EXIT
# exec: Ctrl-C then reaches leat itself, and its exit status is ours.
exec "$build/leat" run pipelines/personalize.yaml --embedded "${SHOP:-$build/shop}" --shop ${RUN_SECONDS:+--seconds "$RUN_SECONDS"}
