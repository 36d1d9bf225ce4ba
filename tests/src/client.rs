//! Somebody who sends requests. Every answer is checked against what all answers owe; every secret that passes is noted.

use crate::conformance;
use crate::events::Events;
use crate::openapi::Document;
use crate::reply::Reply;
use crate::secrets::Secrets;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

/// Somebody who sends requests, with a credential or without.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    secrets: Secrets,
    document: Arc<Document>,
    credential: Option<String>,
}

impl Client {
    pub(crate) fn new(
        base: String,
        http: reqwest::Client,
        secrets: Secrets,
        document: Arc<Document>,
    ) -> Self {
        Self { base, http, secrets, document, credential: None }
    }

    /// The same client with this access token or API key.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        self.secrets.add(token);
        Self { credential: Some(format!("Bearer {token}")), ..self.clone() }
    }

    /// The token that it bears.
    pub fn token(&self) -> &str {
        let credential = self.credential.as_deref().unwrap_or_default();
        credential.split_once(' ').map_or("", |(_, token)| token)
    }

    /// Asks for a resource.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// Sends JSON to a collection.
    pub fn post(&self, path: &str, body: Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// Replaces a resource.
    pub fn put(&self, path: &str, body: Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// Changes a resource.
    pub fn patch(&self, path: &str, body: Value) -> Call {
        self.call(Method::PATCH, path).json(body)
    }

    /// Removes a resource.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Any request.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut headers = HeaderMap::new();
        if let Some(credential) = &self.credential {
            headers.insert(AUTHORIZATION, credential.parse().expect("a credential fits in a header"));
        }
        Call {
            client: self.clone(),
            method,
            path: path.to_owned(),
            headers,
            body: Vec::new(),
            may_be_busy: false,
        }
    }
}

/// A request that is sent when it is awaited.
#[must_use]
#[derive(Clone)]
pub struct Call {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    may_be_busy: bool,
}

impl Call {
    /// With this header in place of any other of that name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        self
    }

    /// With a JSON body.
    pub fn json(self, body: Value) -> Self {
        self.client.secrets.add_from(&body);
        self.body("application/json", body.to_string().as_bytes())
    }

    /// With a form for a body.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        for (name, value) in fields {
            self.client.secrets.add_from(&Value::from_iter([(*name, *value)]));
        }
        let url = reqwest::Url::parse_with_params("form:", fields).expect("a form");
        self.body("application/x-www-form-urlencoded", url.query().unwrap_or_default().as_bytes())
    }

    /// With any body.
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    /// An answer of 503 is none of a fault: so much is asked at once that the server may say so.
    pub fn may_be_busy(mut self) -> Self {
        self.may_be_busy = true;
        self
    }

    /// Opens a stream of events; the test fails when it is refused.
    pub async fn events(self) -> Events {
        let call = self.clone();
        let (asked, answer) = self.answer().await;
        call.check(&reply_of_a_stream(&asked, &answer).expect(200));
        Events::new(answer, asked)
    }

    async fn send(self) -> Reply {
        let call = self.clone();
        let (asked, answer) = self.answer().await;
        let reply = if is_stream(&answer) && call.method != Method::HEAD {
            reply_of_a_stream(&asked, &answer)
        } else {
            let (status, headers) = (answer.status(), answer.headers().clone());
            let bytes =
                answer.bytes().await.unwrap_or_else(|error| panic!("{asked} broke off: {error:?}")).to_vec();
            let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            Reply { asked, status, headers, bytes, json }
        };
        call.check(&reply);
        reply
    }

    async fn answer(self) -> (String, reqwest::Response) {
        let url = format!("{}{}", self.client.base, self.path);
        let asked = format!("{} {}", self.method, self.path);
        let request = self.client.http.request(self.method, url).headers(self.headers);
        let answer = request.body(self.body).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{asked} got no answer: {error:?}"));
        (asked, answer)
    }

    fn check(&self, reply: &Reply) {
        self.client.secrets.add_from(&reply.json);
        if self.may_be_busy && reply.status == StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        let authenticated = self.headers.contains_key(AUTHORIZATION);
        conformance::check(&self.client.document, &self.method, &self.path, authenticated, reply);
    }
}

fn is_stream(answer: &reqwest::Response) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}

/// A stream's body is never over, so it is not waited for; that there is one must do.
fn reply_of_a_stream(asked: &str, answer: &reqwest::Response) -> Reply {
    Reply {
        asked: asked.to_owned(),
        status: answer.status(),
        headers: answer.headers().clone(),
        bytes: b":".to_vec(),
        json: Value::Null,
    }
}

impl IntoFuture for Call {
    type Output = Reply;
    type IntoFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
