#!/usr/bin/env bash
# Runs every test of the workspace. The servers that they need are given by with-services.sh.
set -euo pipefail

# Some tests have a Redis, a PostgreSQL and a HAProxy of their own, wherever the others came from.
"$(dirname "$0")/ensure-tools.sh" redis-server initdb haproxy

# First, so that the summary of the many is what stands at the end.
cargo test --workspace --doc

if cargo nextest --version >/dev/null 2>&1; then
    profile=${CI:+ci}
    exec cargo nextest run --workspace --profile "${profile:-default}"
fi
echo "cargo-nextest is not to be had: falling back to cargo test, slower and without time limits" >&2
exec cargo test --workspace --lib --bins --tests --examples
