#!/usr/bin/env bash
# Bad messages of every kind, a registry that is down or wrong, topics that change under our feet. Needs BROKER. timeout: 400
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat java; do
	command -v "$tool" >/dev/null || { echo "skip bad_input: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/bad_input.py
