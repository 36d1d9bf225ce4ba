//! Credentials: signed-in clients and machines' keys.

use super::lists::page;
use super::{Unit, remove, remove_some};
use crate::api_keys::{ApiKey, ApiKeyKey, Digest, NewApiKey};
use crate::id::{ApiKeyId, SessionId, UserId, Version};
use crate::page::{Order, Page, PageRequest};
use crate::ports::{ApiKeys, Sessions, StoreError, Unique};
use crate::sessions::{Holder, NewSession, Session, SessionKey};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::cmp::Ordering;

#[async_trait]
impl Sessions for Unit {
    async fn insert(&mut self, session: &NewSession) -> Result<Session, StoreError> {
        self.change(|tables| {
            tables.user(session.user)?;
            let session = Session {
                id: tables.next_id(SessionId::new)?,
                user: session.user,
                generation: 1,
                rotated_at: session.created_at,
                created_at: session.created_at,
                last_used_at: session.created_at,
                expires_at: session.expires_at,
                address: session.address.clone(),
                agent: session.agent.clone(),
            };
            tables.sessions.insert(session.id, session.clone());
            Ok(session)
        })
    }

    async fn bearer(&mut self, id: SessionId) -> Result<Option<(Session, Holder)>, StoreError> {
        let tables = self.tables()?;
        let bearer = |session: &Session| Some((session.clone(), tables.holder(session.user)?));
        Ok(tables.sessions.get(&id).and_then(bearer))
    }

    async fn lock(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.hold()?.sessions.get(&id).cloned())
    }

    async fn advance(
        &mut self,
        id: SessionId,
        generation: i64,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        self.change(|tables| {
            let stored = tables.sessions.get_mut(&id);
            Ok(stored.filter(|session| session.generation == generation).map(|session| {
                session.generation += 1;
                session.rotated_at = at;
                session.last_used_at = at;
                session.expires_at = expires_at;
                session.clone()
            }))
        })
    }

    async fn touch(&mut self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        self.change(|tables| {
            if let Some(session) = tables.sessions.get_mut(&id) {
                session.last_used_at = at;
            }
            Ok(())
        })
    }

    async fn prolong(
        &mut self,
        id: SessionId,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(|tables| {
            if let Some(session) = tables.sessions.get_mut(&id) {
                session.last_used_at = at;
                session.expires_at = expires_at;
            }
            Ok(())
        })
    }

    async fn list(
        &mut self,
        user: UserId,
        now: Timestamp,
        order: &[Order<SessionKey>],
        request: PageRequest,
    ) -> Result<Page<Session>, StoreError> {
        let sessions = self.tables()?.sessions.values();
        let living = sessions.filter(|session| session.user == user && now < session.expires_at);
        Ok(page(living.cloned().collect(), order, compare_sessions, request))
    }

    async fn end(&mut self, user: UserId, id: SessionId) -> Result<bool, StoreError> {
        self.change(|tables| {
            let meant = |session: &Session| session.user == user && session.id == id;
            Ok(remove(&mut tables.sessions, meant) > 0)
        })
    }

    async fn end_all(&mut self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError> {
        self.change(|tables| {
            let meant = |session: &Session| session.user == user && Some(session.id) != keep;
            Ok(remove(&mut tables.sessions, meant))
        })
    }

    async fn forget_lapsed(&mut self, now: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| Ok(remove_some(&mut tables.sessions, most, |session| session.expires_at < now)))
    }
}

#[async_trait]
impl ApiKeys for Unit {
    async fn insert(&mut self, key: &NewApiKey) -> Result<ApiKey, StoreError> {
        self.change(|tables| {
            tables.user(key.user)?;
            let mut stored = tables.api_keys.values();
            if stored.any(|(_, other)| other.user == key.user && other.name == key.name) {
                return Err(StoreError::Conflict(Unique::ApiKeyName));
            }
            let mut equipment = key.equipment.clone();
            equipment.sort_unstable();
            let made = ApiKey {
                id: tables.next_id(ApiKeyId::new)?,
                user: key.user,
                name: key.name.clone(),
                hint: key.hint.clone(),
                permissions: key.permissions,
                equipment,
                expires_at: key.expires_at,
                created_at: key.created_at,
                last_used_at: None,
                version: Version::FIRST,
            };
            tables.api_keys.insert(made.id, (key.digest, made.clone()));
            Ok(made)
        })
    }

    async fn bearer(&mut self, digest: &Digest) -> Result<Option<(ApiKey, Holder)>, StoreError> {
        let tables = self.tables()?;
        let presented = tables.api_keys.values().find(|(stored, _)| stored == digest);
        Ok(presented.and_then(|(_, key)| Some((key.clone(), tables.holder(key.user)?))))
    }

    async fn touch(&mut self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        self.change(|tables| {
            if let Some((_, key)) = tables.api_keys.get_mut(&id) {
                key.last_used_at = Some(at);
            }
            Ok(())
        })
    }

    async fn find(&mut self, user: UserId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let stored = self.tables()?.api_keys.get(&id).map(|(_, key)| key);
        Ok(stored.filter(|key| key.user == user).cloned())
    }

    async fn list(
        &mut self,
        user: UserId,
        order: &[Order<ApiKeyKey>],
        request: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let keys = self.tables()?.api_keys.values().map(|(_, key)| key);
        let own = keys.filter(|key| key.user == user);
        Ok(page(own.cloned().collect(), order, compare_keys, request))
    }

    async fn delete(&mut self, user: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
        self.change(|tables| {
            let meant = |(_, key): &(Digest, ApiKey)| key.user == user && key.id == id;
            Ok(remove(&mut tables.api_keys, meant) > 0)
        })
    }
}

fn compare_sessions(key: SessionKey, one: &Session, other: &Session) -> Ordering {
    match key {
        SessionKey::Id => one.id.cmp(&other.id),
        SessionKey::CreatedAt => one.created_at.cmp(&other.created_at),
        SessionKey::LastUsedAt => one.last_used_at.cmp(&other.last_used_at),
    }
}

fn compare_keys(key: ApiKeyKey, one: &ApiKey, other: &ApiKey) -> Ordering {
    match key {
        ApiKeyKey::Id => one.id.cmp(&other.id),
        ApiKeyKey::Name => one.name.cmp(&other.name),
        ApiKeyKey::CreatedAt => one.created_at.cmp(&other.created_at),
    }
}
