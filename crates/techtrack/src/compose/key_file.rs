//! Signing keys from a file that the operator keeps, instead of from the database.

use adapters_security::{JwtTokens, signing_keys_from_pem};
use domain::error::BoxError;
use domain::ports::{PublicKey, TokenError, Tokens};
use domain::sessions::{Claims, SigningKey};
use domain::time::Timestamp;
use std::path::PathBuf;

/// Tokens whose keys are those of a file, whichever others storage may hold. The file is read anew whenever keys are
/// installed, so that a server takes up a changed one by itself.
pub(super) struct KeysFromFile {
    path: PathBuf,
    tokens: JwtTokens,
}

impl KeysFromFile {
    pub(super) fn new(path: PathBuf, tokens: JwtTokens) -> Self {
        Self { path, tokens }
    }

    fn keys(&self) -> Result<Vec<SigningKey>, BoxError> {
        let pem = std::fs::read_to_string(&self.path)?;
        Ok(signing_keys_from_pem(&pem)?)
    }
}

impl Tokens for KeysFromFile {
    fn generate(&self, now: Timestamp) -> Result<SigningKey, BoxError> {
        self.tokens.generate(now)
    }

    fn install(&self, _of_storage: &[SigningKey]) -> Result<(), BoxError> {
        let place = || format!("the key file {}", self.path.display());
        let keys = self.keys().map_err(|error| format!("{}: {error}", place()))?;
        self.tokens.install(&keys).map_err(|error| format!("{}: {error}", place()).into())
    }

    fn sign(&self, claims: &Claims) -> Result<String, BoxError> {
        self.tokens.sign(claims)
    }

    fn read(&self, token: &str) -> Result<Claims, TokenError> {
        self.tokens.read(token)
    }

    fn public_keys(&self) -> Vec<PublicKey> {
        self.tokens.public_keys()
    }
}
