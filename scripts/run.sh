#!/usr/bin/env bash
# run.sh: what `make run` does: installs what is missing, builds, runs the example pipeline on the embedded transport with the simulated shop. RUN_SECONDS=n ends it after n seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${BUILD:-build}

bash scripts/install.sh build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "leat: building (the first time takes a minute or two)"
if ! make --no-print-directory -j"$(nproc)" "$build/leat" >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	exit 1
fi
rm -f "$log"
trap - EXIT
# exec: Ctrl-C then reaches leat itself, and its exit status is ours.
exec "$build/leat" run pipelines/personalize.yaml --embedded "$build/shop" --shop ${RUN_SECONDS:+--seconds "$RUN_SECONDS"}
