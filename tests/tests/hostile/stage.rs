//! What requests are about: one of everything, the address of each operation, and bodies that would do.

use crate::asker::Asker;
use std::sync::atomic::{AtomicU32, Ordering};
use tests::openapi::Operation;
use tests::plant::{Machine, second};
use tests::wire::Request;
use tests::{Installation, Server, Value, json};

/// An id that nothing has.
const NOWHERE: &str = "999999";

/// One of everything.
pub(crate) struct Stage<'a> {
    pub(crate) server: &'a Server,
    machine: Machine,
    reading: String,
    maintenance: i64,
    rule: i64,
    alert: i64,
    webhook: i64,
    role: i64,
    victim: i64,
    number: usize,
    made: AtomicU32,
}

impl<'a> Stage<'a> {
    pub(crate) async fn set(server: &'a Server, number: usize) -> (Self, Asker) {
        let admin = server.admin().await;
        let machine = admin.machine_called("Press").await;
        let rule = admin.rule(json!({"equipment": machine.id})).await.id();
        let reading = admin.post("/api/data", machine.at(0, 90.0)).await.expect(201).text("id").to_owned();
        let maintenance =
            admin.post(&machine.its("maintenance"), json!({"what": "Oiled"})).await.expect(201).id();
        let alert =
            admin.alerts(&format!("equipment={}", machine.id)).await[0]["id"].as_i64().expect("an id");
        let hook = json!({"name": "hook", "url": "https://nobody.invalid/"});
        let webhook = admin.post("/api/webhooks", hook).await.expect(201).id();
        let role = admin
            .post("/api/roles", json!({"name": format!("spare-{number}"), "permissions": []}))
            .await
            .expect(201)
            .id();
        let victim = server.newcomer(&format!("victim-{number}")).await.id;
        let stage = Self {
            server,
            machine,
            reading,
            maintenance,
            rule,
            alert,
            webhook,
            role,
            victim,
            number,
            made: AtomicU32::new(0),
        };
        (stage, Asker::new(server, number).await)
    }

    /// What honest people ask for in between.
    pub(crate) fn honest_path(&self) -> String {
        self.machine.its("data")
    }

    /// Where the operation is asked for. What would remove something is asked to remove what is not there.
    pub(crate) fn path(&self, operation: &Operation) -> String {
        let path = operation.path.as_str();
        let removes = operation.method == "DELETE";
        let id = match path.split('/').nth(2) {
            _ if removes => NOWHERE.to_owned(),
            Some("users") => self.victim.to_string(),
            Some("equipment") => self.machine.id.to_string(),
            Some("data") => self.reading.clone(),
            Some("alert-rules") => self.rule.to_string(),
            Some("alerts") => self.alert.to_string(),
            Some("roles") => self.role.to_string(),
            Some("webhooks") => self.webhook.to_string(),
            _ => NOWHERE.to_owned(),
        };
        let name = match path.split('/').nth(1) {
            Some("problems") => "taken",
            Some("swagger") => "index.html",
            _ if path.starts_with("/api/metrics") => "temperature",
            _ => "OPERATOR",
        };
        let entry = self.maintenance.to_string();
        path.replace("{id}", &id).replace("{name}", name).replace("{entry}", &entry)
    }

    /// The parameters without which the operation cannot be asked for.
    pub(crate) fn query(&self, operation: &Operation) -> Vec<(&'static str, String)> {
        match operation.id.as_str() {
            "fold_series" => vec![
                ("equipment", self.machine.id.to_string()),
                ("metric", "temperature".to_owned()),
                ("from", second(0)),
                ("to", second(60)),
            ],
            _ => Vec::new(),
        }
    }

    /// The least body that would do.
    pub(crate) fn body(&self, operation: &Operation, schema: &Value) -> Value {
        let fresh = format!("fresh-{}-{}", self.number, self.made.fetch_add(1, Ordering::Relaxed));
        let reading =
            json!({"equipment": self.machine.id, "timestamp": second(1), "values": {"temperature": 20}});
        let rule = json!({"name": fresh, "metric": "temperature", "operator": ">", "threshold": 80});
        match operation.id.as_str() {
            "send_readings" | "send_lines" => return reading,
            "put_reading" => return json!({"values": {"temperature": 90}}),
            "create_alert_rule" | "put_alert_rule" => return rule,
            "preview_alert_rule" => return tests::plant::with(rule, json!({"from": second(0)})),
            _ => {}
        }
        let mut body = json!({});
        for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            body[field] = match field {
                "username" | "name" => json!(fresh),
                "password" => json!(Installation::ADMIN_PASSWORD),
                "mentor" => json!("admin"),
                "roles" => json!(["CLIENT"]),
                "permissions" => json!([]),
                "equipment" => json!(self.machine.id),
                "refresh" | "token" => json!("x.y.z"),
                other => schema["examples"][0][other].clone(),
            };
        }
        body
    }

    /// A request for the operation, with a body that would do.
    pub(crate) fn request(&self, operation: &'a Operation) -> Request {
        let query: Vec<String> =
            self.query(operation).iter().map(|(name, value)| format!("{name}={value}")).collect();
        let separator = if query.is_empty() { "" } else { "?" };
        let request = Request::new(
            &operation.method,
            format!("{}{separator}{}", self.path(operation), query.join("&")),
        );
        match self.schema(operation) {
            Some((kind, schema)) => request.body(&kind, self.body(operation, schema).to_string()),
            None => request,
        }
    }

    /// The media type and the schema of what the operation reads.
    pub(crate) fn schema(&self, operation: &'a Operation) -> Option<(String, &'a Value)> {
        let content = operation.json["requestBody"]["content"].as_object()?;
        let (kind, content) = content.iter().find(|(kind, _)| kind.contains("json"))?;
        Some((kind.clone(), self.server.document.schemas().resolve(&content["schema"])))
    }
}
