//! Alert rules: what may be demanded of machines, and what becomes of alerts when the demand changes.

use tests::plant::{second, with};
use tests::{Backend, Server, Value, assert_has, json, stories};

/// A whole rule.
fn too_hot() -> Value {
    json!({
        "name": "Too hot", "equipment_type": "press", "metric": "temperature", "operator": ">", "threshold": 80,
        "clear_threshold": 75, "for_seconds": 60, "severity": "critical",
    })
}

stories! {
    async fn a_rule_is_made_with_sensible_defaults(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let made = admin.rule(json!({})).await;
        let expected = json!({
            "equipment": null, "equipment_type": null, "kind": "threshold", "metric": "temperature", "operator": ">",
            "threshold": 80, "threshold_high": null, "clear_threshold": null, "for_seconds": 0, "severity": "warning",
            "enabled": true, "latch": false, "version": 1,
        });
        assert_has(&made, expected);
        assert_eq!(made["in_force_since"], made["created_at"]);
        assert_eq!(made.expect_header("location"), format!("/api/alert-rules/{}", made.id()));
        assert_eq!(admin.get(made.expect_header("location")).await.expect(200).json, made.json);
        let silence = json!({"name": "Silent", "kind": "no_data", "for_seconds": 300});
        let silence = admin.post("/api/alert-rules", silence).await.expect(201);
        assert_has(&silence, json!({"metric": null, "threshold": null}));
    }

    async fn what_makes_no_sense_is_refused_field_by_field(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let refused: [(Value, &[(&str, &str)]); 14] = [
            (json!({"threshold": null}), &[("threshold", "required")]),
            (json!({"metric": null, "operator": null}), &[("metric", "required"), ("operator", "required")]),
            (json!({"operator": "outside", "clear_threshold": null}), &[("threshold_high", "required")]),
            (
                json!({"operator": "outside", "threshold_high": 80, "clear_threshold": null}),
                &[("threshold_high", "too_low")],
            ),
            (json!({"threshold_high": 90}), &[("threshold_high", "unexpected")]),
            (json!({"clear_threshold": 81}), &[("clear_threshold", "too_high")]),
            (json!({"operator": "<", "clear_threshold": 79}), &[("clear_threshold", "too_low")]),
            (json!({"for_seconds": -1}), &[("for_seconds", "type")]),
            (json!({"for_seconds": 1.5}), &[("for_seconds", "type")]),
            (json!({"for_seconds": 2_592_001}), &[("for_seconds", "too_large")]),
            (json!({"equipment": 999_999, "equipment_type": null}), &[("equipment", "unknown")]),
            (json!({"operator": "=", "severity": "loud"}), &[("operator", "unknown"), ("severity", "unknown")]),
            (json!({"threshold": "80", "enabled": "yes"}), &[("threshold", "type"), ("enabled", "type")]),
            (json!({"name": "x".repeat(300), "metric": "Temp"}), &[("name", "too_long"), ("metric", "metric")]),
        ];
        for (otherwise, flaws) in refused {
            let reply = admin.post("/api/alert-rules", with(too_hot(), otherwise)).await;
            reply.expect_flaws(flaws);
        }
        let gone = admin.machine_called("Gone").await;
        admin.delete(&gone.path()).await.expect(204);
        let hidden = with(too_hot(), json!({"equipment": gone.id, "equipment_type": null}));
        admin.post("/api/alert-rules", hidden).await.expect_flaws(&[("equipment", "unknown")]);
        let both = with(too_hot(), json!({"equipment": press.id}));
        assert_eq!(admin.post("/api/alert-rules", both).await.expect(422).flaws().len(), 1);
        let silence = json!({"name": "Silent", "kind": "no_data"});
        admin.post("/api/alert-rules", silence).await.expect_flaws(&[("for_seconds", "too_small")]);
        let silence = json!({"name": "Silent", "kind": "no_data", "for_seconds": 5, "threshold": 7});
        assert_eq!(admin.post("/api/alert-rules", silence).await.expect(422).flaws()[0].0, "threshold");
        let odd = json!({"name": "Odd", "kind": "guess"});
        assert_eq!(admin.post("/api/alert-rules", odd).await.expect(422).flaws()[0], ("kind".into(), "unknown".into()));
        assert_eq!(admin.get("/api/alert-rules").await["count"], 0);
    }

    async fn rules_are_replaced_patched_and_deleted(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let rule = admin.post("/api/alert-rules", too_hot()).await.expect(201);
        let path = rule.expect_header("location").to_owned();
        let patched = admin.patch(&path, json!({"threshold": 85, "clear_threshold": null})).await.expect(200);
        assert_has(&patched, json!({"threshold": 85, "clear_threshold": null}));
        assert_has(&patched, json!({"for_seconds": 60, "version": 2}));
        admin.patch(&path, json!({"clear_threshold": 86})).await.expect_flaws(&[("clear_threshold", "too_high")]);
        admin.patch(&path, json!({"metric": null})).await.expect_flaws(&[("metric", "required")]);
        let put = with(too_hot(), json!({"for_seconds": null, "severity": null, "equipment_type": null}));
        let put = admin.put(&path, put).await.expect(200);
        assert_has(&put, json!({"for_seconds": 0, "severity": "warning", "equipment_type": null}));
        admin.put(&path, put.json.clone()).await.expect(200);
        admin.delete(&path).header("if-match", "\"1\"").await.expect_problem(412, "stale_version");
        admin.delete(&path).await.expect(204);
        admin.delete(&path).await.expect_problem(404, "not_found");
        admin.get(&path).await.expect_problem(404, "not_found");
    }

    async fn rules_are_found_by_what_they_say(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({"name": "b all", "severity": "info"})).await;
        admin.rule(json!({"name": "A press", "equipment_type": "Press", "severity": "critical"})).await;
        admin.rule(json!({"name": "c one", "equipment": press.id, "metric": "speed", "enabled": false})).await;
        let piece = format!("equipment={}", press.id);
        let filters: [(&str, &[&str]); 10] = [
            ("", &["A press", "b all", "c one"]),
            ("name=a%20PRESS", &["A press"]),
            (&piece, &["c one"]),
            ("equipment_type=press", &["A press"]),
            ("metric=speed", &["c one"]),
            ("severity=info&severity=critical", &["A press", "b all"]),
            ("enabled=false", &["c one"]),
            ("search=SPEED", &["c one"]),
            ("search=press", &["A press"]),
            ("created_at__lt=2024-01-01T00:00:00Z", &[]),
        ];
        for (filter, expected) in filters {
            let found = admin.get(&format!("/api/alert-rules?ordering=name&{filter}")).await.expect(200);
            assert_eq!(found.column("name"), expected, "{filter}");
        }
        let by_severity = admin.get("/api/alert-rules?ordering=-severity,name").await.expect(200);
        assert_eq!(by_severity.column("name"), ["A press", "c one", "b all"]);
    }

    async fn a_rule_judges_what_it_is_about_and_what_arrives_from_then_on(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "Press", "type": "Press"})).await;
        let robot = admin.machine_with(json!({"name": "Robot", "type": "robot"})).await;
        admin.report(&press, &[(0, 90.0)]).await;
        let by_kind = admin.rule(json!({"equipment_type": "PRESS"})).await.id();
        let by_piece = admin.rule(json!({"equipment": robot.id})).await.id();
        assert!(admin.alerts("").await.is_empty(), "what was there before is not judged");
        admin.report(&press, &[(1, 91.0)]).await;
        admin.report(&robot, &[(1, 92.0)]).await;
        let told: Vec<(Value, Value, Value)> = admin
            .alerts("")
            .await
            .iter()
            .map(|alert| (alert["rule"].clone(), alert["equipment"].clone(), alert["timestamp"].clone()))
            .collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.contains(&(json!(by_kind), json!(press.id), json!(second(1)))), "{told:?}");
        assert!(told.contains(&(json!(by_piece), json!(robot.id), json!(second(1)))), "{told:?}");
        // Another kind of machine now: the rule is not about it any more.
        admin.patch(&press.path(), json!({"type": "lathe"})).await.expect(200);
        assert_eq!(admin.alerts(&format!("rule={by_kind}")).await[0]["status"], "resolved");
        admin.report(&press, &[(2, 93.0)]).await;
        assert_eq!(admin.alerts(&format!("rule={by_kind}")).await.len(), 1);
    }

    async fn a_rule_that_judges_otherwise_ends_its_alerts(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let rule = admin.rule(json!({})).await;
        let path = rule.expect_header("location").to_owned();
        let changes = [
            json!({"threshold": 85}), json!({"operator": ">="}), json!({"clear_threshold": 70}), json!({"for_seconds": 1}),
            json!({"for_seconds": 0, "latch": true}), json!({"equipment_type": "press"}), json!({"enabled": false}),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            admin.report(&press, &[(number as i64 * 10, 90.0), (number as i64 * 10 + 5, 90.0)]).await;
            let open = admin.alerts("status=open").await;
            assert_eq!(open.len(), 1, "before {change}");
            let version = admin.get(&path).await["version"].clone();
            assert_eq!(open[0]["rule_version"], version);
            // Another name or severity ends nothing.
            admin.patch(&path, json!({"name": format!("Rule {number}"), "severity": "info"})).await.expect(200);
            assert_eq!(admin.alerts("status=open").await.len(), 1);
            admin.patch(&path, change.clone()).await.expect(200);
            let ended = admin.get(&format!("/api/alerts/{}", open[0]["id"])).await.expect(200);
            assert_eq!((&ended["status"], &ended["resolved_by"]), (&json!("resolved"), &Value::Null), "after {change}");
        }
        admin.report(&press, &[(100, 90.0)]).await;
        assert!(admin.alerts("status=open").await.is_empty(), "a disabled rule judges nothing");
        admin.patch(&path, json!({"enabled": true})).await.expect(200);
        admin.report(&press, &[(101, 90.0)]).await;
        let open = admin.alerts("status=open").await;
        assert_eq!((open.len(), &open[0]["occurrences"]), (1, &json!(1)), "it judges what arrives from then on");
    }

    async fn the_alerts_of_a_deleted_rule_stay_and_are_over(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let rule = admin.rule(json!({})).await;
        admin.report(&press, &[(0, 90.0)]).await;
        admin.delete(rule.expect_header("location")).await.expect(204);
        let left = admin.alerts("").await;
        assert_eq!(left.len(), 1);
        assert_eq!((&left[0]["status"], &left[0]["rule"]), (&json!("resolved"), &Value::Null));
        assert_eq!((&left[0]["metric"], &left[0]["value"]), (&json!("temperature"), &json!(90)));
        admin.report(&press, &[(1, 91.0)]).await;
        assert_eq!(admin.alerts("").await.len(), 1);
    }
}
