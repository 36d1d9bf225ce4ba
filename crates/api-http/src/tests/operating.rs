//! What operators see: probes, metrics, limits, panics, the end.

use super::face::{Face, ask, get, silence};
use crate::auth::Public;
use crate::operation::{Operation, resources};
use crate::reply::Done;
use crate::{Listeners, Settings, State, serve};
use actix_web::App;
use actix_web::dev::Service;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::web::Data;
use async_trait::async_trait;
use domain::app::Policy;
use domain::error::Error;
use domain::ports::{self, Allowance, MockAllowances, Repos, Store, StoreError, UnitOfWork};
use domain::testing::{FrozenClock, MemoryStore, UnlimitedAllowances, World};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A database that is away.
struct Away;

#[async_trait]
impl Store for Away {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        Err(StoreError::Busy("away".into()))
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Err(StoreError::Busy("away".into()))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Err(StoreError::Busy("away".into()))
    }
}

#[actix_web::test]
async fn without_its_database_the_server_is_alive_and_not_ready() {
    let clock = Arc::new(FrozenClock::default());
    let services = World::services(Arc::new(Away), clock.clone());
    let app = domain::app::App::new(services, Policy::default());
    let state = State::new(Arc::new(app), Arc::new(UnlimitedAllowances), Settings::default(), silence());
    let face = Face { state, clock };
    face.send(get("/health/live")).await.expect(200);
    let answer = face.send(get("/health/ready")).await;
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.problem(503), "busy");
    let body = json!({"username": "anna", "password": World::PASSWORD});
    assert_eq!(face.send(ask("POST", "/api/token/").json(&body)).await.problem(503), "busy");
}

/// A database that never says a word.
struct Mute;

#[async_trait]
impl Store for Mute {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        std::future::pending().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        std::future::pending().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

#[actix_web::test]
async fn nobody_waits_for_ever_for_an_answer() {
    let clock = Arc::new(FrozenClock::default());
    let services = World::services(Arc::new(Mute), clock.clone());
    let app = domain::app::App::new(services, Policy::default());
    let state = State::new(Arc::new(app), Arc::new(UnlimitedAllowances), Settings::default(), silence());
    let face = Face { state, clock };
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(face.send(get("/health/ready")).await.problem(503), "busy");
    assert_eq!(began.elapsed().as_secs(), 10);
    let body = json!({"username": "anna", "password": World::PASSWORD});
    let answer = face.send(ask("POST", "/api/token/").json(&body)).await;
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.problem(503), "outcome_unknown");
}

/// A database whose link breaks during every commit: the work is done, and nobody hears of it.
struct Severed {
    store: Arc<MemoryStore>,
    /// Whether nothing more is heard from then on.
    for_good: bool,
    severed: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Severed {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        if self.for_good && self.severed.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.store.reader().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(Unheard(self.store.begin().await?, Arc::clone(&self.severed))))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// A unit of work of a [`Severed`] database.
struct Unheard(Box<dyn UnitOfWork>, Arc<AtomicBool>);

#[async_trait]
impl UnitOfWork for Unheard {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await?;
        self.1.store(true, Ordering::Relaxed);
        Err(StoreError::OutcomeUnknown)
    }

    async fn rollback(self: Box<Self>) {
        self.0.rollback().await;
    }
}

macro_rules! same_repos {
    ($($method:ident -> $port:ident),* $(,)?) => {
        impl Repos for Unheard {
            $(fn $method(&mut self) -> &mut dyn ports::$port {
                self.0.$method()
            })*
        }
    };
}

same_repos! {
    users -> Users, mentorships -> Mentorships, roles -> Roles, sessions -> Sessions, api_keys -> ApiKeys,
    sign_ins -> SignIns, idempotency -> Idempotency, signing_keys -> SigningKeys, trail -> Trail,
    equipment -> Register, maintenance -> MaintenanceLog, readings -> Readings, rollups -> Rollups, thinnings -> Thinnings,
    metrics -> Metrics,
    rules -> AlertRules, alerts -> Alerts, live -> Live, webhooks -> Webhooks, deliveries -> Deliveries,
}

async fn severed(for_good: bool) -> Face {
    let store = Arc::new(MemoryStore::default());
    let World { clock, .. } = World::over(store.clone()).await.unwrap();
    let severed = Severed { store, for_good, severed: Arc::default() };
    let app = domain::app::App::new(World::services(Arc::new(severed), clock.clone()), Policy::default());
    let state = State::new(Arc::new(app), Arc::new(UnlimitedAllowances), Settings::default(), silence());
    Face { state, clock }
}

#[actix_web::test]
async fn who_asked_for_a_change_whose_commit_was_not_answered_is_told_that_nobody_knows() {
    let face = severed(false).await;
    let body = json!({"username": "anna", "password": World::PASSWORD});
    let answer = face.send(ask("POST", "/api/registration").json(&body)).await;
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.problem(503), "outcome_unknown");
}

