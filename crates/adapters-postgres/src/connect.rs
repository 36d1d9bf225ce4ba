//! From a URL to a session set up the way we need it.
//!
//! Everything a session must know goes with the first packet, as startup options; only what cannot be said there is said in
//! one more round trip, once per connection. How TLS is verified is in `tls`.

use crate::functions::current_setting;
use crate::hosts::Hosts;
use crate::settings::Settings;
use crate::tls::{self, Tls};
use deadpool::managed::BuildError;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why the settings are no way to a database.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is malformed or sets what we do not know.
    #[error("the database URL cannot be used")]
    Url(#[source] tokio_postgres::Error),
    /// The URL's `sslmode` is none that we know.
    #[error("sslmode={0} is unknown: use disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode(String),
    /// The file that `sslrootcert` names cannot be read.
    #[error("the certificates in {path} cannot be read")]
    RootCertificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// There is no authority to trust.
    #[error("no trusted certificate authority was found: name a file of them with sslrootcert=<path>")]
    NoAuthority,
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The pool cannot be set up.
    #[error("the connection pool cannot be set up")]
    Pool(#[from] BuildError),
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The server refuses writes.
    Reading,
    Writing,
    /// Writes, and takes as long as a migration takes.
    Migrating,
}

/// How long a migration may take, and wait for another server's.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How often a server at work looks whether its client is still there, so that whoever went away soon holds no lock.
const CLIENT_CHECK: Duration = Duration::from_secs(1);

/// After how long of silence the kernel asks whether the server is still there. The usual two hours are longer than
/// firewalls remember a connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Errors must be told apart by their messages (see `errors`), so they have to be in English. This is no startup option
/// because only superusers and those whom they allow may set it, and a refused startup option refuses the connection.
const SPEAK_ENGLISH: &str = "DO $$ BEGIN SET lc_messages = 'C'; \
                             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";

/// This is no startup option because a server that starts its sessions read-only would be taken for a standby where the
/// URL says `target_session_attrs=read-write`.
const REFUSE_WRITES: &str = "SET default_transaction_read_only = on";

/// Opens sessions.
pub(crate) struct Connector {
    hosts: Hosts,
    tls: MakeRustlsConnect,
    timeouts: Timeouts,
    warned: AtomicBool,
    /// The runtime that sessions live on, whoever opens them; without one, that of whoever does.
    home: Option<Handle>,
}

/// After how long the server itself gives up.
#[derive(Clone, Copy)]
struct Timeouts {
    statement: Duration,
    lock: Duration,
    idle_in_transaction: Duration,
}

impl Connector {
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConnectError> {
        let (url, tls) = tls::split_off(settings.url.reveal())?;
        let hosts = Hosts::new(&url, |config| {
            if config.get_application_name().is_none() {
                config.application_name("techtrack");
            }
            if !url.contains("keepalives_idle=") {
                config.keepalives_idle(KEEPALIVE);
            }
        });
        Ok(Self {
            hosts: hosts.map_err(ConnectError::Url)?,
            tls: Tls::connector(&tls)?,
            timeouts: Timeouts {
                statement: settings.statement_timeout,
                lock: settings.lock_timeout,
                idle_in_transaction: settings.idle_in_transaction_timeout,
            },
            warned: AtomicBool::new(false),
            home: Handle::try_current().ok(),
        })
    }

    /// Which hosts there are, and what is known of them.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Opens a session that lives on the runtime on which the store was made: it works for whoever borrows it, and would end
    /// with the runtime of the first of them.
    pub(crate) async fn establish_at_home(
        self: Arc<Self>,
        access: Access,
    ) -> ConnectionResult<AsyncPgConnection> {
        let Some(home) = self.home.clone() else { return self.establish(access).await };
        let opened = home.spawn(self.establish(access)).await;
        opened.unwrap_or_else(|gone| Err(ConnectionError::BadConnection(gone.to_string())))
    }

    /// Opens a session.
    pub(crate) async fn establish(self: Arc<Self>, access: Access) -> ConnectionResult<AsyncPgConnection> {
        let opened = self.hosts.reach(|mut config| {
            config.options(self.options(access, config.get_options()));
            let tls = self.tls.clone();
            async move { config.connect(tls).await }
        });
        let nowhere = || ConnectionError::InvalidConnectionUrl("the URL names no host".to_owned());
        let (client, connection) = opened.await.ok_or_else(nowhere)?.map_err(bad_connection)?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        self.prepare(&mut connection, access).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }

    /// Our startup options, followed by those of the URL, which win. No statement of ours takes so long that compiling it
    /// first would pay.
    ///
    /// Units of work say the same few statements over and over, and find rows by their keys. Left alone, the server would plan
    /// most of them anew each time, which takes longer than doing them; and plans that are kept must be good ones however
    /// much is stored by then.
    fn options(&self, access: Access, own: Option<&str>) -> String {
        let timeouts = match access {
            Access::Reading | Access::Writing => self.timeouts,
            Access::Migrating => Timeouts {
                statement: MIGRATION_PATIENCE,
                lock: MIGRATION_PATIENCE,
                idle_in_transaction: MIGRATION_PATIENCE,
            },
        };
        let mut options = format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} \
             -c client_connection_check_interval={} -c default_transaction_isolation=read\\ committed -c TimeZone=UTC \
             -c jit=off",
            timeouts.statement.as_millis(),
            timeouts.lock.as_millis(),
            timeouts.idle_in_transaction.as_millis(),
            CLIENT_CHECK.as_millis(),
        );
        if access == Access::Writing {
            options += " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off \
                        -c enable_mergejoin=off";
        }
        if let Some(own) = own {
            // Writing to a String cannot fail.
            let _ = write!(options, " {own}");
        }
        options
    }

    async fn prepare(&self, connection: &mut AsyncPgConnection, access: Access) -> diesel::QueryResult<()> {
        connection.batch_execute(SPEAK_ENGLISH).await?;
        if access == Access::Reading {
            connection.batch_execute(REFUSE_WRITES).await?;
        }
        let language: String = diesel::select(current_setting("lc_messages")).get_result(connection).await?;
        if !is_english(&language) && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                lc_messages = language,
                "the database speaks a language in which its errors are not understood; busy times will look like faults. \
                 Let a superuser run: ALTER ROLE <our role> SET lc_messages = 'C'"
            );
        }
        Ok(())
    }
}

