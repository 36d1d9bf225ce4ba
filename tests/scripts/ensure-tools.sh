#!/usr/bin/env bash
# Makes sure that the named commands exist, installing Debian's packages for those that do not: ensure-tools.sh cc git …
#
# A fresh machine has a Rust toolchain and little else. What cannot be installed here is named, so that somebody who
# may install it knows exactly what to type.
set -euo pipefail

debian_packages_for() {
    case $1 in
        # libsqlite3-sys, zstd-sys, mimalloc and aws-lc-sys compile their bundled C; none of them needs CMake here.
        cc) echo gcc libc6-dev ;;
        influx) echo influxdb-client ;;
        influxd) echo influxdb ;;
        promtool) echo prometheus ;;
        psql) echo postgresql-client ;;
        initdb) echo postgresql ;;
        python3) echo python3 python3-venv ;;
        *) echo "$1" ;;
    esac
}

is_there() {
    case $1 in
        # Debian keeps the server's programs out of PATH, one directory a version.
        initdb) command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' ;;
        # Debian's python3 comes without what `python3 -m venv` needs.
        python3) python3 -c 'import ensurepip, venv' ;;
        *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

may_install() {
    command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null || { [[ -t 0 ]] && command -v sudo >/dev/null; }; }
}

# A package that brings a server would also start it, on the standard port. Nobody asked for that.
keep_services_from_starting() {
    local policy=/usr/sbin/policy-rc.d
    [[ ! -e $policy ]] || return 0
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    # shellcheck disable=SC2064 # the path is to be filled in now
    trap "as_root rm -f $policy" EXIT
    as_root chmod 755 "$policy"
}

install_packages() {
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=()
for tool in "$@"; do
    is_there "$tool" || missing+=("$tool")
done
((${#missing[@]})) || exit 0

packages=()
for tool in "${missing[@]}"; do
    read -ra named <<<"$(debian_packages_for "$tool")"
    packages+=("${named[@]}")
done

if ! may_install; then
    echo "Missing: ${missing[*]}. Nothing can be installed from here; as root run:" >&2
    echo "    apt-get update && apt-get install -y ${packages[*]}" >&2
    exit 1
fi

echo "Installing what is missing: ${packages[*]}"
keep_services_from_starting
install_packages "${packages[@]}"

for tool in "${missing[@]}"; do
    is_there "$tool" || { echo "'$tool' is still missing after installing ${packages[*]}" >&2; exit 1; }
done
