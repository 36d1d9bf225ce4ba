#!/usr/bin/env bash
# Changes the domain's code of access, sessions, rules and mentors in every small way, one after the other, and tells which changes
# no test of the domain notices. Options go to cargo-mutants: `--jobs 2`, `--list`.
set -euo pipefail

readonly files=(
    access.rs app/callers.rs
    sessions.rs sign_in.rs app/sessions.rs app/sign_in.rs app/signing_keys.rs
    rules.rs 'rules/*.rs' app/rules.rs
    mentors.rs app/mentors.rs
)
readonly tests=(--lib --test people --test signing_in --test plant)

chosen=()
for file in "${files[@]}"; do
    chosen+=(--file "crates/domain/src/$file")
done
export CARGO_PROFILE_DEV_DEBUG=0
exec cargo mutants --package domain "${chosen[@]}" --timeout 60 --output target "$@" -- "${tests[@]}"
