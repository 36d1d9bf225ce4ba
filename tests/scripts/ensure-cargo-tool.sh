#!/usr/bin/env bash
# Makes sure that a cargo subcommand exists: ensure-cargo-tool.sh NAME VERSION
# One that is installed already will do. Otherwise it is built into target/tools, which the Makefile has in its PATH.
set -euo pipefail

name=$1 version=$2
! command -v "$name" >/dev/null || exit 0

echo "Building $name $version, once; this takes a few minutes"
# Unoptimised, because these tools run for seconds: optimising one would take longer than it could ever save.
CARGO_PROFILE_DEV_DEBUG=0 cargo install "$name" --version "$version" --locked --debug --quiet --root target/tools
