//! InfluxDB's interface for writing, as its clients see it.

use super::face::{Answer, Ask, Face, ask, get};
use super::listener::{Running, soon};
use super::plant::Plant;
use crate::Settings;
use crate::body::FORM;
use crate::influx::StatementSent;
use crate::influx::settings::PointSettings;
use crate::turns::{Class, Pass, Turns};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpMessage};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::telemetry::OnConflict;
use domain::telemetry::points::{Mapping, Naming};
use domain::testing::UnlimitedAllowances;
use domain::text::Label;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use futures_util::stream::{self, LocalBoxStream};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// 2026-05-04T06:00:00Z, in seconds.
const SIX: i64 = 1_777_874_400;

async fn plant_with(points: PointSettings) -> Plant {
    let settings = Settings { points, ..Settings::default() };
    Plant::of(Face::with(settings, Arc::new(UnlimitedAllowances)).await).await
}

fn v2(plant: &Plant, lines: &str) -> Ask {
    let asked = ask("POST", "/api/v2/write?org=plant&bucket=b&precision=s");
    asked
        .with("Authorization", &format!("Token {}", plant.admin))
        .body("text/plain; charset=utf-8", lines.to_owned())
}

async fn write(plant: &Plant, lines: &str) -> Answer {
    plant.send(v2(plant, lines)).await
}

