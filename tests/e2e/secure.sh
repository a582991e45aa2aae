#!/usr/bin/env bash
# Kafka behind TLS, mutual TLS and SASL: exact output, and clear words when it does not let us in. Starts a broker of its own. timeout: 300
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
for tool in openssl python3 kcat; do
	command -v "$tool" >/dev/null || { echo "skip secure: $tool is not installed"; exit 0; }
done
exec python3 tests/e2e/secure.py
