#!/usr/bin/env bash
# Every relative link of the Markdown documents leads to a file. Addresses elsewhere are not tried.
set -euo pipefail
shopt -s globstar nullglob

# Inline links and reference definitions; what stands in fenced code is an example, not a link.
links_of() {
    awk '/^ *(```|~~~)/ { fenced = !fenced } !fenced' "$1" \
        | grep -oE '\]\([^) ]+|^\[[^]]+\]: *[^ ]+' \
        | sed -E 's/^\]\(//; s/^\[[^]]+\]: *//; s/^<//; s/>$//' || true
}

broken=0
for document in *.md docs/**/*.md deploy/**/*.md crates/**/*.md tests/**/*.md; do
    while IFS= read -r link; do
        case $link in
            '' | *://* | mailto:* | '#'*) continue ;;
        esac
        file=$(dirname "$document")/${link%%#*}
        if [[ ! -e $file ]]; then
            echo "$document links to $link, which is not there" >&2
            broken=1
        fi
    done < <(links_of "$document")
done
exit "$broken"
