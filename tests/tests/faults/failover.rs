//! The primary of two PostgreSQL clusters is lost while eight write, and its synchronous standby takes over. The server, which
//! knows both addresses, finds the new primary by itself.

use crate::ledger::hold;
use crate::writers::Writers;
use crate::{patience, recovery, rounds, slowest, tell};
use std::time::Instant;
use tests::patience::{LONG, until};
use tests::{Cluster, Installation, Options};

/// How the primary is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// It is gone.
    Killed,
    /// It hangs: it can be reached, and says nothing.
    Frozen,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_primary_that_dies() {
    fail_over(Loss::Killed, rounds(1, 10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_primary_that_hangs() {
    fail_over(Loss::Frozen, rounds(1, 3)).await;
}

async fn fail_over(loss: Loss, rounds: usize) {
    let mut primary = Cluster::start().await;
    let mut standby = primary.synchronous_standby(None).await;
    let url = format!(
        "postgres://postgres@{},{}/postgres?target_session_attrs=read-write",
        primary.authority(),
        standby.authority()
    );
    let options = Options::default().set("TECHTRACK_TOKEN_ACCESS_SECONDS", "3600");
    let server = Installation::at(&url).serve(options).await;
    let writers = Writers::start(&server, &server.admin().await).await;
    let mut recovered = Vec::new();
    for round in 0..rounds {
        writers.acknowledge(25 + 11 * (round as u64 % 7)).await;
        match loss {
            Loss::Killed => primary.kill(),
            Loss::Frozen => {
                primary.freeze();
                // Nobody replaces a primary before it was silent for a while.
                writers.turned_away().await;
            }
        }
        standby.promote().await;
        let writable = async || (standby.ask("SELECT pg_is_in_recovery()").await == "f").then_some(());
        until("the standby to be primary", LONG, writable).await;
        let back = Instant::now();
        writers.acknowledge(1).await;
        recovered.push(back.elapsed());
        // The new primary gets a standby where the old one was.
        let port = primary.port();
        drop(primary);
        primary = standby;
        standby = primary.synchronous_standby(Some(port)).await;
    }
    writers.acknowledge(20).await;
    tell(&format!("{loss:?} {rounds} times; writes went on after at most {}", slowest(&recovered)));
    writers.expect_manners(patience());
    hold(&writers.finish().await, &server.admin().await).await;
    assert!(recovered.iter().all(|took| *took <= recovery()), "recovered after {recovered:?}");
}
