//! Pages, order, filters: what holds for every list.

use std::collections::BTreeSet;
use tests::{Backend, Client, Server, Value, json, stories};

/// The lists that there are, and a key that each can be ordered by.
const LISTS: [(&str, &str); 8] = [
    ("/api/users", "username"),
    ("/api/roles", "name"),
    ("/api/sessions", "created_at"),
    ("/api/api-keys", "name"),
    ("/api/equipment", "name"),
    ("/api/alert-rules", "severity"),
    ("/api/alerts", "timestamp"),
    ("/api/webhooks", "name"),
];

/// Five of everything, and an administrator to look at them.
async fn peopled(server: &Server) -> tests::Person {
    let admin = server.admin().await;
    for number in 0..5 {
        let name = format!("p{number}");
        admin.post("/api/users", json!({"username": name, "password": "Gr4nite-Teapot"})).await.expect(201);
        admin.post("/api/roles", json!({"name": name, "permissions": []})).await.expect(201);
        admin.post("/api/api-keys", json!({"name": name, "permissions": []})).await.expect(201);
        admin.signed_in_again(server).await;
        admin
            .post("/api/webhooks", json!({"name": name, "url": "https://nobody.invalid/"}))
            .await
            .expect(201);
        let machine = admin.machine_called(&name).await;
        admin.rule(json!({"equipment": machine.id})).await;
        admin.report(&machine, &[(0, 90.0)]).await;
    }
    admin
}

/// Every id of a list, page by page.
async fn ids(by: &Client, first: &str) -> Vec<Value> {
    let mut read = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = by.get(&path).await.expect(200);
        read.extend(page.column("id"));
        next = page["next"].as_str().map(str::to_owned);
    }
    read
}

stories! {
    async fn every_list_is_read_page_by_page_without_gap_or_repetition(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = peopled(&server).await;
        for (path, key) in LISTS {
            let whole = admin.get(path).await.expect(200);
            let count = whole["count"].as_u64().unwrap();
            assert!(count >= 5 && whole["next"].is_null() && whole["previous"].is_null(), "{}", whole.json);
            for ordering in [key.to_owned(), format!("-{key}"), "id".to_owned(), "-id".to_owned()] {
                let read = ids(&admin, &format!("{path}?page_size=2&ordering={ordering}")).await;
                let distinct: BTreeSet<String> = read.iter().map(ToString::to_string).collect();
                assert_eq!((read.len() as u64, distinct.len() as u64), (count, count), "{path} by {ordering}");
            }
            let second = admin.get(&format!("{path}?page_size=2&page=2")).await.expect(200);
            let first = admin.get(second.text("previous")).await.expect(200);
            assert!(first["previous"].is_null() && second["next"].is_string());
            assert_eq!(admin.get(first.text("next")).await.json, second.json);
        }
    }

    async fn links_keep_what_was_asked(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = peopled(&server).await;
        let first = admin.get("/api/users/?search=p&ordering=-username&page_size=2&is_active=true").await.expect(200);
        assert_eq!(first.column("username"), ["p4", "p3"]);
        let second = admin.get(first.text("next")).await.expect(200);
        assert_eq!(second.column("username"), ["p2", "p1"]);
    }

    async fn a_page_past_the_end_is_not_there_but_the_first_one_always_is(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for (path, _) in LISTS {
            admin.get(&format!("{path}?page=2")).await.expect_problem(404, "not_found");
            admin.get(&format!("{path}?page=9007199254740991")).await.expect_problem(404, "not_found");
        }
        let none = admin.get("/api/users?username=nobody").await.expect(200);
        assert_eq!(none.json, json!({"count": 0, "next": null, "previous": null, "results": []}));
        admin.get("/api/users?username=nobody&page=2").await.expect_problem(404, "not_found");
    }

    async fn bad_pages_and_orders_are_named_all_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for (path, _) in LISTS {
            let query = "page=0&page_size=1001&ordering=colour";
            admin.get(&format!("{path}?{query}")).await.expect_flaws(&[
                ("page", "out_of_range"), ("page_size", "out_of_range"), ("ordering", "unknown"),
            ]);
            admin.get(&format!("{path}?page_size=1000")).await.expect(200);
            for page in ["-1", "1.0", "x", "", "99999999999999999999"] {
                admin.get(&format!("{path}?page={page}")).await.expect_flaws(&[("page", "out_of_range")]);
            }
        }
        let bad = "is_mentor=perhaps&created_at__gte=yesterday&created_at__lt=2026-01-01T00:00:00&username=a%20b";
        admin.get(&format!("/api/users?{bad}")).await.expect_flaws(&[
            ("is_mentor", "type"), ("created_at__gte", "instant"), ("created_at__lt", "instant"),
            ("username", "characters"),
        ]);
    }

    async fn an_unknown_parameter_is_refused_by_name_with_the_nearest_known_one(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let refused = admin.get("/api/users?usernme=anna").await.expect_problem(400, "unknown_parameter");
        let detail = refused.text("detail");
        assert!(detail.contains("usernme") && detail.contains("username"), "{detail}");
        let paths = [
            "/api/users?limit=5", "/api/roles?colour=red", "/api/sessions?all=1", "/api/api-keys?x=1", "/api/users/me?x=1",
            "/api/users?page[]=1", "/api/users?", "/api/?x=1", "/api/permissions?x=1", "/api/roles/ADMIN?x=1",
        ];
        for path in paths {
            let reply = admin.get(path).await;
            let status = if path.ends_with('?') { 200 } else { 400 };
            reply.expect(status);
        }
        for query in ["username=%", "username=%zz", "username=%ff", "%ff=1", "username=a%00b"] {
            let path = format!("/api/users?{query}");
            admin.get(&path).await.expect_problem(400, "malformed_request");
        }
    }

    async fn an_ordering_ends_in_the_id_so_that_ties_are_stable(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = peopled(&server).await;
        let by_flag = ids(&admin, "/api/users?ordering=is_mentor&page_size=2").await;
        assert_eq!(by_flag, ids(&admin, "/api/users?ordering=is_mentor,id").await);
        let down = admin.get("/api/users?ordering=is_mentor,-id").await.expect(200).column("id");
        assert_eq!(down, by_flag.iter().rev().cloned().collect::<Vec<_>>());
        let names = admin.get("/api/users?ordering=-is_active,-username&search=p").await.column("username");
        assert_eq!(names, ["p4", "p3", "p2", "p1", "p0"]);
    }
}
