//! The equipment register: what is known of machines, which is part of which, and machines that are gone.

use futures_util::future::join_all;
use tests::plant::{Machine, second, with};
use tests::{Backend, Client, Server, Value, assert_has, json, stories};

/// Four machines in two halls, one of them a component of another.
async fn halls(by: &Client) -> [Machine; 4] {
    let press = by.machine_with(json!({
        "name": "Press 10", "type": "Press", "model": "HP-250", "manufacturer": "Hydra", "serial_number": "HP-0010",
        "installation_date": "2021-03-15", "location": "plant-1/line-1",
    }));
    let press = press.await;
    let pump = by.machine_with(json!({
        "name": "pump 2", "type": "pump", "manufacturer": "hydra", "location": "plant-1/line-1/bay-3", "parent": press.id,
        "status": "maintenance", "installation_date": "2019-01-01",
    }));
    let robot = by.machine_with(json!({
        "name": "Robot 1", "type": "robot", "location": "plant-1", "status": "offline", "attributes": {"axes": 6},
    }));
    let (pump, robot) = (pump.await, robot.await);
    let oven = by.machine_with(json!({
        "name": "Oven", "type": "oven", "location": "plant-10/line-1", "status": "idle", "installation_date": "2024-02-29",
    }));
    [press, pump, robot, oven.await]
}

