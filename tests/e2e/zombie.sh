#!/usr/bin/env bash
# Instances asleep for longer than their session and their transaction, others take over; nothing of a zombie's is ever seen. SOAK=1: five rounds. Needs BROKER. timeout: 400
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip zombie: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/zombie.py $([ -z "${SOAK:-}" ] || echo 5)
