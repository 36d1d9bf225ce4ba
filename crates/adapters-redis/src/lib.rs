//! What instances of TechTrack share through Redis: how often each caller has asked.
//!
//! [`SharedAllowances`] keeps the token buckets of `domain::allowance` there, so that a limit holds for all instances
//! together. Redis is a convenience and never a condition: while it is away, slow or out of its mind, each instance
//! counts for itself, and no request waits for it.
//!
//! `bucket` asks Redis for one request; `link` keeps the connection. What the limits are is configured elsewhere.

mod bucket;
mod link;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bucket::{Buckets, Taken};
use domain::allowance::{LocalAllowances, Rate};
use domain::error::BoxError;
use domain::ports::{Allowance, Allowances, Sharing};
use link::{Link, Timing};
use std::sync::Arc;
use std::time::Duration;

/// Whoever counts while Redis does not.
pub trait Fallback: Allowances {
    /// Redis said that this much is missing in the caller's bucket. MUST go on from there, so that a hiccup of Redis fills
    /// nobody's bucket.
    fn note(&self, caller: &str, debt: Duration);
}

impl Fallback for LocalAllowances {
    fn note(&self, caller: &str, debt: Duration) {
        LocalAllowances::note(self, caller, debt);
    }
}

/// Token buckets that all instances on one Redis share.
pub struct SharedAllowances {
    link: Link,
    fallback: Arc<dyn Fallback>,
}

/// Why there can be no link to Redis, now or later.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address makes no sense.
    #[error("the Redis URL is not valid")]
    Url(#[source] BoxError),
    /// There is nobody to keep the link.
    #[error("Redis can be used inside a tokio runtime only")]
    NoRuntime(#[source] BoxError),
}

impl SharedAllowances {
    /// Shares buckets through the Redis at `url` (`redis://` or `rediss://`, a single server), and counts by `fallback`
    /// while that does not answer.
    ///
    /// Returns without waiting for Redis. A task on the current runtime connects, and connects again whenever the link
    /// breaks.
    pub fn connect(url: &str, fallback: Arc<dyn Fallback>) -> Result<Self, LinkError> {
        Self::connect_with(url, fallback, Timing::default())
    }

    fn connect_with(url: &str, fallback: Arc<dyn Fallback>, timing: Timing) -> Result<Self, LinkError> {
        let link = Link::keep(url, Buckets::new(), timing)?;
        Ok(Self { link, fallback })
    }
}

#[async_trait]
impl Allowances for SharedAllowances {
    async fn take(&self, caller: &str, per_minute: u32) -> Allowance {
        let rate = Rate::per_minute(per_minute);
        match self.link.take(caller, rate).await {
            Some(Taken { granted, debt }) => {
                self.fallback.note(caller, debt);
                rate.allowance(granted, debt)
            }
            None => self.fallback.take(caller, per_minute).await,
        }
    }

    fn sharing(&self) -> Sharing {
        if self.link.is_up() { Sharing::Together } else { Sharing::CutOff }
    }
}
