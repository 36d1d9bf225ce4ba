//! Series: values folded into buckets.

use tests::plant::{Machine, floats, second};
use tests::{Backend, Client, Reply, Server, Value, assert_has, json, stories};

async fn series(by: &Client, machine: &Machine, query: &str) -> Reply {
    by.get(&format!("/api/series?equipment={}&metric=temperature&{query}", machine.id)).await.expect(200)
}

/// From one second of the morning to another.
fn span(from: i64, to: i64) -> String {
    format!("from={}&to={}", second(from), second(to))
}

stories! {
    async fn a_bucket_tells_what_its_values_come_to(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        // Sent in an order of their own; the buckets are full minutes.
        admin.report(&press, &[(119, 7.5), (0, 1.0), (59, 4.0), (30, -2.5), (60, 5.0), (240, 3.0)]).await;
        let query = format!("{}&interval=1m&agg=avg,min,max,sum,count,first,last", span(0, 300));
        let folded = series(&admin, &press, &query).await;
        let expected = json!([{
            "equipment": press.id, "metric": "temperature", "unit": null,
            "timestamps": [second(0), second(60), second(240)],
            "avg": [2.5 / 3.0, 6.25, 3.0], "min": [-2.5, 5.0, 3.0], "max": [4.0, 7.5, 3.0], "sum": [2.5, 12.5, 3.0],
            "count": [3, 2, 1], "first": [1.0, 5.0, 3.0], "last": [4.0, 7.5, 3.0],
        }]);
        assert_eq!(floats(&folded["series"]), floats(&expected));
        assert_has(&folded, json!({"resolution": "1m", "resolution_seconds": 60, "cut": false}));
        assert_has(&folded, json!({"from": second(0), "to": second(300)}));
    }

    async fn a_span_begins_with_its_first_instant_and_ends_before_its_last(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.report(&press, &[(9, 1.0), (10, 2.0), (19, 3.0), (20, 4.0)]).await;
        let folded = series(&admin, &press, &format!("{}&interval=1h&agg=count,min,max", span(10, 20))).await;
        let told = &folded["series"][0];
        assert_eq!(floats(&json!([told["count"], told["min"], told["max"]])), json!([[2.0], [2.0], [3.0]]));
        assert_eq!(told["timestamps"], json!([second(0)]), "buckets are aligned to the clock");
        // Late data is there the next time.
        admin.report(&press, &[(12, 9.0)]).await;
        let again = series(&admin, &press, &format!("{}&interval=1h&agg=max", span(10, 20))).await;
        assert_eq!(floats(&again["series"][0]["max"]), json!([9.0]));
    }

    async fn every_equipment_asked_for_has_a_series_of_every_metric_asked_for(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [a, b] = [admin.machine_called("A").await, admin.machine_called("B").await];
        admin.post("/api/data", a.reading(0, json!({"temperature": 1, "speed": 2}))).await.expect(201);
        admin.post("/api/data", b.reading(0, json!({"temperature": 3}))).await.expect(201);
        admin.patch("/api/metrics/temperature", json!({"unit": "°C"})).await.expect(200);
        let query = format!("equipment={}&equipment={}&metric=speed&metric=temperature&{}", b.id, a.id, span(0, 60));
        let folded = admin.get(&format!("/api/series?{query}&interval=1m")).await.expect(200);
        let told = |series: &Value| {
            let (equipment, metric) = (series["equipment"].as_i64().unwrap(), series["metric"].to_string());
            (equipment, metric, floats(&series["avg"]), series["unit"].clone())
        };
        let told: Vec<_> = folded["series"].as_array().unwrap().iter().map(told).collect();
        let (speed, temperature) = ("\"speed\"".to_owned(), "\"temperature\"".to_owned());
        let unit = json!("°C");
        assert_eq!(told, [
            (b.id, speed.clone(), json!([]), Value::Null), (b.id, temperature.clone(), json!([3.0]), unit.clone()),
            (a.id, speed, json!([2.0]), Value::Null), (a.id, temperature, json!([1.0]), unit),
        ]);
        let unknown = format!("/api/series?equipment={}&equipment=999999&metric=temperature&{}", a.id, span(0, 60));
        admin.get(&unknown).await.expect_problem(404, "not_found");
    }

    async fn the_resolution_fits_the_number_of_points_and_is_told(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let values: Vec<(i64, f64)> = (0..3600).map(|second| (second, second as f64)).collect();
        admin.report(&press, &values).await;
        for (max_points, resolution) in [(3601, 1), (1801, 2), (100, 60), (61, 60), (2, 3600)] {
            let folded = series(&admin, &press, &format!("{}&max_points={max_points}&agg=sum,count", span(0, 3600))).await;
            assert_has(&folded, json!({"resolution_seconds": resolution, "cut": false}));
            let total = |column: &str| -> f64 {
                folded["series"][0][column].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).sum()
            };
            assert_eq!((total("count"), total("sum")), (3600.0, 3600.0 * 3599.0 / 2.0), "{max_points}");
            assert!(folded["series"][0]["timestamps"].as_array().unwrap().len() <= max_points);
        }
        let folded = series(&admin, &press, &format!("{}&interval=1s&max_points=10", span(0, 3600))).await;
        assert_has(&folded, json!({"cut": true, "resolution": "1s"}));
        let told = &folded["series"][0];
        assert_eq!(told["timestamps"], (0..10).map(second).collect::<Vec<_>>().into_iter().collect::<Value>());
        assert_eq!(floats(&told["avg"][9]), json!(9.0));
        // Without more to tell nothing is cut.
        let folded = series(&admin, &press, &format!("{}&interval=1s&max_points=10", span(0, 10))).await;
        assert_eq!(folded["cut"], false);
        let folded = series(&admin, &press, &format!("{}&interval=1s", span(0, 3600))).await;
        assert_eq!((&folded["cut"], told["timestamps"].as_array().map(Vec::len)), (&json!(true), Some(10)));
        assert_eq!(folded["series"][0]["avg"].as_array().map(Vec::len), Some(1000));
    }

    async fn very_large_values_do_not_make_an_answer_that_nobody_can_read(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.report(&press, &[(0, 1.7e308), (1, 1.7e308), (2, -1.7e308)]).await;
        let folded = series(&admin, &press, &format!("{}&interval=1m&agg=max,min,last", span(0, 60))).await;
        let told = &folded["series"][0];
        assert_has(told, json!({"max": [1.7e308], "min": [-1.7e308], "last": [-1.7e308]}));
        series(&admin, &press, &format!("{}&interval=1m&agg=sum,avg", span(0, 60))).await;
    }

    async fn all_that_is_wrong_with_a_question_is_named_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.get("/api/series").await.expect_flaws(&[("equipment", "required"), ("metric", "required")]);
        let bad = "equipment=x&metric=Temp&from=2024-05-06T07:00:00&to=yesterday&interval=5&agg=median&max_points=0";
        admin.get(&format!("/api/series?{bad}")).await.expect_flaws(&[
            ("equipment", "type"), ("metric", "metric"), ("from", "instant"), ("to", "instant"), ("interval", "interval"),
            ("agg", "unknown"), ("max_points", "out_of_range"),
        ]);
        let of = |query: String| admin.get(&format!("/api/series?equipment={}&metric=t&{query}", press.id)).into_future();
        of(span(10, 10)).await.expect_flaws(&[("to", "too_early")]);
        of(format!("{}&max_points=10001", span(0, 1))).await.expect_flaws(&[("max_points", "out_of_range")]);
        of(format!("{}&interval=0s", span(0, 1))).await.expect_flaws(&[("interval", "interval")]);
        of(format!("{}&equpment=1", span(0, 1))).await.expect_problem(400, "unknown_parameter");
        let many: String = (0..501).map(|number| format!("&metric=m{number}")).collect();
        of(format!("{}{many}&equipment=999999", span(0, 1))).await.expect_flaws(&[("metric", "too_many")]);
        // Without a span it is the last day.
        let folded = admin.get(&format!("/api/series?equipment={}&metric=t", press.id)).await.expect(200);
        let instant = |field: &str| chrono::DateTime::parse_from_rfc3339(folded.text(field)).unwrap();
        assert_eq!(instant("to") - instant("from"), chrono::TimeDelta::days(1));
        assert_eq!(folded["series"][0]["timestamps"], json!([]));
    }
}