stories! {
    async fn a_machine_is_registered_with_all_that_is_known_of_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let hall = admin.machine_called("Hall crane").await;
        let known = json!({
            "name": "Presse № 4 🐘", "type": "press", "model": "HP-250", "manufacturer": "Hydra & Söhne",
            "serial_number": "HP-0004", "installation_date": "2021-03-15", "location": "plant-1/line-1",
            "parent": hall.id, "status": "maintenance",
            "attributes": {
                "tonnage": 250, "ratio": 0.1, "hydraulic": true, "colours": ["red", null], "oil": {"grade": "ISO 46"},
            },
        });
        let made = admin.post("/api/equipment/", known.clone()).await.expect(201);
        assert_eq!(made.expect_header("location"), format!("/api/equipment/{}", made.id()));
        assert_has(&made, known);
        assert_has(&made, json!({"version": 1, "last_seen_at": null}));
        assert_eq!(made["created_at"], made["updated_at"]);
        let read = admin.get(made.expect_header("location")).await.expect(200);
        assert_eq!(read.json, made.json);
    }

    async fn a_name_and_a_type_are_enough(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let bare = admin.post("/api/equipment", json!({})).await;
        bare.expect_flaws(&[("name", "required"), ("type", "required")]);
        let made = admin.post("/api/equipment", json!({"name": "Press", "type": "press"})).await.expect(201);
        assert_has(&made, json!({"status": "operational", "attributes": {}}));
        for field in ["model", "manufacturer", "serial_number", "installation_date", "location", "parent", "last_seen_at"] {
            assert!(made[field].is_null(), "{field} is {}", made[field]);
        }
    }

    async fn all_that_is_wrong_with_a_machine_is_named_at_once_and_nothing_is_stored(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let long = "x".repeat(300);
        let bad = json!({
            "name": long, "type": "", "model": 7, "serial_number": "a\u{202e}b", "installation_date": "2023-02-30",
            "location": "plant-1//line-2", "parent": "HP-0004", "status": "broken", "attributes": [], "colour": "red",
        });
        admin.post("/api/equipment", bad).await.expect_flaws(&[
            ("name", "too_long"), ("type", "too_short"), ("model", "type"), ("serial_number", "invisible"),
            ("installation_date", "date"), ("location", "location"), ("parent", "type"), ("status", "unknown"),
            ("attributes", "type"), ("colour", "unknown_field"),
        ]);
        for date in ["2023-2-1", "10000-01-01", "0000-01-01", "2024-01-01T00:00:00Z", "yesterday"] {
            let bad = json!({"name": "Press", "type": "press", "installation_date": date});
            admin.post("/api/equipment", bad).await.expect_flaws(&[("installation_date", "date")]);
        }
        let nowhere = json!({"name": "Press", "type": "press", "parent": 999_999});
        admin.post("/api/equipment", nowhere).await.expect_flaws(&[("parent", "unknown")]);
        assert_eq!(admin.get("/api/equipment").await["count"], 0);
    }

    async fn put_replaces_and_patch_merges(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let whole = json!({
            "name": "Press", "type": "press", "model": "HP-250", "serial_number": "HP-1", "status": "idle",
            "attributes": {"tonnage": 250},
        });
        let press = admin.machine_with(whole.clone()).await;
        let patched = admin.patch(&press.path(), json!({"model": null, "location": "plant-1"})).await.expect(200);
        assert_has(&patched, json!({"model": null, "location": "plant-1"}));
        assert_has(&patched, json!({"serial_number": "HP-1", "status": "idle"}));
        assert_has(&patched, json!({"attributes": {"tonnage": 250}, "version": 2}));

        admin.put(&press.path(), json!({"model": "X"})).await.expect_flaws(&[("name", "required"), ("type", "required")]);
        let put = admin.put(&press.path(), json!({"name": "Press", "type": "press"})).await.expect(200);
        for field in ["model", "serial_number", "location"] {
            assert!(put[field].is_null(), "{field} is {}", put[field]);
        }
        assert_has(&put, json!({"status": "operational", "attributes": {}}));
        // What was read may be sent back as it is.
        let back = admin.put(&press.path(), put.json.clone()).await.expect(200);
        assert_eq!(back["version"], 3, "what changes nothing is no new version");
        admin.patch(&press.path(), json!({"name": null})).await.expect_flaws(&[("name", "type")]);
        admin.patch("/api/equipment/999999", json!({})).await.expect_problem(404, "not_found");
    }

    async fn a_change_meant_for_another_version_of_a_machine_is_not_made(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let changes = (0..10).map(|number| {
            let change = json!({"model": format!("writer {number}")});
            admin.patch(&press.path(), change).header("if-match", "\"1\"").into_future()
        });
        let statuses: Vec<u16> = join_all(changes).await.iter().map(|reply| reply.status.as_u16()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 9, "{statuses:?}");
        let whole = json!({"name": "Press", "type": "press"});
        admin.put(&press.path(), whole).header("if-match", "\"1\"").await.expect_problem(412, "stale_version");
        admin.delete(&press.path()).header("if-match", "\"1\"").await.expect_problem(412, "stale_version");
        admin.get(&press.path()).header("if-none-match", "\"2\"").await.expect(304);
        admin.delete(&press.path()).header("if-match", "\"2\"").await.expect(204);
    }

    async fn a_serial_number_is_unique_whatever_its_case_and_also_among_the_hidden(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "A", "type": "press", "serial_number": " HP-Straße-1 "})).await;
        assert_eq!(admin.get(&press.path()).await["serial_number"], "HP-Straße-1");
        let other = admin.machine_called("B").await;
        let again = json!({"name": "B", "type": "press", "serial_number": "hp-STRASSE-1"});
        let taken = admin.post("/api/equipment", again).await.expect_problem(409, "taken");
        assert_eq!(taken.flaws(), [("serial_number".to_owned(), "taken".to_owned())]);
        let change = json!({"serial_number": "HP-strasse-1"});
        admin.patch(&other.path(), change.clone()).await.expect_problem(409, "taken");
        admin.delete(&press.path()).await.expect(204);
        admin.patch(&other.path(), change.clone()).await.expect_problem(409, "taken");
        admin.delete(&format!("{}?purge=true", press.path())).await.expect(204);
        admin.patch(&other.path(), change).await.expect(200);
        // Spelled otherwise it is still one's own.
        admin.patch(&other.path(), json!({"serial_number": "HP-STRASSE-1"})).await.expect(200);
    }

    async fn components_form_a_tree(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let mut chain = vec![admin.machine_called("Level 1").await];
        for level in 2..=32 {
            let parent = chain.last().unwrap().id;
            chain.push(admin.machine_with(json!({"name": format!("Level {level}"), "type": "x", "parent": parent})).await);
        }
        let deeper = json!({"name": "Level 33", "type": "x", "parent": chain[31].id});
        admin.post("/api/equipment", deeper).await.expect_flaws(&[("parent", "too_deep")]);
        for below in [0, 1, 31] {
            let circle = json!({"parent": chain[below].id});
            admin.patch(&chain[0].path(), circle).await.expect_flaws(&[("parent", "circle")]);
        }
        let moved = admin.patch(&chain[2].path(), json!({"parent": chain[0].id})).await.expect(200);
        assert_eq!(moved["parent"], chain[0].id);
        let children = admin.get(&chain[0].its("children/")).await.expect(200);
        assert_eq!(children.column("name"), ["Level 2", "Level 3"]);
        let same = admin.get(&format!("/api/equipment?parent={}", chain[0].id)).await.expect(200);
        assert_eq!(same.column("name"), ["Level 2", "Level 3"]);
        assert_eq!(admin.get(&chain[31].its("children")).await.expect(200)["count"], 0);
        admin.get("/api/equipment/999999/children").await.expect_problem(404, "not_found");
        admin.patch(&chain[2].path(), json!({"parent": null})).await.expect(200);
        assert_eq!(admin.get(&chain[0].its("children")).await.column("name"), ["Level 2"]);
        // Thirty levels by now: what is moved below something brings its own along.
        let two = admin.machine_called("Above all").await;
        let one = admin.machine_with(json!({"name": "Above", "type": "x", "parent": two.id})).await;
        let three = admin.machine_with(json!({"name": "Between", "type": "x", "parent": one.id})).await;
        let below = |piece: &Machine| admin.patch(&chain[2].path(), json!({"parent": piece.id}));
        below(&three).await.expect_flaws(&[("parent", "too_deep")]);
        below(&one).await.expect(200);
        let above = admin.patch(&two.path(), json!({"parent": chain[1].id})).await;
        above.expect_flaws(&[("parent", "too_deep")]);
    }

    async fn a_list_is_filtered_by_all_that_is_known(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, ..] = halls(&admin).await;
        let parent = format!("parent={}", press.id);
        let filters: [(&str, &[&str]); 19] = [
            ("name=ROBOT%201", &["Robot 1"]),
            ("type=press", &["Press 10"]),
            ("type=press&type=OVEN", &["Oven", "Press 10"]),
            ("model=hp-250", &["Press 10"]),
            ("manufacturer=HYDRA", &["Press 10", "pump 2"]),
            ("serial_number=hp-0010", &["Press 10"]),
            ("status=offline&status=idle", &["Oven", "Robot 1"]),
            (&parent, &["pump 2"]),
            ("location=plant-1", &["Robot 1"]),
            ("location__under=plant-1", &["Press 10", "pump 2", "Robot 1"]),
            ("location__under=plant-1/line-1", &["Press 10", "pump 2"]),
            ("location__under=plant-1/line-1&status=maintenance", &["pump 2"]),
            ("location__under=plant-1/line-1&location__under=plant-10", &["Oven", "Press 10", "pump 2"]),
            ("installation_date__gte=2021-03-15", &["Oven", "Press 10"]),
            ("installation_date__lt=2021-03-15", &["pump 2"]),
            ("search=HYDRA", &["Press 10", "pump 2"]),
            ("search=line-1", &["Oven", "Press 10", "pump 2"]),
            ("search=0010", &["Press 10"]),
            ("created_at__lt=2024-01-01T00:00:00Z", &[]),
        ];
        for (filter, expected) in filters {
            let found = admin.get(&format!("/api/equipment?ordering=name&{filter}")).await.expect(200);
            assert_eq!(found.column("name"), expected, "{filter}");
            assert_eq!(found["count"], expected.len(), "{filter}");
        }
        let bad = "status=broken&parent=x&location=/&location__under=a//b&installation_date__gte=2023-02-30";
        admin.get(&format!("/api/equipment?{bad}")).await.expect_flaws(&[
            ("status", "unknown"), ("parent", "type"), ("location", "location"), ("location__under", "location"),
            ("installation_date__gte", "date"),
        ]);
        let near = admin.get("/api/equipment?locaton=plant-1").await.expect_problem(400, "unknown_parameter");
        assert!(near.text("detail").contains("location"), "{}", near.json);
    }

    async fn a_place_is_compared_letter_by_letter(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let places = [
            ("a", "hall_1/%"), ("b", "hallX1/%"), ("c", "hall_1/x"), ("d", "Hall_1"), ("e", "hall_1"), ("f", "hall_12"),
        ];
        for (name, location) in places {
            admin.machine_with(json!({"name": name, "type": "x", "location": location})).await;
        }
        let cases: [(&str, &[&str]); 4] = [
            ("location__under=hall_1", &["a", "c", "e"]), ("location__under=hall_1/%25", &["a"]),
            ("location=hall_1", &["e"]), ("search=_1", &["a", "c", "d", "e", "f"]),
        ];
        for (query, expected) in cases {
            let found = admin.get(&format!("/api/equipment?ordering=name&{query}")).await.expect(200);
            assert_eq!(found.column("name"), expected, "{query}");
        }
    }

    async fn a_list_is_ordered_as_people_would(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        halls(&admin).await;
        let orders: [(&str, [&str; 4]); 8] = [
            ("id", ["Press 10", "pump 2", "Robot 1", "Oven"]),
            ("-id", ["Oven", "Robot 1", "pump 2", "Press 10"]),
            ("name", ["Oven", "Press 10", "pump 2", "Robot 1"]),
            ("-name", ["Robot 1", "pump 2", "Press 10", "Oven"]),
            ("status", ["Press 10", "Oven", "pump 2", "Robot 1"]),
            ("location", ["Robot 1", "Press 10", "pump 2", "Oven"]),
            ("installation_date", ["Robot 1", "pump 2", "Press 10", "Oven"]),
            ("-manufacturer,-name", ["pump 2", "Press 10", "Robot 1", "Oven"]),
        ];
        for (order, expected) in orders {
            let found = admin.get(&format!("/api/equipment?ordering={order}")).await.expect(200);
            assert_eq!(found.column("name"), expected, "{order}");
        }
    }

    async fn what_is_hidden_is_gone_with_its_readings_and_alerts_until_it_is_restored(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "Press", "type": "press", "serial_number": "HP-1"})).await;
        admin.rule(json!({})).await;
        admin.report(&press, &[(0, 90.0), (1, 91.0)]).await;
        let reading = admin.get(&press.its("data")).await.expect(200).column("id")[0].clone();
        let reading = format!("/api/data/{}", reading.as_str().unwrap());
        let alert = format!("/api/alerts/{}", admin.alerts("").await[0]["id"]);
        let whereabouts = [
            press.path(), press.its("latest"), press.its("data"), press.its("alerts"), press.its("children"),
            press.its("maintenance"), reading.clone(), alert.clone(), format!("{alert}/timeline"),
            format!("/api/series?equipment={}&metric=temperature&from={}&to={}", press.id, second(0), second(60)),
        ];
        let before: Vec<Value> = join_all(whereabouts.iter().map(|path| admin.get(path).into_future()))
            .await
            .into_iter()
            .map(|reply| reply.expect(200).json)
            .collect();

        admin.delete(&press.path()).await.expect(204);
        admin.delete(&press.path()).await.expect_problem(404, "not_found");
        for path in &whereabouts {
            admin.get(path).await.expect_problem(404, "not_found");
        }
        admin.patch(&press.path(), json!({"name": "x"})).await.expect_problem(404, "not_found");
        admin.put(&reading, json!({"values": {"temperature": 20}})).await.expect_problem(404, "not_found");
        admin.post(&format!("{alert}/acknowledge"), json!({})).await.expect_problem(404, "not_found");
        for list in ["/api/equipment", "/api/alerts"] {
            assert_eq!(admin.get(list).await.expect(200)["count"], 0, "{list}");
        }
        assert!(admin.get("/api/data").await.expect(200).column("id").is_empty());
        for name in [json!(press.id), json!("HP-1")] {
            let reading = json!({"equipment": name, "values": {"temperature": 20}});
            admin.post("/api/data", reading).await.expect_flaws(&[("equipment", "unknown")]);
        }
        assert_eq!(admin.get("/api/equipment?hidden=true").await.expect(200).column("id"), [press.id]);

        let restored = admin.post(&press.its("restore"), json!({})).await.expect(200);
        assert_has(&restored, json!({"id": press.id, "version": 3}));
        for (path, before) in whereabouts.iter().zip(before).skip(1) {
            assert_eq!(admin.get(path).await.expect(200).json, before, "{path}");
        }
        let again = admin.post(&press.its("restore"), json!({})).await.expect(200);
        assert_eq!(again["version"], 3, "what is there already stays as it is");
        assert_eq!(admin.get("/api/equipment?hidden=true").await["count"], 0);
        admin.report(&press, &[(2, 20.0)]).await;
    }

    async fn a_purge_removes_for_good_and_takes_its_own_right(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let engineer = server.permitted("engineer", &["equipment:read", "equipment:write", "data:read"]).await;
        let press = admin.machine_called("Press").await;
        let pump = admin.machine_with(json!({"name": "Pump", "type": "pump", "parent": press.id})).await;
        let own_rule = admin.rule(json!({"equipment": press.id})).await.id();
        let other_rule = admin.rule(json!({})).await.id();
        admin.report(&press, &[(0, 90.0)]).await;
        admin.report(&pump, &[(0, 91.0)]).await;
        assert_eq!(admin.get("/api/alerts").await["count"], 3);

        let purge = format!("{}?purge=true", press.path());
        engineer.delete(&purge).await.expect_problem(403, "permission_required");
        engineer.get(&press.path()).await.expect(200);
        let stale = admin.delete(&purge).header("if-match", "\"999\"").await;
        stale.expect_problem(412, "stale_version");
        admin.delete(&purge).await.expect(204);
        admin.delete(&purge).await.expect_problem(404, "not_found");
        admin.post(&press.its("restore"), json!({})).await.expect_problem(404, "not_found");
        assert_eq!(admin.get("/api/equipment?hidden=true").await["count"], 0);
        assert_eq!(admin.get("/api/data").await.column("equipment"), [pump.id]);
        assert_eq!(admin.get("/api/alerts").await.column("equipment"), [pump.id]);
        assert_eq!(admin.get("/api/alert-rules").await.column("id"), [other_rule]);
        admin.get(&format!("/api/alert-rules/{own_rule}")).await.expect(404);
        let orphan = admin.get(&pump.path()).await.expect(200);
        assert_has(&orphan, json!({"parent": null, "version": 2}));
        let next = admin.machine_called("Press").await;
        assert!(next.id > pump.id, "an id is never given twice");
        admin.delete(&format!("{}?purge=perhaps", next.path())).await.expect_flaws(&[("purge", "type")]);
    }

    async fn last_seen_at_is_the_instant_of_the_newest_reading_and_moves_without_the_version(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        for (sent, seen) in [(5, 5), (3, 5), (9, 9)] {
            admin.report(&press, &[(sent, 20.0)]).await;
            let read = admin.get(&press.path()).await.expect(200);
            assert_has(&read, json!({"last_seen_at": second(seen), "version": 1}));
        }
        let newest = admin.get(&press.its("data")).await.column("id")[0].clone();
        admin.delete(&format!("/api/data/{}", newest.as_str().unwrap())).await.expect(204);
        assert_eq!(admin.get(&press.path()).await["last_seen_at"], second(5));
    }

    async fn what_hangs_on_a_machine_is_listed_under_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        admin.rule(json!({})).await;
        admin.report(&press, &[(0, 90.0), (1, 20.0), (2, 91.0)]).await;
        admin.report(&other, &[(0, 20.0)]).await;
        let data = admin.get(&press.its("data/?page_size=2")).await.expect(200);
        assert_eq!(data.column("timestamp"), [second(2), second(1)]);
        let rest = admin.get(data.text("next")).await.expect(200);
        assert_eq!(rest.column("timestamp"), [second(0)]);
        let since = format!("data?timestamp__gte={}&metric=temperature", second(2));
        assert_eq!(admin.get(&press.its(&since)).await.expect(200).column("timestamp"), [second(2)]);

        let alerts = admin.get(&press.its("alerts/?ordering=timestamp")).await.expect(200);
        assert_eq!(alerts.column("status"), ["resolved", "open"]);
        assert_eq!(admin.get(&press.its("alerts?status=open")).await["count"], 1);
        assert_eq!(admin.get(&other.its("alerts")).await.expect(200)["count"], 0);
        for nested in ["data", "alerts", "latest", "maintenance"] {
            admin.get(&format!("/api/equipment/999999/{nested}")).await.expect_problem(404, "not_found");
        }
    }

    async fn ids_that_cannot_be_are_not_there(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for id in ["0", "-1", "01", "1.0", "x", "9223372036854775808", "1%00"] {
            let reply = admin.get(&format!("/api/equipment/{id}")).await;
            assert!(matches!(reply.status.as_u16(), 400 | 404), "{id} was answered {}", reply.status);
        }
        let attributes = json!({"note": "x".repeat(20_000)});
        let bad = with(json!({"name": "Press", "type": "press"}), json!({"attributes": attributes}));
        admin.post("/api/equipment", bad).await.expect_flaws(&[("attributes", "too_long")]);
    }
}
