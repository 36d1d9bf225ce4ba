//! Credentials of machines: make, list, revoke one's own.

use super::{App, sessions};
use crate::access::rights::OwnAccount;
use crate::access::{Granted, Permissions};
use crate::api_keys::{ApiKey, ApiKeyKey, NewApiKey, PREFIX};
use crate::audit::{Action, NewEvent, Subject};
use crate::equipment::EquipmentRef;
use crate::error::{Error, Reason};
use crate::id::{ApiKeyId, EquipmentId};
use crate::idempotency::Once;
use crate::page::{Order, Page, PageRequest};
use crate::patch::Precondition;
use crate::ports::UnitOfWork;
use crate::roles::may_give;
use crate::text::{Label, Secret};
use crate::time::Timestamp;

/// How much of the secret tells keys apart in a list.
const HINT_LENGTH: usize = 10;

/// A key for more equipment than this is better not limited at all.
const MOST_EQUIPMENT: usize = 1000;

/// A key as somebody wants it.
#[derive(Clone, Debug)]
pub struct ApiKeyDraft {
    /// What it is called.
    pub name: Label,
    /// What it may do.
    pub permissions: Permissions,
    /// The equipment it is limited to; empty means all.
    pub equipment: Vec<EquipmentId>,
    /// When it lapses.
    pub expires_at: Option<Timestamp>,
}

/// A key with its secret, which nobody sees again.
#[derive(Clone, Debug)]
pub struct FreshApiKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret.
    pub secret: Secret,
}

/// Makes a key that may do no more than its maker.
pub async fn create(
    app: &App,
    by: Granted<OwnAccount>,
    draft: ApiKeyDraft,
    once: Once<'_, FreshApiKey>,
) -> Result<FreshApiKey, Error> {
    let (user, _) = sessions::person(&by)?;
    let now = app.clock.now();
    may_give(by.actor().permissions(), draft.permissions)?;
    if draft.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::flaw("expires_at", "past", "must lie in the future"));
    }
    if draft.equipment.len() > MOST_EQUIPMENT {
        return Err(Error::flaw("equipment", "too_many", format!("must be at most {MOST_EQUIPMENT}")));
    }
    let secret = format!("{PREFIX}{}", app.entropy.secret());
    let mut equipment = draft.equipment.clone();
    equipment.sort_unstable();
    equipment.dedup();
    let new = NewApiKey {
        user,
        name: draft.name,
        hint: secret.chars().take(HINT_LENGTH).collect(),
        digest: app.vault.digest(&[secret.as_bytes()]),
        permissions: draft.permissions,
        equipment,
        expires_at: draft.expires_at,
        created_at: now,
    };
    let mut tx = app.store.begin().await?;
    // Named by its place in what was asked, not in what is kept.
    refuse_unknown_in(&mut *tx, &draft.equipment).await?;
    let key = tx.api_keys().insert(&new).await?;
    let subject = Subject::other("api_key", Some(key.id.get()), &key.name);
    tx.trail().record(&NewEvent::new(now, by.actor(), Action::ApiKeyCreated, subject)).await?;
    let fresh = FreshApiKey { key, secret: Secret::new(secret) };
    once.remember_in(&mut *tx, &fresh, now).await?;
    app.commit_access(tx).await?;
    Ok(fresh)
}

/// A key for equipment that is not there would be a key for nothing, which nobody means.
async fn refuse_unknown_in(tx: &mut dyn UnitOfWork, equipment: &[EquipmentId]) -> Result<(), Error> {
    let names: Vec<_> = equipment.iter().copied().map(EquipmentRef::Id).collect();
    let found = tx.equipment().resolve(&names).await?;
    let unknown = found.iter().enumerate().filter(|(_, found)| found.is_none());
    let flaw = |(index, _)| {
        Reason::new("unknown", "must be equipment in the register").at(format!("equipment.{index}"))
    };
    let flaws: Vec<_> = unknown.map(flaw).collect();
    if flaws.is_empty() { Ok(()) } else { Err(Error::Invalid(flaws)) }
}

/// A page of one's own keys.
pub async fn list(
    app: &App,
    by: &Granted<OwnAccount>,
    order: &[Order<ApiKeyKey>],
    page: PageRequest,
) -> Result<Page<ApiKey>, Error> {
    let (user, _) = sessions::person(by)?;
    Ok(app.store.reader().await?.api_keys().list(user, order, page).await?)
}

/// One of one's own keys.
pub async fn get(app: &App, by: &Granted<OwnAccount>, id: ApiKeyId) -> Result<ApiKey, Error> {
    let (user, _) = sessions::person(by)?;
    app.store.reader().await?.api_keys().find(user, id).await?.ok_or(Error::NotFound("API key"))
}

/// Revokes one of one's own keys, at once.
pub async fn revoke(
    app: &App,
    by: Granted<OwnAccount>,
    id: ApiKeyId,
    precondition: Precondition,
) -> Result<(), Error> {
    let (user, _) = sessions::person(&by)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let key = tx.api_keys().find(user, id).await?.ok_or(Error::NotFound("API key"))?;
    precondition.check(key.version)?;
    if !tx.api_keys().delete(user, id).await? {
        return Err(Error::NotFound("API key"));
    }
    let subject = Subject::other("api_key", Some(id.get()), &key.name);
    tx.trail().record(&NewEvent::new(now, by.actor(), Action::ApiKeyRevoked, subject)).await?;
    app.commit_access(tx).await?;
    Ok(())
}
