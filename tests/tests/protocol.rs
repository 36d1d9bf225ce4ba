//! HTTP itself: slashes, methods, media types, request ids, compression, other origins.

use flate2::read::GzDecoder;
use std::io::Read;
use tests::{Backend, Method, Options, Server, json, stories};

/// Reads that a signed-in administrator can do.
const READS: [&str; 17] = [
    "/api",
    "/api/users",
    "/api/users/me",
    "/api/roles",
    "/api/roles/ADMIN",
    "/api/permissions",
    "/api/sessions",
    "/api/api-keys",
    "/api/audit",
    "/api/equipment",
    "/api/data",
    "/api/metrics",
    "/api/alert-rules",
    "/api/alerts",
    "/api/webhooks",
    "/api/openapi.json",
    "/.well-known/jwks.json",
];

stories! {
    async fn every_path_answers_with_and_without_the_final_slash_alike(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for path in READS {
            let bare = admin.get(path).await.expect(200);
            let slashed = admin.get(&format!("{path}/")).await.expect(200);
            assert_eq!(bare.json, slashed.json, "{path}");
        }
        let body = json!({"name": "Auditor", "permissions": []});
        admin.post("/api/roles/", body).await.expect(201);
        admin.patch("/api/roles/Auditor/", json!({"description": "x"})).await.expect(200);
        admin.delete("/api/roles/Auditor/").await.expect(204);
        admin.get("/api/users//").await.expect(404);
    }

    async fn head_works_where_get_does(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for path in READS {
            let get = admin.get(path).await.expect(200);
            let head = admin.call(Method::HEAD, path).await.expect(200);
            assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
            assert_eq!(head.header("etag"), get.header("etag"), "{path}");
        }
        admin.call(Method::HEAD, "/api/users/999999").await.expect(404);
        server.anonymous().call(Method::HEAD, "/api/users").await.expect(401);
        server.anonymous().call(Method::HEAD, "/health/live").await.expect(200);
    }

    async fn a_wrong_method_is_told_the_right_ones_and_options_answers(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let cases = [
            ("/api/users", "GET, HEAD, OPTIONS, POST", Method::DELETE),
            ("/api/users/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT", Method::POST),
            ("/api/login", "OPTIONS, POST", Method::GET),
            ("/api/audit/", "GET, HEAD, OPTIONS", Method::PUT),
            ("/api/sessions/1", "DELETE, OPTIONS", Method::PATCH),
            ("/api/equipment/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT", Method::POST),
            ("/api/data/bulk", "OPTIONS, POST", Method::GET),
            ("/api/data/export", "GET, HEAD, OPTIONS", Method::POST),
            ("/api/alerts/1/acknowledge", "OPTIONS, POST", Method::GET),
            ("/api/metrics/", "GET, HEAD, OPTIONS", Method::POST),
            ("/health/live", "GET, HEAD, OPTIONS", Method::POST),
        ];
        for (path, allowed, wrong) in cases {
            let reply = admin.call(wrong, path).await.expect_problem(405, "method_not_allowed");
            assert_eq!(reply.header("allow"), Some(allowed), "{path}");
            let options = server.anonymous().call(Method::OPTIONS, path).await;
            assert!(options.status.is_success(), "{options:?}");
            assert_eq!(options.header("allow"), Some(allowed), "{path}");
        }
        let odd = "BREW".parse().unwrap();
        admin.call(odd, "/api/users").await.expect_problem(405, "method_not_allowed");
        admin.call(Method::POST, "/api/nowhere").await.expect_problem(404, "not_found");
    }

    async fn answers_are_json_for_whoever_takes_json(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let get = |accept: &str| admin.get("/api/users").header("accept", accept);
        for accept in [
            "application/json", "*/*", "application/*", "text/html, application/json;q=0.1", "APPLICATION/JSON",
            "application/json; charset=utf-8", "text/html, */*;q=0.8",
        ] {
            let reply = get(accept).await.expect(200);
            assert!(reply.expect_header("content-type").starts_with("application/json"), "{accept}");
        }
        for accept in ["text/html", "application/xml, text/*", "application/json;q=0", "image/png"] {
            get(accept).await.expect_problem(406, "not_acceptable");
        }
        let body = json!({"name": "Auditor", "permissions": []});
        let reply = admin.post("/api/roles", body).header("accept", "text/html").await;
        reply.expect_problem(406, "not_acceptable");
        assert_eq!(admin.get("/api/roles?name=Auditor").await["count"], 0);
    }

    async fn bodies_are_json_in_utf_8_or_unsupported(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let post = |kind: &str, name: &str| {
            let body = json!({"name": name, "permissions": []}).to_string();
            admin.call(Method::POST, "/api/roles").body(kind, body.as_bytes())
        };
        for (number, kind) in
            ["application/json", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"", "Application/JSON"]
                .into_iter()
                .enumerate()
        {
            post(kind, &format!("Role-{number}")).await.expect(201);
        }
        let kinds = [
            "text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json; charset=utf-16",
            "application/json; charset=latin1", "multipart/form-data; boundary=x", "json",
        ];
        for kind in kinds {
            post(kind, "Never").await.expect_problem(415, "unsupported_media_type");
        }
        let coded = post("application/json", "Never").header("content-encoding", "br").await;
        assert_eq!(coded.header("accept-encoding"), Some("gzip, deflate, zstd"));
        coded.expect_problem(415, "unsupported_coding");
        let cut = post("application/json", "Never").header("content-encoding", "gzip").await;
        cut.expect_problem(400, "malformed_request");
        let form = server.anonymous().call(Method::POST, "/api/registration");
        form.form(&[("username", "anna"), ("password", "Gr4nite-Teapot")]).await.expect(415);
    }

    async fn a_request_keeps_its_id_if_it_is_a_decent_one(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let longest = "Az0._-".repeat(11)[..64].to_owned();
        for id in ["a", "trace-4711", longest.as_str()] {
            let reply = stranger.get("/api/users").header("x-request-id", id).await.expect(401);
            assert_eq!((reply.header("x-request-id"), &reply["request_id"]), (Some(id), &json!(id)));
        }
        let too_long = "x".repeat(65);
        for id in [too_long.as_str(), "two words", "semi;colon", "\u{e4}", "a\"b", ""] {
            let reply = stranger.get("/api/").header("x-request-id", id).await.expect(200);
            let own = reply.expect_header("x-request-id");
            assert!(own != id && !own.is_empty() && own.len() <= 64, "{own}");
        }
        let ids = [stranger.get("/api/").await, stranger.get("/api/").await];
        assert_ne!(ids[0].header("x-request-id"), ids[1].header("x-request-id"));
        assert!(server.log().contains("trace-4711"), "the log knows requests by their ids");
    }

    async fn answers_are_compressed_for_whoever_asks(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let plain = stranger.get("/api/openapi.json").await.expect(200);
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = stranger.get("/api/openapi.json").header("accept-encoding", "gzip").await.expect(200);
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert!(gzip.expect_header("vary").to_lowercase().contains("accept-encoding"));
        let mut unpacked = Vec::new();
        GzDecoder::new(&gzip.bytes[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.bytes);
        let zstd = stranger.get("/api/openapi.json").header("accept-encoding", "zstd").await.expect(200);
        assert_eq!(zstd.header("content-encoding"), Some("zstd"));
        assert_eq!(&zstd.bytes[..4], b"\x28\xb5\x2f\xfd");
        assert!(zstd.bytes.len() < plain.bytes.len() / 4);
    }

    async fn browsers_of_other_origins_are_kept_out_unless_configured(backend: Backend) {
        let server = Server::start(backend).await;
        let preflight = |server: &Server, origin: &str| {
            let call = server.anonymous().call(Method::OPTIONS, "/api/users");
            call.header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,content-type")
        };
        let closed = preflight(&server, "https://plant.example").await;
        assert_eq!(closed.header("access-control-allow-origin"), None);

        let options = Options::default().set("TECHTRACK_HTTP_CORS_ORIGINS", "https://plant.example");
        let server = Server::start_with(backend, options).await;
        let open = preflight(&server, "https://plant.example").await;
        assert_eq!(open.header("access-control-allow-origin"), Some("https://plant.example"));
        assert!(open.expect_header("access-control-allow-methods").contains("POST"));
        let read = server.anonymous().get("/api/").header("origin", "https://plant.example").await.expect(200);
        assert_eq!(read.header("access-control-allow-origin"), Some("https://plant.example"));
        let foreign = preflight(&server, "https://evil.example").await;
        assert_eq!(foreign.header("access-control-allow-origin"), None);
    }

    async fn the_clients_address_is_the_sockets_unless_a_trusted_proxy_says_otherwise(backend: Backend) {
        let seen_from = async |server: &Server| {
            let body = json!({"username": "admin", "password": tests::Installation::ADMIN_PASSWORD});
            let call = server.anonymous().post("/api/login", body);
            let pair = call.header("x-forwarded-for", "203.0.113.7").await.expect(200);
            let sessions = server.anonymous().bearing(pair.text("access")).get("/api/sessions").await;
            sessions.expect(200).column("address")
        };
        let server = Server::start(backend).await;
        assert_eq!(seen_from(&server).await, ["127.0.0.1"]);
        let options = Options::default().set("TECHTRACK_HTTP_TRUSTED_PROXIES", "127.0.0.0/8");
        let server = Server::start_with(backend, options).await;
        assert_eq!(seen_from(&server).await, ["203.0.113.7"]);
    }

    async fn whoever_asks_too_often_waits_and_sees_it_coming(backend: Backend) {
        let options = Options::default().set("TECHTRACK_RATE_LIMIT_PER_MINUTE", "30");
        let server = Server::start_with(backend, options).await;
        let [admin, anna] = [server.admin().await, server.newcomer("anna").await];
        let mut reply = anna.get("/api/users/me").await.expect(200);
        assert!(reply.header("ratelimit").is_some() && reply.header("ratelimit-policy").is_some());
        for _ in 0..60 {
            reply = anna.get("/api/users/me").await;
            if reply.status == 429 {
                break;
            }
        }
        let reply = reply.expect_problem(429, "rate_limited");
        assert!(reply.expect_header("retry-after").parse::<u64>().unwrap() >= 1);
        admin.get("/api/users/me").await.expect(200);
        server.anonymous().get("/health/live").await.expect(200);
    }
}
