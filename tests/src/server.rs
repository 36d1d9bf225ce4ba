//! The binary, serving. When a server ends its log is read to the end: no secret of the story may stand in it, every
//! line must be one JSON object, and none may tell of a fault.

use crate::balancer::Balancer;
use crate::client::Client;
use crate::front::{self, Redis};
use crate::installation::{Backend, Installation};
use crate::openapi::Document;
use crate::patience::{LONG, until};
use crate::process::{Finished, Process};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the binary is started: the command that serves, variables of its environment, and what it finds on its standard
/// input.
#[derive(Clone)]
pub struct Options {
    command: &'static str,
    listen: String,
    variables: Vec<(String, String)>,
    input: String,
}

impl Default for Options {
    fn default() -> Self {
        let modules = ["techtrack", "api_http", "domain", "adapters_sqlite", "adapters_postgres"];
        let filter: String = modules.map(|module| format!(",{module}=debug")).concat();
        let listen = "127.0.0.1:0".to_owned();
        Self { command: "serve", listen, variables: Vec::new(), input: String::new() }
            .set("TECHTRACK_ADMIN_PASSWORD", Installation::ADMIN_PASSWORD)
            .set("TECHTRACK_RATE_LIMIT_PER_MINUTE", "0")
            // No story tells anybody outside of this machine of anything.
            .set("TECHTRACK_WEBHOOKS_PUBLIC_INTERNET", "off")
            // Nobody but stories about it need notice that a server is about to stop.
            .set("TECHTRACK_HTTP_DRAIN_DELAY_SECONDS", "0")
            .set("TECHTRACK_LOG", &format!("info{filter}"))
    }
}

impl Options {
    /// With this variable set.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        let mut options = self.unset(name);
        options.variables.push((name.to_owned(), value.to_owned()));
        options
    }

    fn set_unless_set(self, name: &str, value: &str) -> Self {
        if self.variables.iter().any(|(other, _)| other == name) { self } else { self.set(name, value) }
    }

    /// Without this variable.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self
    }

    /// Listening there, not anywhere.
    #[must_use]
    pub fn listening_on(self, authority: &str) -> Self {
        Self { listen: authority.to_owned(), ..self }
    }

    /// Serving the demo.
    #[must_use]
    pub fn demo(self) -> Self {
        Self { command: "demo", ..self }
    }

    /// With this on standard input.
    #[must_use]
    pub fn typing(mut self, input: &str) -> Self {
        input.clone_into(&mut self.input);
        self
    }

    pub(crate) fn input(&self) -> &str {
        &self.input
    }

    /// All variables for a binary that works on this database, unless they name another one.
    pub(crate) fn variables_on(&self, database_url: &str) -> Vec<(String, String)> {
        let names_one = self.variables.iter().any(|(name, _)| name.ends_with("DATABASE_URL"));
        let ours = (!names_one).then(|| ("DATABASE_URL".to_owned(), database_url.to_owned()));
        self.variables.iter().cloned().chain(ours).collect()
    }
}

/// A serving binary.
pub struct Server {
    /// Where it is installed.
    pub installation: Installation,
    /// The OpenAPI document that it serves.
    pub document: Arc<Document>,
    /// How long it took from being started to being ready.
    pub ready_after: Duration,
    process: Option<Process>,
    scheme: &'static str,
    authority: String,
    http: reqwest::Client,
    /// What goes with it when it is one of two.
    front: Option<Box<Front>>,
}

/// What goes with a server that is one of two.
struct Front {
    /// Goes first: nobody shall find that the servers are gone.
    _balancer: Balancer,
    other: Server,
    _redis: Redis,
}