#[actix_web::test]
async fn with_an_idempotency_key_what_became_of_such_a_change_is_looked_up_at_once() {
    let face = severed(false).await;
    let body = json!({"username": "anna", "password": World::PASSWORD});
    let request = || ask("POST", "/api/registration").with("idempotency-key", "k1").json(&body);
    let answer = face.send(request()).await.expect(201);
    assert_eq!(answer.header("idempotency-replayed"), "true");
}

#[actix_web::test]
async fn where_the_database_stays_silent_nobody_waits_twice_and_nobody_is_told_that_nothing_was_changed() {
    let face = severed(true).await;
    let body = json!({"username": "anna", "password": World::PASSWORD});
    let request = ask("POST", "/api/registration").with("idempotency-key", "k1").json(&body);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(face.send(request).await.problem(503), "outcome_unknown");
    assert!(began.elapsed() < Duration::from_millis(500), "it took {:?}", began.elapsed());
}

#[actix_web::test]
async fn a_server_that_is_about_to_stop_says_so() {
    let face = Face::new().await;
    face.send(get("/health/ready")).await.expect(200);
    face.state.draining.begin();
    face.send(get("/health/ready")).await.expect(503);
    face.send(get("/health/live")).await.expect(200);
}

#[actix_web::test]
async fn requests_are_counted_by_route_method_and_status() {
    let face = Face::new().await;
    face.send(get("/api/users/7")).await.expect(401);
    face.send(get("/api/users/8/")).await.expect(401);
    let page = face.send(get("/metrics")).await.expect(200);
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    let line = "techtrack_http_request_duration_seconds_count{method=\"GET\",route=\"/api/users/{id}\",status=\"401\"} 2";
    assert!(page.contains(line), "{page}");
    assert!(page.contains("techtrack_build_info{version="));
}

fn one_left_then_none() -> MockAllowances {
    let mut allowances = MockAllowances::new();
    let mut left = 1;
    allowances.expect_take().withf(|_, per_minute| *per_minute == 60).returning(move |_, limit| {
        let granted = left > 0;
        left = 0;
        let retry_after = if granted { Duration::ZERO } else { Duration::from_millis(900) };
        Allowance { granted, limit, remaining: 0, retry_after }
    });
    allowances
}

#[actix_web::test]
async fn who_calls_too_often_is_told_when_to_come_back() {
    let settings = Settings { rate_limit_per_minute: 60, ..Settings::default() };
    let face = Face::with(settings, Arc::new(one_left_then_none())).await;
    let first = face.send(get("/api/")).await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"per-minute\";q=60;w=60");
    assert_eq!(first.header("ratelimit"), "\"per-minute\";r=0");
    let second = face.send(get("/api/")).await;
    assert_eq!((second.header("retry-after"), second.header("ratelimit")), ("1", "\"per-minute\";r=0;t=1"));
    assert_eq!(second.problem(429), "rate_limited");
    face.send(get("/health/live")).await.expect(200);
}

#[actix_web::test]
async fn who_registers_too_often_is_told_of_registrations_and_not_of_requests() {
    let mut allowances = MockAllowances::new();
    allowances.expect_take().returning(|caller, limit| {
        let granted = !caller.ends_with(":registrations");
        let retry_after = if granted { Duration::ZERO } else { Duration::from_secs(7) };
        Allowance { granted, limit, remaining: 0, retry_after }
    });
    let settings =
        Settings { rate_limit_per_minute: 600, registrations_per_minute: 3, ..Settings::default() };
    let face = Face::with(settings, Arc::new(allowances)).await;
    let body = serde_json::json!({"username": "anna", "password": domain::testing::World::PASSWORD});
    let refused = face.send(ask("POST", "/api/registration").json(&body)).await;
    assert_eq!(refused.header("ratelimit-policy"), "\"registrations-per-minute\";q=3;w=60");
    assert_eq!(refused.header("ratelimit"), "\"registrations-per-minute\";r=0;t=7");
    assert_eq!(refused.header("retry-after"), "7");
    assert_eq!(refused.problem(429), "rate_limited");
}

#[actix_web::test]
async fn an_allowance_belongs_to_the_user_and_else_to_the_address() {
    let mut allowances = MockAllowances::new();
    let callers = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&callers);
    allowances.expect_take().returning(move |caller, limit| {
        seen.lock().unwrap().push(caller.to_owned());
        Allowance { granted: true, limit, remaining: 1, retry_after: Duration::ZERO }
    });
    let settings = Settings {
        rate_limit_per_minute: 60,
        trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
        ..Settings::default()
    };
    let face = Face::with(settings, Arc::new(allowances)).await;
    let (anna, token) = face.person("anna").await;
    callers.lock().unwrap().clear();
    face.send(get("/api/users/me").by(&token)).await.expect(200);
    face.send(get("/api/users/me").by("forged")).await.expect(401);
    face.send(get("/api/").with("X-Forwarded-For", "1.1.1.1, 203.0.113.9")).await.expect(200);
    assert_eq!(
        *callers.lock().unwrap(),
        [&format!("user:{anna}"), "address:192.0.2.7", "address:203.0.113.9"]
    );
}

struct Trip;

