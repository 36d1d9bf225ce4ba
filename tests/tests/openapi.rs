//! The document: complete, consistent with itself, and honest about what the server does.

use std::collections::BTreeSet;
use tests::openapi::Operation;
use tests::{Backend, Installation, Method, Server, Value, stories};

stories! {
    async fn it_is_openapi_3_1_and_the_command_line_prints_the_same(backend: Backend) {
        let server = Server::start(backend).await;
        let served = &server.document.json;
        assert!(served["openapi"].as_str().unwrap().starts_with("3.1"), "{}", served["openapi"]);
        let printed = server.installation.run(&["openapi"]).await;
        assert!(printed.status.success(), "{printed:?}");
        let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
        assert_eq!(printed, *served);
    }

    async fn every_operation_says_all_that_a_client_needs(backend: Backend) {
        let server = Server::start(backend).await;
        let operations = server.document.operations();
        let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
        assert_eq!(ids.len(), operations.len(), "operation ids are unique");
        for operation in operations {
            let Operation { id, json, .. } = operation;
            assert!(json["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id} has no summary");
            assert!(!json["tags"].as_array().is_none_or(Vec::is_empty), "{id} has no tag");
            let responses = json["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{id} cannot succeed");
            assert!(responses.contains_key("500") && responses.contains_key("503"), "{id} has no failures");
            if operation.is_public() {
                assert!(operation.note("x-permission").is_none(), "{id} is public and wants a permission");
                continue;
            }
            assert!(json["security"].is_array(), "{id} says nothing of security");
            let named = operation.note("x-permission").or(operation.note("x-requires"));
            assert!(named.is_some(), "{id} names neither permission nor requirement");
            assert!(responses.contains_key("401") && responses.contains_key("403"), "{id} refuses nobody");
        }
    }

    async fn every_body_has_an_example_that_fits_its_schema(backend: Backend) {
        let server = Server::start(backend).await;
        let schemas = server.document.schemas();
        for operation in server.document.operations() {
            let content = &operation.json["requestBody"]["content"]["application/json"];
            if content.is_null() {
                continue;
            }
            let schema = schemas.resolve(&content["schema"]);
            let example = content.get("example").or_else(|| schema["examples"].get(0));
            let example = example.unwrap_or_else(|| panic!("{} has no example", operation.id));
            let breaches = schemas.breaches(schema, example);
            assert!(breaches.is_empty(), "the example of {}: {breaches:?}", operation.id);
        }
    }

    async fn every_reference_leads_somewhere(backend: Backend) {
        let server = Server::start(backend).await;
        let mut pending = vec![&server.document.json];
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(fields) => {
                    if fields.contains_key("$ref") {
                        server.document.schemas().resolve(value);
                    }
                    pending.extend(fields.values());
                }
                Value::Array(items) => pending.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }

    /// The router says which methods each path knows; the document must name the same.
    async fn it_lists_exactly_the_methods_that_the_router_serves(backend: Backend) {
        let server = Server::start(backend).await;
        let operations = server.document.operations();
        let paths: BTreeSet<&str> = operations.iter().map(|operation| operation.path.as_str()).collect();
        for path in paths {
            let concrete = path.replace("{id}", "1").replace("{name}", "x").replace("{code}", "x").replace("{entry}", "1");
            assert!(!concrete.contains('{'), "{path} has a parameter that this test does not know");
            let options = server.anonymous().call(Method::OPTIONS, &concrete).await;
            let allowed = options.expect_header("allow").split(", ");
            let served: BTreeSet<&str> = allowed.filter(|method| !matches!(*method, "HEAD" | "OPTIONS")).collect();
            let documented: BTreeSet<&str> = operations
                .iter()
                .filter(|operation| operation.path == path)
                .map(|operation| operation.method.as_str())
                .collect();
            assert_eq!(served, documented, "{path}");
        }
    }

    async fn it_holds_every_call_that_clients_rely_on(backend: Backend) {
        let server = Server::start(backend).await;
        let calls = [
            ("POST", "/api/registration"), ("POST", "/api/token"), ("POST", "/api/login"), ("POST", "/api/token/refresh"),
            ("POST", "/api/token/verify"), ("POST", "/api/logout"), ("GET", "/api/sessions"),
            ("DELETE", "/api/sessions/1"), ("GET", "/api/api-keys"), ("POST", "/api/api-keys"),
            ("DELETE", "/api/api-keys/1"), ("GET", "/.well-known/jwks.json"), ("GET", "/api/users"),
            ("POST", "/api/users"), ("GET", "/api/users/1"), ("GET", "/api/users/me"), ("PUT", "/api/users/1"),
            ("PATCH", "/api/users/1"), ("DELETE", "/api/users/1"), ("POST", "/api/users/1/password-reset"),
            ("PUT", "/api/users/1/mentor"), ("DELETE", "/api/users/1/mentor"), ("GET", "/api/users/1/mentees"),
            ("GET", "/api/roles"), ("POST", "/api/roles"), ("GET", "/api/roles/1"), ("PUT", "/api/roles/1"),
            ("PATCH", "/api/roles/1"), ("DELETE", "/api/roles/1"), ("GET", "/api/permissions"),
            ("GET", "/api/users/1/roles"), ("PUT", "/api/users/1/roles"), ("POST", "/api/users/1/roles/x"),
            ("DELETE", "/api/users/1/roles/x"), ("GET", "/api/audit"), ("GET", "/api"), ("GET", "/swagger"),
            ("GET", "/api/openapi.json"), ("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics"),
            ("GET", "/problems/x"), ("GET", "/api/equipment"), ("POST", "/api/equipment"), ("GET", "/api/equipment/1"),
            ("PUT", "/api/equipment/1"), ("PATCH", "/api/equipment/1"), ("DELETE", "/api/equipment/1"),
            ("POST", "/api/equipment/1/restore"), ("GET", "/api/equipment/1/data"), ("GET", "/api/equipment/1/alerts"),
            ("GET", "/api/equipment/1/latest"), ("GET", "/api/equipment/1/children"),
            ("GET", "/api/equipment/1/maintenance"), ("POST", "/api/equipment/1/maintenance"),
            ("GET", "/api/equipment/1/maintenance/1"),
            ("DELETE", "/api/equipment/1/maintenance/1"), ("GET", "/api/data"), ("POST", "/api/data"),
            ("GET", "/api/data/1-1"), ("PUT", "/api/data/1-1"), ("PATCH", "/api/data/1-1"),
            ("DELETE", "/api/data/1-1"), ("POST", "/api/data/bulk"),
            ("GET", "/api/data/export"), ("GET", "/api/latest"), ("GET", "/api/series"), ("GET", "/api/metrics"), ("GET", "/api/metrics/x"),
            ("PATCH", "/api/metrics/x"), ("GET", "/api/alert-rules"), ("POST", "/api/alert-rules"),
            ("GET", "/api/alert-rules/1"), ("PUT", "/api/alert-rules/1"), ("PATCH", "/api/alert-rules/1"),
            ("DELETE", "/api/alert-rules/1"), ("POST", "/api/alert-rules/preview"), ("GET", "/api/alerts"),
            ("POST", "/api/alerts"), ("GET", "/api/alerts/1"), ("PUT", "/api/alerts/1"), ("PATCH", "/api/alerts/1"),
            ("DELETE", "/api/alerts/1"), ("POST", "/api/alerts/1/acknowledge"), ("POST", "/api/alerts/1/resolve"),
            ("GET", "/api/alerts/1/timeline"), ("GET", "/api/stream"), ("POST", "/write"), ("POST", "/api/v2/write"),
            ("POST", "/query"), ("GET", "/query"), ("GET", "/ping"), ("GET", "/health"),
            ("GET", "/api/alerts/1/timeline"), ("GET", "/api/stream"), ("GET", "/api/webhooks"), ("POST", "/api/webhooks"),
            ("GET", "/api/webhooks/1"), ("PUT", "/api/webhooks/1"), ("PATCH", "/api/webhooks/1"), ("DELETE", "/api/webhooks/1"),
            ("POST", "/api/webhooks/1/rotate-secret"), ("POST", "/api/webhooks/1/test"), ("GET", "/api/webhooks/1/deliveries"),
            ("GET", "/api/webhooks/1/deliveries/1"), ("POST", "/api/webhooks/1/deliveries/1/replay"),
        ];
        for (method, path) in calls {
            let found = server.document.operation(&method.parse().unwrap(), path);
            assert!(found.is_some(), "{method} {path} is not documented");
        }
    }

    async fn the_root_lists_the_resources(backend: Backend) {
        let server = Server::start(backend).await;
        let root = server.anonymous().get("/api/").await.expect(200).json.to_string();
        let paths = [
            "/api/users", "/api/roles", "/api/sessions", "/api/api-keys", "/api/audit", "/api/permissions",
            "/api/equipment", "/api/data", "/api/series", "/api/metrics", "/api/alert-rules", "/api/alerts", "/api/stream",
            "/api/webhooks",
        ];
        for path in paths {
            assert!(root.contains(path), "{path} is not in {root}");
        }
    }
}

#[tokio::test]
async fn it_is_the_same_on_both_databases() {
    let sqlite = Server::start(Backend::Sqlite).await;
    let postgres = Installation::new(Backend::Postgres).await.serve(tests::Options::default()).await;
    assert_eq!(sqlite.document.json, postgres.document.json);
}
