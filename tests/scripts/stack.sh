#!/usr/bin/env bash
# Starts the parts of deploy/compose.yaml on this machine's loopback, without containers: two servers, and HAProxy with TLS before them,
# on the PostgreSQL and Redis that with-services.sh gives, and Prometheus where it can be had.
#     with-services.sh stack.sh PATH_TO_TECHTRACK [COMMAND [ARGUMENT…]]
#
# Without a command it runs until Ctrl-C. A command finds STACK_URL and STACK_CERTIFICATE (to be trusted) in its environment, and
# when it ends, everything does. STACK_PORT (8443) is the front's; the ports after it are the others'.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
techtrack=$(realpath "$1")
shift
readonly scripts techtrack deploy=$scripts/../../deploy
readonly port=${STACK_PORT:-8443}
readonly one=127.0.0.1:$((port + 1)) two=127.0.0.1:$((port + 2)) figures=127.0.0.1:$((port + 3)) prometheus=127.0.0.1:$((port + 4))
readonly password=${TECHTRACK_ADMIN_PASSWORD:-night-shift-lantern}

main() {
    "$scripts/ensure-tools.sh" haproxy openssl curl psql
    directory=$(mktemp -d)
    started=()
    trap stop_all EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    see_that_ports_are_free
    create_database
    start_server "$one"
    start_server "$two"
    start_front
    start_prometheus
    export STACK_URL=https://localhost:$port STACK_CERTIFICATE=$directory/certificate.pem
    tell
    if (($#)); then
        "$@"
    else
        wait_until_something_ends
    fi
}

see_that_ports_are_free() {
    local place
    for place in "127.0.0.1:$port" "$one" "$two" "$figures" "$prometheus"; do
        ! (exec 3<>"/dev/tcp/${place/://}") 2>/dev/null || fail "something listens on $place already; set STACK_PORT"
    done
}

create_database() {
    database=techtrack_stack_$$
    psql --no-psqlrc --quiet "$TEST_DATABASE_URL" --command "CREATE DATABASE $database"
}

start_server() {
    local address=$1
    env TECHTRACK_LISTEN="$address" DATABASE_URL="${TEST_DATABASE_URL%/*}/$database" REDIS_URL="$TEST_REDIS_URL" \
        TECHTRACK_ADMIN_PASSWORD="$password" TECHTRACK_HTTP_TRUSTED_PROXIES=127.0.0.1 TECHTRACK_HTTP_PUBLIC_URL="https://localhost:$port" \
        "$techtrack" serve >"$directory/${address#*:}.log" 2>&1 &
    started+=($!)
    eventually "$techtrack" healthcheck --listen "$address" || { cat "$directory/${address#*:}.log" >&2; fail "the server at $address does not become ready"; }
}

start_front() {
    OWNER=$EUID sh "$deploy/certificate.sh" /nowhere "$directory" >/dev/null
    FRONT_ADDRESS=127.0.0.1:$port FRONT_CERTIFICATE=$directory/front.pem FRONT_FIGURES=$figures INSTANCE_ONE=$one INSTANCE_TWO=$two \
        haproxy -db -f "$deploy/haproxy.cfg" >"$directory/haproxy.log" 2>&1 &
    started+=($!)
    eventually curl --silent --fail --cacert "$directory/certificate.pem" "https://localhost:$port/health/ready" \
        || { cat "$directory/haproxy.log" >&2; fail 'HAProxy does not answer'; }
}

# The same configuration as in containers, with the addresses that there are here.
start_prometheus() {
    "$scripts/ensure-tools.sh" prometheus || return 0
    mkdir "$directory/prometheus"
    cp -r "$deploy/prometheus" "$directory/configuration"
    sed -i "s/techtrack-1:[0-9]*/$one/; s/techtrack-2:[0-9]*/$two/; s/front:[0-9]*/$figures/; s/localhost:9090/$prometheus/" "$directory/configuration/prometheus.yml"
    prometheus --config.file="$directory/configuration/prometheus.yml" --storage.tsdb.path="$directory/prometheus" \
        --web.listen-address="$prometheus" --log.level=warn >"$directory/prometheus.log" 2>&1 &
    started+=($!)
    eventually curl --silent --fail "http://$prometheus/-/ready" || { cat "$directory/prometheus.log" >&2; fail 'Prometheus does not answer'; }
}

tell() {
    cat <<MESSAGE

The front is    https://localhost:$port    (trust $directory/certificate.pem)
Sign in as      admin, $password
Documentation   https://localhost:$port/swagger/
Servers         http://$one http://$two
HAProxy         http://$figures/
Prometheus      http://$prometheus/
Logs            $directory/*.log

MESSAGE
}

wait_until_something_ends() {
    echo 'Ctrl-C stops everything.'
    wait -n "${started[@]}" || true
    tail -n 5 "$directory"/*.log >&2
    fail 'one of them ended'
}

# Clients first, then what they ask.
stop_all() {
    local place
    for ((place = ${#started[@]} - 1; place >= 0; place--)); do
        kill "${started[place]}" 2>/dev/null || true
    done
    wait "${started[@]}" 2>/dev/null || true
    [[ -z ${database:-} ]] || psql --no-psqlrc --quiet "$TEST_DATABASE_URL" --command "DROP DATABASE IF EXISTS $database WITH (FORCE)"
    rm -rf "$directory"
}

eventually() {
    local deadline=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

fail() {
    echo "stack: $*" >&2
    exit 1
}

main "$@"
