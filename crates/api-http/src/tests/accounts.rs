//! Registering, signing in and out, sessions, API keys.

use super::face::{Face, ask, get, str_of};
use domain::testing::World;
use serde_json::{Value, json};

fn newcomer(name: &str) -> Value {
    json!({"username": name, "password": World::PASSWORD})
}

#[actix_web::test]
async fn a_newcomer_is_a_client_whatever_else_they_ask_for() {
    let face = Face::new().await;
    let mut body = newcomer("anna");
    body["email"] = "anna@example.com".into();
    body["phone"] = "+49 170 1234567".into();
    body["roles"] = json!(["ADMIN"]);
    body["is_active"] = false.into();
    body["nonsense"] = json!([{}]);
    let made = face.send(ask("POST", "/api/registration").json(&body)).await.expect(201);
    let anna = made.json();
    assert_eq!(made.header("location"), format!("/api/users/{}", anna["id"]));
    assert_eq!(made.header("etag"), format!("\"{}\"", anna["version"]));
    assert_eq!((&anna["roles"], &anna["is_active"]), (&json!(["CLIENT"]), &json!(true)));
    assert_eq!((&anna["phone"], &anna["password"]), (&json!("+491701234567"), &json!("********")));
}

#[actix_web::test]
async fn login_is_another_name_for_username() {
    let face = Face::new().await;
    let body = json!({"login": "anna", "password": World::PASSWORD});
    face.send(ask("POST", "/api/registration").json(&body)).await.expect(201);
    face.send(ask("POST", "/api/login").json(&body)).await.expect(200);
    let both = json!({"login": "anna", "username": "anna", "password": World::PASSWORD});
    assert_eq!(face.send(ask("POST", "/api/login").json(&both)).await.blamed(422), ["login: ambiguous"]);
}

#[actix_web::test]
async fn all_that_is_taken_is_told_at_once() {
    let face = Face::new().await;
    let mut body = newcomer("anna");
    body["email"] = "anna@example.com".into();
    face.send(ask("POST", "/api/registration").json(&body)).await.expect(201);
    body["username"] = "ANNA".into();
    let refused = face.send(ask("POST", "/api/registration").json(&body)).await;
    assert_eq!(refused.blamed(409), ["username: taken", "email: taken"]);
}

#[actix_web::test]
async fn a_password_that_repeats_the_login_is_refused_beside_the_other_flaws() {
    let face = Face::new().await;
    let body = json!({"username": "anna.maria", "password": "ANNA.MARIA", "phone": "none"});
    let refused = face.send(ask("POST", "/api/registration").json(&body)).await;
    assert_eq!(refused.blamed(422), ["phone: phone", "password: same_as_name"]);
}

#[actix_web::test]
async fn wrong_and_unknown_get_the_same_bytes() {
    let face = Face::new().await;
    face.person("anna").await;
    let mut bodies = Vec::new();
    for (name, password) in [("anna", "wrong password"), ("nobody", "wrong password"), ("not a login", "x")] {
        let body = json!({"username": name, "password": password});
        let answer = face.send(ask("POST", "/api/token/").with("X-Request-Id", "same").json(&body)).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"techtrack\"");
        bodies.push(answer.expect(401).bytes);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[actix_web::test]
async fn tokens_can_be_asked_for_with_a_form() {
    let face = Face::new().await;
    face.person("anna").await;
    let form = "application/x-www-form-urlencoded";
    let credentials = "grant_type=password&username=anna&password=robots+need+rest";
    let pair = face.send(ask("POST", "/api/token").body(form, credentials)).await.expect(200).json();
    assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert!(pair.get("must_change_password").is_none());
    let refresh = format!("refresh={}", str_of(&pair["refresh"]));
    face.send(ask("POST", "/api/token/refresh").body(form, refresh)).await.expect(200);
}

#[actix_web::test]
async fn a_token_is_verified_until_its_session_ends() {
    let face = Face::new().await;
    face.person("anna").await;
    let pair = face.pair("anna").await;
    let verify = |token: &Value| ask("POST", "/api/token/verify/").json(&json!({"token": token}));
    for token in ["access", "refresh"] {
        assert_eq!(face.send(verify(&pair[token])).await.expect(200).json(), json!({}));
    }
    face.send(ask("POST", "/api/logout").by(str_of(&pair["access"]))).await.expect(204);
    for token in ["access", "refresh"] {
        assert_eq!(face.send(verify(&pair[token])).await.problem(401), "invalid_credentials");
    }
    assert_eq!(
        face.send(get("/api/users/me").by(str_of(&pair["access"]))).await.problem(401),
        "unauthenticated"
    );
}

#[actix_web::test]
async fn a_refresh_token_buys_one_successor() {
    let face = Face::new().await;
    face.person("anna").await;
    let first = face.pair("anna").await;
    let refresh = |token: &Value| ask("POST", "/api/token/refresh/").json(&json!({"refresh": token}));
    let second = face.send(refresh(&first["refresh"])).await.expect(200).json();
    let repeated = face.send(refresh(&first["refresh"])).await.expect(200).json();
    assert_eq!(second["refresh"], repeated["refresh"]);
    face.send(refresh(&second["refresh"])).await.expect(200);
    assert_eq!(face.send(refresh(&first["refresh"])).await.problem(401), "invalid_credentials");
}

#[actix_web::test]
async fn signing_out_everywhere_ends_every_session() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let other = face.token("anna").await;
    face.send(ask("POST", "/api/logout").by(&anna).json(&json!({"all": true}))).await.expect(204);
    face.send(get("/api/users/me").by(&other)).await.expect(401);
}

