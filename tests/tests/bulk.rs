//! Readings by the line: any number of them, the good ones stored, the bad ones told.

use std::time::{Duration, Instant};
use tests::patience::{LONG, until};
use tests::plant::{Machine, from_now, second};
use tests::raw::Upload;
use tests::{Backend, Client, Method, Reply, Server, Value, assert_has, json, stories};

const NDJSON: &str = "application/x-ndjson";

async fn bulk(by: &Client, lines: &str) -> Reply {
    by.call(Method::POST, "/api/data/bulk").body(NDJSON, lines.as_bytes()).await
}

/// The counts of an answer, which must add up: received, accepted, duplicates, rejected.
fn counts(reply: &Reply) -> [u64; 4] {
    let counts = ["received", "accepted", "duplicates", "rejected"].map(|name| reply[name].as_u64().unwrap());
    let [received, accepted, duplicates, rejected] = counts;
    assert_eq!(received, accepted + duplicates + rejected, "{}", reply.json);
    counts
}

/// The lines that were refused, from 1, and which of their fields were to blame.
fn refused(reply: &Reply) -> Vec<(u64, String)> {
    let errors = reply["errors"].as_array().unwrap();
    let one = |error: &Value| {
        let fields = error["errors"].as_array().into_iter().flatten();
        let fields: Vec<&str> = fields.map(|flaw| flaw["field"].as_str().unwrap()).collect();
        (error["line"].as_u64().unwrap(), fields.join(","))
    };
    errors.iter().map(one).collect()
}

fn lines(readings: impl IntoIterator<Item = Value>) -> String {
    readings.into_iter().map(|reading| format!("{reading}\n")).collect()
}

async fn stored(by: &Client, machine: &Machine) -> u64 {
    let query =
        format!("equipment={}&metric=temperature&from={}&to={}", machine.id, second(0), second(100_000));
    let series = by.get(&format!("/api/series?{query}&interval=366d&agg=count")).await.expect(200);
    series["series"][0]["count"].as_array().unwrap().iter().map(|count| count.as_f64().unwrap() as u64).sum()
}

