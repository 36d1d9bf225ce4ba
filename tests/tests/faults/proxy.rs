//! A way to PostgreSQL that breaks just after a commit was sent, so that nobody hears what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tests::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Passes on what is said.
pub(crate) struct Proxy {
    port: u16,
    fate: Arc<Fate>,
}

#[derive(Default)]
struct Fate {
    /// Of so many commits one is let through; none is cut at 0.
    spared: AtomicU64,
    commits: AtomicU64,
    cuts: AtomicU64,
}

impl Fate {
    /// Whether the link is to be cut now that this was said.
    fn cuts(&self, said: &[u8]) -> bool {
        let spared = self.spared.load(Ordering::Relaxed);
        let is_commit = said.windows(6).any(|word| word == b"COMMIT");
        if spared == 0 || !is_commit {
            return false;
        }
        let cut = !self.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(spared);
        self.cuts.fetch_add(u64::from(cut), Ordering::Relaxed);
        cut
    }
}

impl Proxy {
    pub(crate) async fn before(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (fate, server) = (Arc::<Fate>::default(), cluster.authority());
        let proxy = Self { port, fate: Arc::clone(&fate) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(pass_on(client, server, Arc::clone(&fate)));
                }
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// From now on of so many commits only one is answered.
    pub(crate) fn cut_every_commit_but(&self, spared: u64) {
        self.fate.spared.store(spared, Ordering::Relaxed);
    }

    pub(crate) fn cut_nothing(&self) {
        self.cut_every_commit_but(0);
    }

    /// How many commits were cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.fate.cuts.load(Ordering::Relaxed)
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, fate: Arc<Fate>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let (cut, is_cut) = oneshot::channel::<()>();
    let said = async {
        let mut cut = Some(cut);
        let mut bytes = vec![0; 65536];
        while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
            if fate.cuts(&bytes[..read]) {
                // The answers stop first, so that none slips through.
                drop(cut.take());
                let _ = to_server.write_all(&bytes[..read]).await;
                return;
            }
            if to_server.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    let answered = async {
        tokio::select! {
            biased;
            _ = is_cut => std::future::pending::<()>().await,
            _ = copy(&mut from_server, &mut to_client) => {}
        }
    };
    tokio::select! {
        () = said => {}
        () = answered => {}
    }
}
