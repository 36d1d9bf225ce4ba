//! A server that is told to stop: it says so, goes on serving until load balancers have noticed, and ends well.

use std::time::{Duration, Instant};
use tests::patience::{LONG, until};
use tests::raw::{Upload, exchange, get};
use tests::wire::{Request, Wire};
use tests::{Backend, Method, Options, Server, json, stories};
use tokio::net::TcpStream;

/// Longer than any of this takes.
const FOR_LONG: &str = "60";

fn announcing_for(seconds: &str) -> Options {
    Options::default().set("TECHTRACK_HTTP_DRAIN_DELAY_SECONDS", seconds)
}

/// Waits until the server tells whoever connects that it is about to stop.
async fn says_that_it_stops(server: &Server) {
    until("the server to be no longer ready", LONG, async || {
        (exchange(server, &get("/health/ready")).await.0 == 503).then_some(())
    })
    .await;
}

stories! {
    async fn a_server_that_is_about_to_stop_says_so_and_still_serves_whoever_comes(backend: Backend) {
        let server = Server::start_with(backend, announcing_for(FOR_LONG)).await;
        let admin = server.admin().await;
        let mut kept = Wire::to(&server);
        let list = Request::new(&Method::GET, "/api/equipment").bearing(admin.token());
        let before = kept.ask(&list).await.unwrap().expect(200);
        assert_eq!(before.header("connection"), None, "connections are kept");
        server.terminate();
        says_that_it_stops(&server).await;
        let during = kept.ask(&list).await.unwrap().expect(200);
        assert_eq!(during.header("connection"), Some("close"), "whoever kept theirs is told to open another");
        assert_eq!(exchange(&server, &get("/health/live")).await.0, 200);
        let press = admin.machine_called("Press").await;
        assert_eq!(admin.get(&press.path()).await.expect(200).header("connection"), Some("close"));
        // Whoever asks a second time does not want to wait for all that.
        let asked = Instant::now();
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
        assert!(asked.elapsed() < Duration::from_secs(30), "a second signal took {:?}", asked.elapsed());
        assert!(finished.stderr.contains("stopping at once"), "{}", finished.stderr);
    }

    async fn a_second_signal_does_not_wait_for_receivers_of_webhooks_either(backend: Backend) {
        let options = announcing_for("0").set("TECHTRACK_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.0/8");
        let server = Server::start_with(backend, options.set("TECHTRACK_WEBHOOKS_SEAL_KEY", "a key of our own")).await;
        let admin = server.admin().await;
        // Takes what is delivered, and never answers.
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", mute.local_addr().unwrap());
        let hook = admin.post("/api/webhooks/", json!({"name": "Mute", "url": url})).await.expect(201).id();
        admin.post(&format!("/api/webhooks/{hook}/test"), json!({})).await;
        let _on_its_way = mute.accept().await.unwrap();
        server.terminate();
        until("the server to take no connections any more", LONG, async || {
            TcpStream::connect(server.authority()).await.is_err().then_some(())
        })
        .await;
        let asked = Instant::now();
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "a second signal took {:?}", asked.elapsed());
        assert!(finished.stderr.contains("stopping at once"), "{}", finished.stderr);
    }

    async fn watchers_are_told_at_once_to_come_back_elsewhere(backend: Backend) {
        let server = Server::start_with(backend, announcing_for(FOR_LONG)).await;
        let admin = server.admin().await;
        let mut events = admin.get("/api/stream").events().await;
        server.terminate();
        let end = events.named("end").await;
        assert_eq!(end.data["reason"], "draining", "{end:?}");
    }

    async fn what_began_while_the_server_was_about_to_stop_is_finished_before_it_does(backend: Backend) {
        let server = Server::start_with(backend, announcing_for("1")).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        server.terminate();
        says_that_it_stops(&server).await;
        let mut upload = Upload::begin(&server, admin.token(), "/api/data/bulk", "application/x-ndjson").await;
        upload.send(&format!("{}\n", press.at(0, 20.0))).await;
        until("the server to take no connections any more", LONG, async || {
            TcpStream::connect(server.authority()).await.is_err().then_some(())
        })
        .await;
        upload.send(&format!("{}\n", press.at(1, 21.0))).await;
        let (status, body) = upload.end().await;
        assert!(status == 200 && body.contains("\"accepted\":2"), "{status} {body}");
    }
}
