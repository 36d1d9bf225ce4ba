//! Every server's log is searched for every secret of its story. This is the proof that the search can fail.

use tests::{Backend, Server, stories};

stories! {
    async fn a_secret_in_the_log_fails_its_story(backend: Backend) {
        let server = Server::start(backend).await;
        let planted = "planted-Gr4nite-secret";
        // A request's id is written to the log by design.
        server.anonymous().get("/api/").header("x-request-id", planted).await.expect(200);
        server.installation.secrets.add(planted);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server)));
        let complaint = ended.expect_err("the search found nothing");
        let complaint = complaint.downcast_ref::<String>().expect("a panic has a message");
        assert!(complaint.contains("secrets in the server's log"), "{complaint}");
    }

    async fn every_kind_of_secret_is_searched_for(backend: Backend) {
        let server = Server::start(backend).await;
        let secrets = server.installation.secrets.clone();
        let before = secrets.count();
        let admin = server.admin().await;
        let signed_in = secrets.count();
        assert_eq!(signed_in - before, 2, "access and refresh token");
        let anna = server.newcomer("anna").await;
        assert_eq!(secrets.count() - signed_in, 3, "password, access and refresh token");
        admin.machine("press", &[]).await;
        let reset = admin.post(&format!("{}/password-reset", anna.path()), tests::json!({})).await.expect(200);
        assert_eq!(secrets.count() - signed_in, 5, "API key and one-time password");
        assert!(!secrets.leaks_in(reset.text("password")).is_empty());
    }
}
