#!/usr/bin/env bash
# Runs one named step and says how long it took: step.sh NAME COMMAND [ARGUMENT…]
set -uo pipefail

name=$1
shift

printf '\n==> %s\n' "$name"
"$@"
status=$?

if ((status == 0)); then
    printf '<== %s: ok after %d s\n' "$name" "$SECONDS"
else
    printf '<== %s: FAILED (exit %d) after %d s\n' "$name" "$status" "$SECONDS" >&2
fi
exit "$status"
