//! HAProxy in front of servers, configured by `deploy/haproxy.cfg`: what is tested is what people are given.

use crate::cluster::free_port;
use crate::patience::{LONG, until};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What people find in `deploy`, with addresses of theirs.
const CONFIGURATION: &str = include_str!("../../deploy/haproxy.cfg");

/// A running HAProxy. Ended when dropped.
pub struct Balancer {
    process: Child,
    port: u16,
    figures: u16,
    http: reqwest::Client,
    /// Holds its configuration.
    _directory: TempDir,
}

impl Balancer {
    /// One before two servers, each `host:port`. Waits until it finds both of them ready.
    pub async fn before(servers: [&str; 2]) -> Self {
        let (port, figures) = (free_port(), free_port());
        let places = [
            ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
            ("127.0.0.1:8404", format!("127.0.0.1:{figures}")),
            ("127.0.0.1:8001", servers[0].to_owned()),
            ("127.0.0.1:8002", servers[1].to_owned()),
        ];
        let configuration = places.iter().fold(CONFIGURATION.to_owned(), |text, (example, place)| {
            assert!(text.contains(example), "the configuration has {example}");
            text.replace(example, place)
        });
        // Else another one could listen on the same port, and each would get some of the other's requests.
        let configuration = configuration.replacen("\nglobal\n", "\nglobal\n    noreuseport\n", 1);
        let directory = tempfile::Builder::new().prefix("techtrack-haproxy-").tempdir().expect("a directory");
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, configuration).expect("a file in it");
        let process = start(&file);
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let balancer = Self { process, port, figures, http, _directory: directory };
        balancer.finds_ready("one").await;
        balancer.finds_ready("two").await;
        balancer
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits until it sends requests to the server of this name.
    pub async fn finds_ready(&self, server: &str) {
        self.finds(server, "UP").await;
    }

    /// Waits until it sends no requests to the server of this name any more.
    pub async fn finds_gone(&self, server: &str) {
        self.finds(server, "DOWN").await;
    }

    async fn finds(&self, server: &str, state: &str) {
        let url = format!("http://127.0.0.1:{}/;csv", self.figures);
        until(&format!("HAProxy to find {server} {state}"), LONG, async || {
            let text = self.http.get(&url).send().await.ok()?.text().await.ok()?;
            let row = text.lines().find(|line| line.starts_with(&format!("instances,{server},")))?;
            // While it makes up its mind it says so by a number behind it.
            row.split(',').any(|field| field == state).then_some(())
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(configuration: &Path) -> Child {
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-db").arg("-f").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
    haproxy.spawn().expect("HAProxy starts: apt-get install haproxy")
}
