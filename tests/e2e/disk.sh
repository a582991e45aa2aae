#!/usr/bin/env bash
# A disk that is full, broken or writes by halves, from its n-th write on. The state of the task is then given up with a reason, and once the disk works again
# a restart leaves no difference. Needs BROKER. timeout: 300
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat gcc; do
	command -v "$tool" >/dev/null || { echo "skip disk: $tool is not installed"; exit 0; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -std=c11 -O1 -Wall -Wextra -Werror -shared -fPIC -o "$work/faulty_disk.so" -x c tests/e2e/faulty_disk.inc -ldl || { echo "not ok disk: the shim does not build"; exit 1; }
FAULTY_DISK_SO=$work/faulty_disk.so python3 tests/e2e/disk.py
