//! What was secret during a story. A server's log is searched for all of it when the server ends.

use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The fields of requests and answers whose values nobody else may see.
const FIELDS: [&str; 7] =
    ["password", "current_password", "access", "refresh", "token", "secret", "one_time_password"];

/// What stands in place of a password.
const MASK: &str = "********";

/// Shorter text turns up in a log by chance.
const SHORTEST: usize = 8;

/// Every secret that went over the wire to or from the servers of an installation.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeSet<String>>>);

impl Secrets {
    /// Takes a secret into account.
    pub fn add(&self, secret: &str) {
        // The list of resources has the address of the tokens under `token`.
        let is_address = secret.starts_with("/api/");
        if secret.len() >= SHORTEST && secret != MASK && !is_address {
            self.0.lock().expect("nobody panics while adding").insert(secret.to_owned());
        }
    }

    /// Takes every secret in a request or an answer into account.
    pub fn add_from(&self, body: &Value) {
        match body {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.add_from(value);
                    let named_so = FIELDS.contains(&name.as_str());
                    value.as_str().filter(|_| named_so).into_iter().for_each(|text| self.add(text));
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_from(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().expect("nobody panics while counting").len()
    }

    /// The lines of a text that give a secret away, as it is or as JSON spells it.
    pub fn leaks_in<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let secrets = self.0.lock().expect("nobody panics while searching");
        let spellings: Vec<String> =
            secrets.iter().flat_map(|secret| [secret.clone(), as_json(secret)]).collect();
        let leaks = |line: &&str| spellings.iter().any(|spelling| line.contains(spelling));
        text.lines().filter(leaks).collect()
    }
}

fn as_json(text: &str) -> String {
    Value::from(text).to_string().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_found_wherever_they_stand_in_a_body() {
        let secrets = Secrets::default();
        secrets.add_from(&json!({"username": "anna-maria", "password": "Gr4nite-Teapot"}));
        secrets.add_from(&json!([{"access": "header.payload.signature", "expires_in": 600}]));
        assert_eq!(secrets.count(), 2);
        assert_eq!(secrets.leaks_in("one\ntwo Gr4nite-Teapot\nthree"), ["two Gr4nite-Teapot"]);
        assert!(secrets.leaks_in("anna-maria signed in for 600 s").is_empty());
    }

    #[test]
    fn a_secret_is_found_in_the_spelling_of_json_too() {
        let secrets = Secrets::default();
        secrets.add("quote\"and\\slash");
        assert_eq!(secrets.leaks_in(r#"{"body":"quote\"and\\slash"}"#).len(), 1);
    }
}
