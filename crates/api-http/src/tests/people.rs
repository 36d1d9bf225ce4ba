//! Users and mentors.

use super::face::{Ask, Face, ask, get, str_of};
use domain::testing::World;
use serde_json::{Value, json};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_web::test]
async fn in_a_list_one_sees_others_in_brief_unless_one_may_read_users() {
    let face = Face::new().await;
    let (_, anna) = face.mentor("anna").await;
    let list = face.send(get("/api/users/").by(&anna)).await.expect(200).json();
    assert_eq!(list["count"], 2);
    for user in list["results"].as_array().unwrap() {
        assert_eq!(keys(user), ["id", "is_mentor", "username"]);
    }
    let admin = face.admin().await;
    let list = face.send(get("/api/users/?username=ANNA").by(&admin)).await.expect(200).json();
    let expected = [
        "created_at",
        "email",
        "id",
        "is_active",
        "is_mentor",
        "last_login_at",
        "mentees",
        "phone",
        "roles",
        "updated_at",
        "username",
        "version",
    ];
    assert_eq!(keys(&list["results"][0]), expected);
}

#[actix_web::test]
async fn private_fields_neither_filter_nor_order_for_those_who_do_not_see_them() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    for parameter in [
        "email=a@b.example",
        "is_active=true",
        "role=ADMIN",
        "created_at__lt=2030-01-01T00:00:00Z",
        "ordering=email",
    ] {
        let refused = face.send(get(&format!("/api/users/?{parameter}")).by(&anna)).await.expect(403).json();
        assert_eq!(refused["code"], "permission_required");
        let name = parameter.split('=').next().unwrap();
        assert!(str_of(&refused["detail"]).starts_with(name), "{refused}");
    }
    face.send(get("/api/users/?ordering=-username&is_mentor=false&search=a&mentor=1").by(&anna))
        .await
        .expect(200);
}

#[actix_web::test]
async fn one_sees_oneself_in_full_and_others_in_public() {
    let face = Face::new().await;
    let (anna_id, anna) = face.mentor("anna").await;
    let (ben_id, ben) = face.person("ben").await;
    let admin = face.admin().await;
    let path = format!("/api/users/{ben_id}/mentor");
    face.send(ask("PUT", &path).by(&admin).json(&json!({"mentor": "Anna"}))).await.expect(200);

    let me = face.send(get("/api/users/me").by(&ben)).await.expect(200).json();
    assert_eq!(
        (&me["id"], &me["mentor"], &me["password"]),
        (&json!(ben_id), &json!("anna"), &json!("********"))
    );
    assert!(me.get("mentees").is_none() && me["email"].is_null() && keys(&me).contains(&"email"));
    let other = face.send(get(&format!("/api/users/{anna_id}")).by(&ben)).await.expect(200).json();
    assert_eq!(other, json!({"id": anna_id, "username": "anna", "is_mentor": true, "mentees": ["ben"]}));
    let seen = face.send(get(&format!("/api/users/{ben_id}")).by(&anna)).await.expect(200).json();
    assert_eq!(seen, json!({"id": ben_id, "username": "ben", "is_mentor": false, "mentor": "anna"}));
    let full = face.send(get(&format!("/api/users/{ben_id}")).by(&admin)).await.expect(200).json();
    assert!(full.get("password").is_none() && full["roles"] == json!(["CLIENT"]));
}

#[actix_web::test]
async fn what_one_reads_of_oneself_can_be_written_back_and_changes_nothing() {
    let face = Face::new().await;
    let (_, anna) = face.mentor("anna").await;
    let before = face.send(get("/api/users/me").by(&anna)).await.expect(200).json();
    for method in ["PUT", "PATCH"] {
        let after = face.send(ask(method, "/api/users/me").by(&anna).json(&before)).await.expect(200).json();
        for field in ["username", "email", "phone", "roles", "is_mentor", "is_active", "password"] {
            assert_eq!(before[field], after[field], "{field}");
        }
    }
    face.token("anna").await;
}

