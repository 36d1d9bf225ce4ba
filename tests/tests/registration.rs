//! Making an account for oneself.

use futures_util::future::{join, join_all};
use tests::{Backend, Client, Reply, Server, Value, json, stories};

async fn register(stranger: &Client, body: Value) -> Reply {
    stranger.post("/api/registration", body).await
}

stories! {
    async fn a_newcomer_registers_and_is_a_client_from_then_on(backend: Backend) {
        let server = Server::start(backend).await;
        let body = json!({
            "username": "anna", "password": "Gr4nite-Teapot", "email": "anna@example.com",
            "phone": "+49 (170) 123-45.67", "is_mentor": true,
        });
        let anna = register(&server.anonymous(), body).await.expect(201);
        assert_eq!(anna.expect_header("location"), format!("/api/users/{}", anna.id()));
        assert_eq!(anna["username"], "anna");
        assert_eq!(anna["email"], "anna@example.com");
        assert_eq!(anna["phone"], "+491701234567");
        assert_eq!(anna["is_mentor"], true);
        assert_eq!(anna["is_active"], true);
        assert_eq!(anna["roles"], json!(["CLIENT"]));
        assert_eq!(anna["last_login_at"], Value::Null);
        assert!(!anna.json.to_string().contains("argon2"), "{}", anna.json);

        let anna = server.sign_in("anna", "Gr4nite-Teapot").await;
        assert_eq!(anna.get("/api/users/me").await.expect(200)["username"], "anna");
    }

    async fn what_a_newcomer_may_not_choose_has_no_effect(backend: Backend) {
        let server = Server::start(backend).await;
        let body = json!({
            "username": "eve", "password": "Gr4nite-Teapot", "roles": ["ADMIN"], "role": "ADMIN", "is_active": false,
            "is_staff": true, "id": 1, "mentor": "admin", "permissions": ["users:write"], "version": 99,
        });
        let eve = register(&server.anonymous(), body).await.expect(201);
        assert_eq!(eve["roles"], json!(["CLIENT"]));
        assert_eq!(eve["is_active"], true);
        assert_eq!(eve["version"], 1);
        assert_ne!(eve.id(), 1);
        let eve = server.sign_in("eve", "Gr4nite-Teapot").await;
        assert!(eve.get("/api/users/me").await["mentor"].is_null());
        eve.get("/api/audit").await.expect_problem(403, "permission_required");
    }

    async fn login_is_another_word_for_username(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let account = json!({"login": "anna", "password": "Gr4nite-Teapot"});
        assert_eq!(register(&stranger, account.clone()).await.expect(201)["username"], "anna");
        stranger.post("/api/login", account.clone()).await.expect(200);
        stranger.post("/api/token/", account).await.expect(200);
    }

    async fn all_bad_fields_are_named_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let bad = json!({"username": "two words", "password": "short", "email": "nobody", "phone": "12"});
        register(&stranger, bad).await.expect_flaws(&[
            ("username", "characters"), ("password", "too_short"), ("email", "email"), ("phone", "phone"),
        ]);
        register(&stranger, json!({})).await.expect_flaws(&[("username", "required"), ("password", "required")]);
        let wrong_types = json!({"username": 7, "password": ["x"], "email": {}, "phone": true, "is_mentor": "yes"});
        let refused = register(&stranger, wrong_types).await.expect_problem(422, "invalid_fields");
        let blamed: Vec<String> = refused.flaws().into_iter().map(|(field, _)| field).collect();
        assert_eq!(blamed, ["email", "is_mentor", "password", "phone", "username"]);
    }

    async fn all_that_is_taken_is_named_at_once_however_it_is_spelt(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let anna = json!({
            "username": "anna", "password": "Gr4nite-Teapot", "email": "anna@example.com", "phone": "+491701234567",
        });
        register(&stranger, anna).await.expect(201);
        let double = json!({
            "username": "ＡNNA", "password": "Gr4nite-Kettle", "email": "Anna@Example.COM", "phone": "49 170 1234567",
        });
        let refused = register(&stranger, double).await.expect_problem(409, "taken");
        let blamed: Vec<String> = refused.flaws().into_iter().map(|(field, _)| field).collect();
        assert_eq!(blamed, ["email", "phone", "username"]);
    }

    async fn a_login_that_could_be_mistaken_for_another_is_refused(backend: Backend) {
        let server = Server::start(backend).await;
        let cases = [
            ("p\u{430}ypal", "mixed_scripts"), ("ad\u{202e}min", "invisible"), ("zero\u{200b}width", "invisible"),
            ("", "too_short"), ("-dash", "characters"), ("a/b", "characters"),
        ];
        for (username, reason) in cases {
            let body = json!({"username": username, "password": "Gr4nite-Teapot"});
            register(&server.anonymous(), body).await.expect_flaws(&[("username", reason)]);
        }
        for username in ["Олег", "張偉", "josé.3", "79990001122", "x@y.example"] {
            let body = json!({"username": username, "password": "Gr4nite-Teapot"});
            register(&server.anonymous(), body).await.expect(201);
        }
    }

    async fn a_password_that_is_easily_guessed_is_refused_with_the_reason(backend: Backend) {
        let server = Server::start(backend).await;
        let cases = [
            ("seven77", "too_short"), ("qwerty123456", "too_common"), ("anna.maria", "same_as_name"),
            ("Line.Keeper@example.com", "same_as_name"), ("line.keeper", "same_as_name"),
        ];
        for (password, reason) in cases {
            let body = json!({"username": "Anna.Maria", "password": password, "email": "line.keeper@example.com"});
            register(&server.anonymous(), body).await.expect_flaws(&[("password", reason)]);
        }
        let body = json!({"username": "anna", "password": "x".repeat(257)});
        register(&server.anonymous(), body).await.expect_flaws(&[("password", "too_long")]);
    }

    async fn a_password_may_be_long_and_in_any_script_and_is_never_cut(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let longest: String = "🐘Жü".chars().cycle().take(256).collect();
        let body = json!({"username": "anna", "password": longest});
        register(&stranger, body.clone()).await.expect(201);
        stranger.post("/api/login", body).await.expect(200);
        let cut: String = longest.chars().take(255).collect();
        let body = json!({"username": "anna", "password": cut});
        stranger.post("/api/login", body).await.expect_problem(401, "invalid_credentials");
    }

    async fn login_and_password_do_not_depend_on_how_a_keyboard_composes_letters(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let decomposed = json!({"username": "ju\u{308}rgen", "password": "Gr4nite-Tu\u{308}rkis"});
        assert_eq!(register(&stranger, decomposed).await.expect(201)["username"], "j\u{fc}rgen");
        let composed = json!({"username": "J\u{dc}RGEN", "password": "Gr4nite-T\u{fc}rkis"});
        stranger.post("/api/login", composed).await.expect(200);
    }

    async fn a_crowd_is_turned_away_politely_and_others_are_served_meanwhile(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let crowd = (0..150).map(|number| {
            let body = json!({"username": format!("crowd-{number}"), "password": "Gr4nite-Teapot"});
            server.anonymous().post("/api/registration", body).may_be_busy().into_future()
        });
        let others = async {
            for _ in 0..20 {
                anna.get("/api/users/me").await.expect(200);
            }
        };
        let (replies, ()) = join(join_all(crowd), others).await;
        let taken_in = replies.iter().filter(|reply| reply.status == 201).count();
        for refused in replies.iter().filter(|reply| reply.status != 201) {
            assert_eq!((refused.status.as_u16(), refused.code()), (503, "busy"));
            assert!(refused.header("retry-after").is_some());
        }
        assert!((2..150).contains(&taken_in), "{taken_in}");
        let found = server.admin().await.get("/api/users?search=crowd-").await.expect(200);
        assert_eq!(found["count"], taken_in);
    }

    async fn of_fifty_equal_registrations_at_once_one_succeeds(backend: Backend) {
        let server = Server::start(backend).await;
        for round in 0..3 {
            let username = format!("racer-{round}");
            let attempts = (0..50).map(|_| register_however_long_it_takes(server.anonymous(), username.clone()));
            let statuses = join_all(attempts).await;
            assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 49, "{statuses:?}");
            let found = server.admin().await.get(&format!("/api/users?username={username}")).await.expect(200);
            assert_eq!(found["count"], 1);
        }
    }
}

/// Hashing is bounded, so a slow machine may be busy; a client comes again then.
async fn register_however_long_it_takes(stranger: Client, username: String) -> u16 {
    loop {
        let body = json!({"username": username, "password": "Gr4nite-Teapot"});
        let reply = stranger.post("/api/registration", body).may_be_busy().await;
        if reply.status != 503 {
            return reply.status.as_u16();
        }
    }
}
