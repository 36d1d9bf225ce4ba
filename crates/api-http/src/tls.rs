//! TLS to clients: handshakes that do not take for ever, and a certificate that may change while the server serves.
//!
//! What is spoken inside is HTTP/1.1 alone. Everything that this server promises about a connection (how long each head may
//! take, how many connections an address has) counts requests that come one after the other; in HTTP/2 they come side by
//! side, and one connection would be worth a hundred.

use crate::problem::table::Misuse;
use crate::problem::wire;
use crate::state::RequestIds;
use actix_web::rt::net::TcpStream;
use domain::time::Timestamp;
use rustls::ServerConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take, from the moment the connection is there.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The first byte of whoever speaks TLS.
const TLS_RECORD: u8 = 22;

/// The certificate that a server shows.
pub trait Certificate: Send + Sync {
    /// Until when the one that is shown now is good, if that is known.
    fn expires_at(&self) -> Option<Timestamp>;

    /// How often another one was to be loaded.
    fn reloads(&self) -> Reloads;
}

/// What became of attempts to load a certificate, after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// It was loaded.
    pub loaded: u64,
    /// It was not, and the one before stayed.
    pub failed: u64,
}

/// How connections become secret.
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<dyn Certificate>,
    ok: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    plain: AtomicU64,
}

/// Why there was no handshake.
enum Unshaken {
    Plain,
    Failed(std::io::Error),
}

impl Tls {
    /// By these settings, which show that certificate.
    pub fn new(mut settings: ServerConfig, certificate: Arc<dyn Certificate>) -> Self {
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            acceptor: TlsAcceptor::from(Arc::new(settings)),
            certificate,
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            late: AtomicU64::new(0),
            plain: AtomicU64::new(0),
        }
    }

    /// The certificate that is shown.
    pub fn certificate(&self) -> &dyn Certificate {
        &*self.certificate
    }

    /// How many handshakes there were, by result.
    pub(crate) fn handshakes(&self) -> [(&'static str, u64); 4] {
        let counters =
            [("ok", &self.ok), ("failed", &self.failed), ("late", &self.late), ("plain", &self.plain)];
        counters.map(|(result, counter)| (result, counter.load(Ordering::Relaxed)))
    }

    /// The connection, once it is secret; nothing when it does not come to that in time.
    pub(crate) async fn shake_hands(
        &self,
        stream: TcpStream,
        ids: &RequestIds,
    ) -> Option<TlsStream<TcpStream>> {
        let outcome = timeout(HANDSHAKE, self.accept(stream, ids)).await;
        let counter = match &outcome {
            Ok(Ok(_)) => &self.ok,
            Ok(Err(Unshaken::Plain)) => &self.plain,
            Ok(Err(Unshaken::Failed(error))) => {
                tracing::debug!(%error, "a TLS handshake failed");
                &self.failed
            }
            Err(_) => &self.late,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome.ok()?.ok()
    }

    async fn accept(&self, stream: TcpStream, ids: &RequestIds) -> Result<TlsStream<TcpStream>, Unshaken> {
        let mut first = [0];
        let heard = stream.peek(&mut first).await.map_err(Unshaken::Failed)?;
        if heard > 0 && first != [TLS_RECORD] {
            let detail = "this address speaks HTTPS; ask again at https://".to_owned();
            let words = wire::refusal(Misuse::MalformedRequest, detail, ids);
            // A socket that is new has room, and is gone if it has not.
            let _ = words.map(|words| stream.try_write(&words));
            return Err(Unshaken::Plain);
        }
        self.acceptor.accept(stream).await.map_err(Unshaken::Failed)
    }
}
