#!/usr/bin/env bash
# The cheaper modes: at least once, and decisions sent before the commit. Needs BROKER. timeout: 240
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip modes: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/modes.py
