//! The interactive documentation: complete without anything from elsewhere.

use tests::{Backend, Server, stories};

/// What `src="…"` and `href="…"` of a page point to.
fn references(page: &str) -> Vec<String> {
    let after = |attribute: &str| {
        let parts: Vec<&str> = page.split(attribute).skip(1).collect();
        parts.into_iter().filter_map(|part| part.split('"').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    [after("src=\""), after("href=\"")].concat()
}

stories! {
    async fn the_page_and_all_it_refers_to_come_from_this_server(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        for path in ["/swagger/", "/swagger"] {
            let page = stranger.get(path).await.expect(200);
            assert!(page.expect_header("content-type").starts_with("text/html"));
            let page = String::from_utf8(page.bytes).unwrap();
            let references = references(&page);
            assert!(references.len() >= 3, "{page}");
            for reference in references {
                assert!(reference.starts_with('/') && !reference.starts_with("//"), "{reference} is elsewhere");
                assert!(!stranger.get(&reference).await.expect(200).bytes.is_empty());
            }
        }
    }

    async fn the_page_may_load_nothing_from_elsewhere_and_reads_our_document(backend: Backend) {
        let server = Server::start(backend).await;
        let stranger = server.anonymous();
        let page = stranger.get("/swagger/").await.expect(200);
        let policy = page.expect_header("content-security-policy");
        assert!(policy.contains("default-src 'none'") || policy.contains("default-src 'self'"), "{policy}");
        assert!(!policy.contains("http:") && !policy.contains("https:") && !policy.contains('*'), "{policy}");
        let start = stranger.get("/swagger/swagger-initializer.js").await.expect(200);
        let start = String::from_utf8(start.bytes).unwrap();
        assert!(start.contains("/api/openapi.json"), "{start}");
    }

    async fn the_document_lets_the_page_authorise_with_a_token(backend: Backend) {
        let server = Server::start(backend).await;
        let scheme = &server.document.json["components"]["securitySchemes"]["bearer"];
        assert_eq!((&scheme["type"], &scheme["scheme"]), (&"http".into(), &"bearer".into()), "{scheme}");
    }

    async fn there_are_no_other_files_to_be_had(backend: Backend) {
        let server = Server::start(backend).await;
        for path in ["/swagger/Cargo.toml", "/swagger/%2e%2e/Cargo.toml", "/swagger/index.html/x", "/swagger/.env"] {
            server.anonymous().get(path).await.expect(404);
        }
    }
}
