//! An installation that moves from its file to a database of PostgreSQL.

use tests::patience::{LONG, until};
use tests::plant::{Machine, floats, second};
use tests::process::{done, refused};
use tests::{Backend, Client, Installation, Options, Person, Server, Value, json};

const HOUR: i64 = 3600;

/// What a person holds against what was there before.
const LISTS: [&str; 14] = [
    "/api/users?ordering=id",
    "/api/users?search=ßen",
    "/api/roles?ordering=id",
    "/api/sessions?ordering=id",
    "/api/api-keys?ordering=id",
    "/api/equipment?ordering=id",
    "/api/equipment?hidden=true",
    "/api/equipment?search=presse",
    "/api/metrics?ordering=name",
    "/api/alert-rules?ordering=id",
    "/api/alerts?ordering=id",
    "/api/alerts?search=wärm",
    "/api/webhooks?ordering=id",
    "/api/webhooks/1/deliveries?ordering=id",
];

/// Readings old enough to be packed, with what numbers can be, and facts.
fn readings(machine: &Machine) -> Vec<Value> {
    let odd = [-0.0, 1e300, -2.5e-308, 0.1 + 0.2, f64::MAX, 1.0, 9_007_199_254_740_993.0];
    let odd = odd.into_iter().enumerate().map(|(place, number)| {
        let mut reading = machine.reading(place as i64, json!({"odd": number, "temperature": 70}));
        reading["attributes"] = json!({"door": true, "note": "ä\"\\ 🛠"});
        reading
    });
    let wave = |number: i64| ((number as f64 / 50.0).sin() * 2000.0).round() / 100.0;
    let regular = (1..700).map(|number| machine.at(number * 20, wave(number)));
    odd.chain(regular).collect()
}

/// A plant with something of everything in it; the machine that reported most.
async fn furnish(server: &Server, admin: &Person) -> Machine {
    // Ben, who is there first, gets a mentor who comes later; so does the first machine its line.
    let ben = server.newcomer("ben").await;
    server.mentor("mona").await;
    admin.put(&format!("{}/mentor", ben.path()), json!({"mentor": "mona"})).await.expect(200);
    admin.patch(&ben.path(), json!({"email": "ẞen@example.org", "phone": "+4917011111"})).await.expect(200);
    let gone = server.newcomer("gone").await;
    admin.delete(&gone.path()).await.expect(204);
    server.holder_of("olga", &["OPERATOR"]).await;
    admin
        .post("/api/roles", json!({"name": "Checkers", "permissions": ["audit:read", "data:read"]}))
        .await
        .expect(201);
    let machine = admin
        .machine_with(json!({"name": "Große Presse", "type": "press", "serial_number": "PR-1", "location": "Halle 1/Linie 2",
            "installation_date": "2019-02-28", "attributes": {"z": 1, "a": [true, null, 0.1], "ö": "\n"}}))
        .await;
    let hook = json!({"name": "Bereit", "url": "https://nobody.invalid/ä".replace('ä', "%C3%A4"), "equipment_types": ["Press", "ß"]});
    let hook = admin.post("/api/webhooks", hook).await.expect(201).id();
    let tried = admin.post(&format!("/api/webhooks/{hook}/test"), json!({})).await.expect(201);
    let tried = tried.expect_header("location").to_owned();
    until("the receiver not to be found", LONG, async || {
        admin.get(&tried).await.expect(200)["attempts"].get(0).map(drop)
    })
    .await;
    admin.post(&format!("/api/webhooks/{hook}/rotate-secret"), json!({})).await.expect(200);
    admin.patch(&format!("/api/webhooks/{hook}"), json!({"enabled": false})).await.expect(200);
    let line = admin.machine_called("Line").await;
    admin.patch(&machine.path(), json!({"parent": line.id})).await.expect(200);
    let hidden = admin.machine_called("Hidden").await;
    admin.report(&hidden, &[(1, 1.0)]).await;
    admin.delete(&hidden.path()).await.expect(204);
    let log = json!({"what": "Oil", "performed_at": second(0), "next_due_on": "2030-01-31"});
    admin.post(&machine.its("maintenance"), log).await.expect(201);
    admin.machine("gateway", &["data:write"]).await;
    admin
        .rule(json!({"name": "Zu wärm", "threshold": 10.25, "clear_threshold": -0.0, "severity": "critical"}))
        .await;
    for part in readings(&machine).chunks(200) {
        admin.post("/api/data", json!(part)).await.expect(201);
    }
    let alerts = admin.alerts("").await;
    assert!(alerts.len() > 2, "{alerts:?}");
    let by_hand = json!({"equipment": machine.id, "severity": "info", "description": "Klappert"});
    let alert = admin.post("/api/alerts", by_hand).await.expect(201).id();
    let seen = json!({"note": "Gesehen"});
    admin.post(&format!("/api/alerts/{alert}/acknowledge"), seen).await.expect(200);
    admin.patch("/api/metrics/temperature", json!({"unit": "°C"})).await.expect(200);
    machine
}

/// Answers about all of it.
async fn answers(by: &Client, machine: &Machine) -> Vec<(String, Value)> {
    let span = format!("from={}&to={}", second(0), second(4 * HOUR));
    let mut paths: Vec<String> = LISTS.map(str::to_owned).into();
    paths.extend([
        machine.path(),
        machine.its("maintenance"),
        machine.its("data?page_size=1000&ordering=timestamp"),
        format!("/api/latest?equipment={}", machine.id),
        format!("/api/series?equipment={}&metric=temperature&metric=odd&{span}&interval=5m&agg=avg,min,max,sum,count", machine.id),
        format!("/api/series?equipment={}&metric=temperature&{span}&interval=1h&agg=avg,count,first,last", machine.id),
        "/api/audit?page_size=1000&ordering=id".to_owned(),
    ]);
    let mut told = Vec::new();
    for path in paths {
        let answer = by.get(&path).await.expect(200).json;
        told.push((path, floats(&answer)));
    }
    for alert in by.alerts("page_size=5").await {
        let path = format!("/api/alerts/{}", alert["id"]);
        told.push((path.clone(), floats(&by.get(&path).await.expect(200).json)));
    }
    told
}

