#!/usr/bin/env bash
# Puts a built TechTrack where Debian expects such things, or takes it away again: install.sh install|uninstall PATH_TO_TECHTRACK
#
# PREFIX (/usr/local) is where programs are, SYSCONFDIR (/etc) where settings are, and DESTDIR goes before both, for packagers. Settings
# that are there already stay as they are. Nothing is started.
set -euo pipefail

readonly action=$1 techtrack=$2
readonly destination=${DESTDIR:-} prefix=${PREFIX:-/usr/local} settings=${SYSCONFDIR:-/etc}
readonly documents=$prefix/share/doc/techtrack
cd "$(dirname "$0")/../.."

# systemd looks below these two prefixes; for others there is the administrator's directory.
case $prefix in
    /usr | /usr/local) readonly units=$prefix/lib/systemd/system accounts=$prefix/lib/sysusers.d ;;
    *) readonly units=$settings/systemd/system accounts=$settings/sysusers.d ;;
esac

installed() {
    echo "$prefix/bin/techtrack"
    echo "$units/techtrack.service"
    echo "$accounts/techtrack.conf"
    echo "$documents/copyright"
    echo "$documents/environment"
    local document
    for document in docs/configuration.md docs/operations.md docs/errors.md CHANGELOG.md; do
        echo "$documents/${document##*/}"
    done
}

put() {
    local mode=$1 source=$2 target=$3
    install -D --mode="$mode" "$source" "$destination$target"
    echo "$destination$target"
}

install_all() {
    [[ -x $techtrack ]] || { echo "$techtrack is not there: run \`make release\` first, as yourself" >&2; exit 1; }
    put 755 "$techtrack" "$prefix/bin/techtrack"
    put 644 deploy/techtrack.service "$units/techtrack.service"
    sed -i "s|/usr/local/|$prefix/|g; s|/etc/techtrack/|$settings/techtrack/|g" "$destination$units/techtrack.service"
    put 644 deploy/techtrack.sysusers "$accounts/techtrack.conf"
    put 644 LICENSE "$documents/copyright"
    put 644 deploy/environment "$documents/environment"
    local document
    for document in docs/configuration.md docs/operations.md docs/errors.md CHANGELOG.md; do
        put 644 "$document" "$documents/${document##*/}"
    done
    install -d --mode=755 "$destination$settings/techtrack"
    if [[ -e $destination$settings/techtrack/environment ]]; then
        echo "$destination$settings/techtrack/environment stays as it is"
    else
        put 600 deploy/environment "$settings/techtrack/environment"
    fi
    [[ -n $destination ]] || tell_the_system
}

tell_the_system() {
    ((EUID == 0)) || return 0
    ! command -v systemd-sysusers >/dev/null || systemd-sysusers "$accounts/techtrack.conf"
    [[ ! -d /run/systemd/system ]] || systemctl daemon-reload
    cat <<MESSAGE

Put the first administrator's password into $settings/techtrack/environment, then:
    systemctl enable --now techtrack
MESSAGE
}

uninstall_all() {
    if [[ -z $destination && -d /run/systemd/system ]]; then
        systemctl disable --now techtrack 2>/dev/null || true
    fi
    local file
    while read -r file; do
        rm -f "$destination$file"
    done < <(installed)
    rmdir --ignore-fail-on-non-empty "$destination$documents"
    echo "Gone. Settings in $destination$settings/techtrack and data in /var/lib/techtrack are kept."
}

case $action in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *)
        echo "install or uninstall, not '$action'" >&2
        exit 2
        ;;
esac
