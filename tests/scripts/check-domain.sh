#!/usr/bin/env bash
# The domain knows nobody: no web framework, no database, no async runtime, no serialisation, however indirectly.
# deny.toml guards direct dependencies of every crate; this looks at all that the domain brings with it.
set -euo pipefail

readonly outsiders='actix|diesel|tokio|serde|rusqlite|libsqlite3|postgres|redis|hyper|reqwest|utoipa|tracing|rand|getrandom'

known=$(cargo tree --package domain --edges normal,build --prefix none --format '{p}')
if offenders=$(grep -E "^($outsiders)" <<<"$known"); then
    echo "crates/domain must not depend on:" >&2
    sort -u <<<"$offenders" >&2
    exit 1
fi
