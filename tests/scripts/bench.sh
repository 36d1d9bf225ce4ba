#!/usr/bin/env bash
# Measures TechTrack beside the limits of this machine: bench.sh DIRECTORY [OPTION of `techtrack-bench run`…]
#
# DIRECTORY has the release builds of the server and of the benchmark. with-services.sh says where PostgreSQL is.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts
readonly builds=$1
shift

# `pgbench` comes with the server's package, wherever the server that is measured runs.
"$scripts/ensure-tools.sh" psql initdb

# Overload takes two thousand connections.
ulimit -n "$(ulimit -Hn)"

exec "$builds/techtrack-bench" run --server "$builds/techtrack" --database-url "$TEST_DATABASE_URL" "$@"
