#!/usr/bin/env bash
# Runs the black-box stories on PostgreSQL through HAProxy and two servers, which share a Redis, and the rolling restart.
set -euo pipefail

"$(dirname "$0")/ensure-tools.sh" haproxy redis-server initdb

# Everything that a client of one server sees, but for stories …
readonly left_out=(
    # … that stop, kill or freeze one server, or look at its own listener.
    'binary(faults)' 'binary(draining)'
    # … that have no server at all.
    'binary(races)'
    # … whose requests are no HTTP: HAProxy refuses them itself, and waits for the rest of what was announced.
    'binary(error_codes)' 'test(a_body_beyond_the_limit)' 'test(what_breaks_http)'
    # … that count connections, or what one server has at once.
    'test(an_address_has_so_many)' 'test(trusted_proxies_have)' 'test(what_is_too_much_at_once)'
    # … that read what one server counted.
    'binary(ages)' 'test(measurements_are_told)' 'test(whatever_is_received_is_counted)'
    'test(what_readings_and_people_do_to_alerts_arrives)'
    # … that ask one server right after they told another: answers from memory follow within a second.
    'binary(remembered)' 'binary(resets)' 'binary(model)' 'binary(hostile)' 'test(last_seen_at_is_the_instant)'
    'test(what_is_newest_of_all_machines)' 'test(whoever_stops_being_a_mentor)' 'test(late_data_never_overwrites)'
    'test(a_change_of_a_role_reaches_its_holders)' 'test(logging_out_ends_this_session)' 'test(a_deleted_user_is_gone)'
    # … that set up proxies of their own.
    'test(the_clients_address_is_the_sockets)'
)

filter='test(/^postgres::/) | binary(rolling)'
for one in "${left_out[@]}"; do
    filter="($filter) - $one"
done
TEST_FRONT=haproxy exec cargo nextest run --package tests --filterset "$filter" --no-fail-fast "$@"
