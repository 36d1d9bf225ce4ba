//! Looking up what a repeated request was answered the first time.

use super::App;
use crate::error::Error;
use crate::idempotency::Claim;

/// The sealed answer that this claim got, if it was made before; refuses a claim whose key was used for another request.
///
/// An answer counts until housekeeping forgets it, shortly after its day is over.
pub async fn recall(app: &App, claim: &Claim) -> Result<Option<Vec<u8>>, Error> {
    let found = app.store.reader().await?.idempotency().find(&claim.scope).await?;
    let Some(remembered) = found else { return Ok(None) };
    if remembered.claim != *claim {
        return Err(Error::IdempotencyKeyReused);
    }
    Ok(Some(remembered.answer))
}
