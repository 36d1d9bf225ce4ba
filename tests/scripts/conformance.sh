#!/usr/bin/env bash
# Holds a running server against its OpenAPI document, once on SQLite and once on PostgreSQL: schemathesis makes up
# requests, good and bad, and no answer may be a 5xx or differ from the document.
#     with-services.sh conformance.sh PATH_TO_TECHTRACK
# CONFORMANCE_EXAMPLES sets the requests made up per operation. Streams of events never end, so they are left out here;
# the black-box stories hold them.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
techtrack=$(realpath "$1")
readonly scripts techtrack examples=${CONFORMANCE_EXAMPLES:-50}
venv=$PWD/target/conformance
readonly venv
readonly checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance

main() {
    install_schemathesis

    directory=$(mktemp -d)
    database=techtrack_conformance_$$
    trap clean_up EXIT

    export TECHTRACK_ADMIN_PASSWORD=a-conformance-run-$RANDOM$RANDOM
    export TECHTRACK_SIGN_IN_LIMITS=off TECHTRACK_RATE_LIMIT_PER_MINUTE=0 TECHTRACK_WEBHOOKS_PUBLIC_INTERNET=off

    local failed=0
    conform_on SQLite "sqlite://$directory/techtrack.db" || failed=1
    psql -qX "$TEST_DATABASE_URL" --command "create database $database"
    conform_on PostgreSQL "${TEST_DATABASE_URL%/*}/$database" || failed=1
    return "$failed"
}

install_schemathesis() {
    "$scripts/ensure-tools.sh" python3 psql
    [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$scripts/conformance/requirements.txt"
}

conform_on() {
    local name=$1 database_url=$2 status=0
    echo "==> Conformance on $name"
    start_server "$database_url" || return 1
    # It keeps notes where it runs.
    (
        cd "$venv"
        PYTHONPATH=$scripts/conformance SCHEMATHESIS_HOOKS=sign_in \
            bin/schemathesis run "$CONFORMANCE_URL/api/openapi.json" \
            --exclude-path /api/stream \
            --checks "$checks" --max-examples "$examples" --continue-on-failure --no-color
    ) || status=$?
    stop_server
    return "$status"
}

start_server() {
    local port deadline=$((SECONDS + 60))
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    export CONFORMANCE_URL=http://127.0.0.1:$port
    (cd "$directory" && exec "$techtrack" serve --listen "127.0.0.1:$port" --database-url "$1") \
        >"$directory/server.log" 2>&1 &
    server=$!
    until python3 -c "import urllib.request as r; r.urlopen('$CONFORMANCE_URL/health/ready')" 2>/dev/null; do
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
