#!/usr/bin/env bash
# Stops and removes test services that with-services.sh started: clean-test-services.sh [STATE_DIRECTORY]
# Without an argument: those whose run was killed before it could do so itself. Other runs are left alone.
set -uo pipefail

stop_everything_in() {
    local state=$1 container
    for container in "$state"/*.container; do
        [[ -e $container ]] || continue
        docker rm --force --volumes "$(<"$container")" >/dev/null 2>&1 \
            || podman rm --force --volumes "$(<"$container")" >/dev/null 2>&1
    done
    # An immediate shutdown: the data is about to be deleted.
    stop QUIT postgres "$state/postgres/data/postmaster.pid"
    stop TERM redis-server "$state/redis/redis.pid"
    rm -rf "$state"
}

stop() {
    local signal=$1 program=$2 pidfile=$3 pid
    [[ -e $pidfile ]] || return 0
    pid=$(head -n 1 "$pidfile")
    # The number may by now belong to somebody else's process.
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$program" ]] || return 0
    kill -"$signal" "$pid"
    while is_alive "$pid"; do
        sleep 0.05
    done
}

# A container without an init process keeps the dead listed as zombies.
is_alive() {
    [[ -e /proc/$1/status ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

if (($#)); then
    stop_everything_in "$1"
    exit
fi

for state in "${TMPDIR:-/tmp}"/techtrack-services.*; do
    [[ -d $state ]] || continue
    owner=$(<"$state/owner.pid")
    if is_alive "$owner"; then
        echo "in use by process $owner: $state"
    else
        echo "removing $state"
        stop_everything_in "$state"
    fi
done
