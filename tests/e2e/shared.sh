#!/usr/bin/env bash
# Item factors of four tasks on two instances that are killed -9: an independent implementation of the merge comes to every published row. Needs BROKER. timeout: 150
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip shared: $tool is not installed"; exit 0; }
done
python3 tests/e2e/shared.py "${KILLS:-6}"
