//! The machines of the stories, what they report, and the rules that judge it.

use crate::client::Client;
use crate::reply::Reply;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use std::time::SystemTime;

/// When the stories' machines report unless a story says otherwise: a Monday morning that is long over.
const MONDAY_MORNING: &str = "2024-05-06T07:00:00Z";

/// This many seconds into the stories' morning.
pub fn second(number: i64) -> String {
    let morning: DateTime<Utc> = MONDAY_MORNING.parse().expect("an instant");
    written(morning + TimeDelta::seconds(number))
}

/// This many seconds from now, which is the server's now as well: it runs on the same machine.
#[allow(clippy::disallowed_methods, reason = "stories are about a server whose clock nobody can set")]
pub fn from_now(seconds: i64) -> String {
    written(DateTime::<Utc>::from(SystemTime::now()) + TimeDelta::seconds(seconds))
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A machine of a story.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its id.
    pub id: i64,
}

impl Machine {
    /// Its address.
    pub fn path(&self) -> String {
        format!("/api/equipment/{}", self.id)
    }

    /// The address of something that hangs on it.
    pub fn its(&self, what: &str) -> String {
        format!("{}/{what}", self.path())
    }

    /// What it reports for this second of the morning.
    pub fn reading(&self, number: i64, values: Value) -> Value {
        json!({"equipment": self.id, "timestamp": second(number), "values": values})
    }

    /// A temperature that it reports for this second of the morning.
    pub fn at(&self, number: i64, temperature: f64) -> Value {
        self.reading(number, json!({"temperature": temperature}))
    }
}

impl Client {
    /// Registers a machine.
    pub async fn machine_called(&self, name: &str) -> Machine {
        self.machine_with(json!({"name": name, "type": "press"})).await
    }

    /// Registers a machine of which more is known.
    pub async fn machine_with(&self, details: Value) -> Machine {
        Machine { id: self.post("/api/equipment", details).await.expect(201).id() }
    }

    /// Sends temperatures of a machine, all or none, each with its second of the morning.
    pub async fn report(&self, machine: &Machine, temperatures: &[(i64, f64)]) -> Reply {
        let readings: Value =
            temperatures.iter().map(|(second, temperature)| machine.at(*second, *temperature)).collect();
        let reply = self.post("/api/data", readings).await;
        let created = u16::from(reply["accepted"] != 0);
        reply.expect(200 + created)
    }

    /// Makes a rule that is breached by temperatures above 80, but for what is said otherwise.
    pub async fn rule(&self, otherwise: Value) -> Reply {
        let rule = json!({"name": "Too hot", "metric": "temperature", "operator": ">", "threshold": 80});
        self.post("/api/alert-rules", with(rule, otherwise)).await.expect(201)
    }

    /// The alerts of a list, oldest first.
    pub async fn alerts(&self, query: &str) -> Vec<Value> {
        let list = self.get(&format!("/api/alerts?ordering=timestamp&{query}")).await.expect(200);
        list["results"].as_array().cloned().expect("a list has results")
    }
}

/// The same, with every number as a float: 20 and 20.0 are one number, however they are written.
pub fn floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(floats).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), floats(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// An object with other fields in place of, or beside, its own.
pub fn with(mut object: Value, otherwise: Value) -> Value {
    let fields = object.as_object_mut().expect("an object");
    let Value::Object(other) = otherwise else { panic!("{otherwise} is no object") };
    for (name, value) in other {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    object
}
