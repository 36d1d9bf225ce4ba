//! TLS in the server itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tests::patience::{LONG, until};
use tests::process::refused;
use tests::tls::{Authority, Files, Pair};
use tests::{Backend, Installation, Options, Server, stories};

const EXPIRY: &str = "techtrack_tls_certificate_expiry_timestamp_seconds";

/// The second of February 3rd of that year, as Prometheus is told.
fn february(year: i32) -> f64 {
    let day = chrono::NaiveDate::from_ymd_opt(year, 2, 3).unwrap();
    day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() as f64
}

/// A server that shows a certificate of an authority.
struct Secret {
    authority: Authority,
    files: Files,
    first: Pair,
    server: Server,
}

impl Secret {
    async fn start(backend: Backend, options: Options) -> Self {
        let installation = Installation::new(backend).await;
        let authority = Authority::new();
        let files = Files::in_directory(installation.directory());
        let first = authority.pair(2040);
        files.write(&first.certificate, &first.key);
        let options = options
            .set("TECHTRACK_HTTP_TLS_CERT", files.certificate())
            .set("TECHTRACK_HTTP_TLS_KEY", files.key());
        let server = Server::start_alone(installation, options).await;
        Self { authority, files, first, server }
    }

    /// What a new client that trusts the authority hears.
    async fn ask(&self, path: &str) -> reqwest::Response {
        let url = format!("{}{path}", self.server.base());
        self.authority.client().get(url).send().await.unwrap()
    }

    async fn figure(&self, name: &str) -> f64 {
        let page = self.ask("/metrics").await.text().await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
    }

    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.server.authority()).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket
    }

    /// Waits until so many handshakes had this result.
    async fn shaken(&self, result: &str, times: f64) {
        let name = format!("techtrack_tls_handshakes_total{{result=\"{result}\"}}");
        until("a handshake to be counted", LONG, async || (self.figure(&name).await >= times).then_some(()))
            .await;
    }
}

