//! How much and how often: what is too large, too deep, too often or too much at once is refused in words, and whoever keeps
//! within the limits does not notice.

use futures_util::future::{join_all, select_all};
use std::time::{Duration, Instant};
use tests::patience::{LONG, until};
use tests::people::fresh_password;
use tests::raw::{Upload, exchange, get};
use tests::{Backend, Call, Method, Options, Server, Value, json, stories};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// How many uploads there may be at once.
const UPLOADS: usize = 256;

/// The first of these uploads to be answered, taken out.
async fn whichever_is_answered(uploads: &mut Vec<Upload>) -> Upload {
    let answers = uploads.iter_mut().map(|upload| Box::pin(upload.is_answered_within(LONG)));
    let (is_answered, place, _) = select_all(answers).await;
    assert!(is_answered, "none of them is refused");
    uploads.swap_remove(place)
}

/// Status and code of what these bytes are answered, which must be a problem document.
async fn refusal(server: &Server, request: &[u8]) -> (u16, String) {
    let (status, head, body) = exchange(server, request).await;
    assert!(head.contains("content-type: application/problem+json"), "{head}\n{body}");
    let problem: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(problem["status"], status);
    let id = problem["request_id"].as_str().expect("a problem has the id of its request");
    assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// The figure of this name and these labels.
async fn figure(server: &Server, name: &str) -> f64 {
    let page = server.anonymous().get("/metrics").await.expect(200);
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no {name} in {page}")).parse().expect("a number")
}

/// Asks again until it is refused for asking too often; answers how often it was not, and the refusal.
async fn until_refused(call: impl Fn(usize) -> Call, at_most: usize) -> (usize, tests::Reply) {
    for count in 0..at_most {
        let reply = call(count).await;
        if reply.status == 429 {
            return (count, reply);
        }
    }
    panic!("{at_most} requests were not too many");
}

stories! {
    async fn an_address_has_eight_kibibytes_at_most(backend: Backend) {
        let server = Server::start(backend).await;
        let path = |length: usize| get(&format!("/{}", "x".repeat(length - 1)));
        assert_eq!(refusal(&server, &path(8192)).await, (404, "not_found".to_owned()));
        assert_eq!(refusal(&server, &path(8193)).await, (414, "uri_too_long".to_owned()));
        let query = get(&format!("/api/users?search={}", "x".repeat(8192)));
        assert_eq!(refusal(&server, &query).await, (414, "uri_too_long".to_owned()));
    }

    async fn what_breaks_http_is_refused_in_words_as_everything_else_is(backend: Backend) {
        let server = Server::start(backend).await;
        let long = "x".repeat(200_000);
        let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
        let cases = [
            (format!("GET /api/ HTTP/1.1\r\nHost: t\r\nX-Long: {long}\r\n\r\n"), 431, "head_too_large"),
            (format!("GET /api/ HTTP/1.1\r\nHost: t\r\n{many}\r\n"), 431, "head_too_large"),
            (format!("GET /{long} HTTP/1.1\r\nHost: t\r\n\r\n"), 431, "head_too_large"),
            ("NONSENSE\r\n\r\n".to_owned(), 400, "malformed_request"),
            ("GET /api/ HTTP/1.1\r\nHost: t\r\nBad Header: x\r\n\r\n".to_owned(), 400, "malformed_request"),
            ("POST /api/login HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n".to_owned(), 400, "malformed_request"),
            ("GET /api/ HTTP/1.1\r\nHost: t\r\n".to_owned(), 408, "request_timeout"),
        ];
        for (request, status, code) in cases {
            assert_eq!(refusal(&server, request.as_bytes()).await, (status, code.to_owned()));
        }
        let behind_another = b"GET /health/live HTTP/1.1\r\nHost: t\r\n\r\nNONSENSE\r\n\r\n";
        let (status, _, rest) = exchange(&server, behind_another).await;
        let refused = rest.find("HTTP/1.1 400 ").and_then(|start| rest[start..].split_once("\r\n\r\n"));
        let (head, problem) = refused.expect("a second answer");
        assert!(status == 200 && head.contains("content-type: application/problem+json"), "{rest}");
        assert_eq!(serde_json::from_str::<Value>(problem).expect("a document")["code"], "malformed_request");
        let mut link = TcpStream::connect(server.authority()).await.expect("the server listens");
        link.write_all(b"GET /health/live HTTP/1.1\r\nHost: t\r\n\r\n").await.expect("the server reads");
        let mut first = [0; 4096];
        assert!(link.read(&mut first).await.expect("the server answers") > 0);
        link.write_all(b"GET /").await.expect("the server reads");
        let mut second = String::new();
        link.read_to_string(&mut second).await.expect("the server answers");
        assert!(second.starts_with("HTTP/1.1 408 ") && second.contains("\"code\":\"request_timeout\""), "{second}");
    }

    async fn a_body_has_the_limit_of_its_operation(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let padded = |length: usize| {
            let fixed = r#"{"name":"R","permissions":[],"description":""}"#;
            fixed.replace("\"\"", &format!("\"{}\"", "x".repeat(length - fixed.len())))
        };
        let role = |length: usize| admin.call(Method::POST, "/api/roles").body(JSON, padded(length).as_bytes());
        role(1024 * 1024).await.expect(422);
        role(1024 * 1024 + 1).await.expect_problem(413, "too_large");
        let stranger = server.anonymous();
        for path in ["/api/login", "/api/token", "/api/token/refresh", "/api/token/verify"] {
            let sent = |length: usize| stranger.call(Method::POST, path).body(JSON, padded(length).as_bytes());
            sent(4096).await.expect(422);
            sent(4097).await.expect_problem(413, "too_large");
        }
        let announced = format!(
            "POST /api/data HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {}\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            admin.token(),
            8 * 1024 * 1024 + 1
        );
        assert_eq!(refusal(&server, announced.as_bytes()).await, (413, "too_large".to_owned()));
        let mut unannounced = Upload::begin(&server, admin.token(), "/api/data", JSON).await;
        unannounced.send(&"[".repeat(8 * 1024 * 1024 + 1)).await;
        let (status, body) = unannounced.end().await;
        assert!(status == 413 && body.contains("\"code\":\"too_large\""), "{status} {body}");
    }

    async fn json_has_thirty_two_levels_at_most(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let piece = |levels: usize| {
            let (open, close) = (r#"{"a":"#.repeat(levels - 1), "}".repeat(levels - 1));
            let body = format!(r#"{{"name":"Press","type":"press","attributes":{open}1{close}}}"#);
            admin.call(Method::POST, "/api/equipment").body(JSON, body.as_bytes())
        };
        let deepest = piece(32).await;
        assert!(deepest.status == 201 || deepest.status == 422, "{deepest:?}");
        piece(33).await.expect_problem(400, "malformed_request");
    }

    async fn requests_that_send_readings_are_counted_apart_from_the_others(backend: Backend) {
        let options = Options::default()
            .set("TECHTRACK_RATE_LIMIT_PER_MINUTE", "60")
            .set("TECHTRACK_RATE_LIMIT_READINGS_PER_MINUTE", "5");
        let server = Server::start_with(backend, options).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let report = |number: usize| admin.post("/api/data", press.at(number as i64, 20.0));
        let (sent, refused) = until_refused(report, 20).await;
        assert!((5..=7).contains(&sent), "{sent}");
        let refused = refused.expect_problem(429, "rate_limited");
        assert!(refused.expect_header("retry-after").parse::<u64>().unwrap() >= 1);
        assert!(refused.expect_header("ratelimit-policy").contains("readings-per-minute"));
        let bulk = admin.call(Method::POST, "/api/data/bulk").body(NDJSON, b"");
        bulk.await.expect_problem(429, "rate_limited");
        let read = admin.get(&press.path()).await.expect(200);
        assert!(read.expect_header("ratelimit-policy").contains("\"per-minute\""));
        let (read, _) = until_refused(|_| admin.get("/api/users/me"), 80).await;
        assert!(read >= 50, "{read}");
    }

    async fn an_address_registers_so_many_people_a_minute(backend: Backend) {
        let options = Options::default()
            .set("TECHTRACK_RATE_LIMIT_PER_MINUTE", "600")
            .set("TECHTRACK_RATE_LIMIT_REGISTRATIONS_PER_MINUTE", "3");
        let server = Server::start_with(backend, options).await;
        let register = |number: usize| {
            let person = json!({"username": format!("anna-{number}"), "password": fresh_password()});
            server.anonymous().post("/api/registration", person)
        };
        let (registered, refused) = until_refused(register, 10).await;
        assert!((3..=4).contains(&registered), "{registered}");
        let refused = refused.expect_problem(429, "rate_limited");
        assert!(refused.expect_header("retry-after").parse::<u64>().unwrap() >= 1);
        let admin = server.admin().await;
        assert_eq!(admin.get("/api/users").await.expect(200)["count"], registered + 1);
        let person = json!({"username": "ben", "password": fresh_password()});
        admin.post("/api/users", person).await.expect(201);
    }

    async fn an_address_has_so_many_connections(backend: Backend) {
        let options = Options::default().set("TECHTRACK_HTTP_CONNECTIONS_PER_ADDRESS", "40");
        let server = Server::start_with(backend, options).await;
        let connect = || async { TcpStream::connect(server.authority()).await.expect("the kernel accepts") };
        let mut links = join_all((0..60).map(|_| connect())).await;
        let mut refused = 0;
        until("connections to be refused", LONG, async || {
            for link in &mut links {
                let mut heard = [0; 1024];
                if let Ok(length @ 1..) = link.try_read(&mut heard) {
                    let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
                    assert!(heard.starts_with("HTTP/1.1 503 ") && heard.contains("\"code\":\"busy\""), "{heard}");
                    refused += 1;
                }
            }
            (refused >= 20).then_some(())
        })
        .await;
        drop(links);
        until("connections to be closed", LONG, async || {
            let mut link = connect().await;
            let ask = get("/metrics");
            link.write_all(&ask).await.ok()?;
            let mut answer = String::new();
            link.read_to_string(&mut answer).await.ok()?;
            let refused = answer.lines().find_map(|line| line.strip_prefix("techtrack_connections_refused_total "))?;
            assert!(refused.parse::<u64>().expect("a number") >= 20, "{refused}");
            Some(())
        })
        .await;
    }

    async fn trusted_proxies_have_as_many_connections_as_they_like(backend: Backend) {
        let options = Options::default()
            .set("TECHTRACK_HTTP_CONNECTIONS_PER_ADDRESS", "2")
            .set("TECHTRACK_HTTP_TRUSTED_PROXIES", "127.0.0.0/8");
        let server = Server::start_with(backend, options).await;
        let links = join_all((0..30).map(|_| TcpStream::connect(server.authority()))).await;
        until("all connections to be open", LONG, async || {
            let open = figure(&server, "techtrack_connections_open").await;
            (open >= links.len() as f64).then_some(())
        })
        .await;
        assert_eq!(figure(&server, "techtrack_connections_refused_total").await, 0.0);
    }

    async fn whoever_sends_slowly_takes_no_turn_from_others(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let begin = || async {
            let mut upload = Upload::begin(&server, admin.token(), "/api/equipment", JSON).await;
            upload.send("{\"name\":").await;
            upload
        };
        let slow = join_all((0..100).map(|_| begin())).await;
        let began = Instant::now();
        for number in 0..20 {
            admin.patch(&press.path(), json!({"model": format!("M{number}")})).await.expect(200);
            admin.get(&press.path()).await.expect(200);
        }
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}: longer than the slow ones are waited for", began.elapsed());
        assert_eq!(figure(&server, "techtrack_requests_in_progress{class=\"write\"}").await, 0.0);
        let ends = slow.into_iter().enumerate().map(|(number, mut upload)| async move {
            upload.send(&format!("\"P{number}\",\"type\":\"press\"}}")).await;
            upload.end().await.0
        });
        let statuses = join_all(ends).await;
        let made = statuses.iter().filter(|status| **status == 201).count();
        let turned_away = statuses.iter().filter(|status| **status == 503).count();
        assert_eq!(made + turned_away, 100, "{statuses:?}");
        assert_eq!(admin.get("/api/equipment").await.expect(200)["count"], made + 1);
    }

    async fn what_is_too_much_at_once_is_turned_away_at_once_and_nobody_else_is(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let mut senders = Vec::new();
        for name in ["anna", "bert", "carl", "dora"] {
            senders.push(server.holder_of(name, &["OPERATOR"]).await);
        }
        let begin = |token| Upload::begin(&server, token, "/api/data/bulk", NDJSON);
        let mut uploads = Vec::new();
        let share = UPLOADS / senders.len();
        for sender in &senders {
            // There is no room for more than the last ones' share, so they try no more.
            let tried = (share + 1).min(UPLOADS - uploads.len());
            let mut begun = join_all((0..tried).map(|_| begin(sender.token()))).await;
            if tried > share {
                let too_many = whichever_is_answered(&mut begun).await;
                let (status, body) = too_many.end().await;
                assert!(status == 429 && body.contains("\"code\":\"rate_limited\""), "{status} {body}");
            }
            uploads.extend(begun);
            until("all uploads to be under way", LONG, async || {
                let under_way = figure(&server, "techtrack_requests_in_progress{class=\"upload\"}").await;
                (under_way == uploads.len() as f64).then_some(())
            })
            .await;
        }
        let mut one_more = begin(admin.token()).await;
        assert!(one_more.is_answered_within(LONG).await);
        let (status, body) = one_more.end().await;
        assert!(status == 503 && body.contains("\"code\":\"busy\""), "{status} {body}");
        assert!(figure(&server, "techtrack_requests_shed_total{class=\"upload\"}").await >= 1.0);
        server.anonymous().get("/health/ready").await.expect(200);
        server.admin().await.get(&press.path()).await.expect(200);
        admin.post("/api/data", press.at(0, 20.0)).await.expect(201);
        let mut lucky = uploads.pop().expect("there are some");
        lucky.send(&format!("{}\n", press.at(1, 21.0))).await;
        let (status, body) = lucky.end().await;
        assert!(status == 200 && body.contains("\"accepted\":1"), "{status} {body}");
        until("a place to be free", LONG, async || {
            let bulk = admin.call(Method::POST, "/api/data/bulk").body(NDJSON, b"").may_be_busy();
            (bulk.await.status == 200).then_some(())
        })
        .await;
    }

    async fn a_burst_waits_for_its_turn_and_is_served(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let reads = (0..24).map(|number| admin.get(&format!("/api/audit?page_size={}", number + 1)).into_future());
        let writes = (0..12).map(|number| {
            admin.patch(&press.path(), json!({"model": format!("M{number}")})).into_future()
        });
        for reply in join_all(reads.chain(writes)).await {
            reply.expect(200);
        }
    }
}
