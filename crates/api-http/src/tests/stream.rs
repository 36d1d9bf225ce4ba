//! The live stream, over real sockets.

use super::face::{Face, ask, get, silence, str_of};
use super::listener::{Listener, Running, soon};
use super::plant::Plant;
use crate::stream::Pace;
use crate::{Settings, State};
use async_trait::async_trait;
use domain::access::rights::ManageEquipment;
use domain::app::{equipment, housekeeping};
use domain::live::{Mark, NewLiveEvent, WINDOW};
use domain::patch::Precondition;
use domain::ports::{Clock, Repos, Store, StoreError, UnitOfWork};
use domain::telemetry::{MetricName, Values};
use domain::testing::{MemoryStore, UnlimitedAllowances, World};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

const STREAM: &str = "/api/stream";

/// A plant whose streams do everything much more often.
async fn hurried() -> Plant {
    let mut plant = Plant::new().await;
    plant.face.state.pace.recheck = Duration::from_millis(20);
    plant
}

impl Plant {
    /// Writes this many events of the robot, with so many values each, in one transaction.
    async fn announce(&self, events: usize, values: usize) {
        let metric = |number: usize| MetricName::parse(&format!("metric_{number:0>56}")).unwrap();
        let values = Values::of((0..values).map(|number| (metric(number), 0.1)).collect()).unwrap();
        let now = self.clock.now();
        let event = NewLiveEvent::Values { equipment: self.robot, at: now, values };
        let mut tx = self.state.app.store.begin().await.unwrap();
        tx.live().announce(&vec![event; events], now).await.unwrap();
        tx.commit().await.unwrap();
        self.state.app.bell.ring();
    }
}

#[actix_web::test]
async fn values_and_alerts_are_told_as_they_happen() {
    let plant = Plant::new().await;
    let rule = plant.rule().await;
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    plant.report(91.2).await;
    let values = listener.event().await;
    let now = plant.clock.now().to_string();
    let expected = json!({"equipment": plant.robot.get(), "timestamp": now, "values": {"temperature": 91.2}});
    assert_eq!(values.data, expected);
    let raised = listener.event().await;
    assert_eq!(
        (raised.event.as_str(), &raised.data["change"], &raised.data["at"]),
        ("alert", &json!("raised"), &json!(now))
    );
    let alert = plant.alert().await;
    assert_eq!((&raised.data["alert"], &alert["rule"]), (&alert, &rule["id"]));
    let path = format!("/api/alerts/{}", alert["id"]);
    plant.send(ask("DELETE", &path).by(&plant.admin)).await.expect(204);
    let deleted = listener.event().await;
    assert_eq!(deleted.data["change"], "deleted");
    assert_eq!(deleted.data["alert"], json!({"id": alert["id"], "equipment": plant.robot.get()}));
    let marks = [values, raised, deleted].map(|told| Mark::parse(told.id()).unwrap());
    assert!(marks.is_sorted() && marks[0] < marks[1]);
    server.stop().await;
}

#[actix_web::test]
async fn one_sees_what_one_may_read_of_what_one_asked_for() {
    let plant = Plant::new().await;
    plant.rule().await;
    let press = plant.install("press", "HP-0004").await;
    let other = plant.install("press", "HP-0005").await;
    let readings = plant.permitted("anna", &["data:read"]).await;
    let alerts = plant.permitted("ben", &["alerts:read"]).await;
    let limited = plant.key(&["data:read"], &[other.get()]).await;
    let server = Running::start(&plant);
    let mut readings = server.listen(STREAM, &readings).await;
    let mut alerts = server.listen(STREAM, &alerts).await;
    let mut limited = server.listen(STREAM, &limited).await;
    let two = format!("{STREAM}?equipment={press}&equipment={other}");
    let mut two = server.listen(&two, &plant.admin).await;
    plant.report(95.0).await;
    plant.report_of(press, 20.0).await;
    plant.report_of(other, 30.0).await;
    assert_eq!([readings.temperature().await, readings.temperature().await], [95.0, 20.0]);
    assert_eq!(readings.temperature().await, 30.0);
    assert_eq!(alerts.event().await.data["alert"]["value"], 95);
    assert_eq!(limited.temperature().await, 30.0);
    assert_eq!([two.temperature().await, two.temperature().await], [20.0, 30.0]);
    server.stop().await;
}

#[actix_web::test]
async fn who_may_read_neither_readings_nor_alerts_watches_nothing() {
    let plant = Plant::new().await;
    let stranger = plant.send(get(STREAM)).await;
    assert_eq!(stranger.problem(401), "unauthenticated");
    let anna = plant.permitted("anna", &["equipment:read"]).await;
    assert_eq!(plant.send(get(STREAM).by(&anna)).await.problem(403), "permission_required");
    assert_eq!(plant.send(ask("HEAD", STREAM).by(&anna)).await.status, 403);
}

