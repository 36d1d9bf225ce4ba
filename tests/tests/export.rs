//! Readings on their way out: all that match, however many.

use std::collections::BTreeMap;
use tests::plant::{floats, second, with};
use tests::{Backend, Client, Method, Reply, Server, Value, json, stories};

async fn export(by: &Client, query: &str) -> Reply {
    by.get(&format!("/api/data/export?{query}")).await.expect(200)
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.bytes.clone()).unwrap()
}

/// The lines of an export, each as JSON.
fn lines(reply: &Reply) -> Vec<Value> {
    text(reply).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of an export, each by column.
fn rows(reply: &Reply) -> Vec<BTreeMap<String, String>> {
    let text = text(reply);
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        columns.iter().zip(cells).map(|(column, cell)| ((*column).to_owned(), cell.to_owned())).collect()
    };
    lines.map(row).collect()
}

stories! {
    async fn what_comes_out_by_the_line_is_what_went_in_and_goes_in_again(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let sent: Vec<Value> = (0..500)
            .map(|number| {
                let values = json!({"temperature": number as f64 / 7.0, "tiny": 5e-324, "count": number});
                let reading = press.reading(number, values);
                let facts = json!({"attributes": {"shift": "früh, \"1\"\n🐘", "manual": true}});
                if number % 2 == 0 { with(reading, facts) } else { reading }
            })
            .collect();
        admin.post("/api/data", Value::from(sent.clone())).await.expect(201);
        let exported = export(&admin, "format=ndjson").await;
        assert!(exported.expect_header("content-type").starts_with("application/x-ndjson"));
        let without_ids: Vec<Value> = lines(&exported)
            .into_iter()
            .map(|mut line| {
                let id = line.as_object_mut().unwrap().remove("id");
                assert!(id.is_some_and(|id| id.is_string()));
                floats(&line)
            })
            .collect();
        assert_eq!(without_ids, sent.iter().map(floats).collect::<Vec<_>>());

        // Elsewhere it is the same: another installation takes it as it is, but for the ids, which it makes itself.
        let elsewhere = Server::start(backend).await;
        let there = elsewhere.admin().await;
        there.machine_called("Press").await;
        let lines_again = without_ids.iter().map(|line| with(line.clone(), json!({"equipment": 1})));
        let body: String = lines_again.map(|line| format!("{line}\n")).collect();
        let bulk = there.call(Method::POST, "/api/data/bulk");
        let taken = bulk.body("application/x-ndjson", body.as_bytes()).await.expect(200);
        assert_eq!((&taken["accepted"], &taken["rejected"]), (&json!(500), &json!(0)), "{}", taken.json);
        let again = export(&there, "format=ndjson").await;
        assert_eq!(lines(&again).len(), 500);
    }

    async fn a_table_has_a_column_for_each_metric_and_numbers_to_the_last_bit(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let values: [f64; 6] = [0.1 + 0.2, 1.0 / 3.0, 5e-324, -1.797_693_134_862_315_7e308, 12_345_678.9, 20.0];
        for (number, value) in values.into_iter().enumerate() {
            admin.post("/api/data", press.reading(number as i64, json!({"temperature": value}))).await.expect(201);
        }
        admin.post("/api/data", other.reading(9, json!({"speed": 7}))).await.expect(201);
        let exported = export(&admin, "format=csv").await;
        assert!(exported.expect_header("content-type").starts_with("text/csv"));
        let rows = rows(&exported);
        assert_eq!(rows.len(), 7);
        for (row, value) in rows.iter().zip(values) {
            assert_eq!(row["temperature"].parse::<f64>().unwrap().to_bits(), value.to_bits(), "{row:?}");
            assert_eq!((row["equipment"].as_str(), row["speed"].as_str()), (press.id.to_string().as_str(), ""));
        }
        assert_eq!((rows[6]["speed"].as_str(), rows[6]["temperature"].as_str()), ("7", ""));
        assert_eq!(rows[6]["timestamp"], second(9));
        let stored = admin.get(&format!("/api/data/{}", rows[6]["id"])).await.expect(200);
        assert_eq!(stored["equipment"], other.id);
    }

    async fn an_export_of_many_is_complete_and_in_order(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        for start in [0, 10_000, 20_000] {
            let readings: Value = (start..start + 10_000)
                .map(|number| if number % 2 == 0 { press.at(number, 1.5) } else { other.at(number, 2.5) })
                .collect();
            admin.post("/api/data", readings).await.expect(201);
        }
        let rows = rows(&export(&admin, "format=csv").await);
        let instants: Vec<&str> = rows.iter().map(|row| row["timestamp"].as_str()).collect();
        let expected: Vec<String> = (0..30_000).map(second).collect();
        assert!(instants == expected, "{} rows, from {:?} to {:?}", rows.len(), instants.first(), instants.last());
        let own = export(&admin, &format!("format=ndjson&equipment={}", press.id)).await;
        assert_eq!(lines(&own).len(), 15_000);
        let newest_first = export(&admin, "format=ndjson&ordering=-timestamp").await;
        let newest_first = lines(&newest_first);
        assert_eq!((newest_first.len(), &newest_first[0]["timestamp"]), (30_000, &json!(second(29_999))));
        let zipped = admin.get("/api/data/export?format=csv").header("accept-encoding", "gzip").await.expect(200);
        assert!(zipped.bytes.len() < 30_000 * 10);
    }

    async fn an_export_is_of_what_was_asked_for(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        admin.report(&press, &[(0, 1.0), (1, 2.0), (2, 3.0)]).await;
        admin.post("/api/data", other.reading(1, json!({"speed": 7}))).await.expect(201);
        let cases = [
            (format!("timestamp__gte={}&timestamp__lt={}", second(1), second(2)), 2),
            ("metric=speed".to_owned(), 1),
            (format!("equipment={}&metric=speed", press.id), 0),
            (format!("equipment={}&equipment={}", press.id, other.id), 4),
            (String::new(), 4),
        ];
        for (query, expected) in cases {
            assert_eq!(lines(&export(&admin, &format!("format=ndjson&{query}")).await).len(), expected, "{query}");
            assert_eq!(rows(&export(&admin, &format!("format=csv&{query}")).await).len(), expected, "{query}");
        }
        admin.delete(&other.path()).await.expect(204);
        assert_eq!(lines(&export(&admin, "format=ndjson").await).len(), 3, "what is hidden does not go out");
        admin.get("/api/data/export?format=xml").await.expect_flaws(&[("format", "unknown")]);
        admin.get("/api/data/export?timestamp__gte=yesterday").await.expect_flaws(&[("timestamp__gte", "instant")]);
        let accepted = admin.get("/api/data/export").header("accept", "application/x-ndjson").await.expect(200);
        assert_eq!(lines(&accepted).len(), 3);
        admin.get("/api/data/export").header("accept", "image/png").await.expect_problem(406, "not_acceptable");
        let clerk = server.permitted("clerk", &["equipment:read"]).await;
        clerk.get("/api/data/export?format=csv").await.expect_problem(403, "permission_required");
    }

    async fn a_table_has_no_more_columns_than_anybody_reads(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        for part in 0..5 {
            let values: Value = (0..201).map(|number| (format!("m{part}_{number}"), json!(number))).collect();
            admin.post("/api/data", press.reading(part, values)).await.expect(201);
        }
        admin.get("/api/data/export?format=csv").await.expect_flaws(&[("metric", "too_many")]);
        assert_eq!(rows(&export(&admin, "format=csv&metric=m0_7&metric=m4_7").await).len(), 2);
        assert_eq!(lines(&export(&admin, "format=ndjson").await).len(), 5);
    }
}
