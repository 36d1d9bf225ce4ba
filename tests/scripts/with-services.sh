#!/usr/bin/env bash
# Runs a command with a PostgreSQL and a Redis to test against: with-services.sh COMMAND [ARGUMENT…]
#
# The command finds TEST_DATABASE_URL (a role that may create databases) and TEST_REDIS_URL in its environment. Each
# comes from the first of these that there is:
#   given      the variable is already set
#   running    a server on 127.0.0.1 and its standard port that takes user `postgres` without a password
#   container  a container of a working Docker or Podman
#   throwaway  a server of our own in a temporary directory, from Debian's packages, installed when missing
# TEST_SERVICES=running|container|throwaway insists on one of the last three. Whatever was started here is
# stopped and removed when the command ends; clean-test-services.sh removes what a killed run left behind.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts
readonly choice=${TEST_SERVICES:-auto}

main() {
    case $choice in
        auto | running | container | throwaway) ;;
        *) fail "TEST_SERVICES is '$choice'; it may be auto, running, container or throwaway" ;;
    esac
    (($#)) || fail "nothing to run: with-services.sh COMMAND [ARGUMENT…]"

    trap stop_what_we_started EXIT
    # Turned into an exit, so that the trap above runs when somebody presses Ctrl-C.
    trap 'exit 130' INT
    trap 'exit 143' TERM

    provide postgres TEST_DATABASE_URL
    provide redis TEST_REDIS_URL
    "$@"
}

# Sets the variable named $2 to the URL of a server of kind $1.
provide() {
    local kind=$1 variable=$2 way
    url=${!variable:-}
    if [[ -n $url ]]; then
        echo "$kind: given by $variable"
        return
    fi

    for way in running container throwaway; do
        [[ $choice == auto || $choice == "$way" ]] || continue
        if "${way}_$kind"; then
            echo "$kind: $way, $url"
            export "$variable=$url"
            return
        fi
    done
    fail "no $kind to test against; set $variable, or start one"
}

# --- running ---------------------------------------------------------------------------------------------------------

running_postgres() {
    url=postgres://postgres@127.0.0.1:5432/postgres
    answers_on 5432 || return 1
    "$scripts/ensure-tools.sh" psql || return 1
    [[ $(psql --no-password --no-psqlrc -qtA "$url" -c 'select 1' 2>/dev/null) == 1 ]]
}

running_redis() {
    url=redis://127.0.0.1:6379
    redis_pongs_on 6379
}

# --- container -------------------------------------------------------------------------------------------------------

container_postgres() {
    start_container postgres --env POSTGRES_HOST_AUTH_METHOD=trust --publish 127.0.0.1::5432 postgres:15 || return 1
    url=postgres://postgres@$(container_address postgres 5432)/postgres
    # The image first runs a server without TCP to fill its data directory: only one that answers on TCP is ready.
    eventually in_container postgres pg_isready -q -h 127.0.0.1 -U postgres
}

container_redis() {
    start_container redis --publish 127.0.0.1::6379 redis:7 || return 1
    url=redis://$(container_address redis 6379)
    eventually in_container redis redis-cli ping
}

start_container() {
    local name=$1
    shift
    engine=$(working_engine) || return 1
    state_directory
    "$engine" run --detach --rm --cidfile "$state/$name.container" "$@" >/dev/null
}

working_engine() {
    local candidate
    for candidate in docker podman; do
        if "$candidate" info >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

in_container() {
    local name=$1
    shift
    "$engine" exec "$(<"$state/$name.container")" "$@"
}

container_address() {
    "$engine" port "$(<"$state/$1.container")" "$2/tcp" | head -n 1
}

# --- throwaway -------------------------------------------------------------------------------------------------------

throwaway_postgres() {
    "$scripts/ensure-tools.sh" initdb || return 1
    state_directory

    local port data=$state/postgres programs
    port=$(free_port)
    programs=$(newest_postgres_programs)
    mkdir "$data"
    ((EUID != 0)) || chown postgres "$data"

    as_server_user "$programs/initdb" --pgdata "$data/data" --username postgres --auth trust \
        --encoding UTF8 --locale C.UTF-8 >"$state/initdb.log" 2>&1 || { cat "$state/initdb.log" >&2; return 1; }
    # fsync stays on: a promise about durability is not tested on a database that makes none.
    as_server_user "$programs/pg_ctl" start --wait --silent --pgdata "$data/data" --log "$data/server.log" \
        --options "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$data -c max_connections=200" \
        || { cat "$data/server.log" >&2; return 1; }
    url=postgres://postgres@127.0.0.1:$port/postgres
}

throwaway_redis() {
    "$scripts/ensure-tools.sh" redis-server || return 1
    state_directory

    local port directory=$state/redis
    port=$(free_port)
    mkdir "$directory"
    redis-server --daemonize yes --bind 127.0.0.1 --port "$port" --save '' --appendonly no \
        --dir "$directory" --pidfile "$directory/redis.pid" --logfile "$directory/server.log" >/dev/null
    url=redis://127.0.0.1:$port
    eventually redis_pongs_on "$port" || { cat "$directory/server.log" >&2; return 1; }
}

newest_postgres_programs() {
    local initdb
    initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
    dirname "${initdb:-$(command -v initdb)}"
}

# PostgreSQL refuses to run as root. The Debian package brings the user.
as_server_user() {
    if ((EUID == 0)); then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# --- shared ----------------------------------------------------------------------------------------------------------

# One directory a run, named so that clean-test-services.sh finds it, with the process that answers for it.
state_directory() {
    [[ -z ${state:-} ]] || return 0
    state=$(mktemp -d "${TMPDIR:-/tmp}/techtrack-services.XXXXXX")
    chmod 755 "$state"
    echo $$ >"$state/owner.pid"
}

stop_what_we_started() {
    [[ -z ${state:-} ]] || "$scripts/clean-test-services.sh" "$state"
}

free_port() {
    local port
    while true; do
        # Below the range that the kernel hands to outgoing connections.
        port=$((20000 + RANDOM % 10000))
        answers_on "$port" || break
    done
    echo "$port"
}

answers_on() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Without redis-cli, which a machine that only runs the tests need not have.
redis_pongs_on() {
    local answer
    answer=$(
        exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'PING\r\n' >&3 && read -r -t 2 line <&3 && echo "$line"
    ) 2>/dev/null
    [[ $answer == +PONG* ]]
}

eventually() {
    local deadline=$((SECONDS + 30))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || { echo "gave up after 30 s waiting for: $*" >&2; return 1; }
        sleep 0.1
    done
}

fail() {
    echo "with-services: $*" >&2
    exit 1
}

main "$@"
