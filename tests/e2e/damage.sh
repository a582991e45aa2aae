#!/usr/bin/env bash
# Table files of a task's store change on the disk: while it runs, between two runs, and again and again. The store is set aside and the changelog makes
# another, or the task stops with a reason; no row of the output differs. Needs BROKER. timeout: 300
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip damage: $tool is not installed"; exit 0; }
done
python3 tests/e2e/damage.py
