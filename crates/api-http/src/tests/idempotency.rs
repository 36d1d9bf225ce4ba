//! Requests that take effect once.

use super::face::{Ask, Face, ask, get};
use domain::ports::{MockPasswords, Verdict};
use domain::testing::World;
use futures_util::future::join_all;
use serde_json::{Value, json};

fn register(key: &str, body: &Value) -> Ask {
    ask("POST", "/api/registration").with("Idempotency-Key", key).json(body)
}

fn anna() -> Value {
    json!({"username": "anna", "password": World::PASSWORD})
}

#[actix_web::test]
async fn the_same_request_gets_the_first_answer_again() {
    let face = Face::new().await;
    let first = face.send(register("k-1", &anna())).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    for path in ["/api/registration", "/api/registration/"] {
        let again = ask("POST", path).with("Idempotency-Key", "k-1").json(&anna());
        let again = face.send(again).await.expect(201);
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.bytes, first.bytes);
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name));
        }
    }
    assert_eq!(face.send(register("k-2", &anna())).await.problem(409), "taken");
}

#[actix_web::test]
async fn another_request_under_the_same_key_is_refused() {
    let face = Face::new().await;
    face.send(register("k-1", &anna())).await.expect(201);
    let mut other = anna();
    other["username"] = "ben".into();
    assert_eq!(face.send(register("k-1", &other)).await.problem(422), "idempotency_key_reused");
}

/// What is stored of this request under the key `k`, for whom it asks and with a proof or not.
async fn stored(face: &Face, path: &str, body: &Value, caller: &str, is_proof: bool) -> Option<[u8; 32]> {
    let app = &face.state.app;
    let body = body.to_string();
    let fast = app.vault.keyed_digest(b"k", &[b"POST", path.as_bytes(), b"", body.as_bytes()]);
    let stretched = app.passwords.stretch(&fast).await.unwrap();
    let proof: &[u8] = if is_proof { &stretched } else { b"" };
    let scope = app.vault.digest(&[caller.as_bytes(), b"k", proof]);
    let found = app.store.reader().await.unwrap().idempotency().find(&scope).await.unwrap();
    assert_ne!(fast, stretched);
    found.map(|remembered| remembered.claim.fingerprint).filter(|fingerprint| *fingerprint == stretched)
}

#[actix_web::test]
async fn what_is_stored_of_a_request_with_a_password_is_as_hard_to_guess_from_as_a_hash() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let id = face.send(get("/api/users/me").by(&admin)).await.expect(200).json()["id"].to_string();
    let ben = json!({"username": "ben", "password": World::PASSWORD});
    for (path, body, caller, is_proof) in [
        ("/api/registration", anna(), "anonymous", false),
        ("/api/login", anna(), "anonymous", true),
        ("/api/users", ben, id.as_str(), false),
    ] {
        let asked = ask("POST", path).by(&admin).with("Idempotency-Key", "k").json(&body);
        let status = face.send(asked).await.status;
        assert!(status == 201 || status == 200, "{path}: {status}");
        assert!(stored(&face, path, &body, caller, is_proof).await.is_some(), "{path}");
    }
}

#[actix_web::test]
async fn a_guess_under_somebodys_key_is_an_attempt_like_any_other() {
    let face = Face::new().await;
    face.send(register("k-1", &anna())).await.expect(201);
    let sign_in = |body: &Value| ask("POST", "/api/token/").with("Idempotency-Key", "k-2").json(body);
    let first = face.send(sign_in(&anna())).await.expect(200);
    assert_eq!(face.send(sign_in(&anna())).await.expect(200).bytes, first.bytes);
    let mut guess = anna();
    guess["password"] = "not this one".into();
    assert_eq!(face.send(sign_in(&guess)).await.problem(401), "invalid_credentials");
}

#[actix_web::test]
async fn nothing_is_hashed_for_who_has_to_wait_before_they_may_try_again() {
    let mut passwords = MockPasswords::new();
    passwords.expect_verify().times(10).returning(|_, _| Ok(Verdict { matches: false, outdated: false }));
    passwords.expect_stretch().never();
    let face = Face::checking(passwords).await;
    let guess = || ask("POST", "/api/token/").json(&anna());
    for _ in 0..10 {
        assert_eq!(face.send(guess()).await.problem(401), "invalid_credentials");
    }
    let refused = face.send(guess().with("Idempotency-Key", "k")).await;
    assert_eq!(refused.problem(429), "too_many_attempts");
}

#[actix_web::test]
async fn the_same_key_of_two_people_is_two_keys() {
    let face = Face::new().await;
    let mut ids = Vec::new();
    for name in ["anna", "ben"] {
        let (_, token) = face.person(name).await;
        let draft = json!({"name": "gateway", "permissions": []});
        let made = ask("POST", "/api/api-keys/").by(&token).with("Idempotency-Key", "k").json(&draft);
        ids.push(face.send(made).await.expect(201).json()["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[actix_web::test]
async fn a_secret_is_answered_again_to_who_lost_the_answer() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let make = || {
        let draft = json!({"name": "gateway", "permissions": ["data:write"]});
        ask("POST", "/api/api-keys/").by(&admin).with("Idempotency-Key", "k").json(&draft)
    };
    let first = face.send(make()).await.expect(201).json();
    let again = face.send(make()).await.expect(201).json();
    assert_eq!(first["secret"], again["secret"]);
    assert_eq!(face.send(get("/api/api-keys/").by(&admin)).await.json()["count"], 1);
}

#[actix_web::test]
async fn twins_at_the_same_moment_take_effect_once() {
    let face = Face::new().await;
    let answers = join_all((0..8).map(|_| face.send(register("k", &anna())))).await;
    let fresh = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count();
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.bytes == answers[0].bytes));
    assert_eq!(fresh, 1);
}

#[actix_web::test]
async fn an_answer_is_forgotten_by_housekeeping_after_a_day() {
    let face = Face::new().await;
    face.send(register("k", &anna())).await.expect(201);
    face.clock.advance(domain::idempotency::REMEMBERED + std::time::Duration::from_secs(1));
    domain::app::housekeeping::sweep(&face.state.app).await.unwrap();
    assert_eq!(face.send(register("k", &anna())).await.problem(409), "taken");
}

#[actix_web::test]
async fn a_key_that_is_no_key_is_refused() {
    let face = Face::new().await;
    for key in ["", "a b", "ä", &"x".repeat(129)] {
        assert_eq!(face.send(register(key, &anna())).await.problem(400), "malformed_request", "{key:?}");
    }
    let twice = register("a", &anna()).with("Idempotency-Key", "b");
    assert_eq!(face.send(twice).await.problem(400), "malformed_request");
    face.send(register(&"~".repeat(128), &anna())).await.expect(201);
}

#[actix_web::test]
async fn a_request_that_failed_may_be_corrected_under_the_same_key() {
    let face = Face::new().await;
    let flawed = json!({"username": "anna"});
    face.send(register("k", &flawed)).await.expect(422);
    face.send(register("k", &anna())).await.expect(201);
}
