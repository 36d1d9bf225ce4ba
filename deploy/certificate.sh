#!/bin/sh
# Puts the certificate that HAProxy serves where HAProxy reads it: certificate.sh GIVEN DIRECTORY [NAME…]
#
# GIVEN is a PEM file with certificate, chain and key. Where there is none a certificate is made that signs itself, for localhost and
# the NAMEs, once; clients must be told to trust DIRECTORY/certificate.pem. OWNER is who may read the key (99, as in HAProxy's image).
set -eu

given=$1 directory=$2
shift 2
umask 077

names=DNS:localhost,IP:127.0.0.1
for name in "$@"; do
    case $name in
        *:* | [0-9]*.[0-9]*.[0-9]*.[0-9]*) names=$names,IP:$name ;;
        *) names=$names,DNS:$name ;;
    esac
done

# Whether the certificate that was made before is for these names, and for a month yet.
is_still_good() {
    [ -s "$directory/certificate.pem" ] && [ "$(cat "$directory/names" 2>/dev/null)" = "$names" ] \
        && openssl x509 -noout -checkend 2592000 -in "$directory/certificate.pem" >/dev/null
}

if [ -s "$given" ]; then
    cat "$given" >"$directory/new"
    echo "certificate: the one that was given"
elif is_still_good; then
    echo "certificate: the one that was made before"
    exit 0
else
    # No authority, so that whoever trusts it trusts nothing else; the system's configuration would make it one.
    printf '[req]\ndistinguished_name = name\n[name]\n' >"$directory/request.cnf"
    openssl req -config "$directory/request.cnf" -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 397 -subj /CN=techtrack \
        -addext "subjectAltName=$names" -addext basicConstraints=critical,CA:FALSE -keyout "$directory/key.pem" -out "$directory/certificate.pem" 2>/dev/null
    cat "$directory/certificate.pem" "$directory/key.pem" >"$directory/new"
    rm "$directory/key.pem" "$directory/request.cnf"
    chmod 644 "$directory/certificate.pem"
    echo "$names" >"$directory/names"
    echo "certificate: made for $names; it is known to nobody"
fi

[ "$(id -u)" -ne 0 ] || chown "${OWNER:-99}" "$directory/new"
chmod 400 "$directory/new"
mv -f "$directory/new" "$directory/front.pem"
