//! Credentials of machines. The secret is shown once; storage keeps its digest and the few letters that tell keys apart.

use crate::access::Permissions;
use crate::id::{ApiKeyId, EquipmentId, UserId, Version};
use crate::text::Label;
use crate::time::Timestamp;

/// How every key's secret begins, so that scanners recognise a leaked one.
pub const PREFIX: &str = "ttk_";

/// A digest that is compared instead of the secret.
pub type Digest = [u8; 32];

/// A machine's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Who made it and answers for it; the key never may more than its owner.
    pub user: UserId,
    /// What it is called.
    pub name: Label,
    /// The first letters of the secret.
    pub hint: String,
    /// What it may do, as long as its owner may.
    pub permissions: Permissions,
    /// The equipment it is limited to, ordered by id; empty means all.
    pub equipment: Vec<EquipmentId>,
    /// When it lapses.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last seen in use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// How often it was written.
    pub version: Version,
}

impl ApiKey {
    /// Whether the key is good at this instant.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// Who answers for it.
    pub user: UserId,
    /// What it is called, unique among its owner's keys.
    pub name: Label,
    /// The first letters of the secret.
    pub hint: String,
    /// What is compared instead of the secret.
    pub digest: Digest,
    /// What it may do.
    pub permissions: Permissions,
    /// The equipment it is limited to.
    pub equipment: Vec<EquipmentId>,
    /// When it lapses.
    pub expires_at: Option<Timestamp>,
    /// When it is made.
    pub created_at: Timestamp,
}

/// What keys can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyKey {
    /// The number.
    Id,
    /// The name, compared byte by byte.
    Name,
    /// When it was made.
    CreatedAt,
}
