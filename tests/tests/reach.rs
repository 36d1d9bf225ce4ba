//! Keys that are limited to some equipment: the rest is as if it were not there.

use futures_util::future::join_all;
use tests::plant::{Machine, second, with};
use tests::{Backend, Client, Method, Person, Server, Value, json, stories};

/// All that a machine of the plant could be given.
const ALL: [&str; 10] = [
    "equipment:read",
    "equipment:write",
    "data:read",
    "data:write",
    "rules:read",
    "rules:write",
    "alerts:read",
    "alerts:write",
    "alerts:acknowledge",
    "settings:write",
];

/// A plant of two presses, of which a key knows one. Both reported something too hot.
struct Halves {
    _server: Server,
    admin: Person,
    key: Client,
    own: Machine,
    other: Machine,
    /// A rule about the other press alone.
    rule: i64,
}

async fn halves(backend: Backend) -> Halves {
    let server = Server::start(backend).await;
    let admin = server.admin().await;
    let machine =
        |name: &str| json!({"name": name, "type": "press", "serial_number": name, "location": "plant-1"});
    let own = admin.machine_with(machine("own")).await;
    let other = admin.machine_with(machine("other")).await;
    admin.rule(json!({})).await;
    let rule = admin.rule(json!({"equipment": other.id})).await.id();
    for press in [&own, &other] {
        admin.report(press, &[(0, 90.0), (1, 91.0)]).await;
    }
    let body = json!({"name": "gateway", "permissions": ALL, "equipment": [own.id]});
    let secret = admin.post("/api/api-keys", body).await.expect(201);
    let key = admin.bearing(secret.text("secret"));
    Halves { _server: server, admin, key, own, other, rule }
}

impl Halves {
    /// The first reading and the first alert of a press.
    async fn things_of(&self, press: &Machine) -> (String, String) {
        let reading = self.admin.get(&press.its("data")).await.expect(200).column("id")[0].clone();
        let alert = self.admin.get(&press.its("alerts")).await.expect(200).column("id")[0].clone();
        (format!("/api/data/{}", reading.as_str().unwrap()), format!("/api/alerts/{alert}"))
    }
}

