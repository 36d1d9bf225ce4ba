#!/usr/bin/env bash
# Holds the server at this address against its OpenAPI document. conformance.sh starts it and says where schemathesis is.
set -euo pipefail

scripts=$(cd "$(dirname "$0")" && pwd)
export CONFORMANCE_URL=$1 PYTHONPATH=$scripts SCHEMATHESIS_HOOKS=sign_in
readonly checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance

# It keeps notes where it runs.
cd "$CONFORMANCE_HOME"
exec bin/schemathesis run "$CONFORMANCE_URL/api/openapi.json" \
    --exclude-path /api/stream \
    --checks "$checks" --max-examples "${CONFORMANCE_EXAMPLES:-50}" --continue-on-failure --no-color
