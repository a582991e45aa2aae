#!/usr/bin/env bash
# Instances come and go in order, under load; names of instances. Needs BROKER. timeout: 240
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip rebalance: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/rebalance.py
