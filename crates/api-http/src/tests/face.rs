//! A server without a socket, and the few words that the tests speak with it.

use crate::{Settings, State, app, routes};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::test::{TestRequest, init_service, read_body};
use domain::ports::{Allowances, Bell, MockPasswords};
use domain::testing::{MemoryStore, UnlimitedAllowances, World};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: bytes::Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.status, status, "{body}");
        self
    }

    /// The code of a failure with this status, whose body is a problem in full.
    #[track_caller]
    pub(super) fn problem(self, status: u16) -> String {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let body = answer.json();
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["type"], format!("/problems/{code}"));
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], answer.header("x-request-id"));
        assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
        code
    }

    /// The fields that a failure blames.
    #[track_caller]
    pub(super) fn blamed(self, status: u16) -> Vec<String> {
        let errors = self.expect(status).json()["errors"].clone();
        let blamed = |error: &Value| format!("{}: {}", str_of(&error["field"]), str_of(&error["code"]));
        errors.as_array().unwrap().iter().map(blamed).collect()
    }
}

pub(super) fn str_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A request, written in one line.
pub(super) struct Ask(TestRequest);

pub(super) fn ask(method: &str, path: &str) -> Ask {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    Ask(TestRequest::default().method(method).uri(path).peer_addr(peer))
}

pub(super) fn get(path: &str) -> Ask {
    ask("GET", path)
}

impl Ask {
    pub(super) fn with(self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        Self(self.0.append_header((name, HeaderValue::from_bytes(value.as_bytes()).unwrap())))
    }

    pub(super) fn by(self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(super) fn body(self, kind: &str, body: impl Into<bytes::Bytes>) -> Self {
        let asked = self.with("Content-Type", kind);
        Self(asked.0.set_payload(body))
    }
}

/// A bell that watchers hear.
#[derive(Default)]
struct LoudBell(watch::Sender<u64>);

impl Bell for LoudBell {
    fn ring(&self) {
        self.0.send_modify(|rings| *rings += 1);
    }
}

/// What is heard of a bell that never rings.
pub(super) fn silence() -> watch::Receiver<u64> {
    watch::Sender::default().subscribe()
}

/// The server.
pub(super) struct Face {
    pub(super) state: State,
    pub(super) clock: Arc<domain::testing::FrozenClock>,
}

impl Face {
    pub(super) async fn new() -> Self {
        Self::with(Settings::default(), Arc::new(UnlimitedAllowances)).await
    }

    pub(super) async fn with(settings: Settings, allowances: Arc<dyn Allowances>) -> Self {
        let world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        Self::before(world, settings, allowances)
    }

    /// One that checks passwords by these means.
    pub(super) async fn checking(passwords: MockPasswords) -> Self {
        let mut world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        world.app.passwords = Arc::new(passwords);
        Self::before(world, Settings::default(), Arc::new(UnlimitedAllowances))
    }

    fn before(world: World, settings: Settings, allowances: Arc<dyn Allowances>) -> Self {
        let World { mut app, clock, .. } = world;
        let bell = LoudBell::default();
        let heard = bell.0.subscribe();
        app.bell = Arc::new(bell);
        Self { state: State::new(Arc::new(app), allowances, settings, heard), clock }
    }

    pub(super) async fn send(&self, ask: Ask) -> Answer {
        let service = init_service(app(&self.state)).await;
        let response = service.call(ask.0.to_request()).await.unwrap();
        assert_documented(&response);
        read(response).await
    }

    /// The body of a success, to be read bit by bit.
    pub(super) async fn open(&self, ask: Ask) -> BoxBody {
        let service = init_service(app(&self.state)).await;
        let response = service.call(ask.0.to_request()).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.into_body().boxed()
    }

    /// Registers somebody and signs them in: their id and access token.
    pub(super) async fn person(&self, name: &str) -> (i64, String) {
        self.register(name, false).await
    }

    pub(super) async fn mentor(&self, name: &str) -> (i64, String) {
        self.register(name, true).await
    }

    async fn register(&self, name: &str, is_mentor: bool) -> (i64, String) {
        let body = serde_json::json!({"username": name, "password": World::PASSWORD, "is_mentor": is_mentor});
        let made = self.send(ask("POST", "/api/registration").json(&body)).await.expect(201);
        (made.json()["id"].as_i64().unwrap(), self.token(name).await)
    }

    pub(super) async fn token(&self, name: &str) -> String {
        str_of(&self.pair(name).await["access"]).to_owned()
    }

    pub(super) async fn pair(&self, name: &str) -> Value {
        let body = serde_json::json!({"username": name, "password": World::PASSWORD});
        self.send(ask("POST", "/api/token/").json(&body)).await.expect(200).json()
    }

    /// A signed-in person whose own role holds exactly these permissions.
    pub(super) async fn permitted(&self, name: &str, permissions: &[&str]) -> String {
        let (admin, (id, token)) = (self.admin().await, self.person(name).await);
        let role = serde_json::json!({"name": format!("ROLE-OF-{name}"), "permissions": permissions});
        self.send(ask("POST", "/api/roles/").by(&admin).json(&role)).await.expect(201);
        let roles = serde_json::json!({"roles": [role["name"]]});
        self.send(ask("PUT", &format!("/api/users/{id}/roles")).by(&admin).json(&roles)).await.expect(200);
        token
    }

    /// The API key of the administrator with these permissions, limited to this equipment.
    pub(super) async fn key(&self, permissions: &[&str], equipment: &[i64]) -> String {
        let admin = self.admin().await;
        let draft = serde_json::json!({"name": "key", "permissions": permissions, "equipment": equipment});
        let made = self.send(ask("POST", "/api/api-keys/").by(&admin).json(&draft)).await.expect(201);
        str_of(&made.json()["secret"]).to_owned()
    }

    /// Registers a piece of equipment of this name: its id.
    pub(super) async fn equipment(&self, admin: &str, name: &str) -> i64 {
        self.equipment_with(admin, &serde_json::json!({"name": name, "type": "press"})).await
    }

    /// Registers a piece of equipment: its id.
    pub(super) async fn equipment_with(&self, admin: &str, details: &Value) -> i64 {
        let made = self.send(ask("POST", "/api/equipment/").by(admin).json(details)).await.expect(201);
        made.json()["id"].as_i64().unwrap()
    }

    pub(super) async fn admin(&self) -> String {
        self.token("admin").await
    }
}

/// Whatever a test gets from an operation, the operation's document foresees.
fn assert_documented<B>(response: &ServiceResponse<B>) {
    let Some(pattern) = response.request().match_pattern() else {
        return;
    };
    let method = match response.request().method() {
        &Method::HEAD => Method::GET,
        method => method.clone(),
    };
    let same = |path: &str| path.trim_end_matches('/') == pattern.trim_end_matches('/');
    let operation = routes::operations().iter().find(|it| it.method == method && same(&it.path));
    if let Some(operation) = operation {
        let status = response.status();
        let foreseen = &operation.described.operation.responses.responses;
        assert!(
            foreseen.contains_key(status.as_str()),
            "{method} {pattern} answers {status}, which is not documented"
        );
    }
}

async fn read<B: MessageBody + 'static>(response: ServiceResponse<B>) -> Answer {
    let response = response.map_into_boxed_body();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = read_body::<BoxBody>(response).await;
    Answer { status, headers, bytes }
}
