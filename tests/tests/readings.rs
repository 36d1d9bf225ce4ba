//! Readings: what identifies one, what is refused, and what is newest.

use std::time::{Duration, Instant};
use tests::plant::{Machine, from_now, second};
use tests::{Backend, Client, Method, Reply, Server, Value, assert_has, json, stories};

/// How many readings there are.
async fn count(by: &Client) -> usize {
    by.get("/api/data?page_size=1000").await.expect(200).column("id").len()
}

/// A reading of a machine, whatever its parts are.
fn of(machine: &Machine, timestamp: &str, values: &str) -> String {
    format!(r#"{{"equipment": {}, "timestamp": "{timestamp}", "values": {values}}}"#, machine.id)
}

async fn post_text(by: &Client, body: &str) -> Reply {
    by.call(Method::POST, "/api/data").body("application/json", body.as_bytes()).await
}

stories! {
    async fn a_reading_is_stored_as_it_was_sent(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let values = json!({
            "temperature": 71.5, "speed": 1200, "pressure": -3.2e-7, "axis_1.torque": 0.1,
            "largest": 1.7976931348623157e308, "tiny": 5e-324, "third": 0.3333333333333333,
        });
        let attributes = json!({"shift": "früh 🐘", "manual": false});
        let body = json!({
            "equipment": press.id, "timestamp": "2024-05-06T09:00:00.123456+02:00", "values": values,
            "attributes": attributes,
        });
        let made = admin.post("/api/data/", body).await.expect(201);
        assert_eq!(made["timestamp"], "2024-05-06T07:00:00.123456Z");
        assert_has(&made, json!({"equipment": press.id, "values": values, "attributes": attributes}));
        assert_eq!(made.expect_header("location"), format!("/api/data/{}", made.text("id")));
        let read = admin.get(made.expect_header("location")).await.expect(200);
        assert_eq!(read.json, made.json);
    }

    async fn a_reading_without_an_instant_is_about_now(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let before = from_now(0);
        let made = admin.post("/api/data", json!({"equipment": press.id, "values": {"t": 1}})).await.expect(201);
        let at = made.text("timestamp");
        assert!(before.as_str() <= at && at <= from_now(0).as_str(), "{before} {at}");
    }

    async fn equipment_is_named_by_its_id_or_its_serial_number(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        // A serial number of digits is text, and no id.
        let press = admin.machine_with(json!({"name": "A", "type": "press", "serial_number": "4711"})).await;
        let other = admin.machine_with(json!({"name": "B", "type": "press", "serial_number": "hp-é"})).await;
        for (name, expected) in [(json!(press.id), &press), (json!("4711"), &press), (json!("HP-É"), &other)] {
            let body = json!({"equipment": name, "timestamp": second(0), "values": {"temperature": 20}});
            let taken = admin.post("/api/data", body).await;
            assert_eq!(taken["equipment"], expected.id, "{name} was answered {}", taken.json);
        }
        assert_eq!(count(&admin).await, 2);
    }

    async fn a_reading_sent_again_is_stored_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let body = press.reading(0, json!({"temperature": 20, "speed": 5}));
        let first = admin.post("/api/data", body.clone()).await.expect(201);
        let again = admin.post("/api/data", body).await.expect(200);
        assert_eq!(again.json, first.json);
        let in_part = admin.post("/api/data", press.reading(0, json!({"speed": 5}))).await.expect(200);
        assert_eq!(in_part.json, first.json);
        // The same instant, written otherwise.
        let elsewhere = "2024-05-06T10:30:00.000000000+03:30";
        let body = json!({"equipment": press.id, "timestamp": elsewhere, "values": {"speed": 5.0}});
        assert_eq!(admin.post("/api/data", body).await.expect(200)["id"], first["id"]);
        assert_eq!(count(&admin).await, 1);
    }

    async fn further_metrics_of_the_same_instant_are_added(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let first = admin.post("/api/data", press.reading(0, json!({"temperature": 20}))).await.expect(201);
        let more = json!({
            "equipment": press.id, "timestamp": second(0), "values": {"speed": 5}, "attributes": {"shift": "early"},
        });
        let merged = admin.post("/api/data", more).await.expect(200);
        assert_eq!(merged["id"], first["id"]);
        assert_eq!(merged["values"], json!({"temperature": 20, "speed": 5}));
        assert_eq!(merged["attributes"], json!({"shift": "early"}));
        let latest = admin.get(&press.its("latest")).await.expect(200).json.to_string();
        assert!(latest.contains("temperature") && latest.contains("speed"), "{latest}");
    }

    async fn a_different_value_is_a_conflict_unless_it_shall_replace(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let tagged = |speed: i64, shift: &str| json!({
            "equipment": press.id, "timestamp": second(0), "values": {"temperature": 20, "speed": speed},
            "attributes": {"shift": shift},
        });
        admin.post("/api/data", tagged(5, "early")).await.expect(201);
        let refused = admin.post("/api/data", tagged(6, "late")).await.expect_problem(409, "different_value");
        let different = |field: &str| (field.to_owned(), "different".to_owned());
        assert_eq!(refused.flaws(), [different("attributes.shift"), different("values.speed")]);
        let stored = admin.get(&press.its("data")).await.expect(200);
        assert_eq!(stored["results"][0]["values"]["speed"], 5);
        let replaced = admin.post("/api/data?on_conflict=replace", tagged(6, "late")).await.expect(200);
        assert_eq!(replaced["values"], json!({"temperature": 20, "speed": 6}));
        assert_eq!(replaced["attributes"], json!({"shift": "late"}));
        admin.post("/api/data?on_conflict=perhaps", tagged(7, "x")).await.expect_flaws(&[("on_conflict", "unknown")]);
        assert_eq!(count(&admin).await, 1);
    }

    async fn late_data_never_overwrites_what_is_newest(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        for (second, values) in [(10, json!({"a": 1, "b": 1})), (5, json!({"a": 9, "c": 9})), (20, json!({"b": 2}))] {
            admin.post("/api/data", press.reading(second, values)).await.expect(201);
        }
        let latest = || async { latest_of(&admin, &press).await };
        let told = |metric: &str, value: f64, at: i64| (metric.to_owned(), value, second(at));
        assert_eq!(latest().await, [told("a", 1.0, 10), told("b", 2.0, 20), told("c", 9.0, 5)]);
        // An array out of order ends in the same.
        let array: Value =
            [(31, 3), (30, 4), (1, 5)].into_iter().map(|(second, a)| press.reading(second, json!({"a": a}))).collect();
        admin.post("/api/data", array).await.expect(201);
        assert_eq!(latest().await[0], told("a", 3.0, 31));
        let newest = admin.get(&press.its("data")).await.column("id")[0].clone();
        admin.delete(&format!("/api/data/{}", newest.as_str().unwrap())).await.expect(204);
        assert_eq!(latest().await[0], told("a", 4.0, 30), "what is newest is so among what is stored");
    }

    async fn put_moves_a_reading_and_its_id_with_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let made = admin.post("/api/data", press.reading(0, json!({"temperature": 20, "speed": 5}))).await.expect(201);
        admin.post("/api/data", press.at(9, 1.0)).await.expect(201);
        let path = format!("/api/data/{}", made.text("id"));
        let same = admin.put(&path, press.at(0, 21.0)).await.expect(200);
        assert_has(&same, json!({"id": made["id"], "values": {"temperature": 21}}));
        let moved = admin.put(&path, press.at(5, 22.0)).await.expect(200);
        assert_ne!(moved["id"], made["id"]);
        admin.get(&path).await.expect_problem(404, "not_found");
        admin.put(&path, press.at(6, 1.0)).await.expect_problem(404, "not_found");
        let path = format!("/api/data/{}", moved.text("id"));
        assert_eq!(admin.get(&path).await.expect(200)["timestamp"], second(5));
        // Where another reading is, there is no room.
        admin.put(&path, press.at(9, 22.0)).await.expect_problem(409, "taken");
        let patched = admin.patch(&path, json!({"equipment": other.id})).await.expect(200);
        assert_has(&patched, json!({"equipment": other.id, "values": {"temperature": 22}}));
        assert_eq!(admin.get(&press.path()).await["last_seen_at"], second(9));
        assert_eq!(admin.get(&other.path()).await["last_seen_at"], second(5));
        assert_eq!(count(&admin).await, 2);
        let path = format!("/api/data/{}", patched.text("id"));
        admin.patch(&path, json!({"timestamp": from_now(3600)})).await.expect_flaws(&[("timestamp", "future")]);
        admin.patch(&path, json!({"equipment": 999_999})).await.expect_flaws(&[("equipment", "unknown")]);
        admin.delete(&path).await.expect(204);
        admin.delete(&path).await.expect_problem(404, "not_found");
    }

    async fn an_array_is_taken_all_or_none(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let taken = admin.report(&press, &[(0, 1.0), (1, 2.0), (0, 1.0)]).await;
        assert_eq!(taken.json, json!({"accepted": 2, "duplicates": 1}));
        let bad = json!([
            press.at(2, 1.0),
            {"equipment": 999_999, "timestamp": second(3), "values": {"temperature": 1}},
            {"equipment": press.id, "timestamp": from_now(3600), "values": {"temperature": 1}},
        ]);
        admin.post("/api/data", bad).await.expect_flaws(&[("1.equipment", "unknown"), ("2.timestamp", "future")]);
        let malformed = json!([press.at(2, 1.0), {"equipment": press.id, "values": {"Temp": 1}}, 7]);
        let flaws = admin.post("/api/data", malformed).await.expect(422).flaws();
        assert_eq!(flaws.len(), 2, "{flaws:?}");
        let contradicting = json!([press.at(2, 1.0), press.at(0, 9.0)]);
        let refused = admin.post("/api/data", contradicting.clone()).await.expect_problem(409, "different_value");
        assert_eq!(refused.flaws(), [("1.values.temperature".to_owned(), "different".to_owned())]);
        assert_eq!(count(&admin).await, 2);
        let replaced = admin.post("/api/data?on_conflict=replace", contradicting).await.expect(201);
        assert_eq!(replaced.json, json!({"accepted": 2, "duplicates": 0}));
        // What contradicts within the array is no better, unless the later one is to be believed.
        let torn = json!([press.at(5, 1.0), press.at(5, 2.0), press.reading(5, json!({"speed": 3}))]);
        let refused = admin.post("/api/data", torn.clone()).await.expect_problem(409, "different_value");
        assert_eq!(refused.flaws(), [("1.values.temperature".to_owned(), "different".to_owned())]);
        admin.post("/api/data?on_conflict=replace", torn).await.expect(201);
        let newest = admin.get(&press.its("data")).await.expect(200)["results"][0].clone();
        assert_eq!(newest["values"], json!({"temperature": 2, "speed": 3}));
        assert_eq!(admin.post("/api/data", json!([])).await.expect(200).json, json!({"accepted": 0, "duplicates": 0}));
    }

    async fn ten_thousand_readings_fit_into_an_array_and_one_more_does_not(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let many = |count: i64| (0..count).map(|second| press.at(second, 20.0)).collect::<Value>();
        let refused = admin.post("/api/data", many(10_001)).await.expect_problem(422, "invalid_fields");
        assert_eq!(refused.flaws().len(), 1, "{}", refused.json);
        assert_eq!(count(&admin).await, 0);
        let taken = admin.post("/api/data", many(10_000)).await.expect(201);
        assert_eq!(taken.json, json!({"accepted": 10_000, "duplicates": 0}));
    }

    async fn bad_readings_are_refused_in_words_and_nothing_is_stored(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let good = r#"{"temperature": 1}"#;
        let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
        let unreadable = [
            of(&press, &second(0), r#"{"temperature": NaN}"#),
            of(&press, &second(0), r#"{"temperature": Infinity}"#),
            of(&press, &second(0), r#"{"temperature": -Infinity}"#),
            of(&press, &second(0), r#"{"temperature": 1e999}"#),
            of(&press, &second(0), r#"{"temperature": 1, "temperature": 2}"#),
            of(&press, &second(0), r#"{"a\u0000b": 1}"#),
            of(&press, "2024-05-06T07:00:00Z\\u0000", good),
            of(&press, &second(0), &format!(r#"{{"temperature": {deep}}}"#)),
            format!(r#"{{"equipment": "HP\u0000", "values": {good}}}"#),
            format!(r#"{{"equipment": {}, "values": {good}, "attributes": {{"a": "x\u0000"}}}}"#, press.id),
            format!("[{}", of(&press, &second(0), good)),
            "7".to_owned(),
            "null".to_owned(),
        ];
        for body in unreadable {
            let reply = post_text(&admin, &body).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (400, "malformed_request"), "{body}");
        }
        let long = format!(r#"{{"{}": 1}}"#, "x".repeat(300));
        let wide = (0..257).map(|number| (format!("m{number}"), json!(1))).collect::<serde_json::Map<_, _>>();
        let wide = Value::from(wide).to_string();
        let facts = (0..65).map(|number| (format!("a{number}"), json!(true))).collect::<serde_json::Map<_, _>>();
        let (facts, novel) = (Value::from(facts).to_string(), "x".repeat(1001));
        let refused = [
            (of(&press, &second(0), r#"{"temperature": "71.5"}"#), "values.temperature"),
            (of(&press, &second(0), r#"{"temperature": null}"#), "values.temperature"),
            (of(&press, &second(0), r#"{"temperature": true}"#), "values.temperature"),
            (of(&press, &second(0), r#"{"temperature": [1]}"#), "values.temperature"),
            (of(&press, &second(0), r#"{"Temperature": 1}"#), "values.Temperature"),
            (of(&press, &second(0), r#"{"": 1}"#), "values."),
            (of(&press, &second(0), &long), "values.xxx"),
            (of(&press, &second(0), &wide), "values"),
            (of(&press, &second(0), "{}"), "values"),
            (of(&press, &second(0), "[1]"), "values"),
            (of(&press, "2024-05-06T07:00:00", good), "timestamp"),
            (of(&press, "2024-02-30T07:00:00Z", good), "timestamp"),
            (of(&press, "10000-01-01T00:00:00Z", good), "timestamp"),
            (of(&press, "0000-12-31T23:59:59Z", good), "timestamp"),
            (of(&press, "2024-05-06", good), "timestamp"),
            (of(&press, "1714978800", good), "timestamp"),
            (format!(r#"{{"equipment": {}, "timestamp": 1714978800, "values": {good}}}"#, press.id), "timestamp"),
            (format!(r#"{{"equipment": 999999, "values": {good}}}"#), "equipment"),
            (format!(r#"{{"equipment": 0, "values": {good}}}"#), "equipment"),
            (format!(r#"{{"equipment": "HP-0004", "values": {good}}}"#), "equipment"),
            (format!(r#"{{"equipment": "{}", "values": {good}}}"#, "x".repeat(300)), "equipment"),
            (format!(r#"{{"values": {good}}}"#), "equipment"),
            (format!(r#"{{"equipment": {}}}"#, press.id), "values"),
            (format!(r#"{{"equipment": {}, "values": {good}, "attributes": {{"a": 1}}}}"#, press.id), "attributes.a"),
            (format!(r#"{{"equipment": {}, "values": {good}, "attributes": {facts}}}"#, press.id), "attributes"),
            (
                format!(r#"{{"equipment": {}, "values": {good}, "attributes": {{"a": "{novel}"}}}}"#, press.id),
                "attributes.a",
            ),
            (format!(r#"{{"equipment": {}, "values": {good}, "unit": "K"}}"#, press.id), "unit"),
        ];
        for (body, field) in refused {
            let reply = post_text(&admin, &body).await;
            assert_eq!(reply.status, 422, "{body} was answered {}", reply.json);
            let flaws = reply.flaws();
            assert!(flaws.len() == 1 && flaws[0].0.starts_with(field), "{body}: {flaws:?}");
        }
        assert_eq!(count(&admin).await, 0);
        assert_eq!(admin.get("/api/metrics").await["count"], 0);
    }

    async fn more_than_ten_minutes_ahead_is_too_far(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let ahead = |seconds: i64| json!({"equipment": press.id, "timestamp": from_now(seconds), "values": {"t": 1}});
        admin.post("/api/data", ahead(590)).await.expect(201);
        // A second is little for a busy machine; only what arrived within it was too far ahead.
        loop {
            let sent = Instant::now();
            let reply = admin.post("/api/data", ahead(601)).await;
            if sent.elapsed() < Duration::from_secs(1) {
                reply.expect_flaws(&[("timestamp", "future")]);
                break;
            }
        }
    }

    async fn readings_are_walked_newest_first_without_gap_or_repetition(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        admin.report(&press, &(0..7).map(|second| (second, 20.0)).collect::<Vec<_>>()).await;
        admin.report(&other, &[(3, 20.0), (7, 20.0)]).await;
        admin.post("/api/data", other.reading(8, json!({"speed": 1}))).await.expect(201);
        let whole = admin.get("/api/data").await.expect(200);
        let expected: Vec<String> = [8, 7, 6, 5, 4, 3, 3, 2, 1, 0].map(second).into();
        assert_eq!(whole.column("timestamp"), expected);
        assert!(whole["next"].is_null() && whole["previous"].is_null(), "{}", whole.json);
        let mut walked = Vec::new();
        let mut page = admin.get("/api/data?page_size=3").await.expect(200);
        loop {
            walked.extend(page.column("id"));
            let Some(next) = page["next"].as_str() else { break };
            page = admin.get(next).await.expect(200);
        }
        assert_eq!(walked, whole.column("id"));
        let back = admin.get(page.text("previous")).await.expect(200);
        assert_eq!(back.column("id"), whole.column("id")[6..9]);
        let filters = [
            (format!("equipment={}", other.id), 3),
            (format!("equipment={}&equipment={}", press.id, other.id), 10),
            (format!("timestamp__gte={}", second(3)), 7),
            (format!("timestamp__lt={}", second(3)), 3),
            (format!("timestamp__gte={}&timestamp__lt={}&equipment={}", second(3), second(7), press.id), 4),
            ("metric=speed".to_owned(), 1),
            ("metric=speed&metric=temperature".to_owned(), 10),
            ("metric=never".to_owned(), 0),
            ("equipment=999999".to_owned(), 0),
        ];
        for (filter, expected) in filters {
            let found = admin.get(&format!("/api/data?{filter}")).await.expect(200);
            assert_eq!(found.column("id").len(), expected, "{filter}");
        }
        let bad = "equipment=x&metric=Bad&timestamp__gte=2024-05-06T07:00:00&page_size=1001";
        admin.get(&format!("/api/data?{bad}")).await.expect_flaws(&[
            ("equipment", "type"), ("metric", "metric"), ("timestamp__gte", "instant"), ("page_size", "out_of_range"),
        ]);
        admin.get("/api/data?cursor=nonsense").await.expect_problem(400, "malformed_cursor");
        admin.get("/api/data?metrc=speed").await.expect_problem(400, "unknown_parameter");
    }

    async fn the_oldest_instant_that_there_is_is_one_as_any_other(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({"for_seconds": 60})).await;
        let instants = ["0001-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:59.999999Z"];
        for (at, temperature) in instants.into_iter().zip([90, 91, 92]) {
            let body = json!({"equipment": press.id, "timestamp": at, "values": {"temperature": temperature}});
            let made = admin.post("/api/data", body).await.expect(201);
            assert_eq!(made["timestamp"], at);
            assert_eq!(admin.get(made.expect_header("location")).await.expect(200).json, made.json);
        }
        let before_time = admin.get("/api/data?timestamp__lt=1970-01-01T00:00:00Z").await.expect(200);
        assert_eq!(before_time.column("timestamp"), ["1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z"]);
        assert_eq!(admin.alerts("").await.len(), 1, "it was too hot for millennia");
        let query = format!("equipment={}&metric=temperature&from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", press.id);
        let folded = admin.get(&format!("/api/series?{query}&agg=count")).await.expect(200);
        let counts = folded["series"][0]["count"].as_array().unwrap().iter().filter_map(Value::as_u64);
        assert_eq!(counts.sum::<u64>(), 3, "{}", folded.json);
    }

    async fn a_readings_id_has_one_spelling(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let made = admin.post("/api/data", press.at(0, 1.0)).await.expect(201);
        let id = made.text("id");
        let others = [
            format!("0{id}"), id.replace('-', "-0"), id.replace('-', "-+"), "x".into(), "1".into(), format!("{id}-1"),
        ];
        for other in others {
            admin.get(&format!("/api/data/{other}")).await.expect_problem(404, "not_found");
        }
        admin.get(&format!("/api/data/{id}/")).await.expect(200);
    }

    async fn a_reading_posted_with_a_key_is_answered_as_the_first_time(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let post = |body: Value| admin.post("/api/data", body).header("idempotency-key", "k1").into_future();
        let first = post(press.at(0, 1.0)).await.expect(201);
        let again = post(press.at(0, 1.0)).await.expect(201);
        assert_eq!((again.header("idempotency-replayed"), &again.json), (Some("true"), &first.json));
        post(press.at(1, 1.0)).await.expect_problem(422, "idempotency_key_reused");
    }
}

/// The newest value of each metric: name, value, instant.
async fn latest_of(by: &Client, machine: &Machine) -> Vec<(String, f64, String)> {
    let latest = by.get(&machine.its("latest")).await.expect(200);
    let of = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        (text("metric"), entry["value"].as_f64().unwrap(), text("timestamp"))
    };
    latest["results"].as_array().unwrap().iter().map(of).collect()
}
