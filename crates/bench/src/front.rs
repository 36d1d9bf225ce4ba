//! HAProxy as people are given it, before several servers over one database.

use crate::failure::{Outcome, failed};
use crate::http::{Connection, request};
use crate::server::{Server, free_address};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

const CONFIGURATION: &str = include_str!("../../../deploy/haproxy.cfg");

/// For how long it may be getting ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A balancer that runs. Ended when dropped.
pub(crate) struct Front {
    _process: Child,
    address: SocketAddr,
    /// Holds its configuration.
    _directory: TempDir,
}

impl Front {
    /// One before these two servers, once it answers.
    pub(crate) async fn before(one: &Server, two: &Server) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, CONFIGURATION)?;
        let address = free_address()?;
        let process = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .env_remove("FRONT_CERTIFICATE")
            .env("FRONT_ADDRESS", address.to_string())
            .env("FRONT_FIGURES", free_address()?.to_string())
            .env("INSTANCE_ONE", one.address().to_string())
            .env("INSTANCE_TWO", two.address().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("haproxy cannot be started: {error}")))?;
        let front = Self { _process: process, address, _directory: directory };
        front.wait_until_it_answers().await?;
        Ok(front)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    async fn wait_until_it_answers(&self) -> Outcome<()> {
        let begun = Instant::now();
        let ask = request("GET", "/health/ready", &[], b"");
        while begun.elapsed() < PATIENCE {
            if let Ok(mut connection) = Connection::open(self.address).await
                && connection.exchange(&ask).await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(failed("haproxy does not answer"))
    }
}
