//! Points that clients of InfluxDB write, against the real binary on every database.

use futures_util::future::join_all;
use tests::{Backend, Client, Method, Options, Reply, Server, json, stories};

/// 2026-05-04T06:00:00Z, in seconds.
const SIX: i64 = 1_777_874_400;

async fn write(by: &Client, lines: &str) -> Reply {
    by.call(Method::POST, "/api/v2/write?bucket=b&precision=s").body("text/plain", lines.as_bytes()).await
}

stories! {
    async fn points_become_readings_and_are_stored_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "Press 1", "type": "press", "serial_number": "HP-1"})).await;
        let lines = format!(
            "oil,host=hp-1 temperature=41.5,level=3i {SIX}\noil,host=PRESS\\ 1 pressure=182.25 {SIX}\n\
             state,equipment_id={} text=\"all well\" {}\n",
            press.id, SIX + 1
        );
        for _ in 0..2 {
            write(&admin, &lines).await.expect(204);
        }
        let readings = admin.get(&format!("{}?ordering=timestamp", press.its("data"))).await.expect(200);
        let readings = readings["results"].as_array().unwrap();
        assert_eq!(readings.len(), 2, "{readings:?}");
        let expected = json!({"oil.temperature": 41.5, "oil.level": 3, "oil.pressure": 182.25});
        assert_eq!(readings[0]["values"], expected);
        assert_eq!((&readings[1]["values"], &readings[1]["attributes"]), (&json!({}), &json!({"state.text": "all well"})));
        let latest = admin.get(&press.its("latest")).await.expect(200);
        assert_eq!(latest["results"].as_array().unwrap().len(), 3);
        let bad = write(&admin, &format!("oil,host=HP-1 temperature=42 {}\noil,host=HP-2 temperature=1 {SIX}\n", SIX + 2)).await;
        let bad = bad.expect(400);
        assert_eq!((&bad["code"], &bad["line"]), (&json!("invalid"), &json!(2)), "{}", bad.json);
        let replaced = write(&admin, &format!("oil,host=HP-1 temperature=43 {}", SIX + 2)).await;
        replaced.expect(204);
        let metrics = admin.get("/metrics").await.expect(200);
        let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
        assert!(metrics.contains("rejected"), "{metrics}");
    }

    async fn many_gateways_that_report_at_the_same_moment_lose_nothing(backend: Backend) {
        let options = Options::default().set("TECHTRACK_INFLUX_REGISTER_EQUIPMENT", "on");
        let server = Server::start_with(backend, options).await;
        let admin = server.admin().await;
        let writes = (0..20).map(|gateway| {
            let (admin, point) = (&admin, gateway % 5);
            async move {
                let lines: String = (0..10)
                    .map(|n| format!("m,host=gw-{point} f{gateway}={n} {}\n", SIX + n))
                    .collect();
                write(admin, &lines).await.expect(204);
            }
        });
        join_all(writes).await;
        let register = admin.get("/api/equipment").await.expect(200);
        assert_eq!(register["count"], 5);
        for piece in register["results"].as_array().unwrap() {
            let path = format!("/api/equipment/{}/data", piece["id"]);
            let readings = admin.get(&path).await.expect(200);
            let readings = readings["results"].as_array().unwrap().clone();
            assert_eq!(readings.len(), 10);
            assert!(readings.iter().all(|reading| reading["values"].as_object().unwrap().len() == 4), "{readings:?}");
        }
    }
    async fn an_instant_that_is_full_takes_no_more_metrics_and_fails_nobody(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "Press 1", "type": "press", "serial_number": "HP-1"})).await;
        let line = |batch: u32, at: i64| {
            let fields: Vec<String> = (0..200).map(|number| format!("f{batch}_{number}=1")).collect();
            format!("m,host=HP-1 {} {at}\n", fields.join(","))
        };
        write(&admin, &line(0, SIX)).await.expect(204);
        for batch in 1..6 {
            let bad = write(&admin, &(line(batch, SIX) + &line(batch, SIX + 1))).await;
            let message = bad.expect(400)["message"].as_str().unwrap_or_default().to_owned();
            assert!(message.contains("values must have at most 256 entries"), "{message}");
        }
        let readings = admin.get(&press.its("data")).await.expect(200);
        let sizes: Vec<usize> = readings["results"].as_array().unwrap().iter()
            .map(|reading| reading["values"].as_object().unwrap().len())
            .collect();
        assert_eq!(sizes, [200, 200]);
    }
}
