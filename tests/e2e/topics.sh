#!/usr/bin/env bash
# Topics that are deleted or made again, while an instance runs and while none does: it halts and says what helps, or goes on; nothing is lost unseen, nothing
# comes twice. Deletions in a table. An input that somebody else makes at the same moment. Needs BROKER. timeout: 420
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in python3 kcat java gcc; do
	command -v "$tool" >/dev/null || { echo "skip topics: $tool is not installed"; exit 0; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -std=c11 -O1 -Wall -Wextra -Werror -shared -fPIC -o "$work/topic_race.so" -x c tests/e2e/topic_race.inc -ldl || { echo "not ok topics: the shim does not build"; exit 1; }
TOPIC_RACE_SO=$work/topic_race.so python3 tests/e2e/topics.py "$@"
