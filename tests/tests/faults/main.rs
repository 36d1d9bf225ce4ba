//! Faults: what is killed, frozen, cut and starved, and that nothing acknowledged is lost over it.
//!
//! [`writers`] send and remember what was acknowledged; [`ledger`] holds that against what is stored in the end. The stories:
//! [`server_killed`], [`database_killed`], [`database_unwell`], [`disk_full`], [`failover`], [`slow_clients`]. [`burden`] is what a server holds, [`proxy`] a way to
//! the database that breaks.
//!
//! Each fault strikes a few times. `make test-faults` sets `TEST_FAULTS=full`: then thirty times, and failover ten.

mod burden;
mod database_killed;
mod database_unwell;
mod disk_full;
mod failover;
mod ledger;
mod proxy;
mod server_killed;
mod slow_clients;
mod writers;

use std::time::Duration;

/// How soon everything works again once what it needs does.
fn recovery() -> Duration {
    leniently(Duration::from_secs(2))
}

/// The longest that anybody may be left waiting for an answer.
fn patience() -> Duration {
    leniently(Duration::from_secs(3))
}

/// Whoever wants to know exactly keeps the machine free for it. Else it may have other things to do, which shows a server that
/// hangs all the same.
fn leniently(limit: Duration) -> Duration {
    if is_full() { limit } else { 2 * limit }
}

/// `few`, or `many` where somebody wants to know exactly.
fn rounds(few: usize, many: usize) -> usize {
    if is_full() { many } else { few }
}

/// Whether somebody wants to know exactly.
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says so by the environment")]
fn is_full() -> bool {
    std::env::var("TEST_FAULTS").is_ok_and(|wish| wish == "full")
}

/// Tells a figure to whoever runs the tests.
#[allow(clippy::print_stderr, reason = "the figures are what these tests are run for")]
fn tell(figures: &str) {
    eprintln!("{figures}");
}

/// The slowest of what was timed, for people.
fn slowest(times: &[Duration]) -> String {
    let slowest = times.iter().max().copied().unwrap_or_default();
    format!("{:.2} s", slowest.as_secs_f64())
}