stories! {
    async fn the_good_lines_are_stored_and_the_bad_ones_told(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "Press", "type": "press", "serial_number": "HP-1"})).await;
        let good = press.at(0, 1.0).to_string();
        let body = [
            good.as_str(),
            r#"{"equipment": "hp-1", "timestamp": "2024-05-06T07:00:01Z", "values": {"temperature": 2}}"#,
            "",
            &good,
            "{nonsense",
            r#"{"equipment": 999999, "values": {"temperature": 2}}"#,
            r#"{"equipment": "HP-1", "timestamp": "yesterday", "values": {"temperature": "hot", "Bad": 1}}"#,
            r#"[{"equipment": "HP-1", "values": {"temperature": 2}}]"#,
            &json!({"equipment": press.id, "timestamp": from_now(3600), "values": {"temperature": 2}}).to_string(),
            &press.at(0, 9.0).to_string(),
            r#"{"equipment": "HP-1", "timestamp": "2024-05-06T07:00:01Z", "values": {"speed": 2}}"#,
        ]
        .join("\r\n");
        let reply = bulk(&admin, &body).await.expect(200);
        assert_eq!(counts(&reply), [10, 3, 1, 6], "{}", reply.json);
        let told: Vec<(u64, &str)> = vec![
            (5, ""), (6, "equipment"), (7, "timestamp,values.temperature,values.Bad"), (8, ""), (9, "timestamp"),
            (10, "values.temperature"),
        ];
        let expected: Vec<(u64, String)> = told.into_iter().map(|(line, fields)| (line, fields.to_owned())).collect();
        assert_eq!(refused(&reply), expected, "{}", reply.json);
        assert_eq!(stored(&admin, &press).await, 2);
        // With leave to replace the newer is believed.
        let path = "/api/data/bulk?on_conflict=replace";
        let reply = admin.call(Method::POST, path).body(NDJSON, press.at(0, 9.0).to_string().as_bytes()).await;
        assert_eq!(counts(&reply), [1, 1, 0, 0]);
    }

    async fn fifty_thousand_lines_are_stored_and_sent_again_change_nothing(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let reading = |number: i64| [&press, &other][(number % 2) as usize].at(number, number as f64 / 8.0);
        let mut sent: Vec<String> = (0..50_000).map(|number| reading(number).to_string()).collect();
        for line in (999..50_000).step_by(1000) {
            sent[line] = "broken".to_owned();
        }
        let body = sent.join("\n");
        let reply = bulk(&admin, &body).await.expect(200);
        assert_eq!(counts(&reply), [50_000, 49_950, 0, 50]);
        let broken: Vec<u64> = refused(&reply).into_iter().map(|(line, _)| line).collect();
        assert_eq!(broken, (1000..=50_000).step_by(1000).collect::<Vec<u64>>());
        let again = bulk(&admin, &body).await.expect(200);
        assert_eq!(counts(&again), [50_000, 0, 49_950, 50]);
        assert_eq!(stored(&admin, &press).await + stored(&admin, &other).await, 49_950);
        assert_eq!(admin.get(&other.path()).await["last_seen_at"], second(49_997));
    }

    async fn of_very_many_bad_lines_the_first_are_told_and_all_are_counted(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let bad = "broken\n".repeat(20_000);
        let reply = bulk(&admin, &format!("{bad}{}", press.at(0, 1.0))).await.expect(200);
        assert_eq!(counts(&reply), [20_001, 1, 0, 20_000]);
        let told = refused(&reply);
        assert!((1..20_000).contains(&told.len()), "{} are told", told.len());
        assert_eq!(told[0].0, 1);
    }

    async fn a_bulk_is_lines_of_json_and_nothing_else(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let body = press.at(0, 1.0).to_string();
        for kind in ["application/json", "text/csv"] {
            let reply = admin.call(Method::POST, "/api/data/bulk").body(kind, body.as_bytes()).await;
            reply.expect_problem(415, "unsupported_media_type");
        }
        assert_eq!(counts(&bulk(&admin, "").await.expect(200)), [0, 0, 0, 0]);
        assert_eq!(counts(&bulk(&admin, "\n\n \n").await.expect(200)), [0, 0, 0, 0]);
        // A line without end is refused, and the others are not lost over it.
        let long = format!("{}\n{}\n{}", body, "x".repeat(3_000_000), press.at(1, 1.0));
        let reply = bulk(&admin, &long).await;
        match reply.status.as_u16() {
            200 => assert_eq!(counts(&reply), [3, 2, 0, 1], "{}", reply.json),
            status => assert_eq!(status, 413, "{}", reply.json),
        }
        let odd = [b"\xff\xfe\n".as_slice(), body.as_bytes(), b"\n\0\n"].concat();
        let reply = admin.call(Method::POST, "/api/data/bulk").body(NDJSON, &odd).await.expect(200);
        assert_eq!(counts(&reply), [3, 0, 1, 2], "{}", reply.json);
    }

    async fn what_a_bulk_brings_is_judged_by_the_rules(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        let temperatures = (0..5000).map(|second| press.at(second, if second % 1000 < 10 { 90.0 } else { 20.0 }));
        bulk(&admin, &lines(temperatures)).await.expect(200);
        let raised = admin.alerts("").await;
        assert_eq!(raised.len(), 5);
        for (number, alert) in raised.iter().enumerate() {
            assert_has(alert, json!({"occurrences": 10, "status": "resolved"}));
            assert_eq!(alert["timestamp"], second(number as i64 * 1000));
        }
    }

    async fn what_came_before_the_link_broke_is_stored(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let mut upload = Upload::begin(&server, admin.token(), "/api/data/bulk", NDJSON).await;
        for second in 0..3 {
            upload.send(&format!("{}\n", press.at(second, 1.0))).await;
            let one_more = || async { (stored(&admin, &press).await == second as u64 + 1).then_some(()) };
            until("the line to be stored, though more may come", LONG, one_more).await;
        }
        // In the middle of a line.
        upload.send(&press.at(3, 1.0).to_string()[..20]).await;
        drop(upload);
        let all = lines((0..10).map(|second| press.at(second, 1.0)));
        let again = bulk(&admin, &all).await.expect(200);
        assert_eq!(counts(&again), [10, 7, 3, 0]);
    }

    async fn a_bulk_ends_when_its_sender_may_not_send_any_more(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let key = admin.post("/api/api-keys", json!({"name": "gateway", "permissions": ["data:write"]})).await.expect(201);
        let mut upload = Upload::begin(&server, key.text("secret"), "/api/data/bulk", NDJSON).await;
        upload.send(&format!("{}\n", press.at(0, 1.0))).await;
        let first = || async { (stored(&admin, &press).await == 1).then_some(()) };
        until("the first line to be stored", LONG, first).await;
        admin.delete(&format!("/api/api-keys/{}", key.id())).await.expect(204);
        let revoked = Instant::now();
        let mut sent = 1;
        while !upload.is_answered_within(Duration::from_millis(50)).await {
            assert!(revoked.elapsed() < Duration::from_secs(5), "it goes on for {:?}", revoked.elapsed());
            upload.send(&format!("{}\n", press.at(sent, 1.0))).await;
            sent += 1;
        }
        let (status, body) = upload.end().await;
        assert_eq!(status, 401, "{body}");
        assert!(stored(&admin, &press).await < sent as u64, "what came after that is not stored");
    }

    async fn whatever_is_received_is_counted_as_stored_there_already_or_rejected(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let send = async |body: Value| admin.post("/api/data", body).await;
        send(json!([press.at(0, 1.0), press.at(1, 1.0)])).await.expect(201);
        send(json!([press.at(2, 1.0), press.at(0, 1.0)])).await.expect(201);
        send(json!([press.at(3, 1.0), {"equipment": press.id}])).await.expect(422);
        send(press.at(0, 1.0)).await.expect(200);
        send(press.at(0, 2.0)).await.expect(409);
        send(press.at(4, 1.0)).await.expect(201);
        send(json!({"equipment": 999_999, "values": {"temperature": 1}})).await.expect(422);
        let lines = [press.at(5, 1.0).to_string(), press.at(0, 1.0).to_string(), "{".to_owned(), press.at(0, 3.0).to_string()];
        bulk(&admin, &lines.join("\n")).await.expect(200);
        let page = server.anonymous().get("/metrics").await.expect(200);
        let page = String::from_utf8(page.bytes.to_vec()).unwrap();
        let counted = ["received", "stored", "duplicate", "rejected"].map(|what| {
            let name = format!("techtrack_readings_{what}_total ");
            let count = page.lines().find_map(|line| line.strip_prefix(name.as_str())).expect(&page);
            count.parse::<u64>().unwrap()
        });
        assert_eq!(counted, [14, 5, 3, 6]);
    }

    async fn whoever_may_not_send_readings_sends_none(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let reader = server.permitted("reader", &["data:read"]).await;
        bulk(&reader, &press.at(0, 1.0).to_string()).await.expect_problem(403, "permission_required");
        bulk(&server.anonymous(), &press.at(0, 1.0).to_string()).await.expect_problem(401, "unauthenticated");
        assert!(admin.get("/api/data").await.column("id").is_empty());
    }
}