async fn readings(plant: &Plant) -> Vec<Value> {
    let listed = plant.send(get("/api/data/?ordering=timestamp").by(&plant.admin)).await.expect(200).json();
    listed["results"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn lines_of_one_machine_and_instant_are_one_reading() {
    let plant = Plant::new().await;
    let lines = format!(
        "cpu,host=WR-0007,cpu=cpu0 usage=12.5,busy=t {SIX}\ncpu,host=WR-0007,cpu=cpu1 usage=7i {SIX}\n\
         # a remark\n\nstate,serial_number=WR-0007 text=\"all well\",Count=3u {SIX}\r\n"
    );
    assert!(write(&plant, &lines).await.expect(204).bytes.is_empty());
    let readings = readings(&plant).await;
    assert_eq!(readings.len(), 1);
    assert_eq!(readings[0]["timestamp"], "2026-05-04T06:00:00.000000Z");
    assert_eq!(readings[0]["values"], json!({"cpu.cpu0.usage": 12.5, "cpu.cpu1.usage": 7, "state.count": 3}));
    assert_eq!(readings[0]["attributes"], json!({"cpu.cpu0.busy": true, "state.text": "all well"}));
    let tallied = plant.state.app.tally.read();
    assert_eq!((tallied.received, tallied.stored, tallied.rejected), (1, 1, 0));
    write(&plant, &lines).await.expect(204);
    assert_eq!(plant.state.app.tally.read().duplicate, 1, "the same again says nothing new");
}

#[actix_web::test]
async fn equipment_is_named_by_serial_number_name_or_id_in_the_order_of_the_setting() {
    let plant = Plant::new().await;
    let other = plant.install("press", "HP-1").await;
    let robot = plant.robot;
    let lines = format!(
        "m,host=nobody,equipment_id={other} a=1 {SIX}\nm,host=HP-1,serial_number=WR-0007 a=2 {SIX}\nm,equipment=hp-1 a=3 {}\n",
        SIX + 1
    );
    write(&plant, &lines).await.expect(204);
    let told: Vec<_> = readings(&plant)
        .await
        .iter()
        .map(|it| (it["equipment"].as_i64().unwrap(), it["values"]["m.a"].clone()))
        .collect();
    let mut expected = vec![(robot.get(), json!(2)), (other.get(), json!(1))];
    expected.sort_by_key(|(id, _)| *id);
    expected.push((other.get(), json!(3)));
    assert_eq!(told, expected);
}

#[actix_web::test]
async fn bad_lines_are_left_out_and_told_as_clients_expect() {
    let plant = Plant::new().await;
    let lines = format!(
        "m,host=WR-0007 a=1 {SIX}\nm,host=WR-0007 a=oops {SIX}\nm,host=nobody a=1 {SIX}\nm,site=x a=1 {SIX}\nm,host=WR-0007 b=\"open {SIX}\nm,host=WR-0007 a=2 {}\n",
        SIX + 1
    );
    let answer = write(&plant, &lines).await.expect(400);
    assert_eq!(answer.header("content-type"), "application/json");
    let told = answer.json();
    assert_eq!((&told["code"], &told["line"]), (&json!("invalid"), &json!(2)));
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("partial write: 4 of 6 points left out; line 2: "), "{message}");
    for part in [
        "line 3: equipment",
        "line 4: the line is a point without a tag",
        "line 5: the line is unbalanced quotes",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(readings(&plant).await.len(), 2);
    let tallied = plant.state.app.tally.read();
    assert_eq!((tallied.received, tallied.stored, tallied.rejected), (6, 2, 4));
    let v1 = ask("POST", "/write?db=x&precision=s").by(&plant.admin).body("", "m,host=WR-0007 a=oops");
    let told = plant.send(v1).await.expect(400).json();
    assert!(told["error"].as_str().unwrap().starts_with("partial write: 1 of 1"), "{told}");
}

#[actix_web::test]
async fn a_text_may_go_over_several_lines() {
    let plant = Plant::new().await;
    let lines = format!("m,host=WR-0007 note=\"one\ntwo\",a=1 {SIX}\nm,host=WR-0007 a=2 {}\n", SIX + 1);
    write(&plant, &lines).await.expect(204);
    assert_eq!(readings(&plant).await[0]["attributes"]["m.note"], "one\ntwo");
}

#[actix_web::test]
async fn an_empty_line_within_a_text_is_kept() {
    let plant = Plant::new().await;
    write(&plant, &format!("\n \t\nm,host=WR-0007 note=\"a\n\nb\" {SIX}\n\r\n")).await.expect(204);
    assert_eq!(readings(&plant).await[0]["attributes"], json!({"m.note": "a\n\nb"}));
}

#[actix_web::test]
async fn texts_and_flags_make_a_reading_by_themselves() {
    let plant = Plant::new().await;
    write(&plant, &format!("system,host=WR-0007 uptime_format=\"3 days\" {SIX}")).await.expect(204);
    let readings = readings(&plant).await;
    assert_eq!(readings[0]["attributes"], json!({"system.uptime_format": "3 days"}));
    assert_eq!(readings[0]["values"], json!({}));
}

#[actix_web::test]
async fn another_value_of_an_instant_replaces_the_first_unless_the_operator_wants_otherwise() {
    let line = |value: u32| format!("m,host=WR-0007 a={value} {SIX}");
    let plant = Plant::new().await;
    write(&plant, &line(1)).await.expect(204);
    write(&plant, &line(2)).await.expect(204);
    assert_eq!(readings(&plant).await[0]["values"], json!({"m.a": 2}));
    write(&plant, &format!("{}\n{}", line(3), line(4))).await.expect(204);
    assert_eq!(readings(&plant).await[0]["values"], json!({"m.a": 4}), "the last one counts");
    let strict =
        plant_with(PointSettings { on_conflict: OnConflict::Refuse, ..PointSettings::default() }).await;
    write(&strict, &line(1)).await.expect(204);
    let told = write(&strict, &line(2)).await.expect(400).json();
    assert!(told["message"].as_str().unwrap().contains("line 1"), "{told}");
    assert_eq!(readings(&strict).await[0]["values"], json!({"m.a": 1}));
}

#[actix_web::test]
async fn where_the_first_value_counts_only_the_line_that_contradicts_is_left_out() {
    let strict =
        plant_with(PointSettings { on_conflict: OnConflict::Refuse, ..PointSettings::default() }).await;
    let lines = format!(
        "m,host=WR-0007 a=1 {SIX}\nm,host=WR-0007 b=2 {SIX}\nm,host=WR-0007 a=3 {SIX}\nm,host=WR-0007 c=4 {SIX}\n"
    );
    let told = write(&strict, &lines).await.expect(400).json();
    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("partial write: 1 of 4 points left out; line 3: "), "{message}");
    assert_eq!(readings(&strict).await[0]["values"], json!({"m.a": 1, "m.b": 2, "m.c": 4}));
}

#[actix_web::test]
async fn points_of_one_instant_are_added_only_as_far_as_one_reading_can_hold_them() {
    let plant = Plant::new().await;
    let line = |first: usize, count: usize| {
        let fields: Vec<String> = (first..first + count).map(|number| format!("f{number}=1")).collect();
        format!("m,host=WR-0007 {} {SIX}\n", fields.join(","))
    };
    for lines in [line(0, 150) + &line(150, 150) + &line(300, 50), line(150, 150)] {
        let told = write(&plant, &lines).await.expect(400).json();
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(": values must have at most 256 entries"), "{message}");
        assert!(message.starts_with("partial write: 1 of "), "{message}");
        assert_eq!(readings(&plant).await[0]["values"].as_object().unwrap().len(), 200);
    }
    write(&plant, &line(0, 150)).await.expect(204);
    let whole = json!({"equipment": plant.robot.get(), "timestamp": "2026-05-04T06:00:00Z", "values":
        (0..60).map(|number| (format!("further{number}"), json!(1))).collect::<serde_json::Map<_, _>>()});
    let told = plant.send(ask("POST", "/api/data/").by(&plant.admin).json(&whole)).await.expect(422).json();
    assert_eq!(
        (&told["errors"][0]["field"], &told["errors"][0]["code"]),
        (&json!("values"), &json!("too_many"))
    );
}

