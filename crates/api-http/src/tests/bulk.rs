//! Readings by the line, and readings as files: any number of them, in and out.

use super::face::{Answer, Face, ask, get, str_of};
use super::listener::{Running, soon};
use super::plant::Plant;
use crate::turns::Class;
use crate::{Settings, State};
use actix_web::body::MessageBody;
use async_trait::async_trait;
use domain::access::rights::ViewData;
use domain::app::readings;
use domain::page::Direction;
use domain::ports::{Repos, Store, StoreError, UnitOfWork};
use domain::telemetry::ReadingFilter;
use domain::testing::{MemoryStore, UnlimitedAllowances, World};
use serde_json::{Value, json};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const NDJSON: &str = "application/x-ndjson";

/// A database that goes away after so many units of work, and after so many views.
struct Tiring {
    store: MemoryStore,
    units: AtomicUsize,
    views: AtomicUsize,
}

fn one_less(left: &AtomicUsize) -> Result<(), StoreError> {
    let less = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    less.map(|_| ()).map_err(|_| StoreError::Busy("away".into()))
}

#[async_trait]
impl Store for Tiring {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        one_less(&self.views)?;
        self.store.reader().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        one_less(&self.units)?;
        self.store.begin().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A plant over a database that does not tire before it is told to.
async fn tiring() -> (Plant, Arc<Tiring>) {
    let all = || AtomicUsize::new(usize::MAX);
    let store = Arc::new(Tiring { store: MemoryStore::default(), units: all(), views: all() });
    let World { app, clock, .. } = World::over(store.clone()).await.unwrap();
    let heard = tokio::sync::watch::channel(0).1;
    let state = State::new(Arc::new(app), Arc::new(UnlimitedAllowances), Settings::default(), heard);
    (Plant::of(Face { state, clock }).await, store)
}

/// The reading of the robot of this number, a millisecond after the one before.
fn line(number: u32) -> String {
    let (second, milli) = (number / 1000, number % 1000);
    let at = format!("2026-05-04T06:{:02}:{:02}.{milli:03}Z", second / 60, second % 60);
    format!(r#"{{"equipment":"WR-0007","timestamp":"{at}","values":{{"temperature":{number}}}}}"#)
}

fn lines(count: u32) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

async fn bulk(plant: &Plant, body: impl Into<bytes::Bytes>) -> Answer {
    plant.send(ask("POST", "/api/data/bulk").by(&plant.admin).body(NDJSON, body)).await
}

/// Received, accepted, duplicates, rejected.
fn counts(answer: &Answer) -> [u64; 4] {
    let answer = answer.json();
    ["received", "accepted", "duplicates", "rejected"].map(|name| answer[name].as_u64().unwrap())
}

async fn export(plant: &Plant, query: &str) -> String {
    let answer = plant.send(get(&format!("/api/data/export?{query}")).by(&plant.admin)).await.expect(200);
    String::from_utf8(answer.bytes.to_vec()).unwrap()
}

/// How many readings there are.
async fn stored(plant: &Plant) -> usize {
    let (by, all) = (World::system::<ViewData>().unwrap(), ReadingFilter::default());
    let (mut count, mut after) = (0, None);
    loop {
        let ascending = Direction::Ascending;
        let portion = readings::next(&plant.state.app, &by, all.clone(), ascending, after).await.unwrap();
        match portion.last() {
            Some(last) => after = Some(last.id),
            None => return count,
        }
        count += portion.len();
    }
}

#[actix_web::test]
async fn good_lines_are_stored_and_bad_ones_told_by_their_numbers() {
    let plant = Plant::new().await;
    let id = plant.robot;
    let body = [
        &line(0),
        &format!(r#"{{"equipment": {id}, "timestamp": "2026-05-04T06:00:00.001Z", "values": {{"temperature": 1}}}}"#),
        "  ",
        &line(0),
        "{nonsense",
        r#"{"equipment": 999999, "values": {"t": 2}}"#,
        r#"{"equipment": "WR-0007", "timestamp": "yesterday", "values": {"t": "hot", "Bad": 1}, "x": 1}"#,
        r#"[{"equipment": "WR-0007", "values": {"t": 2}}]"#,
        r#"{"equipment": "WR-0007", "timestamp": "2026-05-04T07:40:01Z", "values": {"t": 1}}"#,
        &line(0).replace(":0}", ":9}"),
        r#"{"equipment": "WR-0007", "timestamp": "2026-05-04T06:00:00.001Z", "values": {"speed": 2}}"#,
        r#"{"equipment": "WR-0007", "values": {"t": 1e999}}"#,
        r#"{"equipment": "WR-0007", "values": {"t": 1, "t": 1}}"#,
    ]
    .join("\r\n");
    let answer = bulk(&plant, body).await.expect(200);
    assert_eq!(counts(&answer), [12, 3, 1, 8]);
    let told = answer.json();
    assert_eq!(told["errors_cut"], false);
    let of = |error: &Value| {
        let fields = error["errors"].as_array().unwrap().iter();
        let fields: Vec<&str> = fields.map(|flaw| str_of(&flaw["field"])).collect();
        (error["line"].as_u64().unwrap(), str_of(&error["code"]).to_owned(), fields.join(" "))
    };
    let errors: Vec<_> = told["errors"].as_array().unwrap().iter().map(of).collect();
    let expected = [
        (5, "malformed_request", ""),
        (6, "invalid_fields", "equipment"),
        (7, "invalid_fields", "timestamp values.t values.Bad x"),
        (8, "malformed_request", ""),
        (9, "invalid_fields", "timestamp"),
        (10, "different_value", "values.temperature"),
        (12, "malformed_request", ""),
        (13, "malformed_request", ""),
    ];
    assert_eq!(errors, expected.map(|(line, code, fields)| (line, code.to_owned(), fields.to_owned())));
    assert_eq!(stored(&plant).await, 2);
    let replace = ask("POST", "/api/data/bulk?on_conflict=replace").by(&plant.admin);
    let answer = plant.send(replace.body(NDJSON, line(0).replace(":0}", ":9}"))).await.expect(200);
    assert_eq!(counts(&answer), [1, 1, 0, 0]);
}

#[actix_web::test]
async fn many_lines_add_up_whatever_comes_between() {
    let plant = Plant::new().await;
    let mut body = lines(12_000);
    body.push_str("\n\nbroken\n");
    body.push_str(&line(12_000));
    let answer = bulk(&plant, body.clone()).await.expect(200);
    assert_eq!(counts(&answer), [12_002, 12_001, 0, 1]);
    assert_eq!(answer.json()["errors"][0]["line"], 12_003);
    let again = bulk(&plant, body).await.expect(200);
    assert_eq!(counts(&again), [12_002, 0, 12_001, 1]);
    assert_eq!(stored(&plant).await, 12_001);
}

#[actix_web::test]
async fn usual_readings_and_others_are_stored_alike() {
    let plant = Plant::new().await;
    let escaped = line(1).replace("temperature", "t\\u0065mperature");
    let attributed = line(2).replace("\"values\"", "\"attributes\":{\"shift\":\"early\"},\"values\"");
    let body = [line(0), escaped, attributed, line(3)].join("\n");
    assert_eq!(counts(&bulk(&plant, body).await.expect(200)), [4, 4, 0, 0]);
    let array = format!("[{},{}]", line(0), line(4));
    let sent = ask("POST", "/api/data/").by(&plant.admin).body("application/json", array);
    let answer = plant.send(sent).await.expect(201).json();
    assert_eq!(answer, json!({"accepted": 1, "duplicates": 1}));
    let listed = plant.send(get("/api/data/?ordering=timestamp").by(&plant.admin)).await.json();
    let temperatures: Vec<&Value> = listed["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reading| &reading["values"]["temperature"])
        .collect();
    assert_eq!(temperatures, [0, 1, 2, 3, 4]);
}

#[actix_web::test]
async fn bad_lines_are_told_in_their_order_and_not_without_end() {
    let plant = Plant::new().await;
    let contrary = line(0).replace(":0}", ":9}");
    bulk(&plant, line(0)).await.expect(200);
    let body = format!("{contrary}\nbroken\n").repeat(3000);
    let answer = bulk(&plant, body).await.expect(200);
    assert_eq!(counts(&answer), [6000, 0, 0, 6000]);
    let told = answer.json();
    let numbers: Vec<u64> =
        told["errors"].as_array().unwrap().iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=1000).collect::<Vec<u64>>());
    assert_eq!(told["errors_cut"], true);
    // What is quoted from a line is short, however long the line is.
    let fields: Vec<String> = (0..1000).map(|field| format!("\"{field}{}\":1", "x".repeat(50))).collect();
    let answer = bulk(&plant, format!("{{{}}}\n", fields.join(",")).repeat(10)).await.expect(200);
    assert_eq!(counts(&answer)[3], 10);
    assert!(answer.bytes.len() < 20_000, "{}", answer.bytes.len());
}

#[actix_web::test]
async fn a_line_that_is_too_long_or_no_text_is_refused_alone() {
    let plant = Plant::new().await;
    let long = format!("{}\n{}\n{}\n", line(0), "x".repeat(3_000_000), line(1));
    let answer = bulk(&plant, long).await.expect(200);
    assert_eq!(counts(&answer), [3, 2, 0, 1]);
    let odd = [b"\xff\xfe\n".as_slice(), line(2).as_bytes(), b"\n\0\n"].concat();
    let answer = bulk(&plant, odd).await.expect(200);
    assert_eq!(counts(&answer), [3, 1, 0, 2]);
    for blank in ["", "\n", "\n \r\n\t"] {
        assert_eq!(counts(&bulk(&plant, blank).await.expect(200)), [0, 0, 0, 0], "{blank:?}");
    }
}

#[actix_web::test]
async fn lines_are_read_from_their_own_media_type_alone() {
    let plant = Plant::new().await;
    for kind in ["application/json", "text/csv", "", "application/x-ndjson; charset=utf-16"] {
        let sent = ask("POST", "/api/data/bulk").by(&plant.admin).body(kind, line(0));
        assert_eq!(plant.send(sent).await.problem(415), "unsupported_media_type", "{kind}");
    }
    let json = ask("POST", "/api/data/").by(&plant.admin).body(NDJSON, line(0));
    assert_eq!(plant.send(json).await.problem(415), "unsupported_media_type");
    let unknown = ask("POST", "/api/data/bulk?replace=true").by(&plant.admin).body(NDJSON, line(0));
    assert_eq!(plant.send(unknown).await.problem(400), "unknown_parameter");
    let upper = ask("POST", "/api/data/bulk").by(&plant.admin);
    let taken = plant.send(upper.body("Application/X-NDJSON; charset=\"UTF-8\"", line(0))).await.expect(200);
    assert_eq!(counts(&taken), [1, 1, 0, 0]);
}

#[actix_web::test]
async fn a_failure_midway_says_how_many_lines_stay() {
    let (plant, store) = tiring().await;
    store.units.store(2, Ordering::SeqCst);
    // Blanks make up for what many more lines would weigh: 4 MiB are stored at once.
    let heavy = line(0).len() + 50_000;
    let lines: String = (0..250).map(|number| format!("{:heavy$}\n", line(number))).collect();
    let at_once = (4 * 1024 * 1024_usize).div_ceil(heavy);
    let refused = bulk(&plant, format!("\n{lines}")).await.expect(503);
    assert_eq!(refused.header("retry-after"), "1");
    let detail = refused.json()["detail"].clone();
    let told = format!("; the first {} lines were committed", 2 * at_once + 1);
    assert!(str_of(&detail).ends_with(&told), "{detail}");
    assert_eq!(refused.problem(503), "busy");
    store.units.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(stored(&plant).await, 2 * at_once);
}

#[actix_web::test]
async fn a_line_that_waits_for_the_end_of_its_text_is_not_among_those_that_stay() {
    let (plant, store) = tiring().await;
    store.units.store(1, Ordering::SeqCst);
    // A point is a line with many blanks and a short one, so that what is stored at once ends in the midst of a point.
    let begun = format!("m,host=WR-0007{:4000}note=\"one\n", "");
    let lines: String =
        (0..2200).map(|number| format!("{begun}two\" {}\n", 1_777_870_000 + number)).collect();
    let asked = ask("POST", "/api/v2/write?precision=s").by(&plant.admin).body("", lines);
    let told = plant.send(asked).await.expect(503).json();
    store.units.store(usize::MAX, Ordering::SeqCst);
    let points = stored(&plant).await;
    assert!(points > 1000, "{points}");
    let message = str_of(&told["message"]);
    assert!(message.contains(&format!("the first {} lines were committed", 2 * points)), "{message}");
}

/// An upload whose lines come one by one.
struct Upload(TcpStream);

impl Upload {
    async fn begin(server: &Running, token: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /api/data/bulk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {NDJSON}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Sends a line, and waits until so many readings are stored.
    async fn line(&mut self, plant: &Plant, number: u32, expected: usize) {
        self.send(number).await;
        soon(async {
            while stored(plant).await < expected {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn send(&mut self, number: u32) {
        let line = line(number) + "\n";
        self.0.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
    }

    async fn end(mut self) -> String {
        let _ = self.0.write_all(b"0\r\n\r\n").await;
        let mut answer = String::new();
        soon(self.0.read_to_string(&mut answer)).await.unwrap();
        answer
    }
}

#[actix_web::test]
async fn what_came_before_a_pause_is_stored_during_the_pause() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let mut upload = Upload::begin(&server, &plant.admin).await;
    upload.line(&plant, 0, 1).await;
    upload.line(&plant, 1, 2).await;
    upload.send(2).await;
    let answer = upload.end().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"accepted\":3"), "{answer}");
    server.stop().await;
}

#[actix_web::test]
async fn an_upload_outlives_the_token_that_began_it_and_not_the_right() {
    let plant = Plant::new().await;
    let writer = plant.permitted("writer", &["data:write"]).await;
    let server = Running::start(&plant);
    let mut upload = Upload::begin(&server, &writer).await;
    upload.line(&plant, 0, 1).await;
    plant.clock.advance(Duration::from_secs(3600));
    plant.send(get("/api/users/me").by(&writer)).await.expect(401);
    upload.line(&plant, 1, 2).await;
    let admin = plant.face.admin().await;
    let roles = json!({"roles": ["CLIENT"]});
    let writers = plant.send(get("/api/users/?username=writer").by(&admin)).await.json();
    let path = format!("/api/users/{}/roles", writers["results"][0]["id"]);
    plant.send(ask("PUT", &path).by(&admin).json(&roles)).await.expect(200);
    plant.clock.advance(Duration::from_secs(1));
    upload.send(2).await;
    let answer = upload.end().await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("permission_required"), "{answer}");
    assert!(answer.contains("the first 2 lines were committed"), "{answer}");
    assert_eq!(stored(&plant).await, 2);
    server.stop().await;
}

#[actix_web::test]
async fn an_export_outlives_the_token_that_began_it_and_not_the_session() {
    let plant = Plant::new().await;
    bulk(&plant, lines(7000)).await.expect(200);
    let reader = plant.permitted("reader", &["data:read"]).await;
    let mut body = plant.open(get("/api/data/export?format=ndjson").by(&reader)).await;
    let mut portion = async || poll_fn(|context| Pin::new(&mut body).poll_next(context)).await.unwrap();
    portion().await.unwrap();
    plant.send(ask("POST", "/api/logout").by(&reader)).await.expect(204);
    // It was asked a moment ago.
    portion().await.unwrap();
    plant.clock.advance(Duration::from_secs(1));
    assert!(portion().await.is_err());

    let reader = plant.token("reader").await;
    let mut body = plant.open(get("/api/data/export?format=ndjson").by(&reader)).await;
    plant.clock.advance(Duration::from_secs(3600));
    let mut portion = async || poll_fn(|context| Pin::new(&mut body).poll_next(context)).await.unwrap();
    for _ in 0..3 {
        portion().await.unwrap();
    }
}

#[actix_web::test]
async fn csv_has_a_column_for_each_metric() {
    let plant = Plant::new().await;
    let head = plant.send(get("/api/data/export").by(&plant.admin)).await.expect(200);
    assert_eq!(head.bytes, "id,equipment,timestamp\n");
    let sent = json!([
        {"equipment": plant.robot.get(), "timestamp": "2026-05-04T06:00:01Z", "values": {"temperature": 71.5, "speed": 1200}},
        {"equipment": plant.robot.get(), "timestamp": "2026-05-04T06:00:00Z", "values": {"pressure": -1e300}},
    ]);
    plant.send(ask("POST", "/api/data/").by(&plant.admin).json(&sent)).await.expect(201);
    let (robot, early, late) = (plant.robot, "2026-05-04T06:00:00.000000Z", "2026-05-04T06:00:01.000000Z");
    let (first, second) = (format!("{robot}-1777874400000000"), format!("{robot}-1777874401000000"));
    let whole = plant.send(get("/api/data/export?format=csv").by(&plant.admin)).await.expect(200);
    assert!(whole.header("content-type").starts_with("text/csv"));
    assert_eq!(whole.header("content-disposition"), "attachment; filename=\"readings.csv\"");
    let expected = format!(
        "id,equipment,timestamp,pressure,speed,temperature\n\
         {first},{robot},{early},-1e+300,,\n{second},{robot},{late},,1200,71.5\n"
    );
    assert_eq!(whole.bytes, expected);
    let some = export(&plant, "metric=temperature&metric=speed&metric=speed&ordering=-timestamp").await;
    assert_eq!(
        some,
        format!("id,equipment,timestamp,temperature,speed\n{second},{robot},{late},71.5,1200\n")
    );
}

#[actix_web::test]
async fn lines_that_were_exported_are_what_lists_show() {
    let plant = Plant::new().await;
    bulk(&plant, lines(4500)).await.expect(200);
    let exported = export(&plant, "format=ndjson").await;
    let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), 4500);
    assert!(exported.iter().zip(0..).all(|(reading, number)| reading["values"]["temperature"] == number));
    let listed = plant.send(get("/api/data/?ordering=timestamp&page_size=3").by(&plant.admin)).await.json();
    assert_eq!(*listed["results"].as_array().unwrap(), exported[..3]);
    let from = "timestamp__gte=2026-05-04T06:00:04Z&ordering=-timestamp&format=csv";
    assert_eq!(export(&plant, from).await.lines().count(), 501);
    assert_eq!(export(&plant, "equipment=999999&format=ndjson").await, "");
    let zipped = get("/api/data/export").by(&plant.admin).with("Accept-Encoding", "gzip");
    assert_eq!(plant.send(zipped).await.expect(200).header("content-encoding"), "gzip");
}

#[actix_web::test]
async fn an_export_comes_as_the_client_takes_it() {
    let plant = Plant::new().await;
    let asked = |query: &str, accept: &str| {
        get(&format!("/api/data/export{query}")).by(&plant.admin).with("Accept", accept)
    };
    for (query, accept, expected) in [
        ("", "*/*", "text/csv; charset=utf-8"),
        ("", NDJSON, "application/x-ndjson; charset=utf-8"),
        ("?format=ndjson", "*/*", "application/x-ndjson; charset=utf-8"),
    ] {
        let answer = plant.send(asked(query, accept)).await.expect(200);
        assert_eq!(answer.header("content-type"), expected, "{query} {accept}");
    }
    for (query, accept) in [("", "application/json"), ("?format=csv", NDJSON)] {
        assert_eq!(plant.send(asked(query, accept)).await.problem(406), "not_acceptable", "{query} {accept}");
    }
    assert_eq!(plant.send(asked("?format=xml", "*/*")).await.blamed(422), ["format: unknown"]);
    let (own, other) = (plant.robot, plant.install("press", "HP-0004").await);
    plant.report_of(own, 1.0).await;
    plant.report_of(other, 2.0).await;
    let key = plant.key(&["data:read"], &[own.get()]).await;
    let answer = plant.send(get("/api/data/export?format=ndjson").by(&key)).await.expect(200);
    assert_eq!(answer.json()["equipment"], own.get());
}

#[actix_web::test]
async fn an_export_that_fails_midway_does_not_end_as_if_it_were_whole() {
    let (plant, store) = tiring().await;
    bulk(&plant, lines(5000)).await.expect(200);
    let server = Running::start(&plant);
    let fetch = async || {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "GET /api/data/export?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            plant.admin
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    };
    // Who asks is known from a moment ago: the first portion comes, the second does not.
    store.views.store(1, Ordering::SeqCst);
    let broken = fetch().await;
    assert!(broken.starts_with("HTTP/1.1 200") && !broken.ends_with("\r\n0\r\n\r\n"), "{broken}");
    assert_eq!(broken.matches("\"id\"").count(), 2000);
    store.views.store(0, Ordering::SeqCst);
    let refused = plant.send(get("/api/data/export?format=ndjson").by(&plant.admin)).await;
    assert_eq!(refused.problem(503), "busy");
    store.views.store(usize::MAX, Ordering::SeqCst);
    server.stop().await;
}

#[actix_web::test]
async fn nobody_takes_all_places_by_being_slow() {
    let plant = Plant::new().await;
    let press = plant.install("press", "HP-0004").await;
    let series = format!("/api/series?equipment={}&equipment={press}&metric=temperature", plant.robot);
    let (_, other) = plant.person("bella").await;
    for (class, path) in [(Class::Export, "/api/data/export"), (Class::Answer, series.as_str())] {
        let mut slow = Vec::new();
        while slow.len() < plant.state.turns.line(class).places() / 4 {
            slow.push(plant.open(get(path).by(&plant.admin)).await);
        }
        let refused = plant.send(get(path).by(&plant.admin)).await.expect(429);
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.problem(429), "rate_limited");
        plant.send(get(path).by(&other)).await.expect(200);
        slow.pop();
        plant.send(get(path).by(&plant.admin)).await.expect(200);
        drop(slow);
        assert_eq!(plant.state.turns.line(class).at_work(), 0, "{class:?}");
    }
    let short = format!("/api/series?equipment={press}&metric=temperature");
    let _kept = plant.open(get(&short).by(&plant.admin)).await;
    assert_eq!(plant.state.turns.line(Class::Answer).at_work(), 0, "what is short and whole needs no place");
}
