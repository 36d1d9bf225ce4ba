//! Readings: sent one by one and in arrays, looked up, walked through, corrected, folded.

use super::face::{Answer, Face, ask, get, str_of};
use serde_json::{Value, json};

/// A face, its administrator, and a press that has the serial number `HP-0004`.
async fn plant() -> (Face, String, i64) {
    let face = Face::new().await;
    let admin = face.admin().await;
    let press = json!({"name": "Press", "type": "press", "serial_number": "HP-0004"});
    let press = face.equipment_with(&admin, &press).await;
    (face, admin, press)
}

/// This many seconds into the morning, an hour before the clock of the tests.
fn at(second: u32) -> String {
    format!("2026-05-04T06:{:02}:{:02}.000000Z", second / 60, second % 60)
}

fn reading(equipment: i64, second: u32, temperature: f64) -> Value {
    json!({"equipment": equipment, "timestamp": at(second), "values": {"temperature": temperature}})
}

async fn post(face: &Face, by: &str, body: &Value) -> Answer {
    face.send(ask("POST", "/api/data/").by(by).json(body)).await
}

async fn post_text(face: &Face, by: &str, body: &str) -> Answer {
    face.send(ask("POST", "/api/data/").by(by).body("application/json", body.to_owned())).await
}

async fn stored(face: &Face, by: &str) -> Vec<Value> {
    let page = face.send(get("/api/data/?page_size=1000").by(by)).await.expect(200).json();
    page["results"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn a_reading_comes_back_as_it_was_sent() {
    let (face, admin, press) = plant().await;
    let body = json!({
        "equipment": press, "timestamp": "2026-05-04T08:00:00.123456+02:00",
        "values": {"temperature": 71.5, "speed": 1200, "tiny": 5e-324, "large": 1.797_693_134_862_315_7e308, "third": 0.333_333_333_333_333_3},
        "attributes": {"shift": "früh\n🐘", "manual": false},
    });
    let made = post(&face, &admin, &body).await.expect(201);
    let shown = made.json();
    assert_eq!(shown["timestamp"], "2026-05-04T06:00:00.123456Z");
    assert_eq!((&shown["equipment"], &shown["values"]), (&json!(press), &body["values"]));
    assert_eq!(shown["attributes"], body["attributes"]);
    assert_eq!(made.header("location"), format!("/api/data/{}", str_of(&shown["id"])));
    let read = face.send(get(made.header("location")).by(&admin)).await.expect(200);
    assert_eq!(read.json(), shown);
    assert!(!read.header("etag").is_empty());
    let bare =
        post(&face, &admin, &json!({"equipment": "hp-0004", "values": {"t": 1}})).await.expect(201).json();
    assert_eq!(
        (&bare["timestamp"], &bare["equipment"]),
        (&json!("2026-05-04T07:30:00.000000Z"), &json!(press))
    );
    assert!(bare.get("attributes").is_none());
}

#[actix_web::test]
async fn what_is_sent_again_is_stored_once() {
    let (face, admin, press) = plant().await;
    let first = post(&face, &admin, &reading(press, 0, 20.0)).await.expect(201);
    let again = post(&face, &admin, &reading(press, 0, 20.0)).await.expect(200);
    assert_eq!((&again.bytes, again.header("location")), (&first.bytes, ""));
    let more = json!({"equipment": press, "timestamp": at(0), "values": {"speed": 5}, "attributes": {"shift": "early"}});
    let merged = post(&face, &admin, &more).await.expect(200).json();
    assert_eq!(merged["values"], json!({"speed": 5, "temperature": 20}));
    let mut other = reading(press, 0, 21.0);
    other["attributes"] = json!({"shift": "late"});
    let refused = post(&face, &admin, &other).await;
    assert_eq!(refused.blamed(409), ["values.temperature: different", "attributes.shift: different"]);
    let replace = ask("POST", "/api/data/?on_conflict=replace").by(&admin).json(&other);
    let replaced = face.send(replace).await.expect(200).json();
    assert_eq!(
        (&replaced["values"]["temperature"], &replaced["attributes"]["shift"]),
        (&json!(21), &json!("late"))
    );
    let odd = ask("POST", "/api/data/?on_conflict=perhaps").by(&admin).json(&other);
    assert_eq!(face.send(odd).await.blamed(422), ["on_conflict: unknown"]);
    assert_eq!(stored(&face, &admin).await.len(), 1);
}

#[actix_web::test]
async fn what_cannot_be_a_reading_is_refused_and_nothing_is_stored() {
    let (face, admin, press) = plant().await;
    let of = |timestamp: &str, values: &str| {
        format!(r#"{{"equipment": {press}, "timestamp": "{timestamp}", "values": {values}}}"#)
    };
    let (now, good) = ("2026-05-04T07:30:00Z", r#"{"t": 1}"#);
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    let unreadable = [
        of(now, r#"{"t": NaN}"#),
        of(now, r#"{"t": Infinity}"#),
        of(now, r#"{"t": -Infinity}"#),
        of(now, r#"{"t": 1e999}"#),
        of(now, r#"{"t": 1, "t": 2}"#),
        of(now, r#"{"a\u0000b": 1}"#),
        of("2026-05-04T07:30:00Z\\u0000", good),
        of(now, &format!(r#"{{"t": {deep}}}"#)),
        format!(r#"{{"equipment": "HP\u0000", "values": {good}}}"#),
        format!(r#"{{"equipment": {press}, "values": {good}, "attributes": {{"a": "\u0000"}}}}"#),
        format!("[{}", of(now, good)),
        "null".to_owned(),
        "7".to_owned(),
    ];
    for body in unreadable {
        assert_eq!(post_text(&face, &admin, &body).await.problem(400), "malformed_request", "{body}");
    }
    let long = "x".repeat(300);
    let wide: Vec<String> = (0..257).map(|number| format!("\"m{number}\": 1")).collect();
    let with = |attributes: &str| {
        format!(r#"{{"equipment": {press}, "values": {good}, "attributes": {attributes}}}"#)
    };
    let wide_tags: Vec<String> = (0..65).map(|number| format!("\"m{number}\": true")).collect();
    let refused = [
        (of(now, r#"{"t": "71.5"}"#), "values.t: type".to_owned()),
        (of(now, r#"{"t": "NaN"}"#), "values.t: type".to_owned()),
        (of(now, r#"{"t": null}"#), "values.t: type".to_owned()),
        (of(now, r#"{"t": true}"#), "values.t: type".to_owned()),
        (of(now, r#"{"Temp": 1}"#), "values.Temp: metric".to_owned()),
        (of(now, r#"{"": 1}"#), "values.: metric".to_owned()),
        (of(now, &format!(r#"{{"{long}": 1}}"#)), format!("values.{long}: metric")),
        (of(now, &format!("{{{}}}", wide.join(","))), "values: too_many".to_owned()),
        (of(now, "{}"), "values: required".to_owned()),
        (of(now, "[1]"), "values: type".to_owned()),
        (of("2026-05-04T07:30:00", good), "timestamp: instant".to_owned()),
        (of("2026-02-30T07:30:00Z", good), "timestamp: instant".to_owned()),
        (of("10000-01-01T00:00:00Z", good), "timestamp: instant".to_owned()),
        (of("2026-05-04T07:40:00.000001Z", good), "timestamp: future".to_owned()),
        (of("2026-05-04T07:40:01Z", good), "timestamp: future".to_owned()),
        (
            format!(r#"{{"equipment": {press}, "timestamp": 1, "values": {good}}}"#),
            "timestamp: type".to_owned(),
        ),
        (format!(r#"{{"equipment": 999999, "values": {good}}}"#), "equipment: unknown".to_owned()),
        (format!(r#"{{"equipment": "nobody", "values": {good}}}"#), "equipment: unknown".to_owned()),
        (format!(r#"{{"equipment": 0, "values": {good}}}"#), "equipment: type".to_owned()),
        (format!(r#"{{"equipment": "{long}", "values": {good}}}"#), "equipment: too_long".to_owned()),
        (format!(r#"{{"values": {good}}}"#), "equipment: required".to_owned()),
        (format!(r#"{{"equipment": {press}}}"#), "values: required".to_owned()),
        (
            format!(r#"{{"equipment": {press}, "values": {good}, "unit": "K"}}"#),
            "unit: unknown_field".to_owned(),
        ),
        (with(r#"{"a": 1}"#), "attributes.a: type".to_owned()),
        (with(r#"{" a": true}"#), "attributes. a: characters".to_owned()),
        (with(&format!(r#"{{"{long}": true}}"#)), format!("attributes.{long}: too_long")),
        (with(&format!(r#"{{"a": "{}"}}"#, "x".repeat(1001))), "attributes.a: too_long".to_owned()),
        (with(&format!("{{{}}}", wide_tags.join(","))), "attributes: too_many".to_owned()),
        (with("true"), "attributes: type".to_owned()),
    ];
    for (body, expected) in refused {
        assert_eq!(post_text(&face, &admin, &body).await.blamed(422), [expected], "{body}");
    }
    post_text(&face, &admin, &of("2026-05-04T07:40:00Z", good)).await.expect(201);
    assert_eq!(stored(&face, &admin).await.len(), 1);
    let metrics = face.send(get("/api/metrics/").by(&admin)).await.expect(200).json();
    assert_eq!(metrics["count"], 1);
}

#[actix_web::test]
async fn an_array_is_stored_as_a_whole_or_not_at_all() {
    let (face, admin, press) = plant().await;
    let array = json!([reading(press, 0, 1.0), reading(press, 1, 2.0), reading(press, 0, 1.0)]);
    let taken = post(&face, &admin, &array).await.expect(201);
    assert_eq!((taken.json(), taken.header("location")), (json!({"accepted": 2, "duplicates": 1}), ""));
    let again = post(&face, &admin, &array).await.expect(200);
    assert_eq!(again.json(), json!({"accepted": 0, "duplicates": 3}));
    let nothing = post(&face, &admin, &json!([])).await.expect(200);
    assert_eq!(nothing.json(), json!({"accepted": 0, "duplicates": 0}));

    let malformed = json!([
        reading(press, 2, 1.0), {"equipment": press, "values": {"Temp": 1, "t": "x"}}, 7, {"values": {"t": 1}, "x": 1},
    ]);
    let expected = [
        "1.values.Temp: metric",
        "1.values.t: type",
        "2: type",
        "3.equipment: required",
        "3.x: unknown_field",
    ];
    assert_eq!(post(&face, &admin, &malformed).await.blamed(422), expected);
    let unknown = json!([reading(press, 2, 1.0), reading(999_999, 3, 1.0)]);
    assert_eq!(post(&face, &admin, &unknown).await.blamed(422), ["1.equipment: unknown"]);
    let contrary = json!([reading(press, 2, 1.0), reading(press, 0, 9.0)]);
    let refused = post(&face, &admin, &contrary).await;
    assert_eq!(refused.blamed(409), ["1.values.temperature: different"]);
    assert_eq!(stored(&face, &admin).await.len(), 2);
}

#[actix_web::test]
async fn an_array_of_ten_thousand_is_taken_and_of_one_more_is_not() {
    let (face, admin, press) = plant().await;
    let many = |count: u32| {
        let nth = |number: u32| json!({"equipment": press, "timestamp": format!("2026-05-03T00:00:00.{number:06}Z"), "values": {"t": 1}});
        (0..count).map(nth).collect::<Value>()
    };
    let refused = post(&face, &admin, &many(10_001)).await;
    assert_eq!(refused.blamed(422), ["readings: too_many"]);
    assert!(stored(&face, &admin).await.is_empty());
    // A megabyte is the limit of other bodies.
    let body = many(10_000).to_string();
    let padded = format!("{}{body}", " ".repeat(1024 * 1024));
    let taken = post_text(&face, &admin, &padded).await.expect(201);
    assert_eq!(taken.json(), json!({"accepted": 10_000, "duplicates": 0}));
    let too_large = post_text(&face, &admin, &" ".repeat(8 * 1024 * 1024 + 1)).await;
    assert_eq!(too_large.problem(413), "too_large");
    let all_bad: Value = (0..10_000).map(|_| json!({})).collect();
    let told = post(&face, &admin, &all_bad).await.blamed(422);
    assert!((1000..1010).contains(&told.len()), "{}", told.len());
}

#[actix_web::test]
async fn a_reading_sent_under_a_key_is_answered_as_the_first_time() {
    let (face, admin, press) = plant().await;
    let send = |key: &str, body: &Value| {
        ask("POST", "/api/data/").by(&admin).with("Idempotency-Key", key).json(body)
    };
    let first = face.send(send("k", &reading(press, 0, 1.0))).await.expect(201);
    let again = face.send(send("k", &reading(press, 0, 1.0))).await.expect(201);
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
    assert_eq!(again.header("location"), first.header("location"));
    let array = json!([reading(press, 1, 1.0)]);
    let first = face.send(send("k-2", &array)).await.expect(201);
    let again = face.send(send("k-2", &array)).await.expect(201);
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
}

#[actix_web::test]
async fn a_reading_is_corrected_moved_and_deleted() {
    let (face, admin, press) = plant().await;
    let other = face.equipment(&admin, "Other").await;
    let made = post(&face, &admin, &reading(press, 0, 20.0)).await.expect(201);
    let path = made.header("location");
    let put = json!({"values": {"speed": 5}});
    let put = face.send(ask("PUT", path).by(&admin).json(&put)).await.expect(200).json();
    assert_eq!((&put["id"], &put["values"]), (&made.json()["id"], &json!({"speed": 5})));
    // What was read may be sent back as it is.
    assert_eq!(face.send(ask("PUT", path).by(&admin).json(&put)).await.expect(200).json(), put);
    let refused = face.send(ask("PUT", path).by(&admin).json(&json!({"timestamp": null}))).await;
    assert_eq!(refused.blamed(422), ["timestamp: type", "values: required"]);
    let tagged = json!({"attributes": {"shift": "early"}});
    let tagged = face.send(ask("PATCH", path).by(&admin).json(&tagged)).await.expect(200).json();
    assert_eq!((&tagged["attributes"]["shift"], &tagged["values"]), (&json!("early"), &json!({"speed": 5})));
    let move_it = json!({"equipment": other, "timestamp": at(9), "attributes": null});
    let moved = face.send(ask("PATCH", path).by(&admin).json(&move_it)).await.expect(200).json();
    assert_eq!((&moved["equipment"], &moved["timestamp"]), (&json!(other), &json!(at(9))));
    assert!(moved.get("attributes").is_none() && moved["id"] != made.json()["id"]);
    face.send(get(path).by(&admin)).await.expect(404);
    let path = format!("/api/data/{}", str_of(&moved["id"]));
    post(&face, &admin, &reading(press, 1, 1.0)).await.expect(201);
    post(&face, &admin, &reading(press, 9, 1.0)).await.expect(201);
    post(&face, &admin, &reading(other, 1, 1.0)).await.expect(201);
    for (onto, blamed) in [
        (json!({"equipment": press, "timestamp": at(1)}), &["equipment: taken", "timestamp: taken"][..]),
        (json!({"equipment": press, "timestamp": at(9)}), &["equipment: taken"]),
        (json!({"timestamp": at(1)}), &["timestamp: taken"]),
    ] {
        let refused = face.send(ask("PATCH", &path).by(&admin).json(&onto)).await;
        assert_eq!(refused.blamed(409), blamed);
    }
    face.send(ask("DELETE", &path).by(&admin)).await.expect(204);
    face.send(ask("DELETE", &path).by(&admin)).await.expect(404);
    for id in ["x", "7", "7-", "07-1", "7-01", "7-99999999999999999999", "0-1"] {
        let nowhere = face.send(get(&format!("/api/data/{id}")).by(&admin)).await;
        assert_eq!(nowhere.problem(404), "not_found", "{id}");
    }
}

#[actix_web::test]
async fn readings_are_walked_newest_first_there_and_back() {
    let (face, admin, press) = plant().await;
    let other = face.equipment(&admin, "Other").await;
    let sent: Value = (0..5).map(|second| reading(press, second, 1.0)).collect();
    post(&face, &admin, &sent).await.expect(201);
    let speed = json!([{"equipment": other, "timestamp": at(3), "values": {"speed": 1}}]);
    post(&face, &admin, &speed).await.expect(201);
    let whole: Vec<String> =
        stored(&face, &admin).await.iter().map(|reading| str_of(&reading["timestamp"]).to_owned()).collect();
    assert_eq!(whole, [4, 3, 3, 2, 1, 0].map(at));
    let mut walked = Vec::new();
    let mut next = "/api/data/?page_size=4".to_owned();
    let back = loop {
        let page = face.send(get(&next).by(&admin)).await.expect(200).json();
        walked.extend(page["results"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        match page["next"].as_str() {
            Some(link) => next = link.to_owned(),
            None => break str_of(&page["previous"]).to_owned(),
        }
    };
    assert_eq!(walked.len(), 6);
    let back = face.send(get(&back).by(&admin)).await.expect(200).json();
    assert_eq!(back["results"][0]["id"], walked[0]);
    let filters = [
        (format!("equipment={other}"), 1),
        (format!("equipment={other}&equipment={press}&metric=speed&metric=temperature"), 6),
        (format!("timestamp__gte={}&timestamp__lt={}", at(1), at(3)), 2),
        ("metric=never".to_owned(), 0),
        ("equipment=999999".to_owned(), 0),
    ];
    for (filter, expected) in filters {
        let page = face.send(get(&format!("/api/data/?{filter}")).by(&admin)).await.expect(200).json();
        assert_eq!(page["results"].as_array().unwrap().len(), expected, "{filter}");
    }
    let of_press = format!("/api/equipment/{press}/data/?ordering=timestamp&page_size=1");
    let oldest = face.send(get(&of_press).by(&admin)).await.expect(200).json();
    assert_eq!(oldest["results"][0]["timestamp"], at(0));
    face.send(get(&format!("{of_press}&equipment=1")).by(&admin)).await.expect(400);
    face.send(get("/api/equipment/999999/data/").by(&admin)).await.expect(404);
    let bad = "equipment=x&metric=Bad&timestamp__gte=2026-05-04&page_size=1001&ordering=id";
    let refused = face.send(get(&format!("/api/data/?{bad}")).by(&admin)).await;
    let expected = [
        "equipment: type",
        "timestamp__gte: instant",
        "metric: metric",
        "ordering: unknown",
        "page_size: out_of_range",
    ];
    assert_eq!(refused.blamed(422), expected);
    let trail = face.send(get("/api/audit/?page_size=1").by(&admin)).await.expect(200).json();
    let foreign = str_of(&trail["next"]).split("cursor=").nth(1).unwrap().to_owned();
    let refused = face.send(get(&format!("/api/data/?cursor={foreign}")).by(&admin)).await;
    assert_eq!(refused.problem(400), "malformed_cursor");
}

#[actix_web::test]
async fn the_newest_value_of_each_metric_is_told_by_the_readings_own_time() {
    let (face, admin, press) = plant().await;
    let path = format!("/api/equipment/{press}/latest");
    let none = face.send(get(&path).by(&admin)).await.expect(200).json();
    assert_eq!(none["results"], json!([]));
    post(&face, &admin, &reading(press, 5, 20.5)).await.expect(201);
    let late = json!({"equipment": press, "timestamp": at(1), "values": {"temperature": 9, "speed": 3}});
    post(&face, &admin, &late).await.expect(201);
    let latest = face.send(get(&path).by(&admin)).await.expect(200).json();
    let expected = json!([
        {"metric": "speed", "timestamp": at(1), "value": 3}, {"metric": "temperature", "timestamp": at(5), "value": 20.5},
    ]);
    assert_eq!(latest["results"], expected);
    let piece = face.send(get(&format!("/api/equipment/{press}")).by(&admin)).await.expect(200).json();
    assert_eq!((&piece["last_seen_at"], &piece["version"]), (&json!(at(5)), &json!(1)));
}

#[actix_web::test]
async fn readings_are_folded_into_columns() {
    let (face, admin, press) = plant().await;
    let sent: Value = [(0, 1.0), (30, 3.0), (60, 8.0), (61, 1.7e308), (62, 1.7e308)]
        .map(|(second, value)| reading(press, second, value))
        .into_iter()
        .collect();
    post(&face, &admin, &sent).await.expect(201);
    face.send(ask("PATCH", "/api/metrics/temperature").by(&admin).json(&json!({"unit": "°C"})))
        .await
        .expect(200);
    let span = format!("equipment={press}&metric=temperature&from={}&to={}", at(0), at(120));
    let path = format!("/api/series?{span}&interval=1m&agg=avg,count&agg=last,avg");
    let answer = face.send(get(&path).by(&admin)).await.expect(200).json();
    let expected = json!({
        "from": at(0), "to": at(120), "resolution": "1m", "resolution_seconds": 60, "cut": false,
        "series": [{
            "equipment": press, "metric": "temperature", "unit": "°C", "timestamps": [at(0), at(60)],
            "avg": [2, null], "count": [2, 3], "last": [3, 1.7e308],
        }],
    });
    assert_eq!(answer, expected);
    let cut = face.send(get(&format!("{path}&max_points=1")).by(&admin)).await.expect(200).json();
    assert_eq!((&cut["cut"], &cut["series"][0]["timestamps"]), (&json!(true), &json!([at(0)])));
    // Named twice it is one series; a day until now is what nobody has to say.
    let short = format!("/api/series?equipment={press}&equipment={press}&metric=temperature&metric=speed");
    let answer = face.send(get(&short).by(&admin)).await.expect(200).json();
    let told = (&answer["from"], &answer["to"], &answer["resolution"]);
    let day = (json!("2026-05-03T07:30:00.000000Z"), json!("2026-05-04T07:30:00.000000Z"), json!("2m"));
    assert_eq!(told, (&day.0, &day.1, &day.2));
    assert_eq!(answer["series"].as_array().unwrap().len(), 2);
    assert_eq!((&answer["series"][1]["unit"], &answer["series"][1]["avg"]), (&Value::Null, &json!([])));
}

#[actix_web::test]
async fn a_question_for_series_is_judged_as_a_whole() {
    let (face, admin, press) = plant().await;
    let bad = "from=2026-05-04&to=never&interval=5&agg=avg,median&max_points=10001";
    let refused = face.send(get(&format!("/api/series?{bad}")).by(&admin)).await;
    let expected = [
        "equipment: required",
        "metric: required",
        "from: instant",
        "to: instant",
        "interval: interval",
        "agg: unknown",
        "max_points: out_of_range",
    ];
    assert_eq!(refused.blamed(422), expected);
    let backwards = format!("/api/series?equipment={press}&metric=t&from={}&to={}", at(1), at(1));
    assert_eq!(face.send(get(&backwards).by(&admin)).await.blamed(422), ["to: too_early"]);
    let nowhere = face.send(get("/api/series?equipment=999999&metric=t").by(&admin)).await;
    assert_eq!(nowhere.problem(404), "not_found");
    let metrics: Vec<String> = (0..501).map(|number| format!("metric=m{number}")).collect();
    let many = format!("/api/series?equipment={press}&equipment=999999&{}", metrics.join("&"));
    assert_eq!(face.send(get(&many).by(&admin)).await.blamed(422), ["metric: too_many"]);
    let long = format!("/api/series?equipment={press}&{}&max_points=10000", metrics.join("&"));
    let long = face.send(get(&long).by(&admin)).await.expect(200);
    assert_eq!(long.json()["series"].as_array().map(Vec::len), Some(501), "in portions");
}

#[actix_web::test]
async fn readings_take_rights_of_their_own() {
    let (face, admin, press) = plant().await;
    let writer = face.permitted("writer", &["data:write"]).await;
    let reader = face.permitted("reader", &["data:read"]).await;
    post(&face, &reader, &reading(press, 0, 1.0)).await.expect(403);
    let path = post(&face, &writer, &reading(press, 0, 1.0)).await.expect(201).header("location").to_owned();
    let _ = admin;
    for path in
        ["/api/data/", &path, "/api/data/export", "/api/metrics/", &format!("/api/equipment/{press}/latest")]
    {
        face.send(get(path).by(&writer)).await.expect(403);
        face.send(get(path).by(&reader)).await.expect(200);
    }
    face.send(ask("DELETE", &path).by(&reader)).await.expect(403);
    let bulk = ask("POST", "/api/data/bulk").by(&reader).body("application/x-ndjson", "");
    face.send(bulk).await.expect(403);
}

#[actix_web::test]
async fn a_machine_gets_no_more_metrics_by_correcting_readings_than_by_sending_them() {
    let (face, admin, press) = plant().await;
    let values = |from: u32, count: u32| -> Value {
        (from..from + count)
            .map(|number| (format!("m{number}"), json!(1)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    for second in 0..16 {
        let reading =
            json!({"equipment": press, "timestamp": at(second), "values": values(256 * second, 256)});
        post(&face, &admin, &reading).await.expect(201);
    }
    let id = str_of(&stored(&face, &admin).await[0]["id"]).to_owned();
    let put =
        |values: Value| ask("PUT", &format!("/api/data/{id}")).by(&admin).json(&json!({"values": values}));
    let blamed = face.send(put(json!({"m7": 2, "one.more": 1}))).await.blamed(422);
    assert_eq!(blamed, ["values.one.more: too_many"]);
    face.send(put(json!({"m7": 2}))).await.expect(200);
}