#[actix_web::test]
async fn a_text_or_flag_whose_name_is_too_long_is_refused_in_words() {
    let plant = Plant::new().await;
    for value in ["t", "\"all well\""] {
        let line = format!("m,host=WR-0007 {}={value} {SIX}", "x".repeat(99));
        let told = write(&plant, &line).await.expect(400).json();
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("a point with a field whose name must"), "{message}");
        write(&plant, &format!("m,host=WR-0007 {}={value} {SIX}", "x".repeat(98))).await.expect(204);
    }
}

#[actix_web::test]
async fn series_that_only_unknown_tags_tell_apart_do_not_hide_each_other() {
    let plant = Plant::new().await;
    let lines = format!(
        "disk,host=WR-0007,dev=a used=1 {SIX}\ndisk,host=WR-0007,dev=b used=2 {SIX}\ndisk,host=WR-0007,dev=b free=3 {SIX}\n"
    );
    let told = write(&plant, &lines).await.expect(400).json();
    assert!(told["message"].as_str().unwrap().contains("influx.metric_tags"), "{told}");
    assert_eq!(readings(&plant).await[0]["values"], json!({"disk.used": 1, "disk.free": 3}));
    let mapping = Mapping {
        naming: Naming::Field,
        metric_tags: vec!["dev".into()],
        attribute_tags: vec!["shift".into()],
        ..Mapping::default()
    };
    let plant = plant_with(PointSettings { mapping, ..PointSettings::default() }).await;
    write(&plant, &format!("{lines}disk,shift=early,host=WR-0007 1min=4 {SIX}")).await.expect(204);
    let readings = readings(&plant).await;
    assert_eq!(readings[0]["values"], json!({"a.used": 1, "b.used": 2, "b.free": 3, "m_1min": 4}));
    assert_eq!(readings[0]["attributes"], json!({"shift": "early"}));
}

#[actix_web::test]
async fn a_tag_that_only_one_of_two_points_has_tells_them_apart_whatever_it_is_good_for() {
    let mapping = Mapping { attribute_tags: vec!["shift".into()], ..Mapping::default() };
    let plant = plant_with(PointSettings { mapping, ..PointSettings::default() }).await;
    for (place, tag) in ["site=x", "shift=late", "host=gateway"].into_iter().enumerate() {
        let at = SIX + i64::try_from(place).unwrap();
        let without = format!("m,serial_number=WR-0007 f=1 {at}\n");
        let with = format!("m,{tag},serial_number=WR-0007 f=2 {at}\n");
        for (lines, first) in [(without.clone() + &with, 1), (with + &without, 2)] {
            let told = write(&plant, &lines).await.expect(400).json();
            assert!(told["message"].as_str().unwrap().contains("line 2: "), "{told}");
            assert_eq!(readings(&plant).await[place]["values"], json!({"m.f": first}), "{tag}");
        }
    }
}

#[actix_web::test]
async fn equipment_comes_into_the_register_by_reporting_where_that_is_wanted() {
    let line = format!("m,host=new-1 a=1 {SIX}\nm,host=new-1 a=2 {}\n", SIX + 1);
    let plant = Plant::new().await;
    write(&plant, &line).await.expect(400);
    let register_as = Some(Label::parse("sensor").unwrap());
    let open = plant_with(PointSettings { register_as, ..PointSettings::default() }).await;
    let key = |permissions: Value| json!({"name": "gateway", "permissions": permissions});
    let limited = ask("POST", "/api/api-keys/").by(&open.admin).json(&key(json!(["data:write"])));
    let limited =
        open.send(limited).await.expect(201).json()["secret"].as_str().unwrap_or_default().to_owned();
    let by_limited = ask("POST", "/write?precision=s").by(&limited).body("", line.clone());
    open.send(by_limited).await.expect(400);
    write(&open, &line).await.expect(204);
    let found = open.send(get("/api/equipment/?serial_number=new-1").by(&open.admin)).await.json();
    assert_eq!(
        (&found["count"], &found["results"][0]["type"], &found["results"][0]["name"]),
        (&json!(1), &json!("sensor"), &json!("new-1"))
    );
    assert_eq!(readings(&open).await.len(), 2);
}