#[actix_web::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    let begun = listener.block().await.unwrap();
    plant.report(1.0).await;
    let first = listener.event().await;
    listener.hang_up();
    soon(plant.state.hub.emptied()).await;
    for temperature in [2.0, 3.0] {
        plant.report(temperature).await;
    }
    let by_header = format!("Last-Event-ID: {}\r\n", first.id());
    let mut again = server.listen_with(STREAM, &plant.admin, &by_header).await;
    let by_address = format!("{STREAM}?last_event_id={}", begun.id());
    let mut from_the_start = server.listen(&by_address, &plant.admin).await;
    let mut both = server.listen_with(&by_address, &plant.admin, &by_header).await;
    plant.report(4.0).await;
    for expected in [2.0, 3.0, 4.0] {
        assert_eq!(again.temperature().await, expected);
        assert_eq!(both.temperature().await, expected);
    }
    for expected in [1.0, 2.0, 3.0, 4.0] {
        assert_eq!(from_the_start.temperature().await, expected);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_mark_that_is_none_is_refused() {
    let plant = Plant::new().await;
    for mark in ["x", "1", "1-", "-1", "01-1", "1-1-1", "+1-1", "99999999999999999999-1"] {
        let by_header = get(STREAM).by(&plant.admin).with("Last-Event-ID", mark);
        assert_eq!(plant.send(by_header).await.problem(400), "malformed_request", "{mark}");
        let by_address = get(&format!("{STREAM}?last_event_id={mark}")).by(&plant.admin);
        assert_eq!(plant.send(by_address).await.problem(400), "malformed_request", "{mark}");
    }
    let unknown = plant.send(get("/api/stream?equipmnt=1").by(&plant.admin)).await;
    assert_eq!(unknown.problem(400), "unknown_parameter");
    assert_eq!(
        plant.send(get("/api/stream?equipment=x").by(&plant.admin)).await.blamed(422),
        ["equipment: type"]
    );
}

#[actix_web::test]
async fn who_comes_back_too_late_is_told_to_begin_anew() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    plant.report(1.0).await;
    plant.clock.advance(WINDOW + Duration::from_secs(1));
    housekeeping::sweep(&plant.state.app).await.unwrap();
    let admin = plant.face.admin().await;
    let of_another_database = "?last_event_id=77777-77777";
    for query in ["?last_event_id=0-0", of_another_database] {
        let mut listener = server.listen(&format!("{STREAM}{query}"), &admin).await;
        let reset = listener.event().await;
        assert_eq!((reset.event.as_str(), &reset.data), ("reset", &json!({})));
        plant.report(2.0).await;
        let next = listener.event().await;
        assert_eq!(next.temperature(), 2.0);
        assert!(Mark::parse(next.id()) > Mark::parse(reset.id()));
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_reads_slower_than_events_come_misses_none() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    let mut last = Mark::parse(listener.block().await.unwrap().id()).unwrap();
    // More than are kept in memory.
    const EVENTS: usize = 12_000;
    plant.announce(EVENTS, 1).await;
    for _ in 0..EVENTS {
        let mark = Mark::parse(listener.event().await.id()).unwrap();
        assert_eq!(mark.number, last.number + 1);
        last = mark;
    }
    server.stop().await;
}

#[actix_web::test]
async fn events_of_hidden_equipment_hold_nobody_up() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let press = plant.install("press", "HP-0004").await;
    plant.report_of(press, 1.0).await;
    let by = World::system::<ManageEquipment>().unwrap();
    equipment::hide(&plant.state.app, by, press, Precondition::None).await.unwrap();
    let mut first = server.listen(STREAM, &plant.admin).await;
    first.block().await.unwrap();
    let mut listener = server.listen(&format!("{STREAM}?last_event_id=0-0"), &plant.admin).await;
    plant.report(2.0).await;
    assert_eq!(listener.temperature().await, 2.0);
    plant.report(3.0).await;
    assert_eq!([first.temperature().await, first.temperature().await], [2.0, 3.0]);
    assert_eq!(listener.temperature().await, 3.0);
    server.stop().await;
}

