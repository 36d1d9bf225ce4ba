#!/usr/bin/env bash
# Runs what the documents tell people to type, word for word, each document against a new server where the documents
# say that it is: tour.sh PATH_TO_TECHTRACK
#
# `tour.sh --at URL CERTIFICATE` takes the tour of README.md at a server that runs already, with nothing in it but its administrator, and
# trusts the certificate; the address is the only word that is another one then.
#
# A refusal that a document does not show on purpose fails the run, and so does one that no longer comes.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts host=127.0.0.1 port=8000

main() {
    "$scripts/ensure-tools.sh" curl jq
    directory=$(mktemp -d)
    trap clean_up EXIT

    # Somebody who tries what they may not, and a form full of flaws.
    local refused='403 422'
    if [[ $1 == --at ]]; then
        export CURL_CA_BUNDLE=$3
        walk README.md "$2" "$refused"
    else
        techtrack=$(realpath "$1")
        follow README.md "$refused"
        follow docs/getting-started.md ''
        follow docs/api.md ''
    fi
}

# Runs the commands of document $1, which is to be refused with the statuses $2, in that order, against a new server.
follow() {
    start_server
    walk "$1" "http://$host:$port" "$2"
    stop_server || fail "the server did not end well"
}

# Runs the commands of document $1 at $2, which is to refuse with the statuses $3, in that order.
walk() {
    local document=$1 at=$2 expected=$3 refusals
    echo "==> $document at $at"
    commands_of "$document" | sed "s|^api=http://$host:$port/|api=$at/|" >"$directory/commands.sh"
    grep -q curl "$directory/commands.sh" || fail "$document holds no commands"
    : >"$directory/refusals"
    # shellcheck source=/dev/null
    (source "$directory/commands.sh") >"$directory/answers"

    refusals=$(paste -sd ' ' "$directory/refusals")
    [[ $refusals == "$expected" ]] || fail "$document was refused with '$refusals', and is to be with '$expected'"
}

# The fenced shell of a document, from the line on that says where the server is.
commands_of() {
    awk '/^```sh$/ { fenced = 1; next } /^```/ { fenced = 0 } fenced' "$1" | sed -n '/^api=/,$p'
}

# Stands in for curl in the documents' commands: the same answer on standard output, and its status for us. What is
# watched (`-N`) has no end, so it is left as it is.
curl() {
    local answer status
    if [[ $1 == -*N* ]]; then
        exec curl "$@"
    fi
    answer=$(mktemp --tmpdir="$directory")
    status=$(command curl --output "$answer" --write-out '%{http_code}' "$@") || fail "no answer to: curl $*"
    cat "$answer"
    printf '%s  curl %s\n' "$status" "$(shortened "$*")" >&2
    ((status < 400)) || {
        echo "$status" >>"$directory/refusals"
        printf '     %s\n' "$(<"$answer")" >&2
    }
    ((status < 500))
}

# Without the tokens, which are long and somebody's.
shortened() {
    sed -E 's/(Bearer |"(refresh|token)":")[^" ]+/\1…/g' <<<"$1"
}

start_server() {
    ! port_is_taken || fail "something listens on $host:$port already, where the documents have their server: stop it first"

    local home deadline=$((SECONDS + 60))
    home=$(mktemp -d --tmpdir="$directory")
    TECHTRACK_ADMIN_PASSWORD=night-shift-lantern "$techtrack" serve \
        --listen "$host:$port" --database-url "sqlite://$home/techtrack.db" >"$home/server.log" 2>&1 &
    server=$!
    until "$techtrack" healthcheck --listen "$host:$port" >/dev/null 2>&1; do
        if ! kill -0 "$server" 2>/dev/null || ((SECONDS >= deadline)); then
            cat "$home/server.log" >&2
            fail "the server does not become ready"
        fi
        sleep 0.1
    done
}

port_is_taken() {
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

stop_server() {
    [[ -n ${server:-} ]] || return 0
    kill "$server" 2>/dev/null && wait "$server"
    server=
}

clean_up() {
    stop_server || true
    rm -rf "$directory"
}

fail() {
    echo "tour: $*" >&2
    exit 1
}

main "$@"
