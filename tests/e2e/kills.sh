#!/usr/bin/env bash
# kill -9 at random moments and at every named crash point, of instances and of the broker: what is committed equals an independent reference, row by row.
# SOAK=1 (make soak) takes 200 kills of three instances and a kill of the broker, and more hits of each point. Needs BROKER. timeout: 400
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip kills: $tool is not installed"; exit 0; }
done
failed=0
if [ -n "${SOAK:-}" ]; then
	python3 tests/e2e/kills.py 200 3 broker || failed=1
	HITS=1,2,7,20,40,100 python3 tests/e2e/points.py || failed=1
else
	python3 tests/e2e/kills.py 20 2 broker || failed=1
	python3 tests/e2e/points.py || failed=1
fi
exit $failed
