//! The gate before every password check: counts attempts in the database before any hashing happens.

use super::App;
use crate::access::{Origin, network};
use crate::api_keys::Digest;
use crate::error::Error;
use crate::ports::UnitOfWork;
use crate::sign_in::{Admission, Counter, Limits};
use crate::time::Timestamp;
use std::time::Duration;

/// How long an attempt waits for others on the same account or address to be settled.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(25);

/// The counters that one attempt is held against: its account's and its address's.
pub(super) struct Gate {
    /// Ordered by key, so that two gates never wait for each other in a circle.
    counters: Vec<Guarded>,
    limits: Option<Limits>,
}

struct Guarded {
    key: Digest,
    forgiven: u32,
    is_account: bool,
}

enum Verdict {
    Admitted,
    Crowded,
    Wait(Duration),
}

impl Gate {
    /// The gate for an account, known or not, as tried from somewhere.
    pub(super) fn new(app: &App, folded_login: &str, origin: &Origin) -> Self {
        let limits = app.policy.sign_in_limits;
        let mut counters = Vec::new();
        if let Some(limits) = &limits {
            let key = app.vault.digest(&[b"account", folded_login.as_bytes()]);
            counters.push(Guarded { key, forgiven: limits.per_account, is_account: true });
            if let Some(address) = origin.address {
                let key = app.vault.digest(&[b"address", network(address).as_bytes()]);
                counters.push(Guarded { key, forgiven: limits.per_address, is_account: false });
            }
        }
        counters.sort_unstable_by_key(|guarded| guarded.key);
        Self { counters, limits }
    }

    /// Lets the attempt pass, or says how long to stay away. What was admitted must be settled or withdrawn.
    pub(super) async fn admit(&self, app: &App) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        loop {
            match self.try_admit(app).await? {
                Verdict::Admitted => return Ok(()),
                Verdict::Wait(wait) => return Err(Error::TooManyAttempts(wait)),
                Verdict::Crowded if waited >= PATIENCE => {
                    return Err(Error::Busy("sign-ins of this account are crowded", None));
                }
                Verdict::Crowded => {
                    app.clock.wait(PAUSE).await;
                    waited += PAUSE;
                }
            }
        }
    }

    /// As [`Gate::admit`] for who has to stay away; everybody else is counted when they are let pass.
    pub(super) async fn refuse_who_must_wait(&self, app: &App) -> Result<(), Error> {
        let Some(limits) = &self.limits else {
            return Ok(());
        };
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let mut longest: Option<Duration> = None;
        for guarded in &self.counters {
            let counter = tx.sign_ins().lock(&guarded.key, now).await?;
            if let Admission::Wait(wait) = counter.admit(guarded.forgiven, now, limits) {
                longest = longest.max(Some(wait));
            }
        }
        tx.rollback().await;
        longest.map_or(Ok(()), |wait| Err(Error::TooManyAttempts(wait)))
    }

    /// Notes how the attempt ended.
    pub(super) async fn settle(&self, app: &App, succeeded: bool) -> Result<(), Error> {
        let mut tx = app.store.begin().await?;
        self.settle_in(&mut *tx, succeeded, app.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// As [`Gate::settle`], within a transaction.
    pub(super) async fn settle_in(
        &self,
        tx: &mut dyn UnitOfWork,
        succeeded: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.update_in(tx, now, |guarded, counter| match (succeeded, guarded.is_account) {
            (true, true) => counter.forgiven(now),
            (true, false) => counter.succeeded(),
            (false, _) => counter.failed(guarded.forgiven, now),
        })
        .await
    }

    /// Takes the attempt back: it was never made.
    pub(super) async fn withdraw(&self, app: &App) -> Result<(), Error> {
        let mut tx = app.store.begin().await?;
        self.update_in(&mut *tx, app.clock.now(), |_, counter| counter.succeeded()).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn try_admit(&self, app: &App) -> Result<Verdict, Error> {
        let Some(limits) = &self.limits else {
            return Ok(Verdict::Admitted);
        };
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let mut longest: Option<Duration> = None;
        let mut crowded = false;
        for guarded in &self.counters {
            match tx.sign_ins().lock(&guarded.key, now).await?.admit(guarded.forgiven, now, limits) {
                Admission::Admitted(counter) => tx.sign_ins().save(&guarded.key, &counter).await?,
                Admission::Crowded => crowded = true,
                Admission::Wait(wait) => longest = longest.max(Some(wait)),
            }
        }
        if let Some(wait) = longest {
            return Ok(Verdict::Wait(wait));
        }
        if crowded {
            return Ok(Verdict::Crowded);
        }
        tx.commit().await?;
        Ok(Verdict::Admitted)
    }

    async fn update_in(
        &self,
        tx: &mut dyn UnitOfWork,
        now: Timestamp,
        update: impl Fn(&Guarded, Counter) -> Counter + Send + Sync,
    ) -> Result<(), Error> {
        for guarded in &self.counters {
            let counter = tx.sign_ins().lock(&guarded.key, now).await?;
            tx.sign_ins().save(&guarded.key, &update(guarded, counter)).await?;
        }
        Ok(())
    }
}
