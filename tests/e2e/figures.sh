#!/usr/bin/env bash
# Prints times measured on this machine against a broker on it: start, restart with 200,000 users of state, latency. Needs BROKER. timeout: 400
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip figures: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/figures.py
