//! Credentials of machines: make, list, revoke one's own.

use super::{App, sessions};
use crate::access::rights::OwnAccount;
use crate::access::{Granted, Permissions};
use crate::api_keys::{ApiKey, ApiKeyKey, NewApiKey, PREFIX};
use crate::audit::{Action, NewEvent, Subject, api_key_facts};
use crate::equipment::EquipmentRef;
use crate::error::{Error, Flaws, Reason};
use crate::id::{ApiKeyId, EquipmentId, UserId};
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

/// How many keys a user may have: nobody can tell more of them apart, and each is a way in.
pub const MOST: u64 = 100;

/// A key as somebody wants it.
#[derive(Clone, Debug)]
pub struct ApiKeyDraft {
    /// What it is called.
    pub name: Label,
    /// What it may do.
    pub permissions: Permissions,
    /// The equipment it is limited to; all, when nobody says.
    pub equipment: Option<Vec<EquipmentId>>,
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
    let mut flaws = Flaws::default();
    flaws.gather(refuse_past(draft.expires_at, now))?;
    let mut tx = app.store.begin().await?;
    flaws.gather(refuse_too_many_in(&mut *tx, user).await)?;
    let equipment = flaws.conclude(limits_in(&mut *tx, draft.equipment).await)?;
    let secret = format!("{PREFIX}{}", app.entropy.secret());
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
    let key = tx.api_keys().insert(&new).await?;
    let subject = Subject::other("api_key", Some(key.id.get()), &key.name);
    let event = NewEvent::new(now, by.actor(), Action::ApiKeyCreated, subject);
    tx.trail().record(&event.changing(Vec::new(), api_key_facts(&key))).await?;
    let fresh = FreshApiKey { key, secret: Secret::new(secret) };
    once.remember_in(&mut *tx, &fresh, now).await?;
    app.commit_access(tx).await?;
    Ok(fresh)
}

fn refuse_past(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), Error> {
    let is_past = expires_at.is_some_and(|expires_at| expires_at <= now);
    if is_past { Err(Error::flaw("expires_at", "past", "must lie in the future")) } else { Ok(()) }
}

/// Refuses one key too many. Holds the owner, so that of two who are made at once the second is counted with the first.
async fn refuse_too_many_in(tx: &mut dyn UnitOfWork, owner: UserId) -> Result<(), Error> {
    tx.users().lock(owner).await?.ok_or(Error::Unauthenticated)?;
    let held = tx.api_keys().list(owner, &[], PageRequest::default()).await?.total;
    let one_too_many = || Error::flaw("api_keys", "too_many", format!("must be at most {MOST}"));
    if held < MOST { Ok(()) } else { Err(one_too_many()) }
}

/// The equipment that a key is limited to, by ascending id, each once; empty means all. Who names none of it but says so is
/// not taken to mean all of it.
async fn limits_in(
    tx: &mut dyn UnitOfWork,
    named: Option<Vec<EquipmentId>>,
) -> Result<Vec<EquipmentId>, Error> {
    let Some(mut equipment) = named else {
        return Ok(Vec::new());
    };
    if equipment.is_empty() {
        return Err(Error::flaw("equipment", "too_few", "must name a piece; leave it out to mean all"));
    }
    if equipment.len() > MOST_EQUIPMENT {
        return Err(Error::flaw("equipment", "too_many", format!("must be at most {MOST_EQUIPMENT}")));
    }
    // Named by its place in what was asked, not in what is kept.
    refuse_unknown_in(tx, &equipment).await?;
    equipment.sort_unstable();
    equipment.dedup();
    Ok(equipment)
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
    let event = NewEvent::new(now, by.actor(), Action::ApiKeyRevoked, subject);
    tx.trail().record(&event.changing(api_key_facts(&key), Vec::new())).await?;
    app.commit_access(tx).await?;
    Ok(())
}
