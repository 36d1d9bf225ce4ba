#!/usr/bin/env bash
# Has real clients of InfluxDB write to a server, once on SQLite and once on PostgreSQL, and reads back what they wrote:
#     with-services.sh interop-influx.sh PATH_TO_TECHTRACK
# The clients are InfluxData's own for Python, which speaks version 2, the `influx` of Debian's influxdb-client, which speaks
# version 1, and Telegraf if there is one.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts venv=$PWD/target/interop

"$scripts/ensure-tools.sh" python3 influx
[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$scripts/interop/requirements.txt"

export TECHTRACK_ADMIN_PASSWORD=an-interop-run-$RANDOM$RANDOM
export TECHTRACK_RATE_LIMIT_PER_MINUTE=0
exec "$scripts/on-each-database.sh" "$1" "$venv/bin/python" "$scripts/interop/influx.py"
