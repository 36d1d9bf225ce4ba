#!/usr/bin/env bash
# Runs a command against a server, once on SQLite and once on PostgreSQL; the server's address is its last argument:
#     with-services.sh on-each-database.sh PATH_TO_TECHTRACK COMMAND [ARGUMENT…]
# Settings of the server come by the environment, and so does the administrator's password, if the command is to know it.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
techtrack=$(realpath "$1")
readonly scripts techtrack
shift
readonly command=("$@")

main() {
    "$scripts/ensure-tools.sh" psql python3
    directory=$(mktemp -d)
    database=techtrack_each_$$
    trap clean_up EXIT

    local failed=0
    run_on SQLite "sqlite://$directory/techtrack.db" || failed=1
    psql -qX "$TEST_DATABASE_URL" --command "create database $database"
    run_on PostgreSQL "${TEST_DATABASE_URL%/*}/$database" || failed=1
    return "$failed"
}

run_on() {
    local status=0
    echo "==> $1"
    start_server "$2" || return 1
    "${command[@]}" "$url" || status=$?
    stop_server
    return "$status"
}

start_server() {
    local port deadline=$((SECONDS + 60))
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=http://127.0.0.1:$port
    (cd "$directory" && exec "$techtrack" serve --listen "127.0.0.1:$port" --database-url "$1") \
        >"$directory/server.log" 2>&1 &
    server=$!
    until python3 -c "import urllib.request as r; r.urlopen('$url/health/ready')" 2>/dev/null; do
        if ! kill -0 "$server" 2>/dev/null || ((SECONDS >= deadline)); then
            cat "$directory/server.log" >&2
            return 1
        fi
        sleep 0.1
    done
}

stop_server() {
    [[ -n ${server:-} ]] || return 0
    kill "$server" 2>/dev/null && wait "$server"
    server=
}

clean_up() {
    stop_server || true
    psql -qX "$TEST_DATABASE_URL" --command "drop database if exists $database with (force)" 2>/dev/null || true
    rm -rf "$directory"
}

main
