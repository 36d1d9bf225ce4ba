//! The kinds of writes. Each is sent with everything that it can carry, so that half of one would be seen as such.

use tests::plant::{Machine, floats, second};
use tests::wire::Request;
use tests::{Client, Method, Person, Server, Value, json};

const IN_AN_ARRAY: usize = 20;
const LINES: usize = 60;

/// Seconds between the readings of two requests.
const APART: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Registration,
    Account,
    Role,
    Roles,
    Equipment,
    Change,
    Removal,
    Rule,
    Alert,
    Acknowledgement,
    Reading,
    Array,
    Lines,
}

impl Write {
    pub(crate) const ALL: [Self; 13] = [
        Self::Registration,
        Self::Account,
        Self::Role,
        Self::Roles,
        Self::Equipment,
        Self::Change,
        Self::Removal,
        Self::Rule,
        Self::Alert,
        Self::Acknowledgement,
        Self::Reading,
        Self::Array,
        Self::Lines,
    ];
}

/// What there is to see of a write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Nothing,
    All,
    /// Neither; this is what it looks like.
    Torn(String),
}

/// Who writes, and what is written to.
pub(crate) struct Stage {
    admin: Person,
    /// What is changed.
    pieces: Vec<Machine>,
    /// What is removed, with its reading.
    doomed: Vec<(Machine, String)>,
    alerts: Vec<i64>,
    people: Vec<i64>,
    /// What reports.
    machine: Machine,
}

impl Stage {
    /// With so many of each thing.
    pub(crate) async fn set(server: &Server, many: usize) -> Self {
        let admin = server.admin().await;
        server.mentor("mona").await;
        admin.post("/api/roles", json!({"name": "AUDITOR", "permissions": []})).await.expect(201);
        let machine = admin.machine_called("Press").await;
        admin.rule(json!({"equipment": machine.id, "threshold": -1000})).await;
        let (mut pieces, mut doomed, mut alerts, mut people) = (vec![], vec![], vec![], vec![]);
        for number in 0..many {
            pieces.push(admin.machine_called("Before").await);
            let removed = admin.machine_called(&format!("Doomed {number}")).await;
            let reading = admin.post("/api/data", removed.at(0, 20.0)).await.expect(201);
            doomed.push((removed, reading.text("id").to_owned()));
            let alert = json!({"equipment": machine.id, "description": "Oil on the floor"});
            alerts.push(admin.post("/api/alerts", alert).await.expect(201).id());
            let person = json!({"username": format!("clerk-{number}"), "password": "Gr4nite-Kettle"});
            people.push(admin.post("/api/users", person).await.expect(201).id());
        }
        Self { admin, pieces, doomed, alerts, people, machine }
    }

    pub(crate) fn token(&self) -> &str {
        self.admin.token()
    }

    /// What anybody may ask for in between.
    pub(crate) fn honest_path(&self) -> String {
        self.machine.its("data?page_size=1")
    }

    /// The write of this kind and number.
    pub(crate) fn request(&self, write: Write, number: usize) -> Request {
        let (method, path) = self.target(write, number);
        let request = Request::new(&method, path);
        // Newcomers are nobody yet.
        let request = if write == Write::Registration { request } else { request.bearing(self.token()) };
        let request = match write {
            Write::Lines => {
                let lines: String =
                    self.readings(write, number).iter().map(|reading| format!("{reading}\n")).collect();
                return request.body("application/x-ndjson", lines);
            }
            Write::Removal => return request,
            Write::Registration => request.body_of(&newcomer(number)),
            Write::Account => request.body_of(&account(number)),
            Write::Role => request.body_of(&role(number)),
            Write::Roles => request.body_of(&roles()),
            Write::Equipment => request.body_of(&piece(number)),
            Write::Change => request.body_of(&change(number)),
            Write::Rule => request.body_of(&rule(number)),
            Write::Alert => request.body_of(&self.alert(number)),
            Write::Acknowledgement => request.body_of(&json!({"note": "Seen to"})),
            Write::Reading => request.body_of(&self.readings(write, number)[0]),
            Write::Array => request.body_of(&Value::Array(self.readings(write, number))),
        };
        if method == Method::POST {
            request.header("Idempotency-Key", format!("{write:?}-{number}"))
        } else {
            request
        }
    }

    fn target(&self, write: Write, number: usize) -> (Method, String) {
        match write {
            Write::Registration => (Method::POST, "/api/registration".to_owned()),
            Write::Account => (Method::POST, "/api/users".to_owned()),
            Write::Role => (Method::POST, "/api/roles".to_owned()),
            Write::Roles => (Method::PUT, format!("/api/users/{}/roles", self.people[number])),
            Write::Equipment => (Method::POST, "/api/equipment".to_owned()),
            Write::Change => (Method::PATCH, self.pieces[number].path()),
            Write::Removal => (Method::DELETE, self.doomed[number].0.path()),
            Write::Rule => (Method::POST, "/api/alert-rules".to_owned()),
            Write::Alert => (Method::POST, "/api/alerts".to_owned()),
            Write::Acknowledgement => {
                (Method::POST, format!("/api/alerts/{}/acknowledge", self.alerts[number]))
            }
            Write::Reading | Write::Array => (Method::POST, "/api/data".to_owned()),
            Write::Lines => (Method::POST, "/api/data/bulk".to_owned()),
        }
    }

