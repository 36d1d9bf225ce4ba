//! Which of the hosts in the URL the database is on now.
//!
//! A primary that died refuses connections, which is told at once; one that hangs accepts them and never says a word. So
//! hosts are asked side by side, the one that was right the last time a little before the others, and whoever is first to
//! answer as wanted is right. What was opened to another one before is then worth nothing: it may lead to a server that does
//! not know yet that it is no primary any more.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

/// How long a host is waited for before the next one is asked as well, and how often one that refused is asked again.
const HEAD_START: Duration = Duration::from_millis(250);

/// The hosts, and what is known of them.
pub(crate) struct Hosts {
    /// One for each; at least one.
    configs: Vec<Config>,
    /// Which one was right the last time.
    favourite: AtomicUsize,
    /// What was opened before this is not to be used any more.
    distrusted_before: Mutex<Option<Instant>>,
}

impl Hosts {
    /// Reads the URL. `adjust` says what holds for all hosts alike.
    pub(crate) fn new(url: &str, adjust: impl Fn(&mut Config)) -> Result<Self, tokio_postgres::Error> {
        let urls = one_each(url);
        let several = urls.len() > 1;
        let read = |url: &String| {
            let mut config: Config = url.parse()?;
            if several && !url.contains("target_session_attrs=") {
                // Of several servers all but one refuse to write.
                config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
            adjust(&mut config);
            Ok(config)
        };
        Ok(Self {
            configs: urls.iter().map(read).collect::<Result<_, _>>()?,
            favourite: AtomicUsize::new(0),
            distrusted_before: Mutex::default(),
        })
    }

    /// How to reach each of them.
    #[cfg(test)]
    pub(crate) fn configs(&self) -> &[Config] {
        &self.configs
    }

    /// What `open` makes of the first host with which it succeeds, or why it did with none.
    pub(crate) async fn reach<T, E, F>(&self, open: impl Fn(Config) -> F) -> Option<Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let attempt = |host: usize, wait: Duration| {
            let opening = self.configs.get(host).cloned().map(&open);
            async move {
                sleep(wait).await;
                Some((host, opening?.await))
            }
        };
        let (count, favourite) = (self.configs.len(), self.favourite.load(Ordering::Relaxed));
        let mut attempts = FuturesUnordered::new();
        let mut wait = Duration::ZERO;
        for place in 0..count {
            attempts.push(attempt((favourite + place) % count, wait));
            wait += HEAD_START;
        }
        let mut refused = BTreeSet::new();
        while let Some((host, outcome)) = attempts.next().await.flatten() {
            let refusal = match outcome {
                Ok(opened) => {
                    self.found(host);
                    return Some(Ok(opened));
                }
                Err(refusal) => refusal,
            };
            refused.insert(host);
            if refused.len() == count {
                return Some(Err(refusal));
            }
            // A standby may become the primary while we wait for another host.
            attempts.push(attempt(host, HEAD_START));
        }
        None
    }

    fn found(&self, host: usize) {
        if self.favourite.swap(host, Ordering::Relaxed) != host {
            tracing::info!(host = ?self.configs.get(host).map(Config::get_hosts), "the database is on another host now");
            self.distrust();
        }
    }

    /// Somebody waited for an answer in vain, or was told that nothing can be written. Where there are other hosts the
    /// database may be on one of them by now.
    pub(crate) fn doubt(&self) {
        if self.configs.len() > 1 {
            self.distrust();
        }
    }

    fn distrust(&self) {
        let mut before = self.distrusted_before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = Some(Instant::now());
    }

    /// Whether a connection that was opened then may still be used.
    pub(crate) fn trusts(&self, opened: Instant) -> bool {
        let before = self.distrusted_before.lock().unwrap_or_else(PoisonError::into_inner);
        before.is_none_or(|before| opened > before)
    }
}