#[actix_web::test]
async fn a_new_password_needs_the_current_one() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let patch = |body: Value| ask("PATCH", "/api/users/me").by(&anna).json(&body);
    let refused = face.send(patch(json!({"password": "quite another one"}))).await;
    assert_eq!(refused.blamed(422), ["current_password: required"]);
    let wrong = json!({"password": "quite another one", "current_password": "wrong"});
    assert_eq!(face.send(patch(wrong)).await.blamed(422), ["current_password: wrong"]);
    let right = json!({"password": "quite another one", "current_password": World::PASSWORD});
    face.send(patch(right)).await.expect(200);
    let body = json!({"username": "anna", "password": "quite another one"});
    face.send(ask("POST", "/api/token/").json(&body)).await.expect(200);
}

#[actix_web::test]
async fn put_empties_what_is_absent_and_patch_keeps_it() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let change = |method: &str, body: Value| ask(method, "/api/users/me").by(&anna).json(&body);
    let phone = face.send(change("PATCH", json!({"phone": "+49 170 1234567"}))).await.expect(200).json();
    assert_eq!(phone["phone"], "+491701234567");
    let kept = face.send(change("PATCH", json!({"username": "Anna"}))).await.expect(200).json();
    assert_eq!((&kept["username"], &kept["phone"]), (&json!("Anna"), &json!("+491701234567")));
    let put = face.send(change("PUT", json!({"username": "Anna"}))).await.expect(200).json();
    assert!(put["phone"].is_null());
    let missing = face.send(change("PUT", json!({"phone": null}))).await;
    assert_eq!(missing.blamed(422), ["username: required"]);
    assert_eq!(face.send(change("PATCH", json!({"username": null}))).await.blamed(422), ["username: type"]);
}

#[actix_web::test]
async fn what_is_an_administrators_to_change_nobody_changes_about_themselves() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let (ben_id, _) = face.person("ben").await;
    for body in [
        json!({"is_mentor": true}),
        json!({"is_active": false}),
        json!({"roles": ["ADMIN"]}),
        json!({"mentor": "admin"}),
    ] {
        let refused = face.send(ask("PATCH", "/api/users/me").by(&anna).json(&body)).await;
        assert_eq!(refused.problem(403), "permission_required", "{body}");
    }
    let other = format!("/api/users/{ben_id}");
    let refused = face.send(ask("PATCH", &other).by(&anna).json(&json!({"phone": null}))).await;
    assert_eq!(refused.problem(403), "permission_required");
    let absent = face.send(ask("PATCH", "/api/users/999").by(&anna).json(&json!({"phone": null}))).await;
    assert_eq!(absent.problem(404), "not_found");
}

#[actix_web::test]
async fn an_administrator_makes_changes_and_deletes_accounts() {
    let face = Face::new().await;
    let admin = face.admin().await;
    face.mentor("anna").await;
    let body =
        json!({"username": "ben", "password": World::PASSWORD, "roles": ["operator"], "mentor": "anna"});
    let made = face.send(ask("POST", "/api/users/").by(&admin).json(&body)).await.expect(201);
    assert_eq!((&made.json()["roles"], &made.json()["mentor"]), (&json!(["OPERATOR"]), &json!("anna")));
    let ben = made.header("location");
    let off = face.send(ask("PATCH", ben).by(&admin).json(&json!({"is_active": false}))).await.expect(200);
    assert_eq!(off.json()["is_active"], false);
    let sign_in = json!({"username": "ben", "password": World::PASSWORD});
    face.send(ask("POST", "/api/token/").json(&sign_in)).await.expect(401);
    face.send(ask("DELETE", ben).by(&admin)).await.expect(204);
    face.send(ask("DELETE", ben).by(&admin)).await.expect(404);
    let last = face.send(ask("DELETE", "/api/users/me").by(&admin)).await;
    assert_eq!(last.problem(409), "last_administrator");
}

