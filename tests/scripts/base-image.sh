#!/usr/bin/env bash
# Makes sure that the image that deploy/Dockerfile builds on is here: base-image.sh ENGINE NAME
#
# It is pulled where a registry can be reached. Elsewhere one that does as well is made from Debian's packages (DEBIAN_MIRROR says
# where they are, if not at their usual place) and from the Rust toolchain and the authorities of this machine, under the same name.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts engine=$1 name=$2

main() {
    ! "$engine" image inspect "$name" >/dev/null 2>&1 || return 0
    echo "Pulling $name"
    ! timeout 300 "$engine" pull --quiet "$name" >/dev/null 2>&1 || return 0
    echo "It cannot be pulled: making one like it"
    make_one
}

make_one() {
    ((EUID == 0)) || { echo "base-image: to make one takes root" >&2; exit 1; }
    "$scripts/ensure-tools.sh" debootstrap
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 \
        || { tail -n 20 "$root.log" >&2; exit 1; }
    rm -rf "$root.log" "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    add_toolchain
    tar --create --directory "$root" --numeric-owner . \
        | "$engine" import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$name" >/dev/null
}

# Of the toolchain what builds for this machine: no documentation, no sources, no other targets.
add_toolchain() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    tar --create --directory "$sysroot" --exclude 'lib/rustlib/src' \
        bin/cargo bin/rustc lib | tar --extract --no-same-owner --directory "$root/usr/local"
}

main
