//! PostgreSQL is killed while eight write: all of it, as by a power cut, or one of its processes, after which it throws
//! everybody out and recovers. The server goes on by itself.

use crate::ledger::hold;
use crate::writers::Writers;
use crate::{patience, recovery, rounds, slowest, tell};
use std::time::Instant;
use tests::{Cluster, Installation, Options};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_the_database() {
    let rounds = rounds(2, 30);
    let cluster = Cluster::start().await;
    let options = Options::default().set("TECHTRACK_TOKEN_ACCESS_SECONDS", "3600");
    let server = Installation::at(&cluster.url()).serve(options).await;
    let writers = Writers::start(&server, &server.admin().await).await;
    let mut recovered = Vec::new();
    for round in 0..rounds {
        writers.acknowledge(25 + 11 * (round as u64 % 7)).await;
        if round % 2 == 0 {
            cluster.kill();
            cluster.start_again().await;
        } else {
            cluster.kill_one_session().await;
            cluster.accepts_connections().await;
        }
        let back = Instant::now();
        writers.acknowledge(1).await;
        recovered.push(back.elapsed());
    }
    writers.acknowledge(20).await;
    tell(&format!(
        "PostgreSQL was killed {rounds} times; writes went on after at most {}",
        slowest(&recovered)
    ));
    writers.expect_manners(patience());
    hold(&writers.finish().await, &server.admin().await).await;
    assert!(recovered.iter().all(|took| *took <= recovery()), "recovered after {recovered:?}");
}
