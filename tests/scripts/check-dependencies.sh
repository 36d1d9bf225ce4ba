#!/usr/bin/env bash
# Judges the dependencies by deny.toml: who may use what, under which licence, from where, with which known holes.
set -euo pipefail

cargo deny check --hide-inclusion-graph bans licenses sources

# The list of known holes comes from the network. Where it cannot be had, that must not pass for a clean bill.
if cargo deny --log-level off fetch db; then
    cargo deny check --hide-inclusion-graph advisories
else
    cat >&2 <<'NOTICE'
*******************************************************************************
*  SKIPPED: the advisory database could not be fetched from here, so nobody   *
*  looked for known security holes. Run `cargo deny check advisories` where   *
*  it can be reached.                                                         *
*******************************************************************************
NOTICE
fi
