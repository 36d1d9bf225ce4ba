#!/usr/bin/env bash
# Debian's Prometheus watches a demo with everything switched on (TLS, Redis, traces), by the files in deploy/: its tools accept
# the files, no scrape fails, every rule can be evaluated, and every query of the dashboard returns data.
#     with-services.sh interop-prometheus.sh PATH_TO_TECHTRACK
# INTEROP_PORT is the first of four ports on 127.0.0.1 that are free; 8540 unless it is set.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
techtrack=$(realpath "$1")
deploy=$(realpath "$scripts/../../deploy")
readonly scripts techtrack deploy first_port=${INTEROP_PORT:-8540}
readonly api=127.0.0.1:$first_port metrics=127.0.0.1:$((first_port + 1)) collector=127.0.0.1:$((first_port + 2))
readonly prometheus=127.0.0.1:$((first_port + 3))

main() {
    "$scripts/ensure-tools.sh" curl openssl prometheus promtool python3
    directory=$(mktemp -d)
    started=()
    trap clean_up EXIT

    promtool check config "$deploy/prometheus/prometheus.yml"
    promtool check rules "$deploy/prometheus/rules.yml"

    start_collector
    start_server
    curl -sS "http://$metrics/metrics" | promtool check metrics
    echo 'promtool finds nothing to criticise at /metrics'
    start_prometheus
    keep_busy &
    started+=($!)
    python3 "$scripts/interop/prometheus.py" "http://$prometheus" "$deploy/grafana/dashboards/techtrack.json"
}

# Takes whatever it is sent. What a collector makes of spans is tested elsewhere.
start_collector() {
    python3 "$scripts/interop/collector.py" "${collector##*:}" &
    started+=($!)
}

start_server() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=interop \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$directory/server.key" -out "$directory/server.pem" 2>/dev/null
    (
        cd "$directory"
        export TECHTRACK_METRICS_LISTEN=$metrics OTEL_EXPORTER_OTLP_ENDPOINT=http://$collector REDIS_URL=$TEST_REDIS_URL
        export TECHTRACK_HTTP_TLS_CERT=server.pem TECHTRACK_HTTP_TLS_KEY=server.key TECHTRACK_LOG=warn
        exec "$techtrack" demo --listen "$api" --database-url sqlite://demo.db
    ) >"$directory/server.log" 2>&1 &
    server=$!
    started+=("$server")
    await 180 "the demo" curl -fsk "https://$api/health/ready"
}

start_prometheus() {
    cp "$deploy"/prometheus/rules.yml "$directory/"
    # The same file, but for who is watched, and how often: there is no balancer, and nobody wants to wait for an hour here.
    sed -E -e "s/(scrape|evaluation)_interval: .*/\1_interval: 1s/" -e "s/targets: \[techtrack.*/targets: ['$metrics']/" \
        -e '/The balancer.s own figures/,$d' \
        "$deploy/prometheus/prometheus.yml" >"$directory/prometheus.yml"
    prometheus --config.file="$directory/prometheus.yml" --storage.tsdb.path="$directory/data" \
        --web.listen-address="$prometheus" --log.level=warn >"$directory/prometheus.log" 2>&1 &
    started+=($!)
    await 30 Prometheus curl -fs "http://$prometheus/-/ready"
}

# Somebody who looks at lists, some of them again and again, and somebody who is refused.
keep_busy() {
    local token
    token=$(curl -sk "https://$api/api/token/" -H 'content-type: application/json' \
        -d "{\"username\":\"$(printed login)\",\"password\":\"$(printed password)\"}" | sed -E 's/.*"access":"([^"]+)".*/\1/')
    while true; do
        for path in equipment roles alert-rules alerts "data?page_size=5" latest users; do
            curl -sk -o /dev/null -H "authorization: Bearer $token" "https://$api/api/$path" || true
        done
        curl -sk -o /dev/null "https://$api/api/users" || true
    done
}

# What the demo prints under this name; of several the last is that of its operator.
printed() {
    sed -nE "s/^ *$1 +//p" "$directory/server.log" | tail -n 1
}

# Waits for $1 seconds at most until the command that follows the name $2 succeeds.
await() {
    local deadline=$((SECONDS + $1)) name=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            cat "$directory"/*.log >&2
            echo "$name is not there" >&2
            return 1
        fi
        sleep 0.2
    done
}

clean_up() {
    local process
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null || continue
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$directory"
}

main
