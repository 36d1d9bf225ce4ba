//! Traces: requests as spans, at a collector.

use std::time::{Duration, Instant};
use tests::collector::{Collector, attribute};
use tests::patience::{LONG, until};
use tests::{Backend, Options, Server, json, stories};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ABOVE: &str = "00f067aa0ba902b7";
const TOKEN: &str = "Walnut-Telescope-77-Anchor";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sending_to(endpoint: &str) -> Options {
    Options::default()
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .set("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization=Bearer%20{TOKEN}"))
        .set("OTEL_SERVICE_NAME", "plant-7")
        .set("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
}

async fn figure(server: &Server, name: &str) -> f64 {
    let page = server.anonymous().get("/metrics").await.expect(200);
    let page = String::from_utf8(page.bytes).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

stories! {
    async fn a_request_is_a_span_below_that_of_its_client_and_its_unit_of_work_is_one_below_it(backend: Backend) {
        let collector = Collector::start().await;
        let installation = tests::Installation::new(backend).await;
        installation.secrets.add(TOKEN);
        let server = Server::start_alone(installation, sending_to(&collector.endpoint())).await;
        let admin = server.admin().await;
        admin.get("/api/equipment?search=Walnut").await.expect(200);
        admin
            .post("/api/equipment", json!({"name": "Press", "type": "press"}))
            .header("traceparent", &format!("00-{TRACE}-{ABOVE}-01"))
            .header("x-request-id", "known-7")
            .await
            .expect(201);
        // What is not sent yet is sent before the end.
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
        let spans = collector.spans();
        let ours: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
        let request = ours.iter().find(|span| hex(&span.parent_span_id) == ABOVE).unwrap();
        assert_eq!(request.name, "POST /api/equipment");
        let of_request = |name: &str| attribute(&request.attributes, name).unwrap_or_default();
        assert_eq!(
            ["http.request.method", "http.response.status_code", "url.path", "techtrack.request_id"].map(of_request),
            ["POST", "201", "/api/equipment", "known-7"]
        );
        let unit = ours.iter().find(|span| span.name == "transaction").expect("a unit of work below it");
        assert_eq!(unit.parent_span_id, request.span_id);
        let system = if backend == Backend::Sqlite { "sqlite" } else { "postgresql" };
        assert_eq!(attribute(&unit.attributes, "db.system.name").as_deref(), Some(system));
        assert_eq!(unit.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["begun", "committed"]);
        // Nobody asked for an own trace there: each has one of its own.
        assert!(spans.iter().any(|span| span.name == "GET /api/equipment" && hex(&span.trace_id) != TRACE));

        let first = &collector.taken()[0];
        assert!(first.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", first.head);
        assert!(first.head.contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{}", first.head);
        let resource = first.batch.resource_spans[0].resource.as_ref().unwrap();
        assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("plant-7"));
        assert_eq!(attribute(&resource.attributes, "deployment.environment").as_deref(), Some("test"));
        // No secret and no query is told to anybody; the log leads from a request to its trace.
        let told = format!("{spans:?}");
        assert!(!told.contains(admin.token()) && !told.contains("Walnut"), "{told}");
        let line = finished.stderr.lines().find(|line| line.contains("\"known-7\"")).unwrap();
        assert!(line.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{line}");
    }

    async fn a_client_that_wants_no_trace_gets_none(backend: Backend) {
        let collector = Collector::start().await;
        let server = Server::start_alone(tests::Installation::new(backend).await, sending_to(&collector.endpoint())).await;
        server.installation.secrets.add(TOKEN);
        let unwanted = format!("00-{TRACE}-{ABOVE}-00");
        server.anonymous().get("/api/").header("traceparent", &unwanted).await.expect(200);
        server.anonymous().get("/api/").header("traceparent", "00-nonsense").await.expect(200);
        server.stop().await;
        assert!(collector.spans().iter().all(|span| hex(&span.trace_id) != TRACE));
        assert!(collector.spans().iter().any(|span| span.name == "GET /api"), "{:?}", collector.spans());
    }

    async fn a_collector_that_is_away_slows_nobody_down_and_its_spans_are_counted(backend: Backend) {
        // A port that was free a moment ago: whoever connects is refused.
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Server::start_alone(tests::Installation::new(backend).await, sending_to(&format!("http://{nowhere}"))).await;
        server.installation.secrets.add(TOKEN);
        let began = Instant::now();
        for _ in 0..50 {
            server.anonymous().get("/api/").await.expect(200);
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let lost = "techtrack_trace_spans_dropped_total{reason=\"export_failed\"}";
        until("lost spans to be counted", LONG, async || (figure(&server, lost).await >= 50.0).then_some(())).await;
        assert_eq!(figure(&server, "techtrack_trace_spans_exported_total").await, 0.0);
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
        let said = finished.stderr.matches("the collector does not take spans").count();
        assert_eq!(said, 1, "{}", finished.stderr);
    }
}