/// An embedded installation of which part is packed and rolled up, what it answered last, and who asked.
async fn furnished() -> (Installation, Machine, Vec<(String, Value)>, String) {
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.admin().await;
    let machine = furnish(&server, &admin).await;
    let installation = server.installation.clone();
    server.stop().await;
    let packing = Options::default().set("TECHTRACK_RETENTION_PACKED_AFTER_DAYS", "1");
    done(&installation.run_with(&["tend"], &packing).await);
    let server = installation.serve(Options::default()).await;
    let admin = admin.token().to_owned();
    let asking = server.anonymous().bearing(&admin);
    let before = answers(&asking, &machine).await;
    server.stop().await;
    (installation, machine, before, admin)
}

#[tokio::test]
async fn everything_arrives_and_answers_as_it_did() {
    let (installation, machine, before, token) = furnished().await;
    let noted = done(&installation.run(&["audit", "head"]).await).trim().to_owned();
    let target = Installation::unmigrated(Backend::Postgres).await;
    let report = done(&installation.run(&["move", "--to", &target.database_url()]).await);
    assert!(report.contains("every table arrived as it left"), "{report}");

    let server = target.serve(Options::default()).await;
    let admin = server.anonymous().bearing(&token);
    for ((path, was), (_, is)) in before.iter().zip(answers(&admin, &machine).await) {
        assert_eq!(&is, was, "{path}");
    }
    done(&target.run(&["audit", "verify", "--expect", &noted]).await);

    // What comes now takes no id that was given out, not even of what is gone, and is treated as it would have been.
    let users = admin.get("/api/users?ordering=-id").await.expect(200);
    let newest = users["results"][0]["id"].as_i64().unwrap();
    let next = server.newcomer("carla").await;
    assert!(next.id > newest, "{} is not larger than {newest}", next.id);
    let gone = admin.get("/api/audit?action=user.deleted").await.expect(200);
    assert_ne!(gone["results"][0]["subject"]["id"], json!(next.id));
    let again = admin.post("/api/data", json!(readings(&machine)[..50])).await.expect(200);
    assert_eq!(again["duplicates"], json!(50));
    admin.machine_called("New").await;
    admin.rule(json!({"name": "Another"})).await;

    // Whoever listened for alerts hears of new ones.
    let listening = json!({"name": "Another", "url": "https://nobody.invalid/"});
    admin.post("/api/webhooks", listening).await.expect(201);
    admin.patch("/api/webhooks/1", json!({"enabled": true})).await.expect(200);
    admin.report(&machine, &[(HOUR * 5, 50.0)]).await;
    let raised = json!({"equipment": machine.id, "severity": "critical", "description": "Raucht"});
    let raised = admin.post("/api/alerts", raised).await.expect(201).id();
    let told = admin.get(&format!("/api/webhooks/1/deliveries?alert={raised}")).await.expect(200);
    assert_eq!(told["count"], 1, "{}", told["results"]);
}

#[tokio::test]
async fn a_database_in_which_somebody_lives_is_not_moved_into() {
    let server = Server::start(Backend::Sqlite).await;
    let installation = server.installation.clone();
    let target = Installation::new(Backend::Postgres).await;
    let moving = ["move", "--to", &target.database_url()];
    refused(&installation.run(&moving).await, "already uses");
    server.stop().await;
    let inhabited = target.serve(Options::default()).await;
    refused(&installation.run(&moving).await, "not empty");
    inhabited.admin().await;
    refused(&target.run(&moving).await, "only an embedded database moves");
}

#[tokio::test]
async fn of_a_move_that_fails_nothing_is_left_and_it_can_be_done_again() {
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.admin().await;
    admin.machine_called("Press").await;
    let installation = server.installation.clone();
    server.stop().await;
    let target = Installation::unmigrated(Backend::Postgres).await;
    let moving = ["move", "--to", &target.database_url()];
    // Nothing of ours stores a name that long, and the other database refuses it.
    installation.tamper("UPDATE equipment SET name = hex(zeroblob(200))").await;
    refused(&installation.run(&moving).await, "equipment");
    installation
        .tamper("UPDATE equipment SET name = 'Press'; UPDATE audit_events SET actor_name = 'x' WHERE id = 1")
        .await;
    refused(&installation.run(&moving).await, "row 1 was edited");
    let elsewhere = Installation::unmigrated(Backend::Postgres).await;
    let despite = ["move", "--despite-trail", "--to", &elsewhere.database_url()];
    let report = done(&installation.run(&despite).await);
    assert!(report.contains("ITS AUDIT TRAIL IS NOT WHOLE: row 1 was edited"), "{report}");
    refused(&elsewhere.run(&["audit", "verify"]).await, "row 1 was edited");
    installation.tamper("UPDATE audit_events SET actor_name = 'setup' WHERE id = 1").await;
    done(&installation.run(&["audit", "verify"]).await);
    let said = Options::default().typing(&format!("{}\n", target.database_url()));
    done(&installation.run_with(&["move", "--to", "-"], &said).await);
}
