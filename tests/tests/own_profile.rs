//! One's own record: what may be changed, what it takes to prove, and what follows.

use tests::{Backend, Server, json, stories};

const MASK: &str = "********";

stories! {
    async fn everybody_sees_all_of_themselves_with_a_mask_where_the_password_goes(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let me = anna.get("/api/users/me").await.expect(200);
        assert_eq!(me["password"], MASK);
        assert_eq!(me["roles"], json!(["CLIENT"]));
        for field in ["email", "phone", "is_active", "created_at", "updated_at", "last_login_at", "version"] {
            assert!(me.json.get(field).is_some(), "{field} is missing in {}", me.json);
        }
        assert_eq!(anna.get(&anna.path()).await.expect(200).json, me.json);
    }

    async fn a_record_sent_back_as_it_came_changes_nothing(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.mentor("anna").await;
        let me = anna.get("/api/users/me").await.expect(200).json;
        for reply in [anna.put(&anna.path(), me.clone()).await, anna.patch(&anna.path(), me.clone()).await] {
            let after = reply.expect(200);
            for field in ["username", "email", "phone", "is_mentor", "is_active", "roles", "password"] {
                assert_eq!(after[field], me[field], "{field}");
            }
        }
        anna.signed_in_again(&server).await;
    }

    async fn names_and_numbers_are_changed_freely_and_null_clears(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let changed = anna.patch(&anna.path(), json!({"username": "annette", "phone": "+4917011111"})).await;
        let changed = changed.expect(200);
        assert_eq!((&changed["username"], &changed["phone"]), (&json!("annette"), &json!("+4917011111")));
        assert_eq!(changed["version"], 3, "registered, signed in, changed");
        let cleared = anna.patch(&anna.path(), json!({"phone": null})).await.expect(200);
        assert!(cleared["phone"].is_null() && cleared["username"] == "annette", "{}", cleared.json);
        anna.patch(&anna.path(), json!({"username": null})).await.expect_flaws(&[("username", "type")]);
        assert_eq!(anna.patch(&anna.path(), json!({})).await.expect(200)["username"], "annette");
    }

    async fn replacing_takes_what_is_required_and_clears_what_is_not_there(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        anna.patch(&anna.path(), json!({"phone": "+4917011111"})).await.expect(200);
        anna.put(&anna.path(), json!({"phone": "+4917011111"})).await.expect_flaws(&[("username", "required")]);
        let replaced = anna.put(&anna.path(), json!({"username": "anna"})).await.expect(200);
        assert!(replaced["phone"].is_null(), "{}", replaced.json);
        assert_eq!(replaced["roles"], json!(["CLIENT"]));
    }

    async fn a_new_password_takes_the_current_one_and_ends_other_sessions(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let other = anna.signed_in_again(&server).await;
        let change = |current: &str| json!({"password": "Gr4nite-Samovar", "current_password": current});
        let unproven = anna.patch(&anna.path(), json!({"password": "Gr4nite-Samovar"})).await;
        unproven.expect_flaws(&[("current_password", "required")]);
        let wrong = anna.patch(&anna.path(), change("Gr4nite-Guess")).await;
        wrong.expect_flaws(&[("current_password", "wrong")]);
        other.get("/api/users/me").await.expect(200);

        let changed = anna.patch(&anna.path(), change(&anna.password)).await.expect(200);
        assert_eq!(changed["password"], MASK);
        anna.get("/api/users/me").await.expect(200);
        other.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        let old = json!({"username": "anna", "password": anna.password});
        server.anonymous().post("/api/login", old).await.expect(401);
        server.sign_in("anna", "Gr4nite-Samovar").await;
    }

    async fn a_new_email_takes_the_current_password_and_ends_other_sessions(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let other = anna.signed_in_again(&server).await;
        let unproven = anna.patch(&anna.path(), json!({"email": "anna@example.com"})).await;
        unproven.expect_flaws(&[("current_password", "required")]);
        let proven = json!({"email": "anna@example.com", "current_password": anna.password});
        let changed = anna.patch(&anna.path(), proven).await.expect(200);
        assert_eq!(changed["email"], "anna@example.com");
        other.get("/api/users/me").await.expect(401);
        anna.patch(&anna.path(), json!({"email": "anna@example.com"})).await.expect(200);
        anna.patch(&anna.path(), json!({"email": null})).await.expect_flaws(&[("current_password", "required")]);
    }

    async fn a_new_password_obeys_the_rules_for_passwords(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna-maria").await;
        for (password, reason) in [("short", "too_short"), ("qwerty123456", "too_common")] {
            let change = json!({"password": password, "current_password": anna.password});
            anna.patch(&anna.path(), change).await.expect_flaws(&[("password", reason)]);
        }
        let change = json!({"password": "Anna-Maria", "current_password": anna.password});
        anna.patch(&anna.path(), change).await.expect_flaws(&[("password", "same_as_name")]);
        anna.signed_in_again(&server).await;
    }

    async fn guessing_the_current_password_is_slowed_down_like_signing_in(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let guess = || anna.patch(&anna.path(), json!({"password": "Gr4nite-Own", "current_password": "Gr4nite-Guess"}));
        for _ in 0..10 {
            guess().await.expect(422);
        }
        guess().await.expect_problem(429, "too_many_attempts");
    }

    async fn what_takes_a_right_is_refused_and_nothing_else_of_the_change_happens(backend: Backend) {
        let server = Server::start(backend).await;
        server.mentor("mona").await;
        let anna = server.newcomer("anna").await;
        let before = anna.get("/api/users/me").await.expect(200).json;
        let beyond = [
            json!({"is_mentor": true}), json!({"is_active": false}), json!({"roles": ["ADMIN"]}), json!({"roles": []}),
            json!({"mentor": "mona"}),
        ];
        for mut change in beyond {
            change["phone"] = "+4917011111".into();
            anna.patch(&anna.path(), change).await.expect_problem(403, "permission_required");
        }
        assert_eq!(anna.get("/api/users/me").await.json, before);
        let roles = anna.put(&format!("{}/roles", anna.path()), json!({"roles": ["ADMIN"]})).await;
        roles.expect_problem(403, "permission_required");
        anna.delete(&anna.path()).await.expect_problem(403, "permission_required");
    }

    async fn what_belongs_to_others_is_taken(backend: Backend) {
        let server = Server::start(backend).await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        let contact = json!({"email": "ben@example.com", "phone": "+4917011111", "current_password": ben.password});
        ben.patch(&ben.path(), contact).await.expect(200);
        let change = json!({
            "username": "BEN", "email": "BEN@example.com", "phone": "4917011111", "current_password": anna.password,
        });
        let taken = anna.patch(&anna.path(), change).await.expect_problem(409, "taken");
        let blamed: Vec<String> = taken.flaws().into_iter().map(|(field, _)| field).collect();
        assert_eq!(blamed, ["email", "phone", "username"]);
        anna.patch(&anna.path(), json!({"username": "Anna"})).await.expect(200);
    }
}