#[actix_web::test]
async fn ones_own_sessions_are_listed_and_ended_one_by_one() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let (_, ben) = face.person("ben").await;
    let other = face.token("anna").await;
    let list = face.send(get("/api/sessions/?ordering=-id").by(&anna).with("User-Agent", "x")).await;
    let list = list.expect(200).json();
    assert_eq!(list["count"], 2);
    let current: Vec<_> =
        list["results"].as_array().unwrap().iter().map(|it| it["current"].clone()).collect();
    assert_eq!(current, [json!(false), json!(true)]);
    assert_eq!(list["results"][0]["address"], "192.0.2.7");
    let path = format!("/api/sessions/{}", list["results"][0]["id"]);
    assert_eq!(face.send(ask("DELETE", &path).by(&ben)).await.problem(404), "not_found");
    face.send(ask("DELETE", &path).by(&anna)).await.expect(204);
    face.send(get("/api/users/me").by(&other)).await.expect(401);
    face.send(ask("DELETE", &path).by(&anna)).await.expect(404);
}

#[actix_web::test]
async fn an_api_key_shows_its_secret_once_and_never_acts_on_its_owners_account() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (one, other) = (face.equipment(&admin, "Press").await, face.equipment(&admin, "Robot").await);
    let draft = json!({"name": "gateway", "permissions": ["users:read"], "equipment": [other, one, other]});
    let made = face.send(ask("POST", "/api/api-keys/").by(&admin).json(&draft)).await.expect(201);
    let key = made.json();
    let secret = str_of(&key["secret"]);
    assert!(secret.starts_with("ttk_") && secret.starts_with(str_of(&key["hint"])));
    assert_eq!((&key["equipment"], &key["expires_at"]), (&json!([one, other]), &Value::Null));
    let shown = face.send(get(made.header("location")).by(&admin)).await.expect(200);
    assert!(shown.json().get("secret").is_none());
    assert_eq!(shown.header("etag"), "\"1\"");

    let token = get("/api/users/").with("Authorization", &format!("Token {secret}"));
    face.send(token).await.expect(200);
    let denied = face.send(get("/api/api-keys/").by(secret)).await;
    assert_eq!(denied.problem(403), "permission_required");
    let beyond = face.send(ask("DELETE", "/api/users/1").by(secret)).await;
    assert_eq!(beyond.problem(403), "permission_required");

    face.send(ask("DELETE", made.header("location")).by(&admin)).await.expect(204);
    face.send(get("/api/users/").by(secret)).await.expect(401);
}

#[actix_web::test]
async fn every_bad_permission_of_a_key_is_named_by_its_place() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let draft = json!({"name": "", "permissions": ["data:read", "data:reed", 1], "expires_at": "tomorrow"});
    let refused = face.send(ask("POST", "/api/api-keys/").by(&anna).json(&draft)).await;
    let expected =
        ["name: too_short", "permissions.1: unknown", "permissions.2: type", "expires_at: instant"];
    assert_eq!(refused.blamed(422), expected);
    let beyond = json!({"name": "x", "permissions": ["users:write"]});
    let refused = face.send(ask("POST", "/api/api-keys/").by(&anna).json(&beyond)).await;
    assert_eq!(refused.problem(403), "beyond_your_rights");
}

#[actix_web::test]
async fn the_public_keys_are_there_for_everybody() {
    let face = Face::new().await;
    let keys = face.send(get("/.well-known/jwks.json")).await.expect(200).json();
    let key = &keys["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert_eq!(str_of(&key["x"]).len(), 43);
}
