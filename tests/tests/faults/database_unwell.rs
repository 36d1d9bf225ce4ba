//! PostgreSQL is there and of no use: it hangs, throws everybody out, has no room, or loses the link in the middle of a
//! commit. Whoever asks is told soon to come back, and once PostgreSQL is well again so is the server, with nothing left
//! behind.

use crate::burden::Burden;
use crate::ledger::hold;
use crate::proxy::Proxy;
use crate::writers::Writers;
use crate::{patience, recovery, rounds, tell};
use std::time::{Duration, Instant};
use tests::patience::{LONG, until};
use tests::{Cluster, Installation, Options, Server, json};

async fn server_at(url: &str) -> Server {
    let options = Options::default().set("TECHTRACK_TOKEN_ACCESS_SECONDS", "3600");
    Installation::at(url).serve(options).await
}

/// Fails unless writes go on soon, everything acknowledged is there, and nothing is left behind.
async fn recovers(server: &Server, writers: Writers, cluster: &Cluster, before: &Burden, what: &str) {
    let back = Instant::now();
    writers.acknowledge(1).await;
    let recovered = back.elapsed();
    writers.acknowledge(20).await;
    tell(&format!("{what}: writes went on after {:.2} s", recovered.as_secs_f64()));
    writers.expect_manners(patience());
    hold(&writers.finish().await, &server.admin().await).await;
    assert!(recovered <= recovery(), "recovered after {recovered:?}");
    before.returns(server, cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_told_of_within_three_seconds() {
    let (cluster, server, writers, before) = at_work().await;
    cluster.freeze();
    let frozen = Instant::now();
    // The first to ask may still have been lucky.
    let unaware = Duration::from_secs(1);
    while frozen.elapsed() < Duration::from_secs(rounds(6, 30) as u64) {
        let asked = Instant::now();
        let stranger = server.anonymous();
        stranger.get("/health/live").await.expect(200);
        assert!(asked.elapsed() < unaware, "a sign of life took {:?}", asked.elapsed());
        let ready = stranger.get("/health/ready").may_be_busy().await;
        assert_eq!(ready.status, 503);
        let guess = json!({"username": "admin", "password": Installation::ADMIN_PASSWORD});
        let answer = stranger.post("/api/login", guess).may_be_busy().await.expect_problem(503, "busy");
        answer.expect_header("retry-after");
        assert!(
            asked.elapsed() < unaware + patience() + patience(),
            "three answers took {:?}",
            asked.elapsed()
        );
    }
    cluster.thaw();
    recovers(&server, writers, &cluster, &before, "PostgreSQL hung").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_ten_times_a_second_lose_nothing() {
    let (cluster, server, writers, before) = at_work().await;
    let executioner = cluster.connect().await.expect("PostgreSQL accepts connections");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(rounds(3, 60) as u64) {
        executioner.batch_execute(END_ALL).await.expect("a superuser may");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    recovers(&server, writers, &cluster, &before, "PostgreSQL ended all sessions again and again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_for_us_is_told_of_and_used_again_when_it_has() {
    let cluster = Cluster::start_with(&["max_connections=30"]).await;
    let server = server_at(&cluster.url()).await;
    let writers = Writers::start(&server, &server.admin().await).await;
    writers.acknowledge(100).await;
    let before = Burden::of(&server, &cluster).await;
    let mut crowd = vec![cluster.connect().await.expect("PostgreSQL accepts connections")];
    // Whoever is thrown out comes back; each place that we get first is taken for good.
    while cluster_is_ours(&crowd).await > 0 {
        crowd[0].batch_execute(END_ALL).await.expect("a superuser may");
        while let Some(one_more) = cluster.connect().await {
            crowd.push(one_more);
        }
    }
    let full = Instant::now();
    while full.elapsed() < Duration::from_secs(rounds(2, 10) as u64) {
        let ready = server.anonymous().get("/health/ready").may_be_busy().await;
        assert_eq!(ready.status, 503);
    }
    drop(crowd);
    recovers(&server, writers, &cluster, &before, "PostgreSQL was full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_for_a_while_is_told_of_and_used_again() {
    let (cluster, server, writers, before) = at_work().await;
    // As a primary does that was made a standby behind an address that stayed the same.
    let operator = cluster.connect().await.expect("PostgreSQL accepts connections");
    operator
        .batch_execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        .await
        .expect("done");
    operator.batch_execute(END_ALL).await.expect("a superuser may");
    writers.turned_away().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    operator
        .batch_execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        .await
        .expect("done");
    recovers(&server, writers, &cluster, &before, "PostgreSQL took no writes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_and_conflicts_of_transactions_are_told_of_and_leave_nothing_behind() {
    let (cluster, server, writers, before) = at_work().await;
    let operator = cluster.connect().await.expect("PostgreSQL accepts connections");
    operator.batch_execute(STRIKE).await.expect("a superuser may");
    for _ in 0..rounds(2, 20) {
        writers.turned_away().await;
        writers.acknowledge(50).await;
    }
    // Who takes four tables while others write may well be the one that a real deadlock is ended by.
    until("the function to be gone", LONG, async || {
        operator.batch_execute("DROP FUNCTION strike() CASCADE").await.ok()
    })
    .await;
    recovers(&server, writers, &cluster, &before, "PostgreSQL gave up transactions").await;
}

/// A cluster of our own, a server on it at which eight write, and what it holds meanwhile.
async fn at_work() -> (Cluster, Server, Writers, Burden) {
    let cluster = Cluster::start().await;
    let server = server_at(&cluster.url()).await;
    let writers = Writers::start(&server, &server.admin().await).await;
    writers.acknowledge(100).await;
    let before = Burden::of(&server, &cluster).await;
    (cluster, server, writers, before)
}

/// As PostgreSQL itself says it, in the middle of a transaction and when it commits.
const STRIKE: &str = "
    CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF random() < 0.15 THEN
            RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
        ELSIF random() < 0.15 THEN
            RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '40001';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER strike AFTER INSERT OR UPDATE ON equipment FOR EACH STATEMENT EXECUTE FUNCTION strike();
    CREATE TRIGGER strike AFTER INSERT ON readings FOR EACH STATEMENT EXECUTE FUNCTION strike();
    CREATE TRIGGER strike AFTER INSERT OR UPDATE ON alerts FOR EACH STATEMENT EXECUTE FUNCTION strike();
    CREATE CONSTRAINT TRIGGER strike_late AFTER INSERT OR UPDATE ON equipment_heads
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION strike();";

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_in_mid_commit_leaves_no_doubt_that_a_retry_does_not_settle() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::before(&cluster).await;
    let server = server_at(&proxy.url()).await;
    let writers = Writers::start(&server, &server.admin().await).await;
    writers.acknowledge(50).await;
    let before = Burden::of(&server, &cluster).await;
    proxy.cut_every_commit_but(7);
    for _ in 0..rounds(1, 5) {
        writers.acknowledge(100).await;
    }
    proxy.cut_nothing();
    assert!(writers.unknown() > 0, "{} commits were cut, and nobody was told", proxy.cuts());
    let what = format!("{} links were cut in mid-commit", proxy.cuts());
    recovers(&server, writers, &cluster, &before, &what).await;
}

const END_ALL: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'techtrack'";

/// How many sessions are not ours.
async fn cluster_is_ours(crowd: &[tokio_postgres::Client]) -> i64 {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'techtrack'";
    crowd[0].query_one(others, &[]).await.expect("a count").get(0)
}
