//! What becomes of readings as they grow old: rolled up, packed, removed, and no answer the worse for it.

use tests::patience::{LONG, until};
use tests::plant::{Machine, floats, from_now, second};
use tests::{Backend, Client, Options, Server, Value, json, stories};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A reading of every ten seconds of three hours, and some of the two days after, with facts of different kinds.
fn old_readings(machine: &Machine) -> Vec<Value> {
    let dense = (0..3 * HOUR).step_by(10);
    let sparse = (3 * HOUR..3 * DAY).step_by(1800);
    let reading = |number: i64| {
        let wave = (number as f64 / 500.0).sin() * 20.0;
        let temperature = ((70.0 + wave) * 100.0).round() / 100.0;
        let mut reading = machine.reading(number, json!({"temperature": temperature, "speed": number % 7}));
        if number % 1000 == 0 {
            reading["attributes"] = json!({"door": true, "note": format!("number {number}")});
        }
        reading
    };
    dense.chain(sparse).map(reading).collect()
}

async fn send(by: &Client, readings: &[Value]) {
    for part in readings.chunks(5_000) {
        by.post("/api/data", json!(part)).await.expect(201);
    }
}

/// What is asked about the old readings: each path with what it is answered.
async fn answers(by: &Client, machine: &Machine) -> Vec<(String, Value)> {
    let id = machine.id;
    let within = |from, until| format!("timestamp__gte={}&timestamp__lt={}", second(from), second(until));
    let (span, part) = (within(0, 4 * DAY), within(1234, 2 * DAY + 7));
    let aggregates = "agg=avg,min,max,sum,count,first,last";
    let mut paths = vec![
        machine.its(&format!("data?page_size=500&{span}")),
        machine.its(&format!("data?page_size=500&ordering=timestamp&{span}")),
        format!("/api/data?page_size=700&metric=speed&{part}"),
    ];
    for interval in ["auto", "30s", "1m", "1h", "3h", "1d", "7d"] {
        for (from, to) in [(0, 4 * DAY), (1234, 2 * DAY + 7)] {
            let span = format!("from={}&to={}", second(from), second(to));
            let metrics = "metric=temperature&metric=speed&metric=never";
            paths.push(format!(
                "/api/series?equipment={id}&{metrics}&{span}&interval={interval}&max_points=10000&{aggregates}"
            ));
        }
    }
    let mut told = Vec::new();
    for path in paths {
        let answer = by.get(&path).await.expect(200).json;
        told.push((path, answer));
    }
    for path in [format!("/api/data/export?equipment={id}&{span}"), format!("/api/data/export?{part}")] {
        let export = by.get(&format!("{path}&format=ndjson")).await.expect(200);
        told.push((path, json!(String::from_utf8_lossy(&export.bytes))));
    }
    told
}

async fn counted(server: &Server, counter: &str) -> u64 {
    let page = server.anonymous().get("/metrics").await.expect(200);
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
    line.and_then(|count| count.parse().ok()).expect("a counter")
}

stories! {
    async fn rolling_up_and_packing_change_no_answer_while_readings_come_in(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let old = old_readings(&press);
        send(&admin, &old).await;
        send(&admin, &[other.at(60, 1.0), other.at(2 * HOUR, 2.0)]).await;
        let before = answers(&admin, &press).await;
        let installation = server.installation.clone();
        server.stop().await;

        let options = Options::default().set("TECHTRACK_RETENTION_PACKED_AFTER_DAYS", "1");
        let server = installation.serve(options).await;
        let admin = server.admin().await;
        let mut turns = 0;
        until("the old readings to be packed and rolled up", LONG, async || {
            turns += 1;
            let fresh = json!({"equipment": press.id, "timestamp": from_now(0), "values": {"temperature": turns}});
            admin.post("/api/data", fresh).await.expect(201);
            for ((path, was), (_, is)) in before.iter().zip(answers(&admin, &press).await) {
                assert_eq!(&is, was, "{path}");
            }
            let packed = counted(&server, "techtrack_readings_packed_total").await;
            let rollups = counted(&server, "techtrack_rollups_made_total").await;
            (packed == old.len() as u64 + 2 && rollups > 3).then_some(())
        })
        .await;
        for ((path, was), (_, is)) in before.iter().zip(answers(&admin, &press).await) {
            assert_eq!(&is, was, "{path}");
        }

        // What is packed is there once, may be contradicted by nobody, changed, added to and deleted.
        let again = admin.post("/api/data", json!(old[..100])).await.expect(200);
        assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(100)));
        let contradiction = press.reading(10, json!({"temperature": -1}));
        admin.post("/api/data", contradiction).await.expect_problem(409, "different_value");
        let late = admin.post("/api/data", press.at(5, 1000.0)).await.expect(201);
        let list = admin.get(&press.its("data?page_size=3&ordering=timestamp")).await.expect(200);
        assert_eq!(list["results"][1]["timestamp"], json!(second(5)));
        let series = format!("/api/series?equipment={}&metric=temperature&interval=1d&agg=max", press.id);
        let series = format!("{series}&from={}&to={}", second(0), second(4 * DAY));
        let most = admin.get(&series).await.expect(200);
        assert_eq!(floats(&most["series"][0]["max"][0]), json!(1000.0));
        admin.delete(&format!("/api/data/{}", late.text("id"))).await.expect(204);
        for ((path, was), (_, is)) in before.iter().zip(answers(&admin, &press).await) {
            assert_eq!(&is, was, "{path}");
        }
    }

    async fn a_series_of_hours_outlives_the_readings_that_it_was_folded_from(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        send(&admin, &old_readings(&press)).await;
        let series = |interval: &str| {
            let span = format!("from={}&to={}", second(0), second(3 * HOUR - 1800));
            format!("/api/series?equipment={}&metric=temperature&agg=avg,count&interval={interval}&{span}", press.id)
        };
        let hourly = admin.get(&series("1h")).await.expect(200)["series"].clone();
        let installation = server.installation.clone();
        server.stop().await;

        let options = Options::default().set("TECHTRACK_RETENTION_READINGS_DAYS", "10");
        let server = installation.serve(options).await;
        let admin = server.admin().await;
        until("the old readings to be gone", LONG, async || {
            let list = admin.get(&press.its("data?page_size=1")).await.expect(200);
            (list["results"] == json!([])).then_some(())
        })
        .await;
        assert_eq!(admin.get(&series("1h")).await.expect(200)["series"][0]["avg"][0], hourly[0]["avg"][0]);
        assert_eq!(admin.get(&series("1h")).await.expect(200)["series"][0]["count"][1], hourly[0]["count"][1]);
        assert_eq!(admin.get(&series("1s")).await.expect(200)["series"][0]["avg"], json!([]));
    }
}