    /// What is there of the write of this kind and number.
    pub(crate) async fn look(&self, write: Write, number: usize) -> Found {
        let admin = &self.admin;
        match write {
            Write::Registration => {
                let found = only(admin, "/api/users?username=", &newcomer(number)["username"]).await;
                self.made(found, without_password(newcomer(number)), ("user.registered", 1)).await
            }
            Write::Account => {
                let found = only(admin, "/api/users?username=", &account(number)["username"]).await;
                self.made(found, without_password(account(number)), ("user.created", 1)).await
            }
            Write::Role => {
                let found = only(admin, "/api/roles?name=", &role(number)["name"]).await;
                self.made(found, role(number), ("role.created", 1)).await
            }
            Write::Equipment => {
                let found =
                    only(admin, "/api/equipment?serial_number=", &piece(number)["serial_number"]).await;
                self.made(found, piece(number), ("equipment.created", 1)).await
            }
            Write::Rule => {
                let found = only(admin, "/api/alert-rules?name=", &rule(number)["name"]).await;
                self.made(found, rule(number), ("rule.created", 1)).await
            }
            Write::Alert => {
                let wanted = self.alert(number);
                let found = only(admin, "/api/alerts?search=", &wanted["description"]).await;
                self.made(found, wanted, ("alert.created", 1)).await
            }
            Write::Roles => {
                let path = format!("/api/users/{}", self.people[number]);
                self.changed(&path, json!({"roles": ["CLIENT"]}), roles(), "user.roles_changed").await
            }
            Write::Change => {
                let before = json!({"name": "Before", "model": null, "location": null});
                let path = self.pieces[number].path();
                self.changed(&path, before, change(number), "equipment.updated").await
            }
            Write::Acknowledgement => {
                let before = json!({"status": "open", "acknowledged_by": null, "note": null});
                let after = json!({"status": "acknowledged", "acknowledged_by": self.admin.username, "note": "Seen to"});
                let path = format!("/api/alerts/{}", self.alerts[number]);
                self.changed(&path, before, after, "alert.acknowledged").await
            }
            Write::Removal => self.removed(&self.doomed[number]).await,
            Write::Reading | Write::Array | Write::Lines => self.reported(write, number).await,
        }
    }

    /// What was made must be as it was sent, and told of.
    async fn made(&self, found: Option<Value>, sent: Value, (action, times): (&str, usize)) -> Found {
        let Some(found) = found else { return Found::Nothing };
        let traced = self.traced(action, &found["id"]).await;
        if has(&found, &sent) && traced == times {
            Found::All
        } else {
            Found::Torn(format!("{found} with {traced} times {action}"))
        }
    }

    /// What was to be changed is as it was, or as it was to be, and told of.
    async fn changed(&self, path: &str, before: Value, after: Value, action: &str) -> Found {
        let found = self.admin.get(path).await.expect(200).json;
        let traced = self.traced(action, &found["id"]).await;
        if has(&found, &before) && traced == 0 {
            Found::Nothing
        } else if has(&found, &after) && traced == 1 {
            Found::All
        } else {
            Found::Torn(format!("{found} with {traced} times {action}"))
        }
    }

    /// With equipment goes what it reported.
    async fn removed(&self, (machine, reading): &(Machine, String)) -> Found {
        let there = self.admin.get(&machine.path()).await.status == 200;
        let has_reading = self.admin.get(&format!("/api/data/{reading}")).await.status == 200;
        match (there, has_reading, self.traced("equipment.hidden", &machine.id.into()).await) {
            (true, true, 0) => Found::Nothing,
            (false, false, 1) => Found::All,
            torn => Found::Torn(format!("there, its reading there, told of: {torn:?}")),
        }
    }

    /// An array is stored as one; of lines each by itself.
    async fn reported(&self, write: Write, number: usize) -> Found {
        let sent = self.readings(write, number);
        let (from, to) = (sent.first().expect("one"), sent.last().expect("one"));
        let path = self.machine.its(&format!(
            "data?page_size=1000&ordering=timestamp&timestamp__gte={}&timestamp__lt={}",
            from["timestamp"].as_str().expect("text"),
            to["timestamp"].as_str().expect("text").replace("00Z", "01Z"),
        ));
        let found = self.admin.get(&path).await.expect(200);
        let found = found["results"].as_array().expect("a list").clone();
        let is_whole = |reading: &Value| sent.iter().any(|sent| has(reading, sent));
        if let Some(torn) = found.iter().find(|reading| !is_whole(reading)) {
            return Found::Torn(torn.to_string());
        }
        match found.len() {
            0 => Found::Nothing,
            all if all == sent.len() => Found::All,
            some => Found::Torn(format!("{some} of {} readings", sent.len())),
        }
    }

