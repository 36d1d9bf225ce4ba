//! An answer, and what stories ask of it.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::fmt::Debug;
use std::ops::Index;

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What was asked, for messages: method and path.
    pub asked: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Reply {
    /// The same answer, if it has this status; else the test fails.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let start = self.start();
        assert_eq!(self.status.as_u16(), status, "{} was answered {} {start}", self.asked, self.status);
        self
    }

    /// The same answer, if it is this failure; else the test fails.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.json["code"], code, "{} was answered {}", reply.asked, reply.json);
        reply
    }

    /// The same answer, if it is a 422 that blames exactly these fields, each with this reason.
    #[track_caller]
    pub fn expect_flaws(self, flaws: &[(&str, &str)]) -> Self {
        let reply = self.expect_problem(422, "invalid_fields");
        let mut wanted: Vec<(String, String)> =
            flaws.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect();
        wanted.sort();
        assert_eq!(reply.flaws(), wanted, "{} was answered {}", reply.asked, reply.json);
        reply
    }

    /// The fields that are blamed and why, in alphabetical order.
    pub fn flaws(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        let mut flaws: Vec<_> =
            errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect();
        flaws.sort();
        flaws
    }

    /// The failure's code.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// How the body starts, for messages: exports are long.
    pub fn start(&self) -> String {
        String::from_utf8_lossy(&self.bytes).chars().take(4000).collect()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are ASCII"))
    }

    /// A header's text; without it the test fails.
    #[track_caller]
    pub fn expect_header(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("{} was answered without {name}", self.asked))
    }

    /// The id of what was answered.
    #[track_caller]
    pub fn id(&self) -> i64 {
        self.json["id"].as_i64().unwrap_or_else(|| panic!("{} was answered without an id", self.asked))
    }

    /// A text in the answer; without it the test fails.
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_else(|| panic!("{} was answered {}", self.asked, self.json))
    }

    /// One field of every result of a list.
    #[track_caller]
    pub fn column(&self, field: &str) -> Vec<Value> {
        let results = self.json["results"].as_array();
        let results = results.unwrap_or_else(|| panic!("{} was answered {}", self.asked, self.json));
        results.iter().map(|result| result[field].clone()).collect()
    }

    /// The body without what differs between two answers to equal requests.
    pub fn body_without_request_id(&self) -> Value {
        let mut body = self.json.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("request_id");
        }
        body
    }
}

/// Fails the test unless the object has these fields with these values. It may have others.
#[track_caller]
pub fn assert_has<T>(object: &T, expected: Value)
where
    T: for<'field> Index<&'field str, Output = Value> + Debug,
{
    let Value::Object(fields) = expected else { panic!("{expected} is no object") };
    for (field, value) in fields {
        assert_eq!(object[&field], value, "{field} of {object:?}");
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.json[field]
    }
}
