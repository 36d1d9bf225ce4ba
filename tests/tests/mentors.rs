//! Who trains whom.

use futures_util::future::join_all;
use tests::{Backend, Client, Person, Server, Value, json, stories};

async fn assign(by: &Client, mentee: &Person, mentor: impl Into<Value>) -> tests::Reply {
    by.put(&format!("{}/mentor", mentee.path()), json!({"mentor": mentor.into()})).await
}

async fn mentor_of(person: &Person) -> Value {
    person.get("/api/users/me").await.expect(200)["mentor"].clone()
}

async fn mentees_of(by: &Client, mentor: &Person) -> Vec<Value> {
    by.get(&format!("{}/mentees", mentor.path())).await.expect(200).column("username")
}

stories! {
    async fn a_mentor_is_assigned_by_id_or_login_and_both_records_show_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let mona = server.mentor("mona").await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        let shown = assign(&admin, &anna, mona.id).await.expect(200);
        assert_eq!(shown["mentor"], "mona");
        assign(&admin, &ben, "MONA").await.expect(200);
        assert_eq!(mentees_of(&anna, &mona).await, ["anna", "ben"]);
        assert_eq!(anna.get(&mona.path()).await.expect(200)["mentees"], json!(["anna", "ben"]));
        assert_eq!(ben.get(&anna.path()).await.expect(200)["mentor"], "mona");
        assert_eq!(mentor_of(&ben).await, "mona");
    }

    async fn a_mentor_is_taken_away_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [mona, anna] = [server.mentor("mona").await, server.newcomer("anna").await];
        assign(&admin, &anna, "mona").await.expect(200);
        let path = format!("{}/mentor", anna.path());
        admin.delete(&path).await.expect(204);
        admin.delete(&path).await.expect_problem(404, "not_found");
        assert_eq!(mentees_of(&admin, &mona).await, [""; 0]);
        assign(&admin, &anna, "mona").await.expect(200);
        admin.patch(&anna.path(), json!({"mentor": null})).await.expect(200);
        assert!(mentor_of(&anna).await.is_null());
    }

    async fn at_most_one_mentor_each(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [mona, mike] = [server.mentor("mona").await, server.mentor("mike").await];
        let anna = server.newcomer("anna").await;
        assign(&admin, &anna, "mona").await.expect(200);
        assign(&admin, &anna, "mike").await.expect(200);
        assert_eq!(mentees_of(&admin, &mona).await, [""; 0]);
        assert_eq!(mentees_of(&admin, &mike).await, ["anna"]);
    }

    async fn only_an_active_mentor_mentors_and_nobody_themselves_or_in_a_circle(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [mona, mike, max] =
            [server.mentor("mona").await, server.mentor("mike").await, server.mentor("max").await];
        let anna = server.newcomer("anna").await;
        let asleep = server.mentor("asleep").await;
        admin.patch(&asleep.path(), json!({"is_active": false})).await.expect(200);
        assign(&admin, &mona, "anna").await.expect_flaws(&[("mentor", "not_a_mentor")]);
        assign(&admin, &anna, "asleep").await.expect_flaws(&[("mentor", "not_a_mentor")]);
        assign(&admin, &mona, "mona").await.expect_flaws(&[("mentor", "self")]);
        assign(&admin, &anna, "nobody").await.expect_flaws(&[("mentor", "unknown")]);
        assign(&admin, &anna, 999_999).await.expect_flaws(&[("mentor", "unknown")]);
        assign(&admin, &mike, mona.id).await.expect(200);
        assign(&admin, &max, mike.id).await.expect(200);
        assign(&admin, &mona, "max").await.expect_flaws(&[("mentor", "cycle")]);
        admin.put(&format!("{}/mentor", anna.path()), json!({})).await.expect_flaws(&[("mentor", "required")]);
    }

    async fn whoever_stops_being_a_mentor_releases_everybody(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        let kept = server.mentor("kept").await;
        assign(&admin, &ben, "kept").await.expect(200);
        for (number, way) in ["flag", "disabling", "deletion"].into_iter().enumerate() {
            let mentor = server.mentor(&format!("mentor-{number}")).await;
            assign(&admin, &anna, mentor.id).await.expect(200);
            let before = anna.get("/api/users/me").await.expect(200)["version"].as_i64();
            match way {
                "flag" => { admin.patch(&mentor.path(), json!({"is_mentor": false})).await.expect(200); }
                "disabling" => { admin.patch(&mentor.path(), json!({"is_active": false})).await.expect(200); }
                _ => { admin.delete(&mentor.path()).await.expect(204); }
            }
            let after = anna.get("/api/users/me").await.expect(200);
            assert!(after["mentor"].is_null(), "by {way}");
            assert!(after["version"].as_i64() > before, "by {way}");
        }
        assert_eq!(mentor_of(&ben).await, "kept");
        assert_eq!(mentees_of(&admin, &kept).await, ["ben"]);
    }

    async fn ending_a_mentorship_answers_exactly_who_was_released(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let mona = server.mentor("mona").await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        for person in [&anna, &ben] {
            assign(&admin, person, mona.id).await.expect(200);
        }
        let path = format!("{}/mentees", mona.path());
        mona.delete(&path).await.expect_problem(403, "permission_required");
        let released = admin.delete(&path).await.expect(200);
        assert_eq!(released.json, json!({"mentor": mona.id, "mentees": [anna.id, ben.id]}));
        assert_eq!(mona.get("/api/users/me").await["is_mentor"], false);
        assert!(mentor_of(&anna).await.is_null() && mentor_of(&ben).await.is_null());
        admin.delete(&path).await.expect_problem(404, "not_found");
    }

    async fn mentors_are_assigned_by_right_only(backend: Backend) {
        let server = Server::start(backend).await;
        let mona = server.mentor("mona").await;
        let anna = server.newcomer("anna").await;
        assign(&anna, &anna, "mona").await.expect_problem(403, "permission_required");
        assign(&mona, &anna, "mona").await.expect_problem(403, "permission_required");
        let path = format!("{}/mentor", anna.path());
        mona.delete(&path).await.expect_problem(403, "permission_required");
        assert!(mentor_of(&anna).await.is_null());
    }

    async fn being_a_mentor_is_chosen_at_registration_and_later_by_right_only(backend: Backend) {
        let server = Server::start(backend).await;
        let mona = server.mentor("mona").await;
        let anna = server.newcomer("anna").await;
        assert_eq!(mona.get("/api/users/me").await["is_mentor"], true);
        mona.patch(&mona.path(), json!({"is_mentor": false})).await.expect_problem(403, "permission_required");
        anna.patch(&anna.path(), json!({"is_mentor": true})).await.expect_problem(403, "permission_required");
        let admin = server.admin().await;
        assert_eq!(admin.patch(&anna.path(), json!({"is_mentor": true})).await.expect(200)["is_mentor"], true);
    }

    async fn a_renamed_mentor_is_shown_by_the_new_name(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [mona, anna] = [server.mentor("mona").await, server.newcomer("anna").await];
        assign(&admin, &anna, "mona").await.expect(200);
        let tag = anna.get("/api/users/me").await.expect(200).expect_header("etag").to_owned();
        mona.patch(&mona.path(), json!({"username": "monique"})).await.expect(200);
        let me = anna.get("/api/users/me").header("if-none-match", &tag).await.expect(200);
        assert_eq!(me["mentor"], "monique");
    }

    async fn a_mentor_demoted_while_people_are_assigned_to_them_keeps_nobody(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let names: Vec<String> = (0..8).map(|number| format!("person-{number}")).collect();
        let people = join_all(names.iter().map(|name| server.newcomer(name))).await;
        for round in 0..5 {
            let mentor = server.mentor(&format!("mentor-{round}")).await;
            let demote = async { admin.patch(&mentor.path(), json!({"is_mentor": false})).await.expect(200) };
            let assigning = join_all(people.iter().map(|person| assign(&admin, person, mentor.id)));
            let (replies, _) = futures_util::future::join(assigning, demote).await;
            assert!(replies.iter().all(|reply| matches!(reply.status.as_u16(), 200 | 422)), "{replies:?}");
            assert_eq!(mentees_of(&admin, &mentor).await, [""; 0]);
            for person in &people {
                assert!(mentor_of(person).await.is_null());
            }
        }
    }
}
