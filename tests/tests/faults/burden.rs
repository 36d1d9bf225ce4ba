//! What a server holds: file descriptors, memory, sessions of PostgreSQL. Faults must not make it more.

use crate::tell;
use std::fs;
use std::time::Duration;
use tests::patience::until;
use tests::{Cluster, Server};

/// The connections of a server: those of its pools, and the one on which it hears of events.
const CONNECTIONS: usize = 16 + 1;

/// How soon it is rid of what is too much: idle connections of clients are closed after five seconds.
const SETTLING: Duration = Duration::from_secs(20);

/// More memory than before that is nobody's concern: buffers that grew, and pools of pages.
const SLACK_KIB: usize = 64 * 1024;

/// What a server holds at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burden {
    descriptors: usize,
    kibibytes: usize,
    sessions: usize,
}

impl Burden {
    pub(crate) async fn of(server: &Server, cluster: &Cluster) -> Self {
        let sessions = cluster.sessions().await;
        Self { descriptors: descriptors(server), kibibytes: kibibytes(server), sessions }
    }

    /// Fails unless the server comes back to this.
    pub(crate) async fn returns(&self, server: &Server, cluster: &Cluster) {
        // A pool that was not full may be so now.
        let descriptors = self.descriptors + CONNECTIONS.saturating_sub(self.sessions);
        until(&format!("the server to hold what it held before, {self:?}"), SETTLING, async || {
            let now = Self::of(server, cluster).await;
            let settled = now.descriptors <= descriptors && now.sessions <= CONNECTIONS;
            (settled && now.kibibytes <= self.kibibytes + SLACK_KIB).then_some(())
        })
        .await;
        tell(&format!("  held before: {self:?}; now: {:?}", Self::of(server, cluster).await));
    }
}

fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).expect("the server runs").count()
}

fn kibibytes(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the server runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
    number.expect("a process has memory")
}
