#!/usr/bin/env bash
# Nobody keeps more than 600 lines in mind. A file that passes that says that it holds two things.
set -euo pipefail

readonly limit=600

too_long=$(
    find . \( -path ./target -o -path ./var -o -path ./.git \) -prune -o -type f \
        \( -name '*.rs' -o -name '*.sql' -o -name '*.sh' -o -name '*.py' -o -name '*.md' -o -name '*.toml' \
        -o -name Makefile \) ! -path './docs/errors.md' -exec wc -l {} + \
        | awk -v limit=$limit '$1 > limit && $2 != "total"'
)
if [[ -n $too_long ]]; then
    echo "Longer than $limit lines:" >&2
    echo "$too_long" >&2
    exit 1
fi