impl utoipa::Path for Trip {
    fn methods() -> Vec<utoipa::openapi::path::HttpMethod> {
        vec![utoipa::openapi::path::HttpMethod::Get]
    }

    fn path() -> String {
        "/api/trip".to_owned()
    }

    fn operation() -> utoipa::openapi::path::Operation {
        utoipa::openapi::path::Operation::new()
    }
}

async fn trip(_: Public) -> Done {
    panic!("tripped")
}

#[actix_web::test]
async fn a_panic_is_answered_and_tells_nothing() {
    let face = Face::new().await;
    let operation = [Operation::of::<Trip, _, _>("service", trip)];
    let service = App::new()
        .app_data(Data::new(face.state.clone()))
        .configure(|config| {
            for resource in resources(&operation) {
                config.service(resource);
            }
        })
        .wrap(from_fn(crate::middleware::problems::explain))
        .wrap(from_fn(crate::middleware::context::accompany));
    let service = init_service(service).await;
    let response = service.call(TestRequest::get().uri("/api/trip").to_request()).await.unwrap();
    assert_eq!(response.status().as_u16(), 500);
    let body: serde_json::Value =
        serde_json::from_slice(&read_body(response.map_into_boxed_body()).await).unwrap();
    assert_eq!((&body["code"], &body["detail"]), (&json!("internal_error"), &json!("internal error")));
    assert!(!body["request_id"].as_str().unwrap().is_empty());
}

#[actix_web::test]
async fn web_pages_of_other_origins_are_let_in_by_configuration_alone() {
    let preflight = || {
        ask("OPTIONS", "/api/users/")
            .with("Origin", "https://plant.example")
            .with("Access-Control-Request-Method", "GET")
    };
    let closed = Face::new().await;
    let answer = closed.send(preflight()).await.expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let settings = Settings { cors_origins: vec!["https://plant.example".to_owned()], ..Settings::default() };
    let open = Face::with(settings, Arc::new(UnlimitedAllowances)).await;
    let answer = open.send(preflight()).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://plant.example");
    let foreign = ask("OPTIONS", "/api/users/").with("Origin", "https://other.example");
    let foreign = foreign.with("Access-Control-Request-Method", "GET");
    let answer = open.send(foreign).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[actix_web::test]
async fn the_interactive_documentation_loads_nothing_from_elsewhere() {
    let face = Face::new().await;
    for path in ["/swagger", "/swagger/"] {
        let page = face.send(get(path)).await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.header("content-security-policy").contains("script-src 'self';"));
        let html = String::from_utf8_lossy(&page.bytes).into_owned();
        let loaded: Vec<&str> = html
            .split(['"'])
            .filter(|text| text.ends_with(".js") || text.ends_with(".css") || text.ends_with(".png"))
            .collect();
        assert!(loaded.len() >= 6, "{html}");
        for file in loaded {
            assert!(file.starts_with("/swagger/"), "{file}");
            face.send(get(file)).await.expect(200);
        }
    }
    let start = face.send(get("/swagger/swagger-initializer.js")).await.expect(200);
    let start = String::from_utf8_lossy(&start.bytes).into_owned();
    assert!(start.contains("/api/openapi.json") && !start.contains("http://") && !start.contains("https://"));
    face.send(get("/swagger/no-such-file.js")).await.expect(404);
}

/// A server on a socket, and the way to stop it.
async fn started()
-> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let face = Face::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let mut state = face.state;
    state.settings = Arc::new(Settings { workers: Some(1), ..Settings::default() });
    let listeners = Listeners { api: listener, watchers: None };
    let server = actix_web::rt::spawn(serve(listeners, state, async move {
        let _ = stopped.await;
    }));
    (address, stop, server)
}

async fn talk(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_web::test]
async fn on_a_socket_head_has_the_headers_of_get_and_no_body() {
    let (address, stop, server) = started().await;
    let ask = |method: &str| {
        format!("{method} /api/ HTTP/1.1\r\nHost: x\r\nX-Request-Id: r\r\nConnection: close\r\n\r\n")
    };
    let head = talk(address, ask("HEAD").as_bytes()).await;
    let get = talk(address, ask("GET").as_bytes()).await;
    let lines = |text: &str| -> Vec<String> {
        let head = text.split("\r\n\r\n").next().unwrap();
        let mut lines: Vec<String> =
            head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&head), lines(&get));
    assert!(head.ends_with("\r\n\r\n") && get.ends_with('}'), "{head}{get}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[actix_web::test]
async fn on_a_socket_a_body_without_announced_length_is_cut_at_the_limit() {
    let (address, stop, server) = started().await;
    let head = "POST /api/token/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let chunk = format!("1400\r\n{}\r\n0\r\n\r\n", " ".repeat(0x1400));
    let answer = talk(address, format!("{head}{chunk}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"), "{answer}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[actix_web::test]
async fn work_is_finished_even_if_nobody_waits_for_it() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let mut waiting = Box::pin(crate::completion::to_completion(async move {
        let _ = gone.await;
        let _ = tell.send("finished");
        Ok::<_, Error>(())
    }));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    go.send(()).unwrap();
    assert_eq!(told.await.unwrap(), "finished");
}