stories! {
    async fn clients_that_know_the_authority_are_served_and_told_to_keep_to_tls(backend: Backend) {
        let secret = Secret::start(backend, Options::default()).await;
        assert!(secret.server.base().starts_with("https://"), "{}", secret.server.stdout());
        let answer = secret.ask("/api/").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.version(), reqwest::Version::HTTP_11);
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
        secret.server.admin().await.get("/api/users/me").await.expect(200);
        assert_eq!(secret.figure(EXPIRY).await, february(2040));
        for version in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
            let client = secret.authority.client_with(|builder| builder.tls_version_min(version).tls_version_max(version));
            let answer = client.get(secret.server.base() + "/api/").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{version:?}");
        }
        let stranger = Authority::new().client();
        assert!(stranger.get(secret.server.base() + "/api/").send().await.is_err());
        secret.shaken("failed", 1.0).await;
    }

    async fn a_probe_of_the_same_machine_needs_no_certificate(backend: Backend) {
        let secret = Secret::start(backend, Options::default()).await;
        let options = Options::default()
            .set("TECHTRACK_LISTEN", secret.server.authority())
            .set("TECHTRACK_HTTP_TLS_CERT", secret.files.certificate())
            .set("TECHTRACK_HTTP_TLS_KEY", secret.files.key());
        let finished = secret.server.installation.run_with(&["healthcheck"], &options).await;
        assert!(finished.status.success() && finished.stdout.contains("ready"), "{finished:?}");
    }

    async fn a_new_certificate_is_shown_on_a_signal_and_nobody_is_cut_off(backend: Backend) {
        let secret = Secret::start(backend, Options::default()).await;
        let kept = secret.authority.client_with(|builder| builder.pool_max_idle_per_host(1));
        let url = secret.server.base() + "/api/";
        kept.get(&url).send().await.unwrap().bytes().await.unwrap();
        let second = secret.authority.pair(2041);
        secret.files.write(&second.certificate, &second.key);
        secret.server.signal("HUP");
        until("the new certificate to be shown", LONG, async || {
            // Its own connection stays in use: one that idles for five seconds is closed by the server.
            kept.get(&url).send().await.unwrap().bytes().await.unwrap();
            (secret.figure(EXPIRY).await == february(2041)).then_some(())
        })
        .await;
        assert_eq!(secret.figure("techtrack_tls_certificate_reloads_total{result=\"loaded\"}").await, 1.0);
    }

    async fn a_pair_that_cannot_be_used_leaves_the_one_before_and_is_said_loudly(backend: Backend) {
        let secret = Secret::start(backend, Options::default()).await;
        secret.files.write(&secret.authority.pair(2041).certificate, &secret.first.key);
        secret.server.signal("HUP");
        until("the refusal", LONG, async || {
            secret.server.log().contains("THE NEW CERTIFICATE CANNOT BE USED").then_some(())
        })
        .await;
        assert_eq!(secret.figure(EXPIRY).await, february(2040));
        assert_eq!(secret.figure("techtrack_tls_certificate_reloads_total{result=\"failed\"}").await, 1.0);
        assert_eq!(secret.ask("/api/").await.status(), 200);
        let log = secret.server.log();
        let line = log.lines().find(|line| line.contains("CANNOT BE USED")).unwrap();
        assert!(line.contains("server.pem") && line.contains("server.key"), "{line}");
    }

    async fn a_server_does_not_start_with_files_that_it_cannot_use(backend: Backend) {
        let installation = Installation::new(backend).await;
        let files = Files::in_directory(installation.directory());
        let options = Options::default()
            .set("TECHTRACK_LISTEN", "127.0.0.1:0")
            .set("TECHTRACK_HTTP_TLS_CERT", files.certificate())
            .set("TECHTRACK_HTTP_TLS_KEY", files.key());
        refused(&installation.run_with(&["serve"], &options).await, "server.pem cannot be read");
        let (one, other) = (Authority::new().pair(2040), Authority::new().pair(2040));
        files.write(&one.certificate, "nothing");
        refused(&installation.run_with(&["serve"], &options).await, "the private key in");
        files.write(&one.certificate, &other.key);
        refused(&installation.run_with(&["serve"], &options).await, "cannot be used together");
        let half = options.unset("TECHTRACK_HTTP_TLS_KEY");
        refused(&installation.run_with(&["serve"], &half).await, "needs http.tls_key");
    }

    async fn whoever_does_not_speak_tls_is_told_so(backend: Backend) {
        let secret = Secret::start(backend, Options::default()).await;
        let mut socket = secret.socket();
        socket.write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("this address speaks HTTPS"), "{answer}");
        secret.shaken("plain", 1.0).await;
    }

    async fn a_server_with_tls_that_is_told_to_stop_ends_well(backend: Backend) {
        let secret = Secret::start(backend, Options::default()).await;
        assert_eq!(secret.ask("/api/").await.status(), 200);
        let finished = secret.server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
    }

    async fn behind_a_proxy_that_is_trusted_clients_are_told_to_keep_to_tls(backend: Backend) {
        let trusting = Options::default().set("TECHTRACK_HTTP_TRUSTED_PROXIES", "127.0.0.1");
        let server = Server::start_alone(Installation::new(backend).await, trusting).await;
        let by = async |proto: &str| {
            let answer = server.anonymous().get("/api/").header("x-forwarded-proto", proto).await.expect(200);
            answer.header("strict-transport-security").map(str::to_owned)
        };
        assert_eq!(by("https").await.as_deref(), Some("max-age=31536000"));
        assert_eq!(by("http").await, None);
    }
}

// Takes as long as the deadline, whatever the database.
#[tokio::test]
async fn who_does_not_shake_hands_is_hung_up_on_and_others_do_not_wait_for_it() {
    let options = Options::default().set("TECHTRACK_HTTP_CONNECTIONS_PER_ADDRESS", "40");
    let secret = Secret::start(Backend::Sqlite, options).await;
    let began = Instant::now();
    let mut silent: Vec<TcpStream> = (0..30).map(|_| secret.socket()).collect();
    // The first byte of a handshake, and then nothing.
    silent.iter_mut().skip(10).for_each(|socket| socket.write_all(&[22]).unwrap());
    let asked = Instant::now();
    assert_eq!(secret.ask("/api/").await.status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(secret.figure("techtrack_connections_open").await >= 30.0, "they count as connections");
    for socket in &mut silent {
        assert_eq!(socket.read(&mut [0; 1]).unwrap_or(0), 0, "the server hangs up");
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(9), "{took:?}");
    secret.shaken("late", 30.0).await;
}

// Takes as long as the deadline, whatever the database.
#[tokio::test]
async fn heads_have_their_deadline_inside_of_tls_too() {
    let secret = Secret::start(Backend::Sqlite, Options::default()).await;
    let mut wire = adapters_security::to_own_server(secret.socket()).unwrap();
    wire.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 15];
    wire.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let began = Instant::now();
    wire.write_all(b"GET /health/live HTTP/1.1\r\nHo").unwrap();
    let mut rest = Vec::new();
    // How it ends is of no interest, but that it does.
    let _ = wire.read_to_end(&mut rest);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(9), "{took:?}");
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("HTTP/1.1 408 ") && rest.contains("request_timeout"), "{rest}");
}
