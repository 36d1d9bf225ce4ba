//! How long readings are kept.

use tests::patience::{LONG, until};
use tests::plant::{Machine, from_now, second};
use tests::{Backend, Client, Options, Server, Value, json, stories};

const DAY: i64 = 24 * 60 * 60;

fn a_reading(machine: &Machine, timestamp: &str) -> Value {
    json!({"equipment": machine.id, "timestamp": timestamp, "values": {"temperature": 20.5}})
}

async fn count(by: &Client, machine: &Machine) -> usize {
    let list = by.get(&machine.its("data?page_size=1000")).await.expect(200);
    list["results"].as_array().map_or(0, Vec::len)
}

stories! {
    async fn readings_older_than_they_are_kept_go_while_others_come_in(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let old: Value = (0..300).map(|number| a_reading(&press, &second(number))).collect();
        admin.post("/api/data", old).await.expect(201);
        let kept = [from_now(-8 * DAY), from_now(-9 * DAY)];
        let almost: Value = kept.iter().map(|timestamp| a_reading(&press, timestamp)).collect();
        admin.post("/api/data", almost).await.expect(201);
        let alert = json!({"equipment": press.id, "description": "Noise", "timestamp": second(5)});
        admin.post("/api/alerts", alert).await.expect(201);
        assert_eq!(count(&admin, &press).await, 302);
        let installation = server.installation.clone();
        server.stop().await;

        let options = Options::default().set("TECHTRACK_RETENTION_READINGS_DAYS", "10");
        let server = installation.serve(options).await;
        let admin = server.admin().await;
        let mut sent = 0;
        until("the old readings to be gone", LONG, async || {
            admin.post("/api/data", a_reading(&press, &from_now(0))).await.expect(201);
            sent += 1;
            (count(&admin, &press).await == 2 + sent).then_some(())
        })
        .await;
        let latest = admin.get(&press.its("latest")).await.expect(200);
        assert_eq!(latest["results"][0]["value"], 20.5);
        assert_eq!(admin.alerts("").await.len(), 1);
    }

    async fn metrics_that_are_kept_shorter_go_by_themselves_also_from_what_is_packed(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let both = json!({"temperature": 20.5, "vibration.x": 0.25});
        let old: Value = (0..300).map(|number| press.reading(number, both.clone())).collect();
        admin.post("/api/data", old).await.expect(201);
        admin.post("/api/data", press.reading(300, json!({"vibration.x": 1}))).await.expect(201);
        let fresh = json!({"equipment": press.id, "timestamp": from_now(-DAY), "values": both});
        admin.post("/api/data", fresh).await.expect(201);
        let series = format!(
            "/api/series?equipment={}&metric=vibration.x&from={}&to={}&interval=1h&agg=count",
            press.id, second(0), second(3600)
        );
        let before = admin.get(&series).await.expect(200)["series"].clone();
        assert_eq!(before[0]["count"][0], 301);
        let installation = server.installation.clone();
        server.stop().await;
        let tended = installation.run(&["tend"]).await;
        assert!(tended.stdout.contains("packed 301 readings"), "{tended:?}");
        let options = Options::default().set("TECHTRACK_RETENTION_METRIC_DAYS", "vibration.*=10");
        let server = installation.serve(options).await;
        let admin = server.admin().await;
        let count_of = async |metric: &str| {
            let list = admin.get(&press.its(&format!("data?page_size=1000&metric={metric}"))).await.expect(200);
            list["results"].as_array().map_or(0, Vec::len)
        };
        until("the old vibrations to be gone", LONG, async || (count_of("vibration.x").await == 1).then_some(()))
            .await;
        assert_eq!((count_of("temperature").await, count(&admin, &press).await), (301, 301));
        assert_eq!(admin.get(&series).await.expect(200)["series"], before, "rollups stay");
    }
}
