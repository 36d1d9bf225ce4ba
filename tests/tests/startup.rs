//! Starting and stopping the binary, and its other commands.

use std::fs;
use tests::patience::{LONG, until};
use tests::process::Finished;
use tests::{Backend, Installation, Options, Server, json, stories};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn without_password() -> Options {
    Options::default().unset("TECHTRACK_ADMIN_PASSWORD")
}

/// The password that a first start prints.
fn printed_password(stdout: &str) -> Option<&str> {
    let line = stdout.lines().find(|line| line.trim_start().starts_with("password"))?;
    line.split_whitespace().last()
}

#[track_caller]
fn refused_naming(finished: &Finished, word: &str) {
    assert!(!finished.status.success(), "{finished:?}");
    assert!(finished.stderr.contains(word), "{word} is not in {}", finished.stderr);
}

/// Starts a server that should refuse to start.
async fn refused(installation: &Installation, options: &Options) -> Finished {
    installation.run_with(&["serve", "--listen", "127.0.0.1:0"], options).await
}

stories! {
    async fn the_first_administrators_password_is_printed_once_and_never_logged(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let server = installation.serve(without_password().set("TECHTRACK_ADMIN_USERNAME", "root")).await;
        let stdout = server.stdout();
        let password = printed_password(&stdout).unwrap().to_owned();
        assert_eq!(stdout.matches(&password).count(), 1, "{stdout}");
        assert!(stdout.contains("root"), "{stdout}");
        assert!(!server.log().contains(&password), "the password is in the log");
        let root = server.sign_in("root", &password).await;
        root.get("/api/audit").await.expect(200);
        server.stop().await;
        let server = installation.serve(without_password()).await;
        assert_eq!(printed_password(&server.stdout()), None);
    }

    async fn a_configured_password_is_used_only_while_there_is_no_administrator(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let server = installation.serve(Options::default()).await;
        server.admin().await;
        assert_eq!(printed_password(&server.stdout()), None);
        server.stop().await;
        let other = "Another-Lantern-59-Harbour";
        let server = installation.serve(Options::default().set("TECHTRACK_ADMIN_PASSWORD", other)).await;
        server.admin().await;
        let body = json!({"username": "admin", "password": other});
        server.anonymous().post("/api/login", body).await.expect(401);
    }

    async fn a_restart_keeps_everything_and_all_tokens_valid(backend: Backend) {
        let server = Server::start(backend).await;
        let installation = server.installation.clone();
        let admin = server.admin().await;
        let machine = admin.machine("press", &["users:read"]).await;
        let keys = server.anonymous().get("/.well-known/jwks.json").await.expect(200).json;
        server.stop().await;
        let server = installation.serve(Options::default()).await;
        let stranger = server.anonymous();
        assert_eq!(stranger.get("/.well-known/jwks.json").await.expect(200).json, keys);
        stranger.bearing(admin.token()).get("/api/users/me").await.expect(200);
        stranger.bearing(machine.token()).get("/api/users").await.expect(200);
        stranger.post("/api/token/refresh", json!({"refresh": admin.refresh})).await.expect(200);
    }

    async fn a_request_under_way_is_finished_before_the_server_stops(backend: Backend) {
        let server = Server::start(backend).await;
        let body = r#"{"username":"anna","password":"Gr4nite-Teapot"}"#;
        let head = format!(
            "POST /api/registration HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut link = TcpStream::connect(server.authority()).await.unwrap();
        link.write_all(head.as_bytes()).await.unwrap();
        server.anonymous().get("/health/live").await.expect(200);
        server.terminate();
        until("the server to say that it stops", LONG, async || {
            server.log().contains("finishing what is under way").then_some(())
        })
        .await;
        link.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        link.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
    }

    async fn a_server_that_shall_say_little_serves_all_the_same(backend: Backend) {
        let server = Server::start_with(backend, Options::default().set("TECHTRACK_LOG", "error")).await;
        server.admin().await;
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
    }

    async fn a_setting_that_does_not_exist_is_refused_with_the_nearest_one(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let finished = refused(&installation, &Options::default().set("TECHTRACK_LISTNE", "x")).await;
        refused_naming(&finished, "TECHTRACK_LISTNE");
        refused_naming(&finished, "TECHTRACK_LISTEN");
        assert_eq!(finished.status.code(), Some(2));
        fs::write(installation.directory().join("t.toml"), "[http]\nlistne = \"x\"\n").unwrap();
        let finished = installation.run(&["serve", "--config", "t.toml"]).await;
        refused_naming(&finished, "listne");
    }

    async fn a_weak_or_placeholder_password_is_refused_and_not_repeated(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        for weak in ["changeme", "password", "briefer", "qwerty123456", "admin", "${ADMIN_PASSWORD}"] {
            let finished = refused(&installation, &Options::default().set("TECHTRACK_ADMIN_PASSWORD", weak)).await;
            refused_naming(&finished, "assword");
            assert!(!finished.stderr.contains(&format!("\"{weak}\"")), "{}", finished.stderr);
        }
    }

    async fn a_taken_address_is_told(backend: Backend) {
        let server = Server::start(backend).await;
        let other = Installation::unmigrated(backend).await;
        let finished = other.run(&["serve", "--listen", server.authority()]).await;
        refused_naming(&finished, server.authority());
    }

    async fn the_schema_is_brought_up_to_date_by_hand_where_the_server_may_not(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let by_hand = Options::default().set("TECHTRACK_DATABASE_MIGRATE", "off");
        refused_naming(&refused(&installation, &by_hand).await, "migrate");
        let check = installation.run(&["migrate", "--check"]).await;
        assert_eq!(check.status.code(), Some(1), "{check:?}");
        assert!(installation.run(&["migrate"]).await.status.success());
        assert!(installation.run(&["migrate", "--check"]).await.status.success());
        installation.serve(by_hand).await.admin().await;
    }

    async fn whoever_waits_for_a_database_that_says_nothing_can_be_stopped_and_gives_up_by_itself(backend: Backend) {
        // Takes connections, as the kernel does for a program that hangs.
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let installation = Installation::unmigrated(backend).await;
        let url = format!("postgres://techtrack@{}/techtrack", mute.local_addr().unwrap());
        let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", &url];
        let patient = installation.spawn(&serve, &Options::default());
        let stopped = installation.spawn(&serve, &Options::default());
        let _asked = tokio::task::spawn_blocking(move || [mute.accept().unwrap(), mute.accept().unwrap()]).await.unwrap();
        stopped.terminate();
        let stopped = stopped.finish().await;
        assert!(stopped.status.success() && stopped.stderr.contains("stopped before serving"), "{stopped:?}");
        refused_naming(&patient.finish().await, "the database does not answer");
    }

    async fn people_are_looked_after_from_the_command_line(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let typing = Options::default().typing("Gr4nite-Teapot\n");
        let create = ["user", "create", "anna", "--role", "OPERATOR", "--password-stdin"];
        let made = installation.run_with(&create, &typing).await;
        assert!(made.status.success(), "{made:?}");
        refused_naming(&installation.run_with(&create, &typing).await, "taken");
        let weak = Options::default().typing("short\n");
        let bea = ["user", "create", "bea", "--password-stdin"];
        refused_naming(&installation.run_with(&bea, &weak).await, "8 characters");
        let list = installation.run(&["user", "list"]).await;
        assert!(list.stdout.contains("anna") && list.stdout.contains("OPERATOR"), "{list:?}");

        let reset = installation.run(&["user", "reset-password", "anna"]).await;
        let one_time = reset.stdout.lines().next().unwrap().to_owned();
        let server = installation.serve(Options::default()).await;
        let anna = server.sign_in("anna", &one_time).await;
        assert_eq!(anna.get("/api/users/me").await["roles"], json!(["OPERATOR"]));
        let spent = json!({"username": "anna", "password": one_time});
        server.anonymous().post("/api/login", spent).await.expect(401);
    }

    async fn the_effective_configuration_is_shown_without_secrets(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let options = Options::default()
            .set("TECHTRACK_DATABASE_URL", "postgres://keeper:Zwiebel-Rost-9@db.example/plant")
            .set("REDIS_URL", "redis://:Zwiebel-Rost-8@cache.example/0");
        let shown = installation.run_with(&["config", "--listen", "127.0.0.1:7007"], &options).await;
        assert!(shown.status.success(), "{shown:?}");
        for secret in [Installation::ADMIN_PASSWORD, "Zwiebel-Rost-9", "Zwiebel-Rost-8"] {
            assert!(!shown.stdout.contains(secret), "{}", shown.stdout);
        }
        for told in ["db.example", "cache.example", "127.0.0.1:7007", "access_seconds = 600"] {
            assert!(shown.stdout.contains(told), "{told} is not in {}", shown.stdout);
        }
    }

    async fn help_teaches_and_errors_are_all_listed(backend: Backend) {
        let installation = Installation::unmigrated(backend).await;
        let help = installation.run(&["--help"]).await;
        for word in ["serve", "migrate", "user", "config", "openapi", "errors", "TECHTRACK_ADMIN_PASSWORD"] {
            assert!(help.stdout.contains(word), "{word} is not in {}", help.stdout);
        }
        let errors = installation.run(&["errors"]).await;
        assert!(errors.stdout.contains("last_administrator") && errors.stdout.contains("malformed_request"));
        assert_eq!(installation.run(&["sreve"]).await.status.code(), Some(2));
    }

    async fn keys_are_rotated_from_the_command_line(backend: Backend) {
        let server = Server::start(backend).await;
        let installation = server.installation.clone();
        let first = server.admin().await;
        server.stop().await;
        let rotate = async || {
            let rotated = installation.run(&["keys", "rotate"]).await;
            assert!(rotated.status.success(), "{rotated:?}");
        };
        rotate().await;
        let server = installation.serve(Options::default()).await;
        let keys = server.anonymous().get("/.well-known/jwks.json").await.expect(200);
        assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
        server.anonymous().bearing(first.token()).get("/api/users/me").await.expect(200);
        let second = server.admin().await;
        server.stop().await;
        rotate().await;
        let server = installation.serve(Options::default()).await;
        server.anonymous().bearing(second.token()).get("/api/users/me").await.expect(200);
        server.anonymous().bearing(first.token()).get("/api/users/me").await.expect(401);
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused() {
    let server = Server::start(Backend::Sqlite).await;
    let second = refused(&server.installation, &Options::default()).await;
    refused_naming(&second, "techtrack.db");
    server.admin().await;
    let installation = server.installation.clone();
    server.kill();
    installation.serve(Options::default()).await.admin().await;
}

#[tokio::test]
async fn two_servers_that_start_at_once_on_one_empty_database_both_serve() {
    for _ in 0..3 {
        let installation = Installation::new(Backend::Postgres).await;
        let start = || installation.serve(Options::default());
        let (one, other) = futures_util::future::join(start(), start()).await;
        let admin = one.admin().await;
        let elsewhere = other.anonymous().bearing(admin.token());
        assert_eq!(elsewhere.get("/api/users").await.expect(200)["count"], 1);
        assert_eq!(elsewhere.get("/api/roles").await.expect(200)["count"], 3);
    }
}
