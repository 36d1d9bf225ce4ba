//! Proving who one is: tokens, what they say, what is refused, and how alike all refusals are.

use futures_util::future::join_all;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use std::collections::BTreeMap;
use tests::patience::{LONG, until};
use tests::{Backend, Client, Method, Options, Person, Reply, Server, Value, json, stories};

async fn sign_in(stranger: &Client, username: &str, password: &str) -> Reply {
    stranger.post("/api/login", json!({"username": username, "password": password})).await
}

/// All that a client could tell two answers apart by.
fn appearance(reply: &Reply) -> (u16, Value, BTreeMap<String, String>) {
    let fleeting = ["date", "x-request-id", "content-length"];
    let headers = reply.headers.iter().filter(|(name, _)| !fleeting.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut appearance: BTreeMap<String, String> = headers.collect();
    // Ids of requests are counted, and grow with the count.
    let length = reply.bytes.len() - reply.expect_header("x-request-id").len();
    appearance.insert("length without the request's id".to_owned(), length.to_string());
    (reply.status.as_u16(), reply.body_without_request_id(), appearance)
}

async fn key_set(server: &Server) -> JwkSet {
    let keys = server.anonymous().get("/.well-known/jwks.json").await.expect(200);
    serde_json::from_value(keys.json).unwrap()
}

/// Holds a token against the published keys, as another service would.
fn verified_by(keys: &JwkSet, token: &str) -> Value {
    let header = decode_header(token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&["techtrack"]);
    rules.set_issuer(&["techtrack"]);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    rules.validate_nbf = true;
    rules.leeway = 5;
    decode::<Value>(token, &key, &rules).unwrap().claims
}

fn without_address_limit() -> Options {
    Options::default().set("TECHTRACK_SIGN_IN_FAILURES_PER_ADDRESS", "100000")
}

stories! {
    async fn both_token_endpoints_answer_json_and_forms_with_a_pair_of_tokens(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let fields = [("username", "anna"), ("password", anna.password.as_str())];
        for path in ["/api/token/", "/api/token", "/api/login", "/api/login/"] {
            let by_json = server.anonymous().post(path, Value::from_iter(fields)).await.expect(200);
            let by_form = server.anonymous().call(Method::POST, path).form(&fields).await.expect(200);
            for pair in [by_json, by_form] {
                assert_eq!(pair["token_type"], "Bearer");
                assert_eq!(pair["expires_in"], 600);
                assert_eq!(pair.header("cache-control"), Some("no-store"));
                let client = server.anonymous().bearing(pair.text("access"));
                assert_eq!(client.get("/api/users/me").await.expect(200).id(), anna.id);
            }
        }
    }

    async fn a_token_can_be_verified_here(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        for token in [anna.token(), &anna.refresh] {
            let body = json!({"token": token});
            assert_eq!(stranger.post("/api/token/verify/", body).await.expect(200).json, json!({}));
            let form = stranger.call(Method::POST, "/api/token/verify").form(&[("token", token)]);
            form.await.expect(200);
        }
        let unknown = json!({"token": "no.such.token"});
        stranger.post("/api/token/verify/", unknown).await.expect_problem(401, "invalid_credentials");
        stranger.post("/api/token/verify/", json!({})).await.expect_flaws(&[("token", "required")]);
        anna.call(Method::POST, "/api/logout").await.expect(204);
        for token in [anna.token(), &anna.refresh] {
            let body = json!({"token": token});
            stranger.post("/api/token/verify/", body).await.expect_problem(401, "invalid_credentials");
        }
    }

    async fn another_service_verifies_an_access_token_by_the_published_keys(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let header = decode_header(anna.token()).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::EdDSA, Some("at+jwt")));

        let claims = verified_by(&key_set(&server).await, anna.token());
        assert_eq!(claims["user_id"], anna.id);
        assert_eq!(claims["sub"], anna.id.to_string());
        assert_eq!(claims["token_type"], "access");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
        assert!(claims["sid"].as_i64().is_some() && claims["jti"].as_str().is_some(), "{claims}");
        let named: Vec<&String> = claims.as_object().unwrap().keys().collect();
        assert_eq!(named, ["aud", "exp", "iat", "iss", "jti", "nbf", "sid", "sub", "token_type", "user_id"]);
    }

    async fn the_published_keys_hold_nothing_private(backend: Backend) {
        let server = Server::start(backend).await;
        let keys = server.anonymous().get("/.well-known/jwks.json").await.expect(200);
        for key in keys["keys"].as_array().unwrap() {
            assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
            assert!(key["d"].is_null() && key["kid"].is_string() && key["x"].is_string(), "{key}");
        }
    }

    async fn a_forged_or_misused_token_is_nobody(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let genuine = decode_header(anna.token()).unwrap();
        let claims: Value = insecure_decode_claims(anna.token()).unwrap();
        let parts: Vec<&str> = anna.token().split('.').collect();
        let [head, body, signature] = parts[..] else { panic!("a token has three parts") };
        let keys = key_set(&server).await;
        let published = serde_json::to_value(&keys).unwrap()["keys"][0]["x"].as_str().unwrap().to_owned();

        let mut admin = claims.clone();
        admin["user_id"] = json!(1);
        admin["sub"] = json!("1");
        let symmetric = |algorithm, secret: &[u8]| {
            let header = Header { kid: genuine.kid.clone(), typ: genuine.typ.clone(), ..Header::new(algorithm) };
            encode(&header, &admin, &EncodingKey::from_secret(secret)).unwrap()
        };
        let other = symmetric(Algorithm::HS256, b"guess");
        let other_body = other.split('.').nth(1).unwrap();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"; // {"alg":"none","typ":"at+jwt"}
        let forged = [
            format!("{head}.{other_body}.{signature}"),
            format!("{none}.{other_body}."),
            format!("{none}.{body}."),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            format!("{head}.{body}.{signature}.{signature}"),
            format!("{head}.{body}.{}", signature.chars().rev().collect::<String>()),
            symmetric(Algorithm::HS256, published.as_bytes()),
            symmetric(Algorithm::HS512, b""),
            anna.refresh.clone(),
            "x".repeat(5000),
            "a.b.c".to_owned(),
            "ttk_".to_owned(),
            "ttk_0000000000000000000000000000000000000000000".to_owned(),
        ];
        for token in forged {
            let forger = server.anonymous().bearing(&token);
            forger.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        }
        anna.get("/api/users/me").await.expect(200);
    }

    async fn a_crowd_with_tokens_of_unknown_keys_is_refused_at_once_and_stands_in_nobodys_way(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let unknown_key = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSIsImtpZCI6IjAxMjM0NTY3ODlhYmNkZWYifQ"; // {"typ":"at+jwt","alg":"EdDSA","kid":"0123456789abcdef"}
        let (_, rest) = anna.token().split_once('.').unwrap();
        let forger = server.anonymous().bearing(&format!("{unknown_key}.{rest}"));
        for _ in 0..3 {
            let crowd = join_all((0..24).map(|_| forger.get("/api/users/me").into_future()));
            let (refused, welcome) = tokio::join!(crowd, anna.get("/api/users/me").into_future());
            welcome.expect(200);
            for reply in refused {
                reply.expect_problem(401, "unauthenticated");
            }
        }
    }

    async fn a_credential_is_read_from_the_authorization_header_alone(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        let me = |value: &str| stranger.get("/api/users/me").header("authorization", value);
        let token = anna.token();
        me(&format!("bearer {token}")).await.expect(200);
        for value in [format!("Basic {token}"), token.to_owned(), "Bearer".to_owned(), "Bearer  ".to_owned()] {
            me(&value).await.expect_problem(401, "unauthenticated");
        }
        stranger.get("/api/users/me").header("cookie", &format!("access={token}")).await.expect(401);
        stranger.get("/api/users/me").await.expect_problem(401, "unauthenticated");
    }

    async fn every_refused_sign_in_looks_the_same(backend: Backend) {
        let server = Server::start_with(backend, without_address_limit()).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let disabled = server.newcomer("ben").await;
        admin.patch(&disabled.path(), json!({"is_active": false})).await.expect(200);
        let reset = server.newcomer("cleo").await;
        let reset_path = format!("{}/password-reset", reset.path());
        let one_time = admin.post(&reset_path, json!({})).await.expect(200);
        let one_time = one_time.text("password").to_owned();
        server.sign_in("cleo", &one_time).await;
        let deleted = server.newcomer("dora").await;
        admin.delete(&deleted.path()).await.expect(204);

        let stranger = server.anonymous();
        let wrong = appearance(&sign_in(&stranger, "anna", "not-Anna's-Gr4nite").await.expect(401));
        assert_eq!(wrong.1["code"], "invalid_credentials");
        let too_long = "x".repeat(1000);
        let others = [
            ("nobody", "not-Anna's-Gr4nite"), ("two words", "not-Anna's-Gr4nite"), ("", "not-Anna's-Gr4nite"),
            ("anna", too_long.as_str()), ("anna", ""), ("ben", &disabled.password), ("ben", "not-Ben's-Gr4nite"),
            ("cleo", &one_time), ("cleo", &reset.password), ("dora", &deleted.password),
        ];
        for (username, password) in others {
            let refused = sign_in(&stranger, username, password).await;
            assert_eq!(appearance(&refused), wrong, "{username} {password}");
        }
        sign_in(&stranger, "anna", &anna.password).await.expect(200);
    }

    async fn a_sign_in_that_lacks_something_is_told_all_that_is_missing(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let refused = stranger.post("/api/login", json!({})).await;
        refused.expect_flaws(&[("username", "required"), ("password", "required")]);
        let refused = stranger.post("/api/token/", json!({"username": ["x"], "password": 12345678})).await;
        refused.expect_flaws(&[("username", "type"), ("password", "type")]);
    }

    async fn signing_in_is_noted_on_the_account(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let first = anna.get("/api/users/me").await.expect(200).text("last_login_at").to_owned();
        let again = anna.signed_in_again(&server).await;
        assert!(again.get("/api/users/me").await.text("last_login_at") > first.as_str());
    }

    async fn after_ten_failures_an_account_waits_longer_each_time_whether_it_exists_or_not(backend: Backend) {
        let server = Server::start_with(backend, without_address_limit()).await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        let mut told = Vec::new();
        for username in ["anna", "nobody"] {
            for _ in 0..10 {
                sign_in(&stranger, username, "not-the-Gr4nite").await.expect(401);
            }
            let refused = sign_in(&stranger, username, "not-the-Gr4nite").await;
            let refused = refused.expect_problem(429, "too_many_attempts");
            let wait = refused.expect_header("retry-after").parse::<u64>().unwrap();
            assert_eq!(wait, 1);
            let (status, mut body, headers) = appearance(&refused);
            body["detail"] = Value::Null;
            told.push((status, body, headers));

            let admitted = admitted_again(&stranger, username).await;
            assert_eq!(admitted.code(), "invalid_credentials");
            let refused = sign_in(&stranger, username, "not-the-Gr4nite").await.expect(429);
            assert_eq!(refused.header("retry-after"), Some("2"));
        }
        assert_eq!(told[0], told[1]);
        sign_in(&stranger, "anna", &anna.password).await.expect_problem(429, "too_many_attempts");
        until("the account to be admitted", LONG, async || {
            let reply = sign_in(&stranger, "anna", &anna.password).await;
            (reply.status == 200).then_some(())
        }).await;
        sign_in(&stranger, "anna", "not-the-Gr4nite").await.expect(401);
    }

    async fn an_address_that_guesses_at_many_accounts_waits(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        for number in 0..10 {
            sign_in(&stranger, &format!("guess-{number}"), "not-the-Gr4nite").await.expect(401);
        }
        sign_in(&stranger, "anna", &anna.password).await.expect_problem(429, "too_many_attempts");
        anna.get("/api/users/me").await.expect(200);
    }

    async fn nobody_outruns_the_limit_by_guessing_in_parallel(backend: Backend) {
        let server = Server::start_with(backend, without_address_limit()).await;
        server.newcomer("anna").await;
        let guesses = (0..40).map(|number| {
            let stranger = server.anonymous();
            async move {
                let body = json!({"username": "anna", "password": format!("Gr4nite-guess-{number}")});
                stranger.post("/api/login", body).may_be_busy().await.status.as_u16()
            }
        });
        let statuses = join_all(guesses).await;
        let judged = statuses.iter().filter(|status| **status == 401).count();
        // Every further second admits one more guess.
        assert!((10..=12).contains(&judged), "{statuses:?}");
    }

    async fn honest_sign_ins_at_the_same_time_all_succeed(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let attempts = (0..20).map(|_| anna.signed_in_again(&server));
        let people: Vec<Person> = join_all(attempts).await;
        assert!(people.iter().all(|person| person.id == anna.id));
    }

    async fn the_limits_can_be_switched_off_for_load_tests_and_the_log_says_so(backend: Backend) {
        let options = Options::default().set("TECHTRACK_SIGN_IN_LIMITS", "off");
        let server = Server::start_with(backend, options).await;
        for _ in 0..12 {
            sign_in(&server.anonymous(), "nobody", "not-the-Gr4nite").await.expect(401);
        }
        let log = server.log();
        assert!(log.lines().any(|line| line.contains("WARN") && line.to_lowercase().contains("sign-in")), "{log}");
    }
}

async fn admitted_again(stranger: &Client, username: &str) -> Reply {
    until("a further attempt to be admitted", LONG, async || {
        let reply = sign_in(stranger, username, "not-the-Gr4nite").await;
        (reply.status != 429).then_some(reply)
    })
    .await
}
