#!/usr/bin/env bash
# Runs the black-box stories on PostgreSQL through HAProxy and two servers, which share a Redis, and the rolling restart.
set -euo pipefail

"$(dirname "$0")/ensure-tools.sh" haproxy redis-server initdb

# Everything that a client of one server sees, but for:
readonly left_out=(
    'binary(faults)'    # kills and freezes one server's own
    'binary(draining)'  # stops one server, and looks at its own listener
)

filter='package(tests) & (test(/^postgres::/) | binary(rolling))'
for one in "${left_out[@]}"; do
    filter+=" - $one"
done
TEST_FRONT=haproxy exec cargo nextest run --workspace --filterset "$filter" --no-fail-fast "$@"
