//! The demo: a plant that moves.

use std::time::{Duration, Instant};
use tests::{Backend, Installation, Options, Server, Value, json, stories};

/// What the demo prints, so that people get in.
fn said(server: &Server, label: &str) -> String {
    let stdout = server.stdout();
    let line = stdout.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    line.unwrap_or_else(|| panic!("no {label} in {stdout}")).to_owned()
}

stories! {
    async fn a_minute_after_the_start_a_plant_moves(backend: Backend) {
        let server = Installation::new(backend).await.serve(Options::default().demo()).await;
        let operator = server.sign_in(&said(&server, "login"), &said(&server, "password")).await;
        let mut events = operator.get("/api/stream").events().await;
        let started = Instant::now();
        events.named("values").await;
        events.named("alert").await;
        assert!(started.elapsed() < Duration::from_secs(45), "nothing happened for {:?}", started.elapsed());

        let machines = operator.get("/api/equipment?page_size=100").await.expect(200);
        assert!(machines["count"].as_u64() > Some(20), "{}", machines["count"]);
        let seen = machines.column("last_seen_at");
        assert!(seen.iter().any(Value::is_string) && machines.column("parent").iter().any(Value::is_i64));
        for status in ["open", "acknowledged", "resolved"] {
            let found = operator.get(&format!("/api/alerts?status={status}")).await.expect(200);
            assert!(found["count"].as_u64() > Some(0), "no alert is {status}");
        }
        assert!(operator.get("/api/alert-rules").await.expect(200)["count"].as_u64() > Some(3));
        let metric = operator.get("/api/metrics").await.expect(200).column("name")[0].clone();
        let mut machines = machines["results"].as_array().unwrap().iter();
        let machine = machines.find(|machine| machine["last_seen_at"].is_string()).unwrap();
        let latest = operator.get(&format!("/api/equipment/{}/latest", machine["id"])).await.expect(200);
        assert!(!latest.column("metric").is_empty(), "{metric}");
        let measured = latest.column("metric")[0].clone();
        let query = format!("equipment={}&metric={}&agg=count", machine["id"], measured.as_str().unwrap());
        let week = operator.get(&format!("/api/series?{query}&interval=1d")).await.expect(200);
        assert!(!week["series"][0]["count"].as_array().unwrap().is_empty(), "{}", week.json);
    }
}

#[tokio::test]
async fn a_demo_goes_on_where_it_was_and_leaves_other_plants_alone() {
    let installation = Installation::new(Backend::Sqlite).await;
    let first = installation.serve(Options::default().demo()).await;
    let machines = first.admin().await.get("/api/equipment").await.expect(200)["count"].clone();
    assert!(first.stop().await.status.success());
    let again = installation.serve(Options::default().demo()).await;
    assert_eq!(again.admin().await.get("/api/equipment").await.expect(200)["count"], machines);
    again.stop().await;

    let real = Installation::new(Backend::Sqlite).await;
    let server = real.serve(Options::default()).await;
    server.admin().await.machine_called("Press").await;
    server.stop().await;
    let refused = real.run(&["demo", "--listen", "127.0.0.1:0"]).await;
    assert!(!refused.status.success(), "{refused:?}");
    assert!(refused.stderr.contains("not the demo's"), "{refused:?}");
    let server = real.serve(Options::default()).await;
    let left = server.admin().await.get("/api/equipment").await.expect(200);
    assert_eq!((left.column("name"), &left["count"]), (vec![json!("Press")], &json!(1)));
}
