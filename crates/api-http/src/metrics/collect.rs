//! Where the figures come from.

use super::lookout::Sight;
use super::page::Page;
use super::process;
use super::table::*;
use crate::remembered::Topic;
use crate::state::State;
use crate::turns::Class;
use domain::alerts::AlertStatus;
use domain::app::delivering::Delivered;
use domain::app::ingest::Tallied;
use domain::app::retention::Totalled;
use domain::app::{App, JudgedSoFar};
use domain::ports::Sharing;
use domain::rules::Severity;
use domain::time::Timestamp;

/// Which build this is, where whoever built it said so.
const REVISION: &str = match option_env!("TECHTRACK_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The page that Prometheus fetches.
pub async fn collect(state: &State) -> String {
    let sight = state.lookout.sight(&state.app).await;
    let mut page = Page::default();
    write_server(state, &mut page);
    process::write(&mut page);
    state.metrics.write(&mut page);
    write_turns(state, &mut page);
    write_connections(state, &mut page);
    write_readings(&state.app, &mut page);
    write_rules(&state.app, &mut page);
    write_webhooks(&state.app, &mut page);
    write_sight(&sight, &mut page);
    write_pools(&state.app, &mut page);
    write_caches(state, &mut page);
    write_traces(state, &mut page);
    page.into_text()
}

fn write_server(state: &State, page: &mut Page) {
    let now = state.app.clock.now();
    page.each(&BUILD_INFO, [([env!("CARGO_PKG_VERSION"), REVISION], 1.0)]);
    page.one(&UPTIME, now.since(state.started_at).as_secs_f64());
    page.one(&START_TIME, seconds(state.started_at));
    page.one(&DRAINING, flag(state.draining.is_on()));
    page.one(&LIVE_STREAMS, number(state.hub.watchers()));
}

fn write_turns(state: &State, page: &mut Page) {
    let mut each = |family: &Family, figure: &dyn Fn(Class) -> f64| {
        page.each(family, Class::ALL.map(|class| ([class.name()], figure(class))));
    };
    let turns = &state.turns;
    each(&IN_PROGRESS, &|class| number(turns.line(class).at_work()));
    each(&WAITING, &|class| number(turns.line(class).waiting()));
    each(&PLACES, &|class| number(turns.line(class).places()));
    each(&SHED, &|class| count(turns.line(class).turned_away()));
}

fn write_connections(state: &State, page: &mut Page) {
    page.one(&CONNECTIONS_OPEN, number(state.doors.open()));
    page.one(&CONNECTIONS_LIMIT, number(state.settings.connections_open));
    page.one(&CONNECTIONS_REFUSED, count(state.doors.refused()));
    let tls = state.tls.as_deref();
    let handshakes = tls.map(|tls| tls.handshakes().map(|(result, times)| ([result], count(times))));
    page.each(&TLS_HANDSHAKES, handshakes.into_iter().flatten());
    page.one(&TLS_EXPIRY, tls.and_then(|tls| tls.certificate().expires_at()).map(seconds));
    let reloads = tls.map(|tls| tls.certificate().reloads());
    let results = reloads.map(|reloads| [(["loaded"], reloads.loaded), (["failed"], reloads.failed)]);
    page.each(&TLS_RELOADS, results.into_iter().flatten().map(|(result, times)| (result, count(times))));
}

fn write_readings(app: &App, page: &mut Page) {
    let Tallied { received, stored, duplicate, rejected } = app.tally.read();
    let Totalled { packed, removed, thinned, rollups } = app.totals.now();
    page.one(&RECEIVED, count(received));
    page.one(&STORED, count(stored));
    page.one(&DUPLICATE, count(duplicate));
    page.one(&REJECTED, count(rejected));
    page.one(&PACKED, count(packed));
    page.one(&REMOVED, count(removed));
    page.one(&THINNED, count(thinned));
    page.one(&ROLLUPS, count(rollups));
}

fn write_rules(app: &App, page: &mut Page) {
    let JudgedSoFar { batches, readings, values, cases, took } = app.judged.so_far();
    page.one(&RULE_BATCHES, count(batches));
    page.one(&RULE_READINGS, count(readings));
    page.one(&RULE_VALUES, count(values));
    page.one(&RULE_EVALUATIONS, count(cases));
    page.one(&RULE_SECONDS, took.as_secs_f64());
}

fn write_webhooks(app: &App, page: &mut Page) {
    let Delivered { delivered, failed, given_up, superseded, backlog } = app.deliveries.told();
    let results =
        [("delivered", delivered), ("failed", failed), ("given_up", given_up), ("superseded", superseded)];
    page.each(&DELIVERIES, results.map(|(result, times)| ([result], count(times))));
    page.one(&OUTBOX, count(backlog.count));
    let age = backlog.oldest_at.map(|oldest| app.clock.now().since(oldest));
    page.one(&OUTBOX_AGE, age.unwrap_or_default().as_secs_f64());
}

fn write_sight(sight: &Sight, page: &mut Page) {
    page.one(&DATABASE_UP, flag(sight.ping.is_some()));
    page.one(&DATABASE_PING, sight.ping.map(|ping| ping.as_secs_f64()));
    let observed = sight.observed.as_deref();
    let labelled = |(severity, status, alerts): &(Severity, AlertStatus, u64)| {
        ([severity.name(), status.name()], count(*alerts))
    };
    let alerts = observed.map(|observed| observed.unresolved_alerts.iter().map(labelled));
    page.each(&ALERTS, alerts.into_iter().flatten());
    page.one(&AUDIT_EVENTS, observed.map(|observed| count(observed.audit_events)));
}

fn write_pools(app: &App, page: &mut Page) {
    let pools = app.store.pools();
    let by_state = pools.iter().flat_map(|pool| {
        [([pool.purpose, "in_use"], number(pool.in_use)), ([pool.purpose, "idle"], number(pool.idle))]
    });
    page.each(&POOL, by_state);
    page.each(&POOL_MAX, pools.iter().map(|pool| ([pool.purpose], number(pool.most))));
    page.each(&POOL_WAITING, pools.iter().map(|pool| ([pool.purpose], number(pool.waiting))));
}

fn write_caches(state: &State, page: &mut Page) {
    let counts = &state.app.counts;
    let topics = Topic::ALL.map(|topic| (topic.name(), state.answers.hits(topic).told()));
    let beneath = [
        ("callers", counts.callers.told()),
        ("equipment_rows", counts.equipment.told()),
        ("heads", counts.heads.told()),
    ];
    let caches = || topics.iter().chain(&beneath);
    page.each(&CACHE_HITS, caches().map(|(cache, (hits, _))| ([*cache], count(*hits))));
    page.each(&CACHE_MISSES, caches().map(|(cache, (_, misses))| ([*cache], count(*misses))));
    page.one(&CACHE_LINK_UP, flag(state.app.changes.are_heard()));
    let redis = match state.allowances.sharing() {
        Sharing::Alone => None,
        Sharing::Together => Some(1.0),
        Sharing::CutOff => Some(0.0),
    };
    page.one(&REDIS_UP, redis);
}

fn write_traces(state: &State, page: &mut Page) {
    let spans = state.traces.as_ref().map(|traces| traces.spans());
    page.one(&SPANS_EXPORTED, spans.map(|spans| count(spans.exported)));
    let dropped = spans.map(|spans| [(["queue_full"], spans.overflowed), (["export_failed"], spans.refused)]);
    page.each(&SPANS_DROPPED, dropped.into_iter().flatten().map(|(reason, spans)| (reason, count(spans))));
}

/// Beyond 2^53 every other number is left out, which nobody will see.
fn count(count: u64) -> f64 {
    count as f64
}

fn number(number: usize) -> f64 {
    number as f64
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn seconds(at: Timestamp) -> f64 {
    at.micros() as f64 / 1e6
}
