//! One's own signed-in clients, and signing them out.

use std::time::Duration;
use tests::raw::Upload;
use tests::{Backend, Method, Server, json, stories};

/// Sends a body in two halves, and lets something happen long after the first.
async fn sent_slowly(
    server: &Server,
    (token, path): (&str, &str),
    halves: [&str; 2],
    meanwhile: impl Future<Output = ()>,
) -> (u16, String) {
    let mut upload = Upload::begin(server, token, path, "application/json").await;
    upload.send(halves[0]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    meanwhile.await;
    upload.send(halves[1]).await;
    upload.end().await
}

stories! {
    async fn everybody_sees_their_own_sessions_with_where_they_come_from(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let body = json!({"username": "anna", "password": anna.password});
        let phone = server.anonymous().post("/api/login", body).header("user-agent", "Phone/7").await.expect(200);
        server.newcomer("ben").await;

        let list = anna.get("/api/sessions/").await.expect(200);
        assert_eq!(list["count"], 2);
        assert_eq!(list.column("current"), [json!(true), json!(false)]);
        assert_eq!(list.column("address"), [json!("127.0.0.1"), json!("127.0.0.1")]);
        assert_eq!(list.column("agent")[1], "Phone/7");
        for session in list["results"].as_array().unwrap() {
            assert!(session["created_at"].is_string() && session["last_used_at"].is_string(), "{session}");
        }
        let by_phone = anna.bearing(phone.text("access")).get("/api/sessions/?ordering=-created_at").await;
        assert_eq!(by_phone.column("current"), [json!(true), json!(false)]);
    }

    async fn ending_a_session_ends_its_tokens_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let other = anna.signed_in_again(&server).await;
        let id = other.get("/api/sessions/?ordering=-created_at").await.expect(200).column("id")[0].clone();
        let path = format!("/api/sessions/{id}");
        anna.delete(&path).await.expect(204);
        other.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        let refresh = json!({"refresh": other.refresh});
        server.anonymous().post("/api/token/refresh/", refresh).await.expect(401);
        anna.delete(&path).await.expect_problem(404, "not_found");
        anna.get("/api/users/me").await.expect(200);
    }

    async fn nobody_touches_sessions_of_others(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let id = anna.get("/api/sessions/").await.expect(200).column("id")[0].clone();
        let admin = server.admin().await;
        admin.delete(&format!("/api/sessions/{id}")).await.expect_problem(404, "not_found");
        anna.get("/api/users/me").await.expect(200);
    }

    async fn logging_out_ends_this_session_and_no_other(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let other = anna.signed_in_again(&server).await;
        anna.call(Method::POST, "/api/logout").await.expect(204);
        anna.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        anna.call(Method::POST, "/api/logout").await.expect_problem(401, "unauthenticated");
        other.get("/api/users/me").await.expect(200);
        other.post("/api/logout/", json!({"all": false})).await.expect(204);
        other.get("/api/users/me").await.expect(401);
    }

    async fn logging_out_everywhere_ends_all_sessions_of_the_user(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let other = anna.signed_in_again(&server).await;
        let ben = server.newcomer("ben").await;
        anna.post("/api/logout", json!({"all": true})).await.expect(204);
        anna.get("/api/users/me").await.expect(401);
        other.get("/api/users/me").await.expect(401);
        ben.get("/api/users/me").await.expect(200);
        anna.signed_in_again(&server).await.get("/api/users/me").await.expect(200);
    }

    async fn who_is_signed_out_while_still_sending_is_nobody_when_all_has_come(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let halves = [r#"{"name":"back door","#, r#""permissions":[]}"#];
        let keys = (anna.token(), "/api/api-keys");
        let sign_out = async { drop(anna.post("/api/logout", json!({"all": true})).await.expect(204)) };
        let (status, body) = sent_slowly(&server, keys, halves, sign_out).await;
        assert!(status == 401 && body.contains("\"code\":\"unauthenticated\""), "{status} {body}");
        let anna = anna.signed_in_again(&server).await;
        assert_eq!(anna.get("/api/api-keys").await.expect(200)["count"], 0);
        let (status, body) = sent_slowly(&server, (anna.token(), "/api/api-keys"), halves, async {}).await;
        assert_eq!(status, 201, "whoever is only slow is served: {body}");
    }

    async fn who_loses_a_role_while_still_sending_does_not_use_it_any_more(backend: Backend) {
        let server = Server::start(backend).await;
        let (admin, boss) = (server.admin().await, server.holder_of("boss", &["ADMIN"]).await);
        let demote = async {
            let path = format!("{}/roles", boss.path());
            admin.put(&path, json!({"roles": ["CLIENT"]})).await.expect(200);
        };
        let halves = [r#"{"username":"eve","roles":["ADMIN"],"#, r#""password":"Gr4nite-Teapot"}"#];
        let (status, body) = sent_slowly(&server, (boss.token(), "/api/users"), halves, demote).await;
        assert!(status == 403 && body.contains("\"code\":\"permission_required\""), "{status} {body}");
        assert_eq!(admin.get("/api/users?username=eve").await.expect(200)["count"], 0);
    }

    async fn a_machine_has_no_sessions_to_look_after(backend: Backend) {
        let server = Server::start(backend).await;
        let machine = server.admin().await.machine("press", &["users:read"]).await;
        machine.get("/api/sessions/").await.expect_problem(403, "permission_required");
        machine.post("/api/logout", json!({})).await.expect_problem(403, "permission_required");
    }
}
