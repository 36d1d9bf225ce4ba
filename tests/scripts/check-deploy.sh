#!/usr/bin/env bash
# Judges what lies in deploy/ without starting any of it: compose files, balancer, Kubernetes, systemd unit, and what `make install`
# puts where. What it needs and does not find it installs.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly scripts=tests/scripts step=tests/scripts/step.sh
directory=$(mktemp -d)
readonly directory
trap 'rm -rf "$directory"' EXIT

main() {
    "$scripts/ensure-tools.sh" haproxy openssl systemd-analyze python3
    "$step" 'compose files' "$0" compose_files
    "$step" 'balancer' "$0" balancer
    "$step" 'Kubernetes' "$0" kubernetes
    "$step" 'systemd unit' "$0" unit
    "$step" 'installation' "$0" installation
}

# By `docker compose`, or by what Debian has of it, which does not know yet that a project has a name.
compose_files() {
    local file compose=(docker compose) names=cat
    if ! docker compose version >/dev/null 2>&1; then
        "$scripts/ensure-tools.sh" docker-compose
        compose=(docker-compose) names=(sed '/^name:/d')
    fi
    # Every variable that the files ask for is explained, and is filled in where it must be.
    sed 's/^\([A-Z_]*\)=$/\1=night-shift-lantern/' deploy/.env.example >"$directory/env"
    for file in deploy/compose.yaml deploy/compose.small.yaml; do
        "${names[@]}" "$file" | "${compose[@]}" --env-file "$directory/env" --project-directory deploy --file - config >"$directory/out"
        ! "${names[@]}" "$file" | "${compose[@]}" --env-file /dev/null --project-directory deploy --file - config >/dev/null 2>&1 \
            || fail "$file does not insist on its secrets"
        echo "$file: $(grep -c '^    image:' "$directory/out") containers"
    done
    explained
    mounted
}

explained() {
    local asked explained
    asked=$(grep -hoE '[$][{][A-Z_]+' deploy/compose*.yaml | cut -c 3- | sort -u)
    explained=$(grep -oE '^#?[A-Z_]+=' deploy/.env.example | tr -d '#=' | sort -u)
    diff <(echo "$asked") <(echo "$explained") || fail 'deploy/.env.example explains something else (>) than the files ask for (<)'
}

# What is mounted from the clone is there; ./tls alone is the installation's own.
mounted() {
    local path
    while read -r path; do
        [[ $path == tls || -e deploy/$path ]] || fail "deploy/$path is mounted and not there"
    done < <(sed -n 's|^ *- \./\([^:]*\):.*|\1|p' deploy/compose*.yaml)
}

balancer() {
    haproxy -c -f deploy/haproxy.cfg
    sh deploy/certificate.sh /nowhere "$directory" plant.example
    FRONT_CERTIFICATE=$directory/front.pem FRONT_ADDRESS=:8443 FRONT_FIGURES=:8404 GRAFANA=127.0.0.1:3000 haproxy -c -f deploy/haproxy.cfg
}

# Every object against the schema of its kind, of the oldest and of the newest release that is meant.
kubernetes() {
    local release
    "$scripts/ensure-tools.sh" kubectl
    python3 -m venv "$directory/venv"
    "$directory/venv/bin/pip" install --quiet 'kubernetes-validate>=1.37'
    cp -r deploy/kubernetes "$directory/"
    cp "$directory/kubernetes/example/secret.env.example" "$directory/kubernetes/example/secret.env"
    kubectl kustomize "$directory/kubernetes/example" >"$directory/example.yaml"
    kubectl kustomize "$directory/kubernetes/monitoring" >"$directory/monitoring.yaml"
    for release in 1.27 1.37; do
        "$directory/venv/bin/kubernetes-validate" --strict --quiet -k "$release" "$directory/example.yaml"
        echo "Kubernetes $release: $(grep -c '^kind:' "$directory/example.yaml") objects"
    done
}

# Nothing in it that systemd does not know, and no more than 1.2 of the 10 points of exposure that systemd counts.
unit() {
    local exposure
    sed 's|^ExecStart=.*|ExecStart=/bin/true|' deploy/techtrack.service >"$directory/techtrack.service"
    systemd-analyze verify --man=no "$directory/techtrack.service"
    exposure=$(systemd-analyze security --offline=true --no-pager --threshold=12 deploy/techtrack.service | tail -n 1)
    echo "${exposure#* }"
}

installation() {
    local root=$directory/root
    printf '#!/bin/sh\necho techtrack\n' >"$directory/techtrack"
    chmod 700 "$directory/techtrack"
    DESTDIR=$root PREFIX=/usr "$scripts/install.sh" install "$directory/techtrack" >/dev/null
    is_there 755 /usr/bin/techtrack
    is_there 644 /usr/lib/systemd/system/techtrack.service
    is_there 644 /usr/lib/sysusers.d/techtrack.conf
    is_there 600 /etc/techtrack/environment
    is_there 644 /usr/share/doc/techtrack/configuration.md
    grep -q '^ExecStart=/usr/bin/techtrack serve$' "$root/usr/lib/systemd/system/techtrack.service" || fail 'the unit starts something else'

    echo 'TECHTRACK_LISTEN=0.0.0.0:80' >"$root/etc/techtrack/environment"
    DESTDIR=$root PREFIX=/usr "$scripts/install.sh" install "$directory/techtrack" >/dev/null
    [[ $(<"$root/etc/techtrack/environment") == TECHTRACK_LISTEN=0.0.0.0:80 ]] || fail 'settings were overwritten'
    DESTDIR=$root PREFIX=/usr "$scripts/install.sh" uninstall "$directory/techtrack" >/dev/null
    [[ $(cd "$root" && find . -type f) == ./etc/techtrack/environment ]] || fail "left behind: $(cd "$root" && find . -type f)"
    echo 'installed, kept what was set, and uninstalled'
}

is_there() {
    [[ $(stat --format %a "$directory/root$2") == "$1" ]] || fail "$2 does not have the mode $1"
}

fail() {
    echo "check-deploy: $*" >&2
    exit 1
}

if (($#)); then "$@"; else main; fi