/// The URL with one of its hosts at a time.
fn one_each(url: &str) -> Vec<String> {
    let scheme = url.find("://").map_or(0, |at| at + "://".len());
    // As tokio-postgres reads it: what comes before the first @ are credentials, whatever letters they have.
    let start = url.find('@').map_or(scheme, |at| at + 1);
    let rest = url.get(start..).unwrap_or_default();
    let end = start + rest.find(['/', '?']).unwrap_or(rest.len());
    let (Some(before), Some(hosts), Some(after)) = (url.get(..start), url.get(start..end), url.get(end..))
    else {
        return vec![url.to_owned()];
    };
    hosts.split(',').map(|host| format!("{before}{host}{after}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn hosts() -> Hosts {
        Hosts::new("postgres://a,b,c/techtrack", |_| ()).unwrap()
    }

    fn port_of(config: &Config) -> String {
        format!("{:?}", config.get_hosts())
    }

    #[test]
    fn a_url_is_taken_apart_host_by_host() {
        let cases: [(&str, &[&str]); 4] = [
            ("postgres://db/t", &["postgres://db/t"]),
            ("postgres://a:1,b:2", &["postgres://a:1", "postgres://b:2"]),
            (
                "postgres://u:p,q@a:1,b:2/t?x=1,2",
                &["postgres://u:p,q@a:1/t?x=1,2", "postgres://u:p,q@b:2/t?x=1,2"],
            ),
            ("postgresql://a,b?dbname=t", &["postgresql://a?dbname=t", "postgresql://b?dbname=t"]),
        ];
        for (url, expected) in cases {
            assert_eq!(one_each(url), expected);
        }
    }

    #[test]
    fn of_several_hosts_the_one_that_takes_writes_is_meant_unless_the_url_says_otherwise() {
        let meant = |url: &str| Hosts::new(url, |_| ()).unwrap().configs[0].get_target_session_attrs();
        assert_eq!(meant("postgres://a,b/t"), TargetSessionAttrs::ReadWrite);
        assert_eq!(meant("postgres://a/t"), TargetSessionAttrs::Any);
        assert_eq!(meant("postgres://a,b/t?target_session_attrs=any"), TargetSessionAttrs::Any);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_says_nothing_holds_nobody_up_and_the_next_time_the_right_one_is_asked_first() {
        let hosts = hosts();
        let asked = Mutex::new(Vec::new());
        let open = |config: Config| {
            asked.lock().unwrap().push(port_of(&config));
            async move {
                if port_of(&config).contains("\"b\"") { Ok(()) } else { pending::<Result<(), ()>>().await }
            }
        };
        assert_eq!(hosts.reach(&open).await, Some(Ok(())));
        asked.lock().unwrap().clear();
        assert_eq!(hosts.reach(&open).await, Some(Ok(())));
        assert!(asked.lock().unwrap()[0].contains("\"b\""), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_that_is_promoted_while_the_primary_hangs_is_found() {
        let hosts = hosts();
        let promoted = tokio::time::Instant::now() + Duration::from_secs(1);
        let open = |config: Config| async move {
            match port_of(&config) {
                name if name.contains("\"a\"") => pending().await,
                name if name.contains("\"c\"") && tokio::time::Instant::now() > promoted => Ok(()),
                _ => Err("a standby"),
            }
        };
        assert_eq!(hosts.reach(open).await, Some(Ok(())));
        assert_eq!(hosts.favourite.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_refuse_nobody_waits() {
        let started = tokio::time::Instant::now();
        assert_eq!(hosts().reach(|_| async { Err::<(), _>("refused") }).await, Some(Err("refused")));
        assert!(started.elapsed() <= HEAD_START * 3);
    }

    #[test]
    fn after_a_move_what_was_opened_before_is_not_used_any_more() {
        let hosts = hosts();
        let opened = Instant::now();
        assert!(hosts.trusts(opened));
        hosts.found(0);
        assert!(hosts.trusts(opened), "nothing has moved");
        hosts.found(1);
        assert!(!hosts.trusts(opened));
        assert!(hosts.trusts(Instant::now() + Duration::from_millis(1)));
    }

    #[test]
    fn with_one_host_there_is_no_use_in_doubt() {
        let alone = Hosts::new("postgres://a/t", |_| ()).unwrap();
        let opened = Instant::now();
        alone.doubt();
        assert!(alone.trusts(opened));
    }
}