#[actix_web::test]
async fn a_name_that_means_no_piece_alone_makes_no_further_one() {
    let register_as = Some(Label::parse("sensor").unwrap());
    let open = plant_with(PointSettings { register_as, ..PointSettings::default() }).await;
    for _ in 0..2 {
        open.equipment_with(&open.admin, &json!({"name": "Press", "type": "press"})).await;
    }
    let told = write(&open, &format!("m,host=press a=1 {SIX}")).await.expect(400).json();
    assert!(told["message"].as_str().unwrap().contains("must be equipment in the register"), "{told}");
    let found = open.send(get("/api/equipment/?name=press").by(&open.admin)).await.expect(200).json();
    assert_eq!(found["count"], 2);
}

#[actix_web::test]
async fn who_loses_the_right_to_write_equipment_brings_no_more_of_it() {
    let register_as = Some(Label::parse("sensor").unwrap());
    let plant = plant_with(PointSettings { register_as, ..PointSettings::default() }).await;
    let gateway = plant.permitted("gateway", &["data:write", "equipment:write"]).await;
    let server = Running::start(&plant);
    let mut upload = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/v2/write?precision=s HTTP/1.1\r\nHost: x\r\nAuthorization: Token {gateway}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let chunk = |host: &str| {
        let line = format!("m,host={host} a=1 {SIX}\n");
        format!("{:x}\r\n{line}\r\n", line.len())
    };
    upload.write_all((head + &chunk("new-1")).as_bytes()).await.unwrap();
    soon(async {
        while readings(&plant).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let role = json!({"name": "SENDER", "permissions": ["data:write"]});
    plant.send(ask("POST", "/api/roles/").by(&plant.admin).json(&role)).await.expect(201);
    let people = plant.send(get("/api/users/?username=gateway").by(&plant.admin)).await.json();
    let path = format!("/api/users/{}/roles", people["results"][0]["id"]);
    let roles = json!({"roles": ["SENDER"]});
    plant.send(ask("PUT", &path).by(&plant.admin).json(&roles)).await.expect(200);
    plant.clock.advance(Duration::from_secs(1));
    upload.write_all((chunk("new-2") + "0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(upload.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("1 of 2 points left out"), "{answer}");
    let found = plant.send(get("/api/equipment/?type=sensor").by(&plant.admin)).await.expect(200).json();
    assert_eq!((&found["count"], &found["results"][0]["name"]), (&json!(1), &json!("new-1")));
    server.stop().await;
}

#[actix_web::test]
async fn credentials_are_found_where_clients_put_them() {
    let plant = Plant::new().await;
    let line = format!("m,host=WR-0007 a=1 {SIX}");
    let basic = |text: String| format!("Basic {}", BASE64_STANDARD.encode(text));
    let headers = [
        ("/write?precision=s", basic(format!("any:{}", plant.admin))),
        ("/write?precision=s", format!("Token any:{}", plant.admin)),
        ("/write?precision=s", format!("Bearer {}", plant.admin)),
        ("/api/v2/write?precision=s", basic(format!(":{}", plant.admin))),
    ];
    for (path, header) in headers {
        let asked = ask("POST", path).with("Authorization", &header).body("", line.clone());
        plant.send(asked).await.expect(204);
    }
    let by_parameter = |path: &str| {
        ask("POST", &format!("{path}?precision=s&u=any&p={}", plant.admin)).body("", line.clone())
    };
    plant.send(by_parameter("/write")).await.expect(204);
    let told = plant.send(by_parameter("/api/v2/write")).await.expect(401).json();
    assert_eq!(told["code"], "unauthorized");
    for header in [basic("any:wrong".into()), basic("any:".into()), "Basic !".into(), "Token".into()] {
        let asked = ask("POST", "/write").with("Authorization", &header).body("", line.clone());
        let answer = plant.send(asked).await.expect(401);
        assert!(
            answer.json()["error"].is_string() && !answer.header("www-authenticate").is_empty(),
            "{header}"
        );
    }
    let elsewhere = get("/api/data/").with("Authorization", &basic(format!("any:{}", plant.admin)));
    plant.send(elsewhere).await.expect(401);
}

#[actix_web::test]
async fn instants_are_read_in_their_unit_and_points_without_one_are_about_now() {
    let plant = Plant::new().await;
    for (unit, at) in [
        ("n", SIX * 1_000_000_000 + 1999),
        ("u", SIX * 1_000_000 + 2),
        ("ms", SIX * 1000 + 1),
        ("h", SIX / 3600),
    ] {
        let asked =
            ask("POST", &format!("/write?db=d&rp=&consistency=one&precision={unit}")).by(&plant.admin);
        plant.send(asked.body("", format!("m,host=WR-0007 {unit}=1 {at}"))).await.expect(204);
    }
    let told: Vec<String> = readings(&plant)
        .await
        .iter()
        .map(|it| it["timestamp"].as_str().unwrap()[20..26].to_owned())
        .collect();
    assert_eq!(told, ["000000", "000001", "000002", "001000"]);
    let both = "m,host=WR-0007 a=1\nm,host=WR-0007 b=2";
    write(&plant, both).await.expect(204);
    assert_eq!(readings(&plant).await[4]["values"], json!({"m.a": 1, "m.b": 2}));
    let future = format!("m,host=WR-0007 a=1 {}", i64::MAX / 2);
    write(&plant, &future).await.expect(400);
    let asked = ask("POST", "/api/v2/write?precision=h").by(&plant.admin).body("", both);
    plant.send(asked).await.expect(422);
}

#[actix_web::test]
async fn many_points_go_the_way_of_uploads_and_come_packed() {
    let plant = Plant::new().await;
    let lines: String =
        (0..25_000).map(|n| format!("m,host=WR-0007 a={n}i,b=0.5 {}\n", SIX - 30_000 + n)).collect();
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(lines.as_bytes()).unwrap();
    let asked = ask("POST", "/api/v2/write?precision=s").by(&plant.admin).with("Content-Encoding", "gzip");
    plant.send(asked.body("text/plain", packer.finish().unwrap())).await.expect(204);
    let tallied = plant.state.app.tally.read();
    assert_eq!((tallied.received, tallied.stored), (25_000, 25_000));
}

#[actix_web::test]
async fn it_is_nobodys_turn_while_a_form_is_awaited_and_one_that_does_not_come_came_too_slowly() {
    tokio::time::pause();
    let turns = Turns::among(16);
    let pass = Pass::take(&turns, Class::Write).await.unwrap();
    let request = TestRequest::post().insert_header(("Content-Type", FORM)).to_http_request();
    request.extensions_mut().insert(pass);
    let never: LocalBoxStream<'static, Result<Bytes, PayloadError>> = Box::pin(stream::pending());
    let mut awaited = StatementSent::from_request(&request, &mut Payload::from(never));
    assert!(awaited.as_mut().now_or_never().is_none());
    assert_eq!(turns.line(Class::Write).at_work(), 0);
    let refusal = soon(awaited).await.err().unwrap();
    assert_eq!(refusal.row().code, "request_timeout");
}

#[actix_web::test]
async fn clients_that_ask_first_are_answered_first() {
    let plant = Plant::new().await;
    for method in ["GET", "HEAD"] {
        let pong = plant.send(ask(method, "/ping?wait_for_leader=0s")).await.expect(204);
        assert!(pong.header("x-influxdb-version").starts_with("1.8."));
    }
    assert_eq!(plant.send(get("/health")).await.expect(200).json()["status"], "pass");
    let form = ask("POST", "/query?db=plant").by(&plant.admin);
    let form = form.body("application/x-www-form-urlencoded", "q=CREATE+DATABASE+%22plant%22");
    assert_eq!(plant.send(form).await.expect(200).json(), json!({"results": [{"statement_id": 0}]}));
    let by_get = get(&format!("/query?q=SHOW+DATABASES%3Bcreate+database+x&p={}", plant.admin));
    let told = plant.send(by_get).await.expect(200).json();
    assert_eq!(told["results"][0]["series"][0]["values"], json!([["techtrack"]]));
    let select = get("/query?q=SELECT+1").by(&plant.admin);
    assert!(plant.send(select).await.expect(400).json()["error"].as_str().unwrap().contains("/api/series"));
    plant.send(get("/query?q=SHOW+DATABASES")).await.expect(401);
}
