//! Hostile and clumsy input: always refused in words, never a failure of the server.

use tests::raw::{exchange, get};
use tests::{Backend, Method, Server, json, stories};

const JSON: &str = "application/json";

stories! {
    async fn what_cannot_be_parsed_is_malformed(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
        let deep = format!(r#"{{"username":{deep},"password":"x"}}"#);
        let bodies: [&[u8]; 17] = [
            b"", b"{", b"{}}", b"[]", b"\"text\"", b"null", b"7", br#"{"username":"a","username":"b","password":"c"}"#,
            br#"{"username":"a\u0000b","password":"x"}"#, br#"{"user\u0000name":"a"}"#,
            br#"{"username":"\ud800","password":"x"}"#, br#"{"username":"\udc00\ud800","password":"x"}"#,
            b"{\"username\":\"\xff\",\"password\":\"x\"}", b"{\"username\":\"\x01\",\"password\":\"x\"}",
            br#"{"username":1e400,"password":"x"}"#, br#"[{"username":"a","password":"x"}]"#, deep.as_bytes(),
        ];
        for path in ["/api/registration", "/api/login", "/api/token/refresh"] {
            for body in bodies {
                let reply = stranger.call(Method::POST, path).body(JSON, body).await;
                reply.expect_problem(400, "malformed_request");
            }
        }
    }

    async fn what_cannot_be_parsed_is_malformed_wherever_it_is_sent(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let deep = format!(r#"{{"attributes":{}1{}}}"#, r#"{"a":"#.repeat(64), "}".repeat(64));
        let bodies: [&[u8]; 12] = [
            b"", b"{", b"7", br#"{"name":"a\u0000b"}"#, br#"{"na\u0000me":"a"}"#, b"{\"name\":\"\xff\"}",
            br#"{"threshold":NaN}"#, br#"{"threshold":-Infinity}"#, br#"{"threshold":1e999}"#,
            br#"{"name":"a","name":"b"}"#, br#"{"a":{"b":1,"b":2}}"#, deep.as_bytes(),
        ];
        let paths = [
            "/api/equipment".to_owned(), press.its("maintenance"), "/api/data".to_owned(), "/api/alert-rules".to_owned(),
            "/api/alert-rules/preview".to_owned(), "/api/alerts".to_owned(),
        ];
        for path in paths {
            for body in bodies {
                let reply = admin.call(Method::POST, &path).body(JSON, body).await;
                reply.expect_problem(400, "malformed_request");
            }
        }
        let name = admin.patch(&press.path(), json!({"name": "x".repeat(300)})).await;
        name.expect_flaws(&[("name", "too_long")]);
        assert_eq!(admin.get(&press.path()).await["version"], 1);
        for list in ["/api/alert-rules", "/api/alerts", &press.its("maintenance")] {
            assert_eq!(admin.get(list).await.expect(200)["count"], 0, "{list}");
        }
    }

    async fn values_of_another_kind_are_flaws_of_their_fields(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for number in ["9223372036854775808", "1.5", "-1", "0", "1e3", "1e308", "true", "[1]", "{}", "null"] {
            let body = format!(r#"{{"mentor":{number}}}"#);
            let path = format!("{}/mentor", admin.path());
            let reply = admin.call(Method::PUT, &path).body(JSON, body.as_bytes()).await;
            assert_eq!(reply.expect(422).flaws()[0].0, "mentor", "{number}");
        }
        let role = json!({"name": "x", "permissions": {"0": "users:read"}});
        admin.post("/api/roles", role).await.expect_flaws(&[("permissions", "type")]);
        let role = json!({"name": "x", "permissions": [["users:read"], null]});
        admin.post("/api/roles", role).await.expect_flaws(&[("permissions.0", "type"), ("permissions.1", "type")]);
    }

    async fn a_field_that_does_not_exist_is_named_with_the_nearest_one(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let body = json!({"name": "x", "permisions": [], "permissions": []});
        let reply = admin.post("/api/roles", body).await.expect_flaws(&[("permisions", "unknown_field")]);
        assert!(reply["errors"][0]["message"].as_str().unwrap().contains("permissions"), "{}", reply.json);
    }

    async fn text_of_every_kind_comes_back_as_it_was_or_is_refused(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let texts = [
            "'; DROP TABLE users; --", "<script>alert(1)</script>", "${jndi:ldap://x}", "%s%n", "..\\..\\etc", "🐘🐘",
            "שלום", "line\nbreak\ttab", "\u{e9}\u{301}", "NULL", "\"quoted\"", "",
        ];
        for (number, text) in texts.into_iter().enumerate() {
            let body = json!({"name": format!("Role-{number}"), "description": text, "permissions": []});
            let made = admin.post("/api/roles", body).await.expect(201);
            assert_eq!(made["description"], text);
            assert_eq!(admin.get(&format!("/api/roles/{}", made.id())).await["description"], text);
        }
        for (number, text) in ["bell\u{7}", "escape\u{1b}[31m", "turned\u{202e}around"].into_iter().enumerate() {
            let body = json!({"name": format!("Bad-{number}"), "description": text, "permissions": []});
            admin.post("/api/roles", body).await.expect_flaws(&[("description", "invisible")]);
        }
    }

    async fn wildcards_in_a_search_are_plain_text(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for name in ["under_score", "underXscore"] {
            admin.post("/api/users", json!({"username": name, "password": "Gr4nite-Teapot"})).await.expect(201);
        }
        for (search, expected) in [("r_s", 1), ("%25", 0), ("%5C", 0), ("'", 0), ("R%58S", 1), ("*", 0)] {
            let found = admin.get(&format!("/api/users?search={search}")).await.expect(200);
            assert_eq!(found["count"], expected, "{search}");
        }
    }

    async fn strange_paths_lead_nowhere(backend: Backend) {
        let server = Server::start(backend).await;
        let token = server.admin().await;
        let paths = [
            "/api/users/%00", "/api/users/%2F", "/api/users/1%2Fmentor", "/api/users/%ff", "/api/users/%", "/api/users/%zz",
            "/api/roles/%00", "/api/roles/AD%4DIN%00", "/api/users//1", "//api/users", "/api//users", "/api/users/1;x=1",
            "/api/../api/nowhere", "/api/users/%2e%2e/%2e%2e/etc/passwd", "/problems/%00", "/swagger/%2e%2e%2fetc%2fpasswd",
            "/swagger/..%5c..%5cetc", "/api/users/\u{1f418}", "/api/users/1/mentor/2/3", "/nowhere", "/api/nowhere",
        ];
        for path in paths {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
                token.token()
            );
            let (status, _, body) = exchange(&server, request.as_bytes()).await;
            assert!(matches!(status, 400 | 404), "{path} was answered {status} {body}");
        }
        let (status, _, body) = exchange(&server, &get("/api/nowhere")).await;
        assert!(status == 404 && body.contains("\"code\":\"not_found\""), "{status} {body}");
    }

    async fn requests_that_break_http_are_refused_and_others_go_on(backend: Backend) {
        let server = Server::start(backend).await;
        let long = "x".repeat(200_000);
        let requests = [
            "NONSENSE\r\n\r\n".to_owned(),
            "GET /api/ HTTP/9.9\r\n\r\n".to_owned(),
            format!("GET /{long} HTTP/1.1\r\nHost: t\r\n\r\n"),
            format!("GET /api/ HTTP/1.1\r\nHost: t\r\nX-Long: {long}\r\nConnection: close\r\n\r\n"),
            "POST /api/login HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n".to_owned(),
            "POST /api/login HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".to_owned(),
            "POST /api/login HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}".to_owned(),
            "GET /api/ HTTP/1.1\r\nHost: t\r\nBad Header: x\r\nConnection: close\r\n\r\n".to_owned(),
        ];
        for request in requests {
            let (status, head, _) = exchange(&server, request.as_bytes()).await;
            assert!(status == 0 || (400..500).contains(&status), "{head}");
        }
        server.anonymous().get("/api/").await.expect(200);
    }

    async fn a_body_beyond_the_limit_is_too_large(backend: Backend) {
        let server = Server::start(backend).await;
        let huge = format!(r#"{{"username":"{}","password":"x"}}"#, "x".repeat(3_000_000));
        let head = format!(
            "POST /api/login HTTP/1.1\r\nHost: t\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n",
            huge.len()
        );
        // The head alone: the server need not wait for what it will not read.
        let (status, _, body) = exchange(&server, format!("{head}{{").as_bytes()).await;
        assert!(status == 413 && body.contains("\"code\":\"too_large\""), "{status} {body}");
    }

    async fn a_problem_is_explained_where_it_says(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let problem = stranger.get("/api/users").await.expect(401);
        let explained = stranger.get(problem.text("type")).await.expect(200);
        assert!(String::from_utf8_lossy(&explained.bytes).contains("unauthenticated"));
        stranger.get("/problems/no_such_code").await.expect_problem(404, "not_found");
    }
}
