#!/usr/bin/env bash
# Has programs of others work with the server, one script each, and tells which of them did not:
#     with-services.sh interop.sh PATH_TO_TECHTRACK
set -uo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts techtrack=$1

failed=()
for script in "$scripts"/interop-*.sh; do
    echo "==> ${script##*/}"
    "$script" "$techtrack" || failed+=("${script##*/}")
done

if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
