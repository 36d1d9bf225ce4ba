//! What stands before the databases when `TEST_FRONT=haproxy`: two servers that share a Redis, behind HAProxy, instead of one
//! server. Stories that run on PostgreSQL then see what clients of an installation of several servers see.

use crate::cluster::free_port;
use crate::patience::{LONG, until};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Whether stories shall go through a balancer.
#[allow(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says by the environment what stands before the servers"
)]
pub(crate) fn is_wanted() -> bool {
    match std::env::var("TEST_FRONT") {
        Ok(front) if front == "haproxy" => true,
        Ok(front) => panic!("TEST_FRONT is {front:?}; it may be haproxy"),
        Err(_) => false,
    }
}

/// A Redis of a story's own: users of different stories have the same numbers. Ended when dropped.
pub(crate) struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// A new one.
    pub(crate) async fn start() -> Self {
        let port = free_port();
        let mut redis = Command::new("redis-server");
        redis.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        let started = redis.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let redis = Self { process: started.expect("Redis starts: apt-get install redis-server"), port };
        let listens = async || TcpStream::connect(("127.0.0.1", port)).ok();
        until("Redis to listen", LONG, listens).await;
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