#[actix_web::test]
async fn a_ring_that_gets_lost_delays_and_loses_nothing() {
    let mut plant = Plant::new().await;
    let state = &mut plant.face.state;
    let settings = Settings::clone(&state.settings);
    *state = State::new(Arc::clone(&state.app), Arc::new(UnlimitedAllowances), settings, silence());
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    for temperature in [1.0, 2.0] {
        plant.report(temperature).await;
        assert_eq!(listener.temperature().await, temperature);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_stream_ends_when_its_credential_or_its_rights_do() {
    let plant = hurried().await;
    let (id, anna) = plant.person("anna").await;
    let ben = plant.permitted("ben", &["data:read", "alerts:read"]).await;
    let draft = json!({"name": "screen", "permissions": ["data:read"]});
    let key = plant.send(ask("POST", "/api/api-keys/").by(&plant.admin).json(&draft)).await.expect(201);
    let server = Running::start(&plant);
    let by_session = server.listen(STREAM, &ben).await;
    let by_key = server.listen(STREAM, str_of(&key.json()["secret"])).await;
    let by_role = server.listen(STREAM, &anna).await;
    plant.send(ask("POST", "/api/logout").by(&ben)).await.expect(204);
    assert_eq!(by_session.end().await.reason(), "revoked");
    plant.send(ask("DELETE", key.header("location")).by(&plant.admin)).await.expect(204);
    assert_eq!(by_key.end().await.reason(), "revoked");
    let roles = ask("PUT", &format!("/api/users/{id}/roles")).by(&plant.admin);
    plant.send(roles.json(&json!({"roles": []}))).await.expect(200);
    assert_eq!(by_role.end().await.reason(), "revoked");
    soon(plant.state.hub.emptied()).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_stream_outlives_the_access_token_that_opened_it() {
    let mut plant = hurried().await;
    plant.face.state.pace.heartbeat = Duration::from_millis(50);
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    plant.clock.advance(Duration::from_secs(3600));
    plant.send(get("/api/users/me").by(&plant.admin)).await.expect(401);
    for _ in 0..3 {
        listener.block().await.expect("the session lives");
    }
    plant.report(1.0).await;
    assert_eq!(listener.temperature().await, 1.0);
    server.stop().await;
}

#[test]
fn whoever_may_not_watch_any_more_is_found_out_within_a_second() {
    let Pace { heartbeat, recheck, patience } = Pace::default();
    assert!(recheck <= Duration::from_millis(500));
    assert_eq!((heartbeat, patience), (Duration::from_secs(15), Duration::from_secs(30)));
}

#[actix_web::test]
async fn a_server_that_stops_ends_its_streams_at_once() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let listener = server.listen(STREAM, &plant.admin).await;
    let stopping = tokio::time::Instant::now();
    let (last, ()) = tokio::join!(listener.end(), server.stop());
    assert_eq!((last.reason(), &last.id), ("draining", &None));
    assert!(stopping.elapsed() < plant.state.settings.drain_timeout / 2);
}

#[actix_web::test]
async fn what_is_not_for_a_watcher_moves_their_place_on_all_the_same() {
    let mut plant = Plant::new().await;
    plant.face.state.pace.heartbeat = Duration::from_millis(50);
    let server = Running::start(&plant);
    let press = plant.install("press", "HP-0004").await;
    let mut listener = server.listen(&format!("{STREAM}?equipment={press}"), &plant.admin).await;
    let begun = listener.block().await.unwrap();
    assert_eq!(listener.block().await.unwrap().id, begun.id);
    plant.report(1.0).await;
    loop {
        let heartbeat = listener.block().await.unwrap();
        assert!(heartbeat.comment && heartbeat.event.is_empty(), "{heartbeat:?}");
        if heartbeat.id != begun.id {
            assert!(Mark::parse(heartbeat.id()) > Mark::parse(begun.id()));
            break;
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_stops_reading_is_cut_off() {
    let mut plant = Plant::new().await;
    plant.face.state.pace.patience = Duration::from_millis(500);
    let server = Running::start(&plant);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let listener = Listener::over(stream, STREAM, &plant.admin, "").await;
    const BYTES: usize = 256 * 64;
    plant.announce(1000, 256).await;
    soon(plant.state.hub.emptied()).await;
    assert!(listener.rest().await < 1000 * BYTES);
    server.stop().await;
}

#[actix_web::test]
async fn who_reads_a_few_bytes_at_a_time_is_cut_off_too() {
    let mut plant = Plant::new().await;
    plant.face.state.pace.patience = Duration::from_millis(500);
    let server = Running::start(&plant);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let mut listener = Listener::over(stream, STREAM, &plant.admin, "").await;
    plant.announce(1000, 256).await;
    let trickle = async {
        loop {
            listener.trickle().await;
        }
    };
    tokio::select! {
        () = soon(plant.state.hub.emptied()) => {}
        () = trickle => {}
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_takes_up_reading_after_too_long_is_told_that_they_were_slow() {
    let mut plant = Plant::new().await;
    plant.face.state.pace.patience = Duration::ZERO;
    let answer = plant.send(get(STREAM).by(&plant.admin)).await.expect(200);
    let told = String::from_utf8(answer.bytes.to_vec()).unwrap();
    assert!(told.ends_with("\n\nevent: end\ndata: {\"reason\":\"slow\"}\n\n"), "{told}");
}

#[actix_web::test]
async fn when_whoever_reads_for_all_goes_somebody_else_takes_over() {
    let plant = hurried().await;
    let hub = Arc::clone(&plant.state.hub);
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { hub.enter() })
    });
    let orphan = worker.join().unwrap();
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    plant.report(1.0).await;
    assert_eq!(listener.temperature().await, 1.0);
    server.stop().await;
    drop(orphan);
    soon(plant.state.hub.emptied()).await;
}

#[actix_web::test]
async fn a_stream_says_what_it_is_and_is_never_compressed() {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let headers = "Accept: text/event-stream\r\nAccept-Encoding: gzip, zstd\r\n";
    let listener = server.listen_with(STREAM, &plant.admin, headers).await;
    assert!(listener.head.starts_with("http/1.1 200"), "{}", listener.head);
    for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
        assert!(listener.head.lines().any(|told| told == line), "{line} in {}", listener.head);
    }
    assert!(!listener.head.contains("content-encoding"), "{}", listener.head);
    server.stop().await;

    let refused = plant.send(get(STREAM).by(&plant.admin).with("Accept", "application/json")).await;
    assert_eq!(refused.problem(406), "not_acceptable");
    let options = plant.send(ask("OPTIONS", STREAM)).await.expect(204);
    assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS");
    let head = plant.send(ask("HEAD", STREAM).by(&plant.admin)).await.expect(200);
    assert_eq!((head.header("content-type"), head.bytes.len()), ("text/event-stream", 0));
    soon(plant.state.hub.emptied()).await;
}

/// All that a server says over this version until it stops.
async fn told_over(version: &str) -> String {
    let plant = Plant::new().await;
    let server = Running::start(&plant);
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let admin = &plant.admin;
    let request = format!(
        "GET {STREAM} {version}\r\nHost: x\r\nConnection: keep-alive\r\nAuthorization: Bearer {admin}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    while !told.windows(10).any(|part| part == b"retry: 200") {
        soon(stream.read_buf(&mut told)).await.unwrap();
    }
    let ((), rest) = tokio::join!(server.stop(), soon(stream.read_to_end(&mut told)));
    rest.unwrap();
    String::from_utf8(told).unwrap().to_ascii_lowercase()
}

#[actix_web::test]
async fn over_http_1_1_a_stream_comes_in_chunks_and_ends_properly() {
    let told = told_over("HTTP/1.1").await;
    assert!(told.contains("transfer-encoding: chunked") && told.contains("connection: close"), "{told}");
    assert!(told.contains("\r\nretry: 2000\nid: ") && told.ends_with("\n\n\r\n0\r\n\r\n"), "{told}");
}

#[actix_web::test]
async fn over_http_1_0_a_stream_comes_as_it_is() {
    let told = told_over("HTTP/1.0").await;
    assert!(!told.contains("transfer-encoding") && !told.contains("keep-alive"), "{told}");
    let (_, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(body.starts_with("retry: 2000\nid: ") && body.ends_with("\"draining\"}\n\n"), "{told}");
}

/// A database that can be away.
struct Moody {
    store: Arc<MemoryStore>,
    is_away: AtomicBool,
}

impl Moody {
    fn refuse(&self) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::SeqCst) { Err(StoreError::Busy("away".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Moody {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        self.refuse()?;
        self.store.reader().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.refuse()?;
        self.store.begin().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.refuse()
    }
}

#[actix_web::test]
async fn a_stream_outlives_an_absence_of_the_database() {
    let store = Arc::new(Moody { store: Arc::default(), is_away: AtomicBool::new(false) });
    let World { app, clock, .. } = World::over(store.clone()).await.unwrap();
    let allowances = Arc::new(UnlimitedAllowances);
    let mut state = State::new(Arc::new(app), allowances, Settings::default(), silence());
    state.pace =
        Pace { recheck: Duration::from_millis(20), heartbeat: Duration::from_millis(100), ..state.pace };
    let plant = Plant::of(Face { state, clock }).await;
    let server = Running::start(&plant);
    let mut listener = server.listen(STREAM, &plant.admin).await;
    listener.block().await.unwrap();
    store.is_away.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(listener.block().await.unwrap().comment);
    }
    store.is_away.store(false, Ordering::SeqCst);
    plant.report(1.0).await;
    assert_eq!(listener.temperature().await, 1.0);
    server.stop().await;
}