fn is_english(language: &str) -> bool {
    ["C", "POSIX", "en"].iter().any(|english| {
        language
            .strip_prefix(english)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_', '@']))
    })
}

/// tokio-postgres says what failed, its sources say why; Diesel has room for one text.
fn bad_connection(error: tokio_postgres::Error) -> ConnectionError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    ConnectionError::BadConnection(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::Config;
    use tokio_postgres::config::TargetSessionAttrs;

    fn connector(url: &str) -> Connector {
        Connector::new(&Settings::new(url)).unwrap()
    }

    #[test]
    fn the_options_of_the_url_come_last_and_so_win() {
        let connector = connector("postgres://db/techtrack?options=-c%20statement_timeout%3D60000");
        let own = connector.hosts.configs()[0].get_options();
        let options = connector.options(Access::Writing, own);
        assert!(options.starts_with("-c statement_timeout=5000 -c lock_timeout=2000"), "{options}");
        assert!(options.ends_with("-c statement_timeout=60000"), "{options}");
    }

    #[test]
    fn several_hosts_and_the_search_for_the_primary_are_passed_on() {
        let connector =
            connector("postgres://a:5432,b:5433/techtrack?target_session_attrs=read-write&sslmode=disable");
        let ports: Vec<&[u16]> = connector.hosts.configs().iter().map(Config::get_ports).collect();
        assert_eq!(ports, [[5432], [5433]]);
        for config in connector.hosts.configs() {
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
    }

    #[test]
    fn our_name_and_keepalive_yield_to_those_of_the_url() {
        let only = |url: &str| connector(url).hosts.configs()[0].clone();
        let ours = only("postgres://db/techtrack");
        assert_eq!(ours.get_application_name(), Some("techtrack"));
        assert_eq!(ours.get_keepalives_idle(), KEEPALIVE);
        let theirs = only("postgres://db/techtrack?application_name=night%20shift&keepalives_idle=7");
        assert_eq!(theirs.get_application_name(), Some("night shift"));
        assert_eq!(theirs.get_keepalives_idle(), Duration::from_secs(7));
    }

    #[test]
    fn a_parameter_that_nobody_knows_is_refused_by_name() {
        let refused = Connector::new(&Settings::new("postgres://db/techtrack?sslcert=x")).err().unwrap();
        let ConnectError::Url(source) = refused else { panic!("{refused:?}") };
        let cause = std::error::Error::source(&source).unwrap().to_string();
        assert!(cause.contains("sslcert"), "{cause}");
    }

    #[test]
    fn english_has_many_names() {
        for language in ["C", "C.UTF-8", "POSIX", "en_US.UTF-8", "en_GB"] {
            assert!(is_english(language), "{language}");
        }
        for language in ["", "de_DE.UTF-8", "Catalan", "enm"] {
            assert!(!is_english(language), "{language}");
        }
    }

    #[tokio::test]
    async fn every_session_is_set_up_for_what_it_is_there_for() {
        let database = crate::testing::TestDatabase::create().await;
        let connector = Arc::new(connector(&database.url()));
        for (access, statement_timeout, read_only) in [
            (Access::Reading, "5s", "on"),
            (Access::Writing, "5s", "off"),
            (Access::Migrating, "10min", "off"),
        ] {
            let plans = if access == Access::Writing { "force_generic_plan" } else { "auto" };
            let mut session = Arc::clone(&connector).establish(access).await.unwrap();
            let expected = [
                ("application_name", "techtrack"),
                ("client_connection_check_interval", "1s"),
                ("default_transaction_read_only", read_only),
                ("jit", "off"),
                ("lc_messages", "C"),
                ("plan_cache_mode", plans),
                ("statement_timeout", statement_timeout),
                ("TimeZone", "UTC"),
                ("transaction_isolation", "read committed"),
            ];
            for (name, value) in expected {
                let set: String =
                    diesel::select(current_setting(name)).get_result(&mut session).await.unwrap();
                assert_eq!(set, value, "{name} of {access:?}");
            }
        }
    }
}
