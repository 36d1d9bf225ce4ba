//! One bucket in Redis: how it is asked for a request, and what of an answer is believed.

use domain::allowance::Rate;
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

/// What became of a request, and of the bucket that it was taken from.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) granted: bool,
    pub(crate) debt: Duration,
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
    ) -> Result<Taken, Trouble> {
        let (granted, debt): (i64, i64) = self
            .take
            .key(format!("techtrack:allowance:{caller}"))
            .arg(micros(rate.cost()))
            .arg(micros(rate.depth()))
            .invoke_async(&mut redis)
            .await?;
        believed(rate, granted, debt).ok_or(Trouble::Nonsense { granted, debt })
    }

    /// Takes a request from nobody's bucket: a Redis that loads its data, wants a password or refuses writes shows it
    /// here, before a caller depends on it.
    pub(crate) async fn prove(&self, redis: MultiplexedConnection) -> Result<(), Trouble> {
        self.take(redis, "", Rate::per_minute(u32::MAX)).await.map(drop)
    }
}

/// The answer, if it is one that the script can give: what is granted was taken from the bucket, and what is refused was too
/// much for it.
fn believed(rate: Rate, granted: i64, debt: i64) -> Option<Taken> {
    let debt = Duration::from_micros(u64::try_from(debt).ok()?);
    let makes_sense = match granted {
        0 => rate.take(debt).is_none(),
        1 => debt >= rate.cost(),
        _ => false,
    };
    (makes_sense && debt <= rate.depth()).then_some(Taken { granted: granted == 1, debt })
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
