#!/usr/bin/env bash
# Every shell script parses, and passes shellcheck where that is installed.
set -euo pipefail

scripts=(.ci/run tests/scripts/*.sh tests/scripts/*/*.sh deploy/*.sh)

for script in "${scripts[@]}"; do
    bash -n "$script"
    [[ -x $script ]] || { echo "$script is not executable" >&2; exit 1; }
done

if command -v shellcheck >/dev/null; then
    shellcheck "${scripts[@]}"
else
    echo "shellcheck is not installed: only the syntax was checked"
fi
