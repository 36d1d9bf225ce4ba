//! The keys that tokens are signed and read with, prepared once instead of with every token.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::error::BoxError;
use domain::ports::PublicKey;
use domain::sessions::SigningKey;
use domain::time::Timestamp;
use jsonwebtoken::{DecodingKey, EncodingKey};

/// Why keys cannot be used for tokens.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("no signing key is installed")]
    None,
    /// Two of them have the same name.
    #[error("two signing keys are called {0:?}")]
    Ambiguous(String),
    /// Its name is missing or so long that it would swell every token.
    #[error("a signing key's name must have 1 to {LONGEST_NAME} characters")]
    Name,
    /// Its private half is not an Ed25519 key in PKCS#8.
    #[error("the signing key {0:?} is not an Ed25519 key in PKCS#8")]
    Malformed(String),
    /// Its public half belongs to another private half.
    #[error("the halves of the signing key {0:?} do not belong together")]
    Mismatched(String),
    /// What it signs cannot be read back.
    #[error("what the signing key {0:?} signs cannot be read back")]
    Useless(String),
}

const LONGEST_NAME: usize = 64;

/// A key for signing and for reading.
pub(super) struct Key {
    id: String,
    public: Vec<u8>,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl Key {
    fn of(key: &SigningKey) -> Result<Self, KeyError> {
        if key.id.is_empty() || key.id.len() > LONGEST_NAME {
            return Err(KeyError::Name);
        }
        let pair =
            Ed25519KeyPair::from_pkcs8(&key.private).map_err(|_| KeyError::Malformed(key.id.clone()))?;
        if pair.public_key().as_ref() != key.public {
            return Err(KeyError::Mismatched(key.id.clone()));
        }
        Ok(Self {
            id: key.id.clone(),
            public: key.public.clone(),
            signing: EncodingKey::from_ed_der(&key.private),
            verifying: DecodingKey::from_ed_der(&key.public),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn signing(&self) -> &EncodingKey {
        &self.signing
    }

    pub(super) fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey { id: self.id.clone(), bytes: self.public.clone() }
    }
}

/// All keys in use, newest first.
#[derive(Default)]
pub(super) struct Keyring(Vec<Key>);

impl Keyring {
    pub(super) fn of(keys: &[SigningKey]) -> Result<Self, KeyError> {
        let mut keyring = Self::default();
        for key in keys {
            if keyring.find(&key.id).is_some() {
                return Err(KeyError::Ambiguous(key.id.clone()));
            }
            keyring.0.push(Key::of(key)?);
        }
        if keyring.0.is_empty() { Err(KeyError::None) } else { Ok(keyring) }
    }

    pub(super) fn newest(&self) -> Option<&Key> {
        self.0.first()
    }

    pub(super) fn newest_first(&self) -> &[Key] {
        &self.0
    }

    /// The key of this name. The name is compared and nothing else: it never becomes a path, a query or an address.
    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

/// A new key.
pub(super) fn generate(now: Timestamp) -> Result<SigningKey, BoxError> {
    let pair = Ed25519KeyPair::generate()?;
    // Version 1 of PKCS#8, which the openssl command line reads and writes too.
    let private = pair.to_pkcs8v1()?.as_ref().to_vec();
    Ok(named(&pair, private, now))
}

/// The key with this private half; `None` when that is not an Ed25519 key in PKCS#8.
pub(super) fn from_pkcs8(private: Vec<u8>, created_at: Timestamp) -> Option<SigningKey> {
    let pair = Ed25519KeyPair::from_pkcs8(&private).ok()?;
    Some(named(&pair, private, created_at))
}

/// A key is named after its public half, so that the same name never means two keys.
fn named(pair: &Ed25519KeyPair, private: Vec<u8>, created_at: Timestamp) -> SigningKey {
    let public = pair.public_key().as_ref().to_vec();
    let mut id = URL_SAFE_NO_PAD.encode(digest(&SHA256, &public));
    id.truncate(16);
    SigningKey { id, private, public, created_at }
}
