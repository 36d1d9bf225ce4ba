//! The catalogue of metrics.

use tests::{Backend, Method, Server, assert_has, json, stories};

stories! {
    async fn a_metric_appears_with_its_first_reading(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        assert_eq!(admin.get("/api/metrics/").await.expect(200)["count"], 0);
        let press = admin.machine_called("Press").await;
        let first = press.reading(0, json!({"temperature": 1, "axis_1.torque": 2}));
        let first = admin.post("/api/data", first).await.expect(201);
        admin.post("/api/data", press.reading(1, json!({"temperature": 1, "speed": 2}))).await.expect(201);
        let catalogue = admin.get("/api/metrics").await.expect(200);
        assert_eq!(catalogue.column("name"), ["axis_1.torque", "speed", "temperature"]);
        let temperature = admin.get("/api/metrics/temperature").await.expect(200);
        assert_has(&temperature, json!({"unit": null, "description": null, "version": 1}));
        assert_eq!(temperature["created_at"], temperature["updated_at"]);
        // What is measured no more was measured once.
        admin.delete(&format!("/api/data/{}", first.text("id"))).await.expect(204);
        admin.get("/api/metrics/axis_1.torque").await.expect(200);
    }

    async fn a_metric_is_described_by_whoever_may_write_data(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.post("/api/data", press.at(0, 20.0)).await.expect(201);
        let path = "/api/metrics/temperature";
        let change = json!({"unit": "°C", "description": "Of the oil"});
        let described = admin.patch(path, change).await.expect(200);
        assert_has(&described, json!({"unit": "°C", "description": "Of the oil", "version": 2}));
        let patched = admin.patch(path, json!({"description": null})).await.expect(200);
        assert_has(&patched, json!({"unit": "°C", "description": null}));
        admin.patch(path, json!({"unit": "K"})).header("if-match", "\"2\"").await.expect_problem(412, "stale_version");
        admin.patch(path, json!({"unit": "x".repeat(300)})).await.expect_flaws(&[("unit", "too_long")]);
        admin.patch(path, json!({"name": "heat"})).await.expect(200);
        assert_eq!(admin.get(path).await["name"], "temperature");
        admin.patch("/api/metrics/never", json!({"unit": "K"})).await.expect_problem(404, "not_found");
        admin.get("/api/metrics/Temperature").await.expect_problem(404, "not_found");
        admin.call(Method::POST, "/api/metrics").await.expect_problem(405, "method_not_allowed");
        let reader = server.newcomer("rita").await;
        reader.get(path).await.expect(200);
        reader.patch(path, json!({"unit": "K"})).await.expect_problem(403, "permission_required");
        assert_eq!(admin.get(path).await["unit"], "°C");
    }

    async fn metrics_are_found_and_ordered(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let values = json!({"temperature": 1, "pressure": 2, "temp_2": 3, "a.b": 4});
        admin.post("/api/data", press.reading(0, values)).await.expect(201);
        let about = json!({"unit": "bar", "description": "In the TEMPERED circuit"});
        admin.patch("/api/metrics/pressure", about).await.expect(200);
        let cases: [(&str, &[&str]); 7] = [
            ("", &["a.b", "pressure", "temp_2", "temperature"]),
            ("ordering=-name", &["temperature", "temp_2", "pressure", "a.b"]),
            ("name=pressure&name=a.b", &["a.b", "pressure"]),
            ("search=temp", &["pressure", "temp_2", "temperature"]),
            ("search=BAR", &["pressure"]),
            ("search=a.b", &["a.b"]),
            ("page_size=2&page=2", &["temp_2", "temperature"]),
        ];
        for (query, expected) in cases {
            let found = admin.get(&format!("/api/metrics?{query}")).await.expect(200);
            assert_eq!(found.column("name"), expected, "{query}");
        }
        admin.get("/api/metrics?ordering=unit").await.expect_flaws(&[("ordering", "unknown")]);
        admin.get("/api/metrics?unit=bar").await.expect_problem(400, "unknown_parameter");
    }
}
