//! Ports that are not storage: time, randomness, password hashing, tokens, sealing.

use crate::api_keys::Digest;
use crate::error::{BoxError, Error};
use crate::sessions::{Claims, SigningKey};
use crate::time::Timestamp;
use crate::users::{Password, PasswordAttempt, PasswordHash};
use async_trait::async_trait;
use std::time::Duration;

/// Time.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Clock: Send + Sync {
    /// This instant.
    fn now(&self) -> Timestamp;

    /// Returns after `span`.
    async fn wait(&self, span: Duration);
}

/// Randomness for secrets.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait Entropy: Send + Sync {
    /// A secret of 32 random bytes as 43 letters of the URL-safe base64 alphabet.
    fn secret(&self) -> String;

    /// A one-time password that people can read aloud: 16 characters without look-alikes, in groups of four.
    fn one_time_password(&self) -> String;
}

/// Whether a password was the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It was.
    pub matches: bool,
    /// It was hashed with weaker parameters than today's and should be hashed anew.
    pub outdated: bool,
}

/// Why a password was not hashed or verified.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many are waiting.
    #[error("too many passwords are being checked")]
    Busy,
    /// The hasher itself failed.
    #[error("hashing failed")]
    Fault(#[source] BoxError),
}

impl From<HashingError> for Error {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Error::Busy("too many passwords are being checked", None),
            HashingError::Fault(source) => Error::Fault(source),
        }
    }
}

/// Password hashing: slow by design, bounded in number, never on the caller's thread.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Hashes a password with today's parameters and a salt of its own.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError>;

    /// Compares an attempt with a stored hash. Without one (no such account) it MUST do the same work on a dummy and
    /// answer that it does not match.
    async fn verify(
        &self,
        attempt: &PasswordAttempt,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashingError>;

    /// Makes a digest of something with a password in it as hard to guess from as a hash. The same digest MUST come to the
    /// same, now and later, on every server of an installation whatever its parameters.
    async fn stretch(&self, digest: &Digest) -> Result<Digest, HashingError>;

    /// Whether a guesser's dictionary holds the password, in itself or by way of the words in `own`.
    fn is_common(&self, password: &Password, own: &[String]) -> bool;
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, forged, or for somebody else.
    #[error("the token is not valid")]
    Invalid,
    /// Signed with a key that we do not have, or not yet.
    #[error("the token's key is not known")]
    UnknownKey,
}

/// A key that others may verify our tokens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in token headers.
    pub id: String,
    /// The Ed25519 public key, 32 bytes.
    pub bytes: Vec<u8>,
}

/// Signing and reading tokens with the keys installed.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait Tokens: Send + Sync {
    /// A new signing key.
    fn generate(&self, now: Timestamp) -> Result<SigningKey, BoxError>;

    /// Takes these keys, newest first, instead of those before: the newest signs, all verify.
    fn install(&self, keys: &[SigningKey]) -> Result<(), BoxError>;

    /// Signs claims with the newest key. The same claims MUST give the same token as long as the key is the same.
    fn sign(&self, claims: &Claims) -> Result<String, BoxError>;

    /// Reads a token of ours. MUST check everything but the times: algorithm, key, signature, type, issuer, audience,
    /// and that no claim is missing. The caller judges the times by [`Claims::are_current`].
    fn read(&self, token: &str) -> Result<Claims, TokenError>;

    /// The public halves of the keys installed, newest first.
    fn public_keys(&self) -> Vec<PublicKey>;
}

/// A sealed text did not open: wrong key, or changed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not open")]
pub struct VaultError;

/// Digests and seals.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait Vault: Send + Sync {
    /// SHA-256 over the parts, each preceded by its length.
    fn digest<'a>(&self, parts: &'a [&'a [u8]]) -> Digest;

    /// As [`Vault::digest`], under a key: who lacks the key learns nothing about the parts by trying.
    fn keyed_digest<'a>(&self, key: &'a [u8], parts: &'a [&'a [u8]]) -> Digest;

    /// Seals `content` so that only who knows `key` can read it and nobody can change it.
    fn seal(&self, key: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError>;

    /// Opens what [`Vault::seal`] sealed.
    fn open(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError>;
}

/// How much of an allowance is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whether this request may go ahead.
    pub granted: bool,
    /// Requests per minute, and the most that may come at once.
    pub limit: u32,
    /// Requests left now.
    pub remaining: u32,
    /// When a request is possible again, if none is left; else nothing.
    pub retry_after: Duration,
}

/// Requests per minute and caller: a token bucket each. Never decides who may do what, only how often.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Allowances: Send + Sync {
    /// Takes one request from `caller`'s bucket, which refills at `per_minute` and holds as many.
    /// MUST answer within some 50 ms; an implementation that cannot ask its peers falls back to what it knows itself.
    async fn take(&self, caller: &str, per_minute: u32) -> Allowance;

    /// Whether requests are counted together with other processes just now.
    fn sharing(&self) -> Sharing;
}

/// With whom requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// With nobody: this process counts for itself.
    Alone,
    /// With all other processes.
    Together,
    /// With nobody for the time being: the link to the others is down.
    CutOff,
}

/// Tells whoever watches, in this process and elsewhere, that something was announced in [`super::Live`].
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait Bell: Send + Sync {
    /// Something was announced. MUST return at once; rings in quick succession may become one. A ring that gets lost
    /// delays watchers and loses nothing.
    fn ring(&self);
}
