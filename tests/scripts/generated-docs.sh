#!/usr/bin/env bash
# The documents that the binary prints about itself: `write` puts them into docs/, `check` fails when they differ.
#     generated-docs.sh write|check PATH_TO_TECHTRACK
set -euo pipefail

readonly action=$1 techtrack=$2

fresh=$(mktemp -d)
readonly fresh
trap 'rm -rf "$fresh"' EXIT

"$techtrack" openapi >"$fresh/openapi.json"
"$techtrack" errors >"$fresh/errors.md"
"$techtrack" metrics >"$fresh/metrics.md"
"$techtrack" config --reference >"$fresh/configuration.md"

case $action in
    write)
        mkdir -p docs
        # Not moved: files of a temporary directory have nobody else's permissions.
        cp --no-preserve=mode "$fresh"/* docs/
        ;;
    check)
        stale=0
        for document in "$fresh"/*; do
            diff --unified "docs/${document##*/}" "$document" | head -n 40 || true
            cmp --quiet "docs/${document##*/}" "$document" || stale=1
        done
        ((stale == 0)) || { echo "docs/ differs from what the program says: run 'make docs' and commit" >&2; exit 1; }
        ;;
    *)
        echo "write or check, not '$action'" >&2
        exit 2
        ;;
esac
