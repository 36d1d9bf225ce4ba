#!/usr/bin/env bash
# Runs the stories of faults one after the other and shows their figures. TEST_FAULTS=full lets each fault strike as often as
# a person wants to see; else it strikes a few times.
set -euo pipefail

"$(dirname "$0")/ensure-tools.sh" initdb

if cargo nextest --version >/dev/null 2>&1; then
    exec cargo nextest run --workspace --filterset 'package(tests) & binary(faults)' --no-fail-fast --no-capture "$@"
fi
exec cargo test --package tests --test faults -- --nocapture --test-threads 1 "$@"
