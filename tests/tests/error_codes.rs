//! Every error code that a client can meet, met once. A new code without an occurrence here fails, as does an occurrence
//! of a code that the table does not know.

use futures_util::future::{join, join_all};
use std::collections::BTreeSet;
use tests::people::fresh_password;
use tests::raw::{exchange, get};
use tests::{Backend, Method, Options, Person, Server, Value, json, stories};

/// What cannot be brought about from outside at will, and why.
const OUT_OF_REACH: [(&str, &str); 2] = [
    ("outcome_unknown", "takes a link to the database that breaks during a commit"),
    ("internal_error", "takes a fault of ours"),
];

/// The codes in the table that the binary prints.
async fn printed_codes(server: &Server) -> BTreeSet<String> {
    let printed = server.installation.run(&["errors"]).await;
    let headings = printed.stdout.lines().filter_map(|line| line.strip_prefix("## `"));
    headings.filter_map(|heading| heading.strip_suffix('`')).map(str::to_owned).collect()
}

/// Brings about everything that one ordinary server and a few people can.
async fn provoke(server: &Server, admin: &Person, anna: &Person) -> BTreeSet<String> {
    let stranger = server.anonymous();
    let huge = format!(r#"{{"username":"{}"}}"#, "x".repeat(2_000_000));
    let unlikely = json!({"username": "nobody", "password": fresh_password()});
    let role = |name: &str| json!({"name": name, "permissions": []});
    admin.post("/api/roles", role("Used")).header("idempotency-key", "k").await.expect(201);
    admin.put(&format!("{}/roles", anna.path()), json!({"roles": ["Used"]})).await.expect(200);
    let clerk = server.permitted("clerk", &["roles:write"]).await;
    let press = admin.machine_called("Press").await;
    admin.post("/api/data", press.at(0, 20.0)).await.expect(201);
    let alert = json!({"equipment": press.id, "description": "Oil"});
    let alert = admin.post("/api/alerts", alert).await.expect(201).expect_header("location").to_owned();
    admin.post(&format!("{alert}/resolve"), json!({})).await.expect(200);
    let calls = [
        stranger.get("/api/users"),
        stranger.get("/api/nowhere"),
        stranger.post("/api/login", unlikely),
        stranger.call(Method::DELETE, "/api/login"),
        stranger.get("/api/").header("accept", "text/html"),
        stranger.call(Method::POST, "/api/login").body("text/plain", b"x"),
        stranger.call(Method::POST, "/api/login").body("application/json", b"{"),
        stranger
            .call(Method::POST, "/api/login")
            .header("content-encoding", "br")
            .body("application/json", b"{}"),
        stranger.call(Method::POST, "/api/login").body("application/json", huge.as_bytes()),
        stranger.post("/api/login", json!({})),
        admin.get("/api/users?colour=red"),
        admin.get("/api/audit?cursor=x"),
        admin.post("/api/roles", role("Used")),
        admin.post("/api/roles", role("Other")).header("idempotency-key", "k"),
        admin.delete("/api/roles/Used"),
        admin.delete("/api/roles/ADMIN"),
        admin.delete(&admin.path()),
        admin.patch(&anna.path(), json!({})).header("if-match", "\"999\""),
        anna.get("/api/audit"),
        clerk.post("/api/roles", json!({"name": "Mighty", "permissions": ["users:write"]})),
        admin.post("/api/data", press.at(0, 21.0)),
        admin.post(&format!("{alert}/acknowledge"), json!({})),
    ];
    let mut codes = BTreeSet::new();
    for call in calls {
        codes.insert(call.await.code().to_owned());
    }
    codes
}

stories! {
    async fn every_code_that_a_client_can_meet_is_met(backend: Backend) {
        let server = Server::start(backend).await;
        let (admin, anna) = (server.admin().await, server.newcomer("anna").await);
        // It takes the longest, and meanwhile the others go on.
        let slow = request_timeout(&server);
        let others = async {
            let mut met = provoke(&server, &admin, &anna).await;
            met.insert(too_many_attempts(&server).await);
            met.insert(rate_limited(backend).await);
            met.insert(busy(&server).await);
            met.insert(precondition_required(backend).await);
            met.insert(uri_too_long(&server).await);
            met.insert(head_too_large(&server).await);
            met
        };
        let (slow, mut met) = join(slow, others).await;
        met.insert(slow);
        let known = printed_codes(&server).await;
        let out_of_reach: BTreeSet<String> = OUT_OF_REACH.map(|(code, _)| code.to_owned()).into();
        assert!(met.is_disjoint(&out_of_reach), "within reach after all: {met:?}");
        met.extend(out_of_reach);
        assert_eq!(met, known);
    }

    async fn every_code_is_explained_at_its_address(backend: Backend) {
        let server = Server::start(backend).await;
        for code in printed_codes(&server).await {
            let page = server.anonymous().get(&format!("/problems/{code}")).await.expect(200);
            assert!(String::from_utf8_lossy(&page.bytes).contains(&code), "{code}");
        }
    }
}

async fn too_many_attempts(server: &Server) -> String {
    loop {
        let guess = json!({"username": "nobody", "password": "not-the-Gr4nite"});
        let reply = server.anonymous().post("/api/login", guess).await;
        if reply.status == 429 {
            return reply.code().to_owned();
        }
    }
}

/// More passwords at once than are hashed or may wait for it.
async fn busy(server: &Server) -> String {
    let newcomers = (0..150).map(|number| {
        let person = json!({"username": format!("crowd-{number}"), "password": fresh_password()});
        server.anonymous().post("/api/registration", person).may_be_busy().into_future()
    });
    let replies = join_all(newcomers).await;
    let refused = replies.iter().find(|reply| reply.status == 503).expect("the server takes any crowd");
    assert!(refused.header("retry-after").is_some());
    refused.code().to_owned()
}

async fn rate_limited(backend: Backend) -> String {
    let options = Options::default().set("TECHTRACK_RATE_LIMIT_PER_MINUTE", "2");
    let server = Server::start_with(backend, options).await;
    loop {
        let reply = server.anonymous().get("/api/").await;
        if reply.status == 429 {
            return reply.code().to_owned();
        }
    }
}

async fn precondition_required(backend: Backend) -> String {
    let options = Options::default().set("TECHTRACK_HTTP_REQUIRE_IF_MATCH", "on");
    let server = Server::start_with(backend, options).await;
    let admin = server.admin().await;
    admin.patch(&admin.path(), json!({})).await.code().to_owned()
}

async fn uri_too_long(server: &Server) -> String {
    refused(server, &get(&format!("/api/{}", "x".repeat(9_000)))).await
}

async fn head_too_large(server: &Server) -> String {
    let head = format!("GET /api/ HTTP/1.1\r\nHost: t\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000));
    refused(server, head.as_bytes()).await
}

/// The code with which these bytes are refused.
async fn refused(server: &Server, request: &[u8]) -> String {
    let (_, head, body) = exchange(server, request).await;
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    let code = problem["code"].as_str();
    code.unwrap_or_else(|| panic!("not a problem: {head}\n{body}")).to_owned()
}

/// The promised body never comes.
async fn request_timeout(server: &Server) -> String {
    let head = "POST /api/login HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    refused(server, head.as_bytes()).await
}
