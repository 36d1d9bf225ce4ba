#!/usr/bin/env bash
# Shows that receivers of the real world understand our webhooks: interop-webhooks.sh PATH_TO_TECHTRACK
#
# Debian's Alertmanager is told that an alert fires, keeps it beyond the time after which it forgets, and is told that it is
# over. The Standard Webhooks library verifies every delivery and none that was tampered with. A receiver that is down for a
# minute gets everything afterwards, and so does one whose alerts were committed by a server that was killed right then.
# On SQLite, and on PostgreSQL where TEST_DATABASE_URL says.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
techtrack=$(realpath "$1")
readonly scripts techtrack
readonly server=127.0.0.1:8310 manager=127.0.0.1:8311 receiver_port=8312 password='robots need rest 9'
readonly down_seconds=${INTEROP_DOWN_SECONDS:-60} forgets_seconds=15

main() {
    "$scripts/ensure-tools.sh" curl jq python3 prometheus-alertmanager psql
    directory=$(mktemp -d)
    trap clean_up EXIT
    python3 -m venv "$directory/venv"
    "$directory/venv/bin/pip" install --quiet 'standardwebhooks==1.1.0'

    tell_all "sqlite://$directory/techtrack.db" SQLite
    local name="interop_webhooks_$$"
    psql --quiet "$TEST_DATABASE_URL" --command "CREATE DATABASE $name"
    tell_all "${TEST_DATABASE_URL%/*}/$name" PostgreSQL
    psql --quiet "$TEST_DATABASE_URL" --command "DROP DATABASE $name WITH (FORCE)"
    echo "all receivers understood, and nothing was lost"
}

tell_all() {
    database=$1
    echo "==> $2"
    rm -rf "$directory/got" "$directory/alertmanager"
    mkdir -p "$directory/got"
    start_server
    api POST equipment '{"name": "Press", "type": "press"}' >"$directory/press"
    press=$(jq .id "$directory/press")
    tell_alertmanager
    tell_receiver
    stop server
    stop alertmanager
    stop receiver
}

tell_alertmanager() {
    printf 'route: {receiver: nobody}\nreceivers: [{name: nobody}]\nglobal: {resolve_timeout: %ss}\n' \
        "$forgets_seconds" >"$directory/alertmanager.yml"
    start alertmanager prometheus-alertmanager --config.file="$directory/alertmanager.yml" \
        --storage.path="$directory/alertmanager" --web.listen-address="$manager" --cluster.listen-address=
    await 'Alertmanager to be there' curl --silent --fail "http://$manager/-/ready"
    api POST webhooks "{\"name\": \"alertmanager\", \"shape\": \"alertmanager\", \"url\": \"http://$manager/api/v2/alerts\"}" >/dev/null
    api POST alert-rules '{"name": "Too hot", "metric": "temperature", "operator": ">", "threshold": 80, "severity": "critical"}' >/dev/null
    api POST data "{\"equipment\": $press, \"values\": {\"temperature\": 91}}" >/dev/null
    await 'the alert to fire' firing 1
    curl --silent "http://$manager/api/v2/alerts" |
        jq --compact-output '.[0] | {labels, startsAt, summary: .annotations.summary, state: .status.state}'
    local still
    for ((still = 0; still < forgets_seconds * 2; still++)); do
        firing 1 || fail 'Alertmanager forgot an alert that is not over'
        sleep 1
    done
    echo "    fires, and still does after $((forgets_seconds * 2)) s, where it is forgotten after $forgets_seconds s"
    sleep 1
    api POST data "{\"equipment\": $press, \"values\": {\"temperature\": 20}}" >/dev/null
    await 'the alert to be over' firing 0
    echo '    is over'
}

firing() {
    (($(curl --silent "http://$manager/api/v2/alerts?active=true" | jq length) == $1))
}

tell_receiver() {
    local hook secret
    hook=$(api POST webhooks "{\"name\": \"receiver\", \"url\": \"http://127.0.0.1:$receiver_port/\"}")
    secret=$(jq --raw-output .secret <<<"$hook")
    start_receiver "$secret"
    api POST "webhooks/$(jq .id <<<"$hook")/test" '{}' >/dev/null
    await 'a verified delivery' got 1
    echo '    verified by the Standard Webhooks library; tampered ones are refused by it'

    stop receiver
    raise 30
    echo "    down for $down_seconds s with 30 alerts"
    sleep "$down_seconds"
    start_receiver "$secret"
    await 'what was missed' got 31
    echo '    all 30 arrived after it came back'

    stop receiver
    raise 10
    kill -9 "$(<"$directory/server.pid")"
    wait "$(<"$directory/server.pid")" 2>/dev/null || true
    start_server
    start_receiver "$secret"
    await 'what was committed before the kill' got 41
    echo '    all 10 arrived that a killed server had committed'
    ! compgen -G "$directory/got/refused-*" >/dev/null || fail 'a delivery was refused'
}

raise() {
    local number
    for ((number = 0; number < $1; number++)); do
        api POST alerts "{\"equipment\": $press, \"description\": \"Oil on the floor $number\"}" >/dev/null
    done
}

got() {
    (($(find "$directory/got" -type f | wc --lines) >= $1))
}

start_receiver() {
    start receiver "$directory/venv/bin/python" "$scripts/interop/webhook_receiver.py" "$receiver_port" "$1" "$directory/got"
}

start_server() {
    TECHTRACK_ADMIN_PASSWORD=$password TECHTRACK_RATE_LIMIT_PER_MINUTE=0 TECHTRACK_HTTP_DRAIN_DELAY_SECONDS=0 \
        TECHTRACK_WEBHOOKS_ALLOWED_NETWORKS=127.0.0.0/8 TECHTRACK_WEBHOOKS_RETRY_SECONDS=5,15,30,30,30,60 \
        TECHTRACK_WEBHOOKS_REPEAT_SECONDS=10 \
        start server "$techtrack" serve --listen "$server" --database-url "$database"
    await 'the server to be ready' curl --silent --fail "http://$server/health/ready"
    token=$(curl --silent "http://$server/api/token/" --json "{\"username\": \"admin\", \"password\": \"$password\"}" |
        jq --raw-output .access)
}

api() {
    curl --silent --show-error --fail-with-body --request "$1" "http://$server/api/$2/" --oauth2-bearer "$token" --json "$3"
}

# Starts a program in the background, under a name: start NAME PROGRAM [ARGUMENT…]
start() {
    "${@:2}" >>"$directory/$1.log" 2>&1 &
    echo $! >"$directory/$1.pid"
}

stop() {
    local pid
    pid=$(<"$directory/$1.pid")
    rm "$directory/$1.pid"
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

await() {
    local patience
    for ((patience = 0; patience < 1200; patience++)); do
        if "${@:2}" >/dev/null 2>&1; then
            return
        fi
        sleep 0.1
    done
    fail "waited too long for $1"
}

fail() {
    echo "$1" >&2
    tail -n 5 "$directory"/*.log >&2 || true
    exit 1
}

clean_up() {
    local file
    for file in "$directory"/*.pid; do
        [[ -e $file ]] && kill -9 "$(<"$file")" 2>/dev/null
    done
    rm -rf "$directory"
}

main
