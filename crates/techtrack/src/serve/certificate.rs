//! The certificate of a server that serves: shown to clients, and replaced when its files are.

use crate::config::Http;
use crate::failure::{Failure, with_causes};
use adapters_security::{ServerCertificate, server_config};
use api_http::tls::{Certificate, Reloads, Tls};
use domain::ports::Clock;
use domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How soon files that were replaced without a signal are noticed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A certificate that changes with its files.
pub(super) struct Renewed {
    certificate: Arc<ServerCertificate>,
    /// Heard of from here on: without somebody who listens it would end the process.
    hangup: Signal,
}

impl Renewed {
    /// The one that is configured, if there is one.
    pub(super) fn of(http: &Http) -> Result<Option<Self>, Failure> {
        let (Some(certificate), Some(key)) = (&http.tls_cert, &http.tls_key) else { return Ok(None) };
        let certificate = Arc::new(ServerCertificate::open(certificate, key).map_err(Failure::failed)?);
        Ok(Some(Self { certificate, hangup: signal(SignalKind::hangup())? }))
    }

    /// How connections become secret with it.
    pub(super) fn tls(&self) -> Result<Tls, Failure> {
        let settings = server_config(Arc::clone(&self.certificate)).map_err(Failure::failed)?;
        Ok(Tls::new(settings, Arc::new(Shown(Arc::clone(&self.certificate)))))
    }

    /// Reads the files again on a signal, and when they are not what they were.
    pub(super) async fn keep_current(mut self, clock: Arc<dyn Clock>) {
        loop {
            let is_wanted = tokio::select! {
                _ = self.hangup.recv() => true,
                () = clock.wait(LOOK_EVERY) => self.certificate.has_changed(),
            };
            if is_wanted {
                self.reload();
            }
        }
    }

    fn reload(&self) {
        let files = self.certificate.to_string();
        match self.certificate.reload() {
            Ok(()) => tracing::info!(files, "new connections see the certificate as it is now"),
            Err(error) => tracing::warn!(
                files,
                cause = with_causes(&error),
                "THE NEW CERTIFICATE CANNOT BE USED: the one before stays"
            ),
        }
    }
}

struct Shown(Arc<ServerCertificate>);

impl Certificate for Shown {
    fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at()
    }

    fn reloads(&self) -> Reloads {
        let (loaded, failed) = self.0.reloads();
        Reloads { loaded, failed }
    }
}
