//! Buying the next pair of tokens: each refresh token once, and never two different successors.

use futures_util::future::join_all;
use std::collections::BTreeSet;
use tests::{Backend, Client, Method, Options, Reply, Server, json, stories};

async fn refresh(client: &Client, token: &str) -> Reply {
    client.post("/api/token/refresh/", json!({"refresh": token})).await
}

async fn next(client: &Client, token: &str) -> String {
    refresh(client, token).await.expect(200).text("refresh").to_owned()
}

stories! {
    async fn a_refresh_answers_a_new_pair_of_the_same_session(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let pair = refresh(&server.anonymous(), &anna.refresh).await.expect(200);
        assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("Bearer"), &json!(600)));
        assert_ne!(pair.text("refresh"), anna.refresh);
        assert_ne!(pair.text("access"), anna.token());
        let renewed = server.anonymous().bearing(pair.text("access"));
        assert_eq!(renewed.get("/api/users/me").await.expect(200).id(), anna.id);
        assert_eq!(renewed.get("/api/sessions/").await["count"], 1);

        let form = server.anonymous().call(Method::POST, "/api/token/refresh");
        form.form(&[("refresh", pair.text("refresh"))]).await.expect(200);
    }

    async fn a_client_that_lost_the_answer_gets_the_same_successor(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        let successor = next(&stranger, &anna.refresh).await;
        assert_eq!(next(&stranger, &anna.refresh).await, successor);
        assert_eq!(next(&stranger, &anna.refresh).await, successor);
        next(&stranger, &successor).await;
    }

    async fn a_spent_token_whose_successor_was_used_ends_the_whole_session(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let other = anna.signed_in_again(&server).await;
        let stranger = server.anonymous();
        let second = next(&stranger, &anna.refresh).await;
        let third = next(&stranger, &second).await;
        refresh(&stranger, &anna.refresh).await.expect_problem(401, "invalid_credentials");
        refresh(&stranger, &third).await.expect_problem(401, "invalid_credentials");
        anna.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        other.get("/api/users/me").await.expect(200);
        next(&stranger, &other.refresh).await;
    }

    async fn a_spent_token_stays_spent_after_a_restart(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let second = next(&server.anonymous(), &anna.refresh).await;
        let third = next(&server.anonymous(), &second).await;
        let installation = server.installation.clone();
        server.kill();
        let server = installation.serve(Options::default()).await;
        refresh(&server.anonymous(), &anna.refresh).await.expect_problem(401, "invalid_credentials");
        refresh(&server.anonymous(), &third).await.expect_problem(401, "invalid_credentials");
    }

    async fn only_a_refresh_token_of_ours_buys_anything(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        let mut altered = anna.refresh.clone();
        altered.truncate(altered.len() - 4);
        for token in [anna.token(), altered.as_str(), "", "a.b.c"] {
            refresh(&stranger, token).await.expect_problem(401, "invalid_credentials");
        }
        stranger.post("/api/token/refresh/", json!({})).await.expect_flaws(&[("refresh", "required")]);
        next(&stranger, &anna.refresh).await;
    }

    async fn whoever_is_gone_or_disabled_cannot_refresh(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [disabled, deleted, signed_out] =
            [server.newcomer("ben").await, server.newcomer("cleo").await, server.newcomer("dora").await];
        admin.patch(&disabled.path(), json!({"is_active": false})).await.expect(200);
        admin.delete(&deleted.path()).await.expect(204);
        signed_out.post("/api/logout", json!({})).await.expect(204);
        let told: Vec<_> = join_all([&disabled, &deleted, &signed_out].map(async |person| {
            refresh(&server.anonymous(), &person.refresh).await.expect(401).body_without_request_id()
        }))
        .await;
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");

        admin.patch(&disabled.path(), json!({"is_active": true})).await.expect(200);
        refresh(&server.anonymous(), &disabled.refresh).await.expect(401);
    }

    async fn rotation_can_be_turned_off(backend: Backend) {
        let options = Options::default().set("TECHTRACK_SESSION_ROTATE_REFRESH", "off");
        let server = Server::start_with(backend, options).await;
        let anna = server.newcomer("anna").await;
        for _ in 0..3 {
            assert_eq!(next(&server.anonymous(), &anna.refresh).await, anna.refresh);
        }
    }

    async fn of_twenty_refreshes_at_once_all_get_one_successor_and_reuse_ends_the_session(backend: Backend) {
        let server = Server::start(backend).await;
        for round in 0..5 {
            let anna = server.newcomer(&format!("anna-{round}")).await;
            let stranger = server.anonymous();
            let replies = join_all((0..20).map(|_| refresh(&stranger, &anna.refresh))).await;
            let successors: BTreeSet<String> =
                replies.into_iter().map(|reply| reply.expect(200).text("refresh").to_owned()).collect();
            assert_eq!(successors.len(), 1);

            let latest = next(&stranger, successors.first().unwrap()).await;
            refresh(&stranger, &anna.refresh).await.expect(401);
            refresh(&stranger, &latest).await.expect(401);
            anna.get("/api/users/me").await.expect(401);
        }
    }
}