impl Server {
    /// Starts a server on an installation of its own.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, Options::default()).await
    }

    /// As [`Server::start`], with other options.
    pub async fn start_with(backend: Backend, options: Options) -> Self {
        Installation::new(backend).await.serve(options).await
    }

    pub(crate) async fn start_on(installation: Installation, options: Options) -> Self {
        let is_one_of_two = options.command == "serve" && installation.backend == Backend::Postgres;
        if is_one_of_two && front::is_wanted() {
            Self::start_behind_a_balancer(installation, options).await
        } else {
            Self::start_alone(installation, options).await
        }
    }

    /// A server by itself, whatever stands before others.
    pub async fn start_alone(installation: Installation, options: Options) -> Self {
        let started = Instant::now();
        let mut process = installation.spawn(&[options.command, "--listen", &options.listen], &options);
        let authority = until("the server's address on its standard output", LONG, async || {
            let running = process.is_running();
            let printed = authority_in(&process.stdout());
            assert!(running || printed.is_some(), "the server did not start: {}", process.stderr());
            printed
        })
        .await;
        let scheme = if process.stdout().contains("https://") { "https" } else { "http" };
        // Whoever wants to know whether the certificate is any good asks by a client that knows the authority.
        let http = http_client();
        let ready = format!("{scheme}://{authority}/health/ready");
        until("the server to be ready", LONG, async || {
            let answer = http.get(&ready).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        let ready_after = started.elapsed();
        let document = http.get(format!("{scheme}://{authority}/api/openapi.json")).send().await;
        let document = document.expect("the server answers").json().await.expect("the document is JSON");
        let document = Arc::new(Document::new(document));
        let process = Some(process);
        Self { installation, document, ready_after, process, scheme, authority, http, front: None }
    }

    /// Two servers on one installation, behind one address.
    async fn start_behind_a_balancer(installation: Installation, options: Options) -> Self {
        let redis = Redis::start().await;
        let options = options.set_unless_set("TECHTRACK_HTTP_TRUSTED_PROXIES", "127.0.0.1");
        let options = options.set_unless_set("REDIS_URL", &redis.url());
        // PostgreSQL has room for a hundred, and stories run side by side.
        let options = options.set_unless_set("TECHTRACK_DATABASE_MAX_CONNECTIONS", "6");
        let mut one = Self::start_alone(installation.clone(), options.clone()).await;
        let other = Self::start_alone(installation, options).await;
        let balancer = Balancer::before([&one.authority, &other.authority]).await;
        one.authority = balancer.authority();
        one.front = Some(Box::new(Front { _balancer: balancer, other, _redis: redis }));
        one
    }

    /// Where it is: scheme, host and port.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Somebody who is not signed in.
    pub fn anonymous(&self) -> Client {
        let base = self.base();
        let secrets = self.installation.secrets.clone();
        Client::new(base, self.http.clone(), secrets, Arc::clone(&self.document))
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process().id()
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.process().stdout()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let others = self.front.as_ref().map(|front| front.other.log());
        self.process().stderr() + &others.unwrap_or_default()
    }

    /// Asks it to stop, and waits until it has, as systemd and Kubernetes do.
    pub async fn stop(self) -> Finished {
        self.terminate();
        self.end().await
    }

    /// Waits until it has stopped, which it was asked to.
    pub async fn end(mut self) -> Finished {
        let finished = self.process.take().expect("a server has a process").finish().await;
        audit_log(&finished.stderr, &self.installation);
        if let Some(front) = self.front.take() {
            let other = Box::pin(front.other.end()).await;
            assert_eq!(other.status, finished.status, "both end alike");
        }
        finished
    }

    /// Sends its process this signal.
    pub fn signal(&self, name: &str) {
        self.process().signal(name);
    }

    /// Asks it to stop without waiting.
    pub fn terminate(&self) {
        self.process().terminate();
        self.front.iter().for_each(|front| front.other.terminate());
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) {
        self.process.as_mut().expect("a server has a process").kill();
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a server has a process")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.kill();
        if !std::thread::panicking() {
            audit_log(&process.stderr(), &self.installation);
        }
    }
}

/// Fails the test when a server's log gives a secret away, tells of a fault, or is not made of JSON lines.
fn audit_log(log: &str, installation: &Installation) {
    let leaks = installation.secrets.leaks_in(log);
    assert!(leaks.is_empty(), "secrets in the server's log:\n{}", leaks.join("\n"));
    // Who is killed in mid-word leaves half a line.
    let written = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
    for line in written.lines() {
        let entry: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("a line of the log is not JSON ({error}): {line}"));
        assert!(
            entry["level"] != "ERROR" || is_of_the_end(&entry),
            "the server reports a fault of its own: {line}"
        );
    }
}

/// What actix says when somebody connects in the moment in which the last of its workers ends.
fn is_of_the_end(entry: &Value) -> bool {
    entry["target"] == "actix_server::accept" && entry["message"] == "No workers"
}

fn http_client() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    // The server hangs up on connections that are idle for five seconds; who sends just then is not heard.
    builder.pool_idle_timeout(Duration::from_secs(3)).timeout(LONG).build().expect("an HTTP client")
}

/// The `host:port` of the first address in what the server prints when it is about to serve.
fn authority_in(stdout: &str) -> Option<String> {
    let (_, rest) = stdout.split_once("://")?;
    let (authority, _) = rest.split_once(['/', ' ', '\n'])?;
    Some(authority.to_owned())
}
