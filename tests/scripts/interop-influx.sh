#!/usr/bin/env bash
# Has real clients of InfluxDB write to a server, once on SQLite and once on PostgreSQL, and reads back what they wrote:
#     with-services.sh interop-influx.sh PATH_TO_TECHTRACK
# The clients are InfluxData's own for Python, which speaks version 2, the `influx` of Debian's influxdb-client, which speaks
# version 1, and Telegraf if there is one.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
techtrack=$(realpath "$1")
readonly scripts techtrack
venv=$PWD/target/interop
readonly venv

main() {
    "$scripts/ensure-tools.sh" python3 psql influx
    [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$scripts/interop/requirements.txt"

    directory=$(mktemp -d)
    database=techtrack_interop_$$
    trap clean_up EXIT

    export TECHTRACK_ADMIN_PASSWORD=an-interop-run-$RANDOM$RANDOM
    export TECHTRACK_RATE_LIMIT_PER_MINUTE=0

    local failed=0
    write_on SQLite "sqlite://$directory/techtrack.db" || failed=1
    psql -qX "$TEST_DATABASE_URL" --command "create database $database"
    write_on PostgreSQL "${TEST_DATABASE_URL%/*}/$database" || failed=1
    return "$failed"
}

write_on() {
    local name=$1 status=0
    echo "==> Clients of InfluxDB on $name"
    start_server "$2" || return 1
    "$venv/bin/python" "$scripts/interop/influx.py" "$INTEROP_URL" || status=$?
    stop_server
    return "$status"
}

start_server() {
    local port=${INTEROP_PORT:-} deadline=$((SECONDS + 60))
    [[ -n $port ]] || port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    export INTEROP_URL=http://127.0.0.1:$port
    (cd "$directory" && exec "$techtrack" serve --listen "127.0.0.1:$port" --database-url "$1") \
        >"$directory/server.log" 2>&1 &
    server=$!
    until python3 -c "import urllib.request as r; r.urlopen('$INTEROP_URL/health/ready')" 2>/dev/null; do
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
