//! Bodies that come packed.

use super::face::{Answer, Ask, ask};
use super::plant::Plant;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write;

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn packed(plant: &Plant, path: &str) -> Ask {
    ask("POST", path).by(&plant.admin).with("Content-Encoding", "gzip")
}

fn reading(second: u32) -> String {
    json!({"equipment": "WR-0007", "timestamp": format!("2026-05-04T06:00:{second:02}Z"), "values": {"t": second}})
        .to_string()
}

#[actix_web::test]
async fn every_kind_of_body_may_come_packed() {
    let plant = Plant::new().await;
    let one = packed(&plant, "/api/data/").body("application/json", gzip(&reading(0)));
    plant.send(one).await.expect(201);
    let array = format!("[{},{}]", reading(1), reading(2));
    let zstd = ask("POST", "/api/data/").by(&plant.admin).with("Content-Encoding", "zstd");
    let zstd = zstd.body("application/json", zstd::encode_all(array.as_bytes(), 3).unwrap());
    assert_eq!(plant.send(zstd).await.expect(201).json()["accepted"], 2);
    let lines: String = (0..10).map(|second| reading(second) + "\n").collect();
    let bulk = packed(&plant, "/api/data/bulk").body("application/x-ndjson", gzip(&lines));
    let told = plant.send(bulk).await.expect(200).json();
    assert_eq!([&told["received"], &told["accepted"], &told["duplicates"]], [10, 7, 3]);
    let person = gzip(r#"{"username": "anna", "password": "robots need rest"}"#);
    let form = ask("POST", "/api/registration").with("Content-Encoding", "gzip");
    plant.send(form.body("application/json", person)).await.expect(201);
    let form = ask("POST", "/api/token/").with("Content-Encoding", "gzip");
    let form =
        form.body("application/x-www-form-urlencoded", gzip("username=anna&password=robots+need+rest"));
    plant.send(form).await.expect(200);
}

#[actix_web::test]
async fn the_same_body_is_the_same_request_however_it_was_packed() {
    let plant = Plant::new().await;
    let keyed = |asked: Ask| asked.with("Idempotency-Key", "once");
    let first = keyed(packed(&plant, "/api/data/")).body("application/json", gzip(&reading(0)));
    plant.send(first).await.expect(201);
    let again = keyed(ask("POST", "/api/data/").by(&plant.admin)).body("application/json", reading(0));
    assert_eq!(plant.send(again).await.expect(201).header("idempotency-replayed"), "true");
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn the_limit_of_a_body_holds_for_what_it_is_unpacked() {
    let plant = Plant::new().await;
    let noise: String =
        (0_u64..300_000).map(|n| format!("{:06}", n.wrapping_mul(0x9e37_79b9) % 999_983)).collect();
    let body = json!({"name": "Press", "type": "press", "attributes": {"noise": noise}}).to_string();
    let body = gzip(&body);
    let large = packed(&plant, "/api/equipment/").body("application/json", body);
    let answer = plant.send(large).await.expect(413);
    assert!(detail(&answer).contains("unpacked"), "{}", detail(&answer));
    let bomb = packed(&plant, "/api/data/").body("application/json", gzip(&" ".repeat(4 << 20)));
    let answer = plant.send(bomb).await.expect(413);
    assert!(detail(&answer).contains("100 times"), "{}", detail(&answer));
}

#[actix_web::test]
async fn a_packed_upload_with_a_bad_end_is_no_success_and_can_be_sent_again() {
    let plant = Plant::new().await;
    let lines: String = (0..50).map(|second| reading(second) + "\n").collect();
    let whole = gzip(&lines);
    let cut =
        packed(&plant, "/api/data/bulk").body("application/x-ndjson", whole[..whole.len() - 4].to_vec());
    let answer = plant.send(cut).await.expect(400);
    let told = detail(&answer);
    assert!(told.contains("its end is missing") && told.contains("lines were committed"), "{told}");
    let again = packed(&plant, "/api/data/bulk").body("application/x-ndjson", whole);
    let told = plant.send(again).await.expect(200).json();
    assert_eq!([&told["received"], &told["rejected"]], [50, 0]);
    let bomb = lines + &" ".repeat(10 << 20);
    let bomb = packed(&plant, "/api/data/bulk").body("application/x-ndjson", gzip(&bomb));
    assert_eq!(plant.send(bomb).await.problem(413), "too_large");
}

#[actix_web::test]
async fn a_coding_that_nobody_reads_is_refused_with_those_that_are_read() {
    let plant = Plant::new().await;
    for (path, kind) in [("/api/data/", "application/json"), ("/api/data/bulk", "application/x-ndjson")] {
        for coding in ["br", "gzip, gzip", "compress"] {
            let asked = ask("POST", path).by(&plant.admin).with("Content-Encoding", coding);
            let answer = plant.send(asked.body(kind, reading(0))).await.expect(415);
            assert_eq!(answer.header("accept-encoding"), "gzip, deflate, zstd");
            assert_eq!(answer.problem(415), "unsupported_coding");
        }
        let plain = packed(&plant, path).body(kind, reading(0));
        assert_eq!(plant.send(plain).await.problem(400), "malformed_request");
    }
}
