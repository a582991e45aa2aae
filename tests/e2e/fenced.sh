#!/usr/bin/env bash
# The group takes a member's name from it, as after a broker that stood still: it joins again, and nothing is lost or doubled. Needs BROKER. timeout: 120
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip fenced: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/fenced.py