stories! {
    async fn lists_hold_what_the_key_knows_and_nothing_else(backend: Backend) {
        let halves = halves(backend).await;
        let (key, own, other) = (&halves.key, &halves.own, &halves.other);
        for list in ["/api/equipment", "/api/equipment?location__under=plant-1", "/api/equipment?search=o&ordering=-name"] {
            let found = key.get(list).await.expect(200);
            assert_eq!((found.column("id"), &found["count"]), (vec![json!(own.id)], &json!(1)), "{list}");
        }
        assert_eq!(key.get(&format!("/api/equipment?serial_number=other&parent={}", other.id)).await["count"], 0);
        for list in ["/api/data", &format!("/api/data?equipment={}&equipment={}", own.id, other.id)] {
            assert_eq!(key.get(list).await.expect(200).column("equipment"), [own.id, own.id], "{list}");
        }
        assert!(key.get(&format!("/api/data?equipment={}", other.id)).await.expect(200).column("id").is_empty());
        let rules = key.get("/api/alert-rules").await.expect(200);
        assert_eq!((rules.column("equipment"), &rules["count"]), (vec![Value::Null], &json!(1)));
        let of_other = key.get(&format!("/api/alert-rules?equipment={}", other.id)).await.expect(200);
        assert_eq!(of_other["count"], 0);
        assert_eq!(halves.admin.get("/api/alert-rules").await.expect(200)["count"], 2);
        let alerts = key.get("/api/alerts").await.expect(200);
        assert_eq!((alerts.column("equipment"), &alerts["count"]), (vec![json!(own.id)], &json!(1)));
        assert_eq!(key.get(&format!("/api/alerts?rule={}", halves.rule)).await.expect(200)["count"], 0);
        let exported = key.get("/api/data/export?format=ndjson").await.expect(200);
        let lines = String::from_utf8(exported.bytes).unwrap();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert_eq!(halves.admin.get("/api/alerts").await["count"], 3);
    }

    async fn what_the_key_does_not_know_is_not_there(backend: Backend) {
        let halves = halves(backend).await;
        let (key, own, other) = (&halves.key, &halves.own, &halves.other);
        let (reading, alert) = halves.things_of(other).await;
        let series = |press: &Machine| {
            format!("/api/series?equipment={}&metric=temperature&from={}&to={}", press.id, second(0), second(9))
        };
        let reads = [
            other.path(), other.its("data"), other.its("alerts"), other.its("latest"), other.its("children"),
            other.its("maintenance"), reading.clone(), alert.clone(), format!("{alert}/timeline"), series(other),
            format!("/api/alert-rules/{}", halves.rule),
        ];
        for path in &reads {
            key.get(path).await.expect_problem(404, "not_found");
        }
        let (own_reading, own_alert) = halves.things_of(own).await;
        let own_reads = [own.path(), own.its("data"), own.its("latest"), own_reading, own_alert.clone(), series(own)];
        for path in own_reads {
            key.get(&path).await.expect(200);
        }
        let writes = [
            key.patch(&other.path(), json!({"name": "x"})),
            key.put(&other.path(), json!({"name": "x", "type": "x"})),
            key.delete(&other.path()),
            key.delete(&format!("{}?purge=true", other.path())),
            key.post(&other.its("restore"), json!({})),
            key.post(&other.its("maintenance"), json!({"what": "x"})),
            key.put(&reading, own.at(5, 1.0)),
            key.patch(&reading, json!({"values": {"temperature": 1}})),
            key.delete(&reading),
            key.patch(&alert, json!({"note": "x"})),
            key.delete(&alert),
            key.post(&format!("{alert}/acknowledge"), json!({})),
            key.post(&format!("{alert}/resolve"), json!({})),
        ];
        for write in writes {
            write.await.expect_problem(404, "not_found");
        }
        assert_eq!(halves.admin.get(&other.path()).await["version"], 1);
        assert_eq!(halves.admin.get(&alert).await["status"], "open");
        key.post(&format!("{own_alert}/acknowledge"), json!({})).await.expect(200);
    }

    async fn readings_of_what_the_key_does_not_know_are_of_unknown_equipment(backend: Backend) {
        let halves = halves(backend).await;
        let (key, own, other) = (&halves.key, &halves.own, &halves.other);
        let unknown = |name: Value| json!({"equipment": name, "timestamp": second(5), "values": {"temperature": 1}});
        for name in [json!(other.id), json!("other"), json!(999_999)] {
            key.post("/api/data", unknown(name)).await.expect_flaws(&[("equipment", "unknown")]);
        }
        let array = json!([own.at(5, 1.0), other.at(5, 1.0)]);
        key.post("/api/data", array).await.expect_flaws(&[("1.equipment", "unknown")]);
        let lines = format!("{}\n{}\n", own.at(6, 1.0), other.at(6, 1.0));
        let bulk = key.call(Method::POST, "/api/data/bulk").body("application/x-ndjson", lines.as_bytes());
        let bulk = bulk.await.expect(200);
        assert_eq!((&bulk["accepted"], &bulk["rejected"]), (&json!(1), &json!(1)), "{}", bulk.json);
        let reading = key.post("/api/data", own.at(7, 1.0)).await.expect(201);
        let path = format!("/api/data/{}", reading.text("id"));
        key.patch(&path, json!({"equipment": other.id})).await.expect_flaws(&[("equipment", "unknown")]);
        let alert = json!({"equipment": other.id, "description": "x"});
        key.post("/api/alerts", alert).await.expect_flaws(&[("equipment", "unknown")]);
        key.post("/api/alerts", json!({"equipment": own.id, "description": "x"})).await.expect(201);
        key.patch(&own.path(), json!({"parent": other.id})).await.expect_flaws(&[("parent", "unknown")]);
        assert_eq!(halves.admin.get(&other.its("data")).await.column("id").len(), 2);
    }

    async fn a_limited_key_does_not_make_itself_somebody_who_is_not(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let own = admin.machine_called("own").await;
        let permissions = ["users:read", "users:write", "roles:read", "roles:write", "data:read"];
        let body = json!({"name": "gateway", "permissions": permissions, "equipment": [own.id]});
        let secret = admin.post("/api/api-keys", body).await.expect(201);
        let key = admin.bearing(secret.text("secret"));
        let its = |rest: &str| format!("{}/{rest}", anna.path());
        let calls = [
            key.post("/api/users", json!({"username": "eve", "password": "Gr4nite-Teapot", "roles": ["OPERATOR"]})),
            key.post(&its("password-reset"), json!({})),
            key.patch(&anna.path(), json!({"phone": "+49 170 1234567"})),
            key.delete(&anna.path()),
            key.put(&its("roles"), json!({"roles": ["OPERATOR"]})),
            key.post(&its("roles/OPERATOR"), json!({})),
            key.delete(&its("roles/CLIENT")),
            key.put(&its("mentor"), json!({"mentor": "admin"})),
            key.delete(&its("mentor")),
            key.delete(&its("mentees")),
            key.post("/api/roles", json!({"name": "EVE", "permissions": ["data:read"]})),
            key.patch("/api/roles/EVE", json!({"description": "x"})),
            key.delete("/api/roles/EVE"),
        ];
        for reply in join_all(calls.map(IntoFuture::into_future)).await {
            reply.expect_problem(403, "permission_required");
        }
        key.get("/api/roles").await.expect(200);
        assert_eq!(admin.get("/api/users").await.expect(200)["count"], 2);
    }

    async fn what_concerns_the_whole_plant_is_not_for_a_limited_key(backend: Backend) {
        let halves = halves(backend).await;
        let key = &halves.key;
        let rule = json!({"name": "x", "metric": "temperature", "operator": ">", "threshold": 1});
        let path = format!("/api/alert-rules/{}", halves.rule);
        let calls = [
            key.post("/api/equipment", json!({"name": "x", "type": "x"})),
            key.post("/api/alert-rules", rule.clone()),
            key.put(&path, rule),
            key.patch(&path, json!({"threshold": 1})),
            key.delete(&path),
            key.patch("/api/metrics/temperature", json!({"unit": "K"})),
        ];
        let refused = join_all(calls.map(IntoFuture::into_future)).await;
        for reply in refused {
            reply.expect_problem(403, "permission_required");
        }
        let trial = json!({
            "name": "x", "metric": "temperature", "operator": ">", "threshold": 1, "from": second(0), "to": second(9),
        });
        let beyond = with(trial.clone(), json!({"equipment": halves.other.id}));
        key.post("/api/alert-rules/preview", beyond).await.expect_flaws(&[("equipment", "unknown")]);
        let preview = key.post("/api/alert-rules/preview", trial).await.expect(200);
        let about: Vec<&Value> = preview["alerts"].as_array().unwrap().iter().map(|alert| &alert["equipment"]).collect();
        assert_eq!(about, [&json!(halves.own.id)]);
    }
}
