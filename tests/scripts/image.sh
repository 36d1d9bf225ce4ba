#!/usr/bin/env bash
# Builds the image of deploy/Dockerfile, runs it as strangers should (nobody's account, nothing writable, no capability) on SQLite and
# on PostgreSQL, and says how large it is: image.sh [OPTION of the engine's `build`…]
#
# Docker or Podman, whichever works; Podman is installed where neither does. with-services.sh says where PostgreSQL is. IMAGE is the
# image's name (techtrack), RUST_IMAGE and CARGO_REGISTRY are handed on as the build arguments of the Dockerfile.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts image=${IMAGE:-localhost/techtrack:latest} port=${IMAGE_PORT:-8490} most_mib=40
readonly account='Content-Type: application/json' password=night-shift-lantern

main() {
    cd "$scripts/../.."
    "$scripts/ensure-tools.sh" curl jq psql
    choose_engine
    trap clean_up EXIT
    build "$@"
    learn_to_run
    say_size

    on 'SQLite' --env DATABASE_URL=sqlite:///var/lib/techtrack/techtrack.db --volume "$container:/var/lib/techtrack"
    create_database
    on 'PostgreSQL' --env "DATABASE_URL=$database_url"
}

# --- the engine ------------------------------------------------------------------------------------------------------

choose_engine() {
    local candidate
    for candidate in docker podman; do
        if "$candidate" info >/dev/null 2>&1; then
            engine=$candidate
            break
        fi
    done
    if [[ -z ${engine:-} ]]; then
        "$scripts/ensure-tools.sh" podman runc
        engine=podman
    fi
    container=techtrack-image-$$
    echo "engine: $engine"
}

build() {
    local arguments=() base
    base=${RUST_IMAGE:-$(sed -n 's/^ARG RUST_IMAGE=//p' deploy/Dockerfile)}
    "$scripts/base-image.sh" "$engine" "$base"
    arguments+=(--build-arg "RUST_IMAGE=$base" --build-arg "CARGO_REGISTRY=${CARGO_REGISTRY:-}")
    arguments+=(--build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)")
    arguments+=(--build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")
    arguments+=(--build-arg "CREATED=$(date --utc +%Y-%m-%dT%H:%M:%SZ)")
    # Of Podman's two formats the other one knows no HEALTHCHECK. Its builds need no privilege of their own this way. `--layers` keeps
    # what the dependencies were built into.
    [[ $engine != podman ]] || arguments+=(--format docker --isolation chroot --network host --layers)
    "$engine" build "${arguments[@]}" "$@" --file deploy/Dockerfile --tag "$image" .
}

# Inside of a machine that is itself confined neither Podman's usual runtime nor a network of its own may be had.
learn_to_run() {
    local confined=(--network host)
    [[ $engine != podman ]] || confined+=(--runtime runc --ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
    run_options=(--network host)
    "$engine" run --rm "${run_options[@]}" "$image" --version 2>/dev/null && return
    run_options=("${confined[@]}")
    "$engine" run --rm "${run_options[@]}" "$image" --version
}

say_size() {
    local bytes unpacked
    bytes=$("$engine" save "$image" | gzip -6 | wc -c)
    unpacked=$("$engine" image inspect --format '{{.Size}}' "$image")
    printf 'size: %d.%d MiB compressed, %d MiB unpacked\n' $((bytes >> 20)) $(((bytes & 1048575) * 10 >> 20)) $((unpacked >> 20))
    ((bytes <= most_mib << 20)) || fail "more than $most_mib MiB"
}

# --- what it must do -------------------------------------------------------------------------------------------------

# Starts the image with these options, uses it, stops it, and starts it again to see whether it still knows.
on() {
    local database=$1
    shift
    start "$@"
    [[ $(asked POST /api/registration '{"username":"ingrid","password":"forge-and-anvil"}' .username) == ingrid ]] \
        || fail "nobody can register on $database"
    see_that_it_is_confined
    stop
    start "$@"
    [[ $(asked POST /api/token/ '{"username":"ingrid","password":"forge-and-anvil"}' .token_type) == Bearer ]] \
        || fail "whoever registered is forgotten on $database"
    stop
    echo "$database: healthy, confined, drained with exit code 0 twice, and nothing forgotten"
}

start() {
    "$engine" run --detach --name "$container" "${run_options[@]}" \
        --read-only --cap-drop all --security-opt no-new-privileges \
        --env "TECHTRACK_LISTEN=127.0.0.1:$port" --env "TECHTRACK_ADMIN_PASSWORD=$password" "$@" "$image" >/dev/null
    eventually is_healthy || { "$engine" logs "$container" >&2; fail 'the container does not become healthy'; }
}

# Docker asks by itself, Podman only where systemd runs, or when told to.
is_healthy() {
    if [[ $engine == podman ]]; then
        podman healthcheck run "$container"
    else
        [[ $(docker inspect --format '{{.State.Health.Status}}' "$container") == healthy ]]
    fi
}

see_that_it_is_confined() {
    local process
    process=$("$engine" inspect --format '{{.State.Pid}}' "$container")
    [[ $(stat --format '%u:%g' "/proc/$process") == 65532:65532 ]] || fail 'it runs as somebody else than 65532'
    grep -q '^CapEff:\s*0*$' "/proc/$process/status" || fail 'it has capabilities'
    grep -q '^NoNewPrivs:\s*1$' "/proc/$process/status" || fail 'it may get new privileges'
    awk '$5 == "/" { exit $6 !~ /(^|,)ro(,|$)/ }' "/proc/$process/mountinfo" || fail 'its root can be written to'
    [[ ! -e /proc/$process/root/bin/sh ]] || fail 'it has a shell'
}

# Asks it to stop while it is being used, and sees to it that it ends well.
stop() {
    "$engine" stop --time 40 "$container" >/dev/null
    local code
    code=$("$engine" inspect --format '{{.State.ExitCode}}' "$container")
    [[ $code == 0 ]] || { "$engine" logs "$container" >&2; fail "it ended with $code"; }
    "$engine" rm --volumes "$container" >/dev/null
}

# What the answer to a request has at this place.
asked() {
    curl --silent --show-error --request "$1" "http://127.0.0.1:$port$2" --header "$account" --data "$3" | jq --raw-output "$4"
}

create_database() {
    database=techtrack_image_$$
    psql --no-psqlrc --quiet "$TEST_DATABASE_URL" --command "CREATE DATABASE $database"
    database_url=${TEST_DATABASE_URL%/*}/$database
}

clean_up() {
    "$engine" rm --force --volumes "$container" >/dev/null 2>&1 || true
    "$engine" volume rm --force "$container" >/dev/null 2>&1 || true
    [[ -z ${database:-} ]] || psql --no-psqlrc --quiet "$TEST_DATABASE_URL" --command "DROP DATABASE IF EXISTS $database WITH (FORCE)"
}

eventually() {
    local deadline=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.2
    done
}

fail() {
    echo "image: $*" >&2
    exit 1
}

main "$@"