#[actix_web::test]
async fn unknown_roles_of_a_new_account_are_named_by_their_place() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let body = json!({"username": "ben", "password": World::PASSWORD, "roles": ["CLIENT", "NOBODY"]});
    let refused = face.send(ask("POST", "/api/users/").by(&admin).json(&body)).await;
    assert_eq!(refused.blamed(422), ["roles.1: unknown"]);
}

#[actix_web::test]
async fn a_one_time_password_opens_one_session() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (id, anna) = face.person("anna").await;
    let path = format!("/api/users/{id}/password-reset");
    let reset = face.send(ask("POST", &path).by(&admin)).await.expect(200).json();
    face.send(get("/api/users/me").by(&anna)).await.expect(401);
    let body = json!({"username": "anna", "password": reset["password"]});
    let pair = face.send(ask("POST", "/api/token/").json(&body)).await.expect(200).json();
    assert_eq!(pair["must_change_password"], true);
    face.send(ask("POST", "/api/token/").json(&body)).await.expect(401);
    let refused = face.send(ask("POST", &path).by(&admin).json(&json!({"password": "x"}))).await;
    assert_eq!(refused.blamed(422), ["password: unknown_field"]);
}

struct Mentorship {
    face: Face,
    admin: String,
    anna: i64,
    ben: i64,
}

impl Mentorship {
    async fn new() -> Self {
        let face = Face::new().await;
        let admin = face.admin().await;
        let (anna, _) = face.mentor("anna").await;
        let (ben, _) = face.person("ben").await;
        Self { face, admin, anna, ben }
    }

    fn assign(&self, mentee: i64, mentor: Value) -> Ask {
        ask("PUT", &format!("/api/users/{mentee}/mentor")).by(&self.admin).json(&json!({"mentor": mentor}))
    }
}

#[actix_web::test]
async fn a_mentor_is_named_by_id_or_login() {
    let story = Mentorship::new().await;
    for mentor in [json!(story.anna), json!("ANNA")] {
        let mentee = story.face.send(story.assign(story.ben, mentor)).await.expect(200).json();
        assert_eq!(mentee["mentor"], "anna");
    }
}

#[actix_web::test]
async fn who_cannot_mentor_is_refused_with_a_reason() {
    let story = Mentorship::new().await;
    for (mentee, mentor, code) in [
        (story.anna, json!("anna"), "self"),
        (story.anna, json!("ben"), "not_a_mentor"),
        (story.ben, json!("nobody"), "unknown"),
        (story.ben, json!(999), "unknown"),
        (story.ben, json!(null), "type"),
    ] {
        let refused = story.face.send(story.assign(mentee, mentor)).await;
        assert_eq!(refused.blamed(422), [format!("mentor: {code}")]);
    }
}

#[actix_web::test]
async fn a_mentorship_ends_for_one_or_for_all() {
    let story = Mentorship::new().await;
    let path = format!("/api/users/{}/mentor", story.ben);
    story.face.send(story.assign(story.ben, json!("anna"))).await.expect(200);
    story.face.send(ask("DELETE", &path).by(&story.admin)).await.expect(204);
    story.face.send(ask("DELETE", &path).by(&story.admin)).await.expect(404);

    story.face.send(story.assign(story.ben, json!("anna"))).await.expect(200);
    let mentees = format!("/api/users/{}/mentees", story.anna);
    let list = story.face.send(get(&mentees).by(&story.admin)).await.expect(200).json();
    assert_eq!(list["results"][0]["username"], "ben");
    let released = story.face.send(ask("DELETE", &mentees).by(&story.admin)).await.expect(200).json();
    assert_eq!(released, json!({"mentor": story.anna, "mentees": [story.ben]}));
    let ben = story.face.send(get(&format!("/api/users/{}", story.ben)).by(&story.admin)).await.json();
    assert!(ben.get("mentor").is_none());
}
