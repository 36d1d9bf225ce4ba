//! Keeping readings for as long as the operator wants and in as little room as they need, and storage ready for those to
//! come. Any server may do it at any time.

use super::housekeeping::Steps;
use super::{App, RollupsKept, rollups, thinning};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::ports::{Part, StoreError};
use crate::telemetry::rollup::Grain;
use crate::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many pieces of equipment are looked for at once.
const PIECES_AT_ONCE: u32 = 1000;

/// How many readings one unit of work removes at most: whoever stores readings of the same equipment waits for it.
const READINGS_AT_ONCE: u32 = 5_000;

/// How many readings one unit of work packs at most.
const PACKED_AT_ONCE: u32 = 4_096;

/// How many rollups one unit of work removes at most.
const ROLLUPS_AT_ONCE: u32 = 5_000;

/// How many of what were packed, removed and made since the process started.
#[derive(Debug, Default)]
pub struct Totals {
    packed: AtomicU64,
    removed: AtomicU64,
    thinned: AtomicU64,
    rollups: AtomicU64,
}

/// What [`Totals`] come to at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totalled {
    /// Readings that were packed.
    pub packed: u64,
    /// Readings that were removed one by one because they are kept no longer.
    pub removed: u64,
    /// Readings that lost the values of metrics that are kept shorter than others, some of them all they had.
    pub thinned: u64,
    /// Rollups that were made, anew or for the first time.
    pub rollups: u64,
}

impl Totals {
    /// What they come to now.
    pub fn now(&self) -> Totalled {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totalled {
            packed: of(&self.packed),
            removed: of(&self.removed),
            thinned: of(&self.thinned),
            rollups: of(&self.rollups),
        }
    }

    pub(super) fn count_thinned(&self, some: u64) {
        self.thinned.fetch_add(some, Ordering::Relaxed);
    }

    pub(super) fn count_rollups(&self, made: usize) {
        self.rollups.fetch_add(made as u64, Ordering::Relaxed);
    }
}

/// What was done to what is old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// How many readings were packed.
    pub packed: u64,
    /// How many readings were removed one by one.
    pub removed: u64,
    /// How many readings lost the values of metrics that are kept shorter than others.
    pub thinned: u64,
    /// How many rollups were removed.
    pub removed_rollups: u64,
}

/// Does all that is to be done now and then, and all that can be done of it: where something is in the way of one thing, the
/// others are done all the same.
pub async fn tend(app: &App) -> Result<Tended, Error> {
    let mut steps = Steps::default();
    steps.take(make_room(app).await);
    steps.take(rollups::roll(app).await);
    let tended = Tended {
        removed: steps.take(forget(app).await),
        thinned: steps.take(thinning::thin(app).await),
        packed: steps.take(pack(app).await),
        removed_rollups: steps.take(forget_rollups(app).await),
    };
    // What was packed or removed may have left room.
    steps.take(give_back_room(app).await);
    steps.end(tended)
}

/// Gets storage ready for the readings to come.
pub async fn make_room(app: &App) -> Result<(), Error> {
    let mut tx = app.store.begin().await?;
    tx.readings().make_room(app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives back the room that nothing is in any more, part by part. Parts that somebody is at keep it until the next time.
async fn give_back_room(app: &App) -> Result<(), Error> {
    let mut steps = Steps::default();
    let emptied = app.store.reader().await?.readings().emptied(app.clock.now()).await?;
    for part in &emptied {
        match give_back(app, part).await {
            Err(StoreError::Busy(_)) => {}
            given_back => steps.take(given_back.map_err(Error::from)),
        }
    }
    steps.end(())
}

async fn give_back(app: &App, part: &Part) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    tx.readings().give_back(part).await?;
    tx.commit().await
}

/// Removes the readings that are older than they are to be kept, by whole days. Says how many were removed one by one, not how
/// many storage let go of as a whole. What is newest of each piece stays known, alerts stay, and so do rollups: what is about
/// to go is rolled up first.
pub async fn forget(app: &App) -> Result<u64, Error> {
    let Some(kept) = app.policy.readings_kept.longest() else { return Ok(0) };
    let before = Grain::Day.start_of(app.clock.now().before(kept));
    rollups::close(app, before).await?;
    let mut tx = app.store.begin().await?;
    tx.readings().drop_before(before).await?;
    tx.commit().await?;
    let mut removed = 0;
    let mut after = None;
    loop {
        let mut reader = app.store.reader().await?;
        let pieces = reader.readings().reporting_before(before, after, PIECES_AT_ONCE).await?;
        drop(reader);
        for piece in &pieces {
            removed += forget_of(app, *piece, before).await?;
        }
        let Some(last) = pieces.last() else { return Ok(removed) };
        after = Some(*last);
    }
}

async fn forget_of(app: &App, piece: EquipmentId, before: Timestamp) -> Result<u64, Error> {
    let mut removed = 0;
    loop {
        let mut tx = app.store.begin().await?;
        tx.readings().lock_heads(&[piece]).await?;
        let some = tx.readings().delete_some_before(piece, before, READINGS_AT_ONCE).await?;
        tx.commit().await?;
        app.totals.removed.fetch_add(some, Ordering::Relaxed);
        removed += some;
        if some < READINGS_AT_ONCE.into() {
            return Ok(removed);
        }
    }
}

/// Removes the rollups that are older than they are to be kept. Says how many.
pub async fn forget_rollups(app: &App) -> Result<u64, Error> {
    let RollupsKept { minutes, hours } = app.policy.rollups_kept;
    let mut removed = 0;
    for (grain, kept) in [(Grain::Minute, minutes), (Grain::Hour, hours)] {
        if let Some(kept) = kept {
            removed += forget_grain(app, grain, kept).await?;
        }
    }
    Ok(removed)
}

async fn forget_grain(app: &App, grain: Grain, kept: Duration) -> Result<u64, Error> {
    // What a digest is about must all be old.
    let before = grain.kept_by().start_of(app.clock.now().before(kept));
    let mut removed = 0;
    loop {
        let mut tx = app.store.begin().await?;
        let some = tx.rollups().forget(grain, before, ROLLUPS_AT_ONCE).await?;
        tx.commit().await?;
        removed += some;
        if some < ROLLUPS_AT_ONCE.into() {
            return Ok(removed);
        }
    }
}

/// Packs the readings that are old enough for it. Says how many.
pub async fn pack(app: &App) -> Result<u64, Error> {
    let Some(age) = app.policy.packed_after else { return Ok(0) };
    // Day by day: many readings at once take less room than a few at a time.
    let before = Grain::Day.start_of(app.clock.now().before(age));
    let mut packed = 0;
    let mut after = None;
    loop {
        let pieces = app.store.reader().await?.readings().loose_before(before, after, PIECES_AT_ONCE).await?;
        for piece in &pieces {
            packed += pack_of(app, *piece, before).await?;
        }
        let Some(last) = pieces.last() else { return Ok(packed) };
        after = Some(*last);
    }
}

async fn pack_of(app: &App, piece: EquipmentId, before: Timestamp) -> Result<u64, Error> {
    let mut packed = 0;
    loop {
        let mut tx = app.store.begin().await?;
        if tx.readings().lock_heads(&[piece]).await?.is_empty() {
            return Ok(packed);
        }
        let some = tx.readings().pack(piece, before, PACKED_AT_ONCE).await?;
        tx.commit().await?;
        app.totals.packed.fetch_add(some, Ordering::Relaxed);
        packed += some;
        if some == 0 {
            return Ok(packed);
        }
    }
}
