//! Keeping readings for as long as the operator wants, and storage ready for those to come. Any server may do it at any time.

use super::App;
use crate::error::Error;
use crate::id::EquipmentId;
use crate::time::Timestamp;

/// How many pieces of equipment are looked for at once.
const PIECES_AT_ONCE: u32 = 1000;

/// How many readings one unit of work removes at most: whoever stores readings of the same equipment waits for it.
const READINGS_AT_ONCE: u32 = 5_000;

/// Gets storage ready for the readings to come.
pub async fn make_room(app: &App) -> Result<(), Error> {
    let mut tx = app.store.begin().await?;
    tx.readings().make_room(app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes the readings that are older than they are to be kept. Says how many were removed one by one, not how many storage
/// let go of as a whole. What is newest of each piece stays known, and alerts stay.
pub async fn forget(app: &App) -> Result<u64, Error> {
    let Some(kept) = app.policy.readings_kept else { return Ok(0) };
    let before = app.clock.now().before(kept);
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
        removed += some;
        if some < READINGS_AT_ONCE.into() {
            return Ok(removed);
        }
    }
}
