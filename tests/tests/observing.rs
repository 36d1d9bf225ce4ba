//! What a server tells those who watch it, and what is said about that elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tests::patience::{LONG, until};
use tests::{Backend, Installation, Options, Server, Value, json, stories};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn page_of(server: &Server) -> String {
    String::from_utf8(server.anonymous().get("/metrics").await.expect(200).bytes).unwrap()
}

/// The families of a page, by their names.
fn families(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

/// The names of all samples on a page.
fn samples(page: &str) -> BTreeSet<&str> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

/// Our metrics that are mentioned in a text. What rules record has a colon in its name and is not asked of the server.
fn mentioned(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("techtrack_") || word.starts_with("process_"));
    ours.filter(|word| !word.contains(':')).map(str::to_owned).collect()
}

/// Every expression of the dashboard.
fn expressions(panel: &Value, found: &mut Vec<String>) {
    match panel {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
            Some(expression) if name == "expr" || name == "query" || name == "definition" => {
                found.push(expression.to_owned());
            }
            _ => expressions(value, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

stories! {
    async fn what_is_documented_is_served_and_the_other_way_round(backend: Backend) {
        let server = Server::start(backend).await;
        let page = page_of(&server).await;
        let documented = read("docs/metrics.md");
        let rows = documented.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let documented: BTreeSet<&str> = rows.collect();
        assert_eq!(families(&page), documented);
        for name in documented {
            assert_eq!(page.matches(&format!("# TYPE {name} ")).count(), 1, "{name}");
            assert_eq!(page.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
        }
    }

    async fn what_rules_and_the_dashboard_ask_for_is_served(backend: Backend) {
        let server = Server::start(backend).await;
        let page = page_of(&server).await;
        let served = families(&page);
        let dashboard: Value = serde_json::from_str(&read("deploy/grafana/dashboards/techtrack.json")).unwrap();
        let mut asked = Vec::new();
        expressions(&dashboard, &mut asked);
        assert!(asked.len() > 20, "the dashboard has panels: {asked:?}");
        asked.push(read("deploy/prometheus/rules.yml"));
        for name in mentioned(&asked.join("\n")) {
            let parts = ["_bucket", "_sum", "_count"];
            let family = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(&name);
            assert!(served.contains(family) || served.contains(name.as_str()), "{name} is not at /metrics");
        }
    }

    async fn alerts_rules_and_connections_are_told(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let rule = json!({"name": "hot", "metric": "temperature", "operator": ">", "threshold": 90.0, "severity": "critical"});
        admin.post("/api/alert-rules", rule).await.expect(201);
        admin.post("/api/data", press.at(0, 20.0)).await.expect(201);
        admin.post("/api/data", press.at(1, 95.0)).await.expect(201);
        // Counted every few seconds, not with every question.
        until("the alert to be told", LONG, async || {
            let open = "techtrack_alerts_unresolved{severity=\"critical\",status=\"open\"} 1\n";
            page_of(&server).await.contains(open).then_some(())
        })
        .await;
        let page = page_of(&server).await;
        for line in [
            "techtrack_alerts_unresolved{severity=\"info\",status=\"acknowledged\"} 0",
            "techtrack_rule_readings_total 2",
            "techtrack_rule_values_total 2",
            "techtrack_rule_evaluations_total 1",
            "techtrack_database_up 1",
            "techtrack_cache_invalidation_up 1",
            "techtrack_draining 0",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line} is not in {page}");
        }
        for name in ["techtrack_audit_events", "process_resident_memory_bytes", "techtrack_rule_evaluation_seconds_total"] {
            let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            assert!(value.unwrap().parse::<f64>().unwrap() > 0.0, "{name}: {value:?}");
        }
        assert!(samples(&page).contains("techtrack_database_pool_connections"));
        assert!(!samples(&page).contains("techtrack_tls_certificate_expiry_timestamp_seconds"), "there is no TLS");
    }

    async fn metrics_may_have_an_address_of_their_own(backend: Backend) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let options = Options::default().set("TECHTRACK_METRICS_LISTEN", &free);
        let server = Server::start_alone(Installation::new(backend).await, options).await;
        server.anonymous().get("/metrics").await.expect_problem(404, "not_found");
        server.anonymous().get("/health/live").await.expect(200);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let status = async |path: &str| http.get(format!("http://{free}{path}")).send().await.unwrap().status().as_u16();
        assert_eq!((status("/metrics").await, status("/health/ready").await), (200, 200));
        assert_eq!((status("/api/").await, status("/api/users/").await), (404, 404));
        // Nor what was answered to the same caller a moment ago, and may be given again where it was asked for.
        let admin = server.admin().await;
        for _ in 0..3 {
            admin.get("/api/users/").await.expect(200);
            let again = http.get(format!("http://{free}/api/users/")).bearer_auth(admin.token());
            assert_eq!(again.send().await.unwrap().status().as_u16(), 404);
        }
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_and_the_page_comes_all_the_same() {
    let server = Server::start(Backend::Postgres).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/metrics", server.base());
    let page = async || http.get(&url).send().await.unwrap().text().await.unwrap();
    server.installation.take_database_away().await;
    until("the database to be told as away", LONG, async || {
        page().await.contains("\ntechtrack_database_up 0\n").then_some(())
    })
    .await;
    assert!(!page().await.contains("\ntechtrack_alerts_unresolved{"), "what is not known is not told");
    server.installation.bring_database_back().await;
    until("the database to be told as there", LONG, async || {
        page().await.contains("\ntechtrack_database_up 1\n").then_some(())
    })
    .await;
}
