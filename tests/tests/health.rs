//! For probes and dashboards.

use tests::patience::{LONG, until};
use tests::{Backend, Server, stories};

stories! {
    async fn a_server_that_serves_is_live_and_ready(backend: Backend) {
        let server = Server::start(backend).await;
        for path in ["/health/live", "/health/ready", "/health/live/", "/health/ready/"] {
            server.anonymous().get(path).await.expect(200);
        }
    }

    async fn measurements_are_told_as_prometheus_text(backend: Backend) {
        let server = Server::start(backend).await;
        server.anonymous().get("/api/users").await.expect(401);
        let metrics = server.anonymous().get("/metrics").await.expect(200);
        assert!(metrics.expect_header("content-type").starts_with("text/plain"));
        let text = String::from_utf8(metrics.bytes).unwrap();
        assert!(text.lines().any(|line| line.starts_with("# TYPE ")), "{text}");
        assert!(text.lines().any(|line| line.contains("401")), "{text}");
    }

    async fn a_server_that_is_told_to_stop_is_no_longer_ready_and_ends_well(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        stranger.get("/api/").await.expect(200);
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
    }
}

#[tokio::test]
async fn a_server_whose_database_is_away_is_live_but_not_ready() {
    let server = Server::start(Backend::Postgres).await;
    let probe = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async |path: &str| {
        let url = format!("http://{}{path}", server.authority());
        probe.get(url).send().await.unwrap().status().as_u16()
    };
    server.installation.take_database_away().await;
    until("the server to notice", LONG, async || (status("/health/ready").await == 503).then_some(())).await;
    assert_eq!(status("/health/live").await, 200);
    server.installation.bring_database_back().await;
    until("the server to be ready again", LONG, async || {
        (status("/health/ready").await == 200).then_some(())
    })
    .await;
}
