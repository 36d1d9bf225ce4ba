//! Looking up what a repeated request was answered the first time.

use super::App;
use crate::error::Error;
use crate::idempotency::{Claim, REMEMBERED};

/// The sealed answer that this claim got, if it was made before; refuses a claim whose key was used for another request.
pub async fn recall(app: &App, claim: &Claim) -> Result<Option<Vec<u8>>, Error> {
    let found = app.store.reader().await?.idempotency().find(&claim.scope).await?;
    let Some(remembered) = found.filter(|answer| app.clock.now().since(answer.created_at) < REMEMBERED)
    else {
        return Ok(None);
    };
    if remembered.claim != *claim {
        return Err(Error::IdempotencyKeyReused);
    }
    Ok(Some(remembered.answer))
}
