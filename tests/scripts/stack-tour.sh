#!/usr/bin/env bash
# The tour of README.md through the front of the stack that runs it: stack.sh PATH_TO_TECHTRACK stack-tour.sh
set -euo pipefail

exec "$(dirname "$0")/tour.sh" --at "$STACK_URL" "$STACK_CERTIFICATE"
