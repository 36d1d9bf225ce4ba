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
    /// Fails at once when the file holds no keys, rather than when somebody wants to sign in.
    pub(super) fn open(path: PathBuf, tokens: JwtTokens) -> Result<Self, BoxError> {
        let opened = Self { path, tokens };
        opened.install(&[])?;
        Ok(opened)
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

#[cfg(test)]
mod tests {
    use super::*;
    use adapters_security::TokenSettings;
    use std::fs;
    use std::path::Path;

    // Written by `openssl genpkey -algorithm ed25519`.
    const FIRST: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIM+0IFhdy56OealKOCk78RDA7fWJn2iMZL5czm6wcjy9
-----END PRIVATE KEY-----
";
    const SECOND: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIHud5gzw3F6kzEtuDr4Vaq93LeX8BOY4fc1vSMw6ul/o
-----END PRIVATE KEY-----
";

    fn keys_from(path: &Path) -> Result<KeysFromFile, BoxError> {
        let settings = TokenSettings { issuer: "t".into(), audience: "t".into() };
        KeysFromFile::open(path.into(), JwtTokens::new(settings))
    }

    #[test]
    fn the_keys_of_the_file_are_used_whatever_storage_holds_and_a_changed_file_is_taken_up() {
        let path = std::env::temp_dir().join(format!("techtrack-keys-{}.pem", std::process::id()));
        fs::write(&path, FIRST).unwrap();
        let tokens = keys_from(&path).unwrap();
        let of_storage = [tokens.generate(Timestamp::MIN).unwrap()];

        tokens.install(&of_storage).unwrap();
        let first = tokens.public_keys();
        assert_eq!(first.len(), 1);
        assert_ne!(first[0].id, of_storage[0].id);

        fs::write(&path, format!("{SECOND}{FIRST}")).unwrap();
        tokens.install(&of_storage).unwrap();
        let both = tokens.public_keys();
        assert_eq!((both.len(), &both[1]), (2, &first[0]));
        fs::remove_file(&path).unwrap();

        let refusal = tokens.install(&of_storage).unwrap_err().to_string();
        assert!(refusal.contains(path.to_str().unwrap()), "{refusal}");
        assert_eq!(tokens.public_keys(), both, "the keys before stay in use");
    }

    #[test]
    fn a_file_that_is_not_there_is_refused_at_once() {
        let refusal = keys_from(Path::new("/nowhere/keys.pem")).err().unwrap().to_string();
        assert!(refusal.contains("/nowhere/keys.pem"), "{refusal}");
    }
}
