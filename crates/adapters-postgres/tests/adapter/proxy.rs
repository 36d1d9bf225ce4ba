//! A way to the database that can freeze and break, and that hears what is said on it.

use adapters_postgres::testing::TestDatabase;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// What is said arrives, what is answered does not; the link stays up.
    AnswersFrozen,
    Cut,
}

/// Passes bytes on between the store and the server.
pub(crate) struct Proxy {
    way: watch::Sender<Way>,
    heard: Ear,
    url: String,
}

/// What was said to the server, link by link.
type Ear = Arc<Mutex<Vec<Vec<u8>>>>;

impl Proxy {
    pub(crate) async fn before(database: &TestDatabase) -> Self {
        let config: tokio_postgres::Config = database.url().parse().unwrap();
        let server = match (config.get_hosts(), config.get_ports()) {
            ([tokio_postgres::config::Host::Tcp(host)], ports) => {
                format!("{host}:{}", ports.first().unwrap_or(&5432))
            }
            other => panic!("the proxy needs a server on one TCP port, not {other:?}"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (authority, path) = split(database.url());
        let credentials = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        let url = format!("postgres://{credentials}{}{path}", listener.local_addr().unwrap());
        let (way, state) = watch::channel(Way::Open);
        let heard = Ear::default();
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let link = {
                    let mut links = ear.lock().unwrap();
                    links.push(Vec::new());
                    links.len() - 1
                };
                tokio::spawn(pass_on(from_client, to_server, state.clone(), Some((Arc::clone(&ear), link))));
                tokio::spawn(pass_on(from_server, to_client, state.clone(), None));
            }
        });
        Self { way, heard, url }
    }

    /// What was said to the server since this was last asked, link by link.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().iter_mut().map(std::mem::take).collect()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on nothing that the server says arrives.
    pub(crate) fn freeze_answers(&self) {
        self.way.send_replace(Way::AnswersFrozen);
    }

    pub(crate) fn thaw(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Closes every link; what comes later is closed as soon as it opens.
    pub(crate) fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }
}

/// What stands between `postgres://` and the path, and the rest.
fn split(url: String) -> (String, String) {
    let rest = url.split_once("://").unwrap().1;
    let (authority, path) = rest.split_once('/').unwrap();
    (authority.to_owned(), format!("/{path}"))
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
    ear: Option<(Ear, usize)>,
) {
    let mut bytes = vec![0; 65536];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap_or(0),
            _ = way.wait_for(|way| *way == Way::Cut) => return,
        };
        if read == 0 {
            return;
        }
        let passable = |way: &Way| *way == Way::Cut || !(ear.is_none() && *way == Way::AnswersFrozen);
        match way.wait_for(passable).await.as_deref() {
            Ok(Way::Cut) | Err(_) => return,
            Ok(Way::Open | Way::AnswersFrozen) => {}
        }
        if let Some((ear, link)) = &ear {
            ear.lock().unwrap()[*link].extend_from_slice(&bytes[..read]);
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