    async fn traced(&self, action: &str, id: &Value) -> usize {
        let path = format!("/api/audit?action={action}&subject_id={id}");
        self.admin.get(&path).await.expect(200).column("id").len()
    }

    /// What hangs on readings must be there with each, and no more often.
    pub(crate) async fn expect_consistent(&self) {
        let all = self.admin.get(&self.machine.its("data?page_size=1")).await.expect(200);
        let newest = self.admin.get(&self.machine.its("latest")).await.expect(200);
        for at in newest.column("timestamp") {
            assert_eq!(at, all.column("timestamp")[0], "the newest values are those of the newest reading");
        }
        let exported =
            self.admin.get(&format!("/api/data/export?format=ndjson&equipment={}", self.machine.id));
        let stored = String::from_utf8_lossy(&exported.await.expect(200).bytes).lines().count();
        let alerts = self.admin.alerts(&format!("equipment={}&metric=temperature", self.machine.id)).await;
        let counted: u64 = alerts.iter().filter_map(|alert| alert["occurrences"].as_u64()).sum();
        assert_eq!(counted, stored as u64, "each reading is a breach that was counted: {alerts:?}");
    }

    fn alert(&self, number: usize) -> Value {
        json!({
            "equipment": self.machine.id, "severity": "critical", "description": format!("Smoke {}", name(number)),
            "metric": "speed", "value": 12.5, "note": "Come", "timestamp": second(number as i64),
        })
    }

    fn readings(&self, write: Write, number: usize) -> Vec<Value> {
        let (kind, many) = if write == Write::Array {
            (1, IN_AN_ARRAY)
        } else if write == Write::Lines {
            (2, LINES)
        } else {
            (0, 1)
        };
        let first = (kind * 1000 + number) * APART;
        let at = |number: usize| {
            let values = json!({"temperature": number as f64 + 0.25, "speed": number, "pressure": 3.5});
            let mut reading = self.machine.reading(number as i64, values);
            reading["attributes"] = json!({"shift": "early", "manual": false});
            reading
        };
        (first..first + many).map(at).collect()
    }
}

trait JsonBody {
    fn body_of(self, body: &Value) -> Self;
}

impl JsonBody for Request {
    fn body_of(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }
}

/// The one result of a list, if there is one.
async fn only(by: &Client, query: &str, wanted: &Value) -> Option<Value> {
    let wanted = wanted.as_str().expect("text").replace(' ', "%20");
    let list = by.get(&format!("{query}{wanted}")).await.expect(200);
    let results = list["results"].as_array().expect("a list has results");
    assert!(results.len() <= 1, "{wanted} was made {} times", results.len());
    results.first().cloned()
}

/// Whether an answer says all that was sent.
fn has(found: &Value, sent: &Value) -> bool {
    let fields = sent.as_object().expect("an object");
    fields.iter().all(|(name, value)| floats(&found[name]) == floats(value))
}

/// As no other number is written, not even as a part of it.
fn name(number: usize) -> String {
    format!("n{number:03}")
}

fn newcomer(number: usize) -> Value {
    json!({
        "username": format!("anna-{}", name(number)), "password": "Gr4nite-Teapot", "is_mentor": true,
        "email": format!("anna-{}@example.com", name(number)), "phone": format!("+4917012{number:05}"),
    })
}

fn account(number: usize) -> Value {
    json!({
        "username": format!("ben-{}", name(number)), "password": "Gr4nite-Kettle", "roles": ["AUDITOR", "OPERATOR"],
        "email": format!("ben-{}@example.com", name(number)), "mentor": "mona", "is_mentor": true,
    })
}

fn without_password(mut person: Value) -> Value {
    person.as_object_mut().expect("an object").remove("password");
    person
}

fn role(number: usize) -> Value {
    let permissions = ["data:read", "alerts:read", "alerts:acknowledge"];
    json!({"name": format!("Lead-{}", name(number)), "description": "Leads.", "permissions": permissions})
}

fn roles() -> Value {
    json!({"roles": ["AUDITOR", "OPERATOR"]})
}

fn piece(number: usize) -> Value {
    json!({
        "name": "Robot", "type": "robot", "model": "WR-9", "manufacturer": "Example", "status": "idle",
        "serial_number": format!("WR-{}", name(number)), "installation_date": "2024-03-01",
        "location": "plant-1/line-2", "attributes": {"payload_kg": 12},
    })
}

fn change(number: usize) -> Value {
    json!({"name": format!("After {}", name(number)), "model": "WR-10", "location": "plant-2"})
}

fn rule(number: usize) -> Value {
    json!({
        "name": format!("Slow-{}", name(number)), "equipment_type": "robot", "metric": "speed", "operator": "outside",
        "threshold": 5, "threshold_high": 90, "for_seconds": 60, "severity": "critical", "enabled": false,
    })
}
