#!/usr/bin/env bash
# A changed pipeline on old state: what is refused, what goes on, and that nobody's rows are lost by it. Needs BROKER. timeout: 240
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip meaning: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/meaning.py
