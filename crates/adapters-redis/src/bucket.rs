//! One bucket in Redis: how it is asked for a request, and what of an answer is believed.

use domain::allowance::Rate;
use domain::ports::Allowance;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Script};
use std::time::Duration;

/// Why Redis was of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It is away, or says no.
    #[error(transparent)]
    Refused(#[from] RedisError),
    /// It says nothing.
    #[error("no answer in {0:?}")]
    Silent(Duration),
    /// It says what no bucket can be like.
    #[error("an answer that makes no sense: granted {granted}, debt {debt}")]
    Nonsense { granted: i64, debt: i64 },
}

/// The buckets of all callers, under `techtrack:allowance:<caller>`.
pub(crate) struct Buckets {
    take: Script,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self { take: Script::new(include_str!("take.lua")) }
    }

    /// Takes one request from the caller's bucket.
    pub(crate) async fn take(
        &self,
        mut redis: MultiplexedConnection,
        caller: &str,
        rate: Rate,
    ) -> Result<Allowance, Trouble> {
        let (granted, debt): (i64, i64) = self
            .take
            .key(format!("techtrack:allowance:{caller}"))
            .arg(micros(rate.cost()))
            .arg(micros(rate.depth()))
            .invoke_async(&mut redis)
            .await?;
        allowance(rate, granted, debt).ok_or(Trouble::Nonsense { granted, debt })
    }

    /// Takes a request from nobody's bucket: a Redis that loads its data, wants a password or refuses writes shows it
    /// here, before a caller depends on it.
    pub(crate) async fn prove(&self, redis: MultiplexedConnection) -> Result<(), Trouble> {
        self.take(redis, "", Rate::per_minute(u32::MAX)).await.map(drop)
    }
}

/// The answer in the domain's terms, if it is one that the script can give.
fn allowance(rate: Rate, granted: i64, debt: i64) -> Option<Allowance> {
    let granted = match granted {
        0 => false,
        1 => true,
        _ => return None,
    };
    let debt = Duration::from_micros(u64::try_from(debt).ok()?);
    (debt <= rate.depth()).then(|| rate.allowance(granted, debt))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
