#!/usr/bin/env bash
# Holds a running server against its OpenAPI document, once on SQLite and once on PostgreSQL: schemathesis makes up
# requests, good and bad, and no answer may be a 5xx or differ from the document.
#     with-services.sh conformance.sh PATH_TO_TECHTRACK
# CONFORMANCE_EXAMPLES sets the requests made up per operation. Streams of events never end, so they are left out here;
# the black-box stories hold them.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
readonly scripts
export CONFORMANCE_HOME=$PWD/target/conformance

"$scripts/ensure-tools.sh" python3
[[ -x $CONFORMANCE_HOME/bin/python ]] || python3 -m venv "$CONFORMANCE_HOME"
"$CONFORMANCE_HOME/bin/pip" install --quiet --disable-pip-version-check --requirement "$scripts/conformance/requirements.txt"

export TECHTRACK_ADMIN_PASSWORD=a-conformance-run-$RANDOM$RANDOM
export TECHTRACK_SIGN_IN_LIMITS=off TECHTRACK_RATE_LIMIT_PER_MINUTE=0 TECHTRACK_WEBHOOKS_PUBLIC_INTERNET=off
exec "$scripts/on-each-database.sh" "$1" "$scripts/conformance/conform.sh"
