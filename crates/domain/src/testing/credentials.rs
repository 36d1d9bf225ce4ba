//! Passwords, secrets, tokens and seals without cryptography: every one can be read and made by hand in a test.

use crate::api_keys::Digest;
use crate::error::BoxError;
use crate::id::{SessionId, UserId};
use crate::ports::{
    Allowance, Allowances, Entropy, HashingError, Passwords, PublicKey, Sharing, TokenError, Tokens, Vault,
    VaultError, Verdict,
};
use crate::sessions::{Claims, Purpose, SigningKey};
use crate::text::fold;
use crate::time::Timestamp;
use crate::users::{Password, PasswordAttempt, PasswordHash};
use async_trait::async_trait;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Hashes a password by writing `plain:` before it.
///
/// A stored hash that begins with `outdated:` matches too and is found outdated, so that hashing anew can be tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainPasswords;

impl PlainPasswords {
    const TODAYS: &str = "plain:";
    const YESTERDAYS: &str = "outdated:";
    const COMMON: [&str; 8] =
        ["password", "password1", "passw0rd", "12345678", "123456789", "qwertyuiop", "iloveyou", "letmein1"];

    /// The hash that [`Passwords::hash`] makes of this password.
    pub fn hash_of(password: &str) -> PasswordHash {
        PasswordHash::restore(format!("{}{password}", Self::TODAYS))
    }

    /// A hash of this password that a hasher of older days made.
    pub fn outdated_hash_of(password: &str) -> PasswordHash {
        PasswordHash::restore(format!("{}{password}", Self::YESTERDAYS))
    }
}

#[async_trait]
impl Passwords for PlainPasswords {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        Ok(Self::hash_of(password.reveal()))
    }

    async fn verify(
        &self,
        attempt: &PasswordAttempt,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashingError> {
        let stored = stored.as_ref().map_or("", PasswordHash::as_str);
        let outdated = stored.strip_prefix(Self::YESTERDAYS);
        let revealed = outdated.or_else(|| stored.strip_prefix(Self::TODAYS));
        let matches = revealed == Some(attempt.reveal());
        Ok(Verdict { matches, outdated: matches && outdated.is_some() })
    }

    async fn stretch(&self, digest: &Digest) -> Result<Digest, HashingError> {
        Ok(PlainVault::mix(&[b"stretched", digest]))
    }

    /// Knows a handful of passwords that everybody tries, and one's own words with or without digits behind them.
    fn is_common(&self, password: &Password, own: &[String]) -> bool {
        let password = fold(password.reveal());
        let bare = password.trim_end_matches(|c: char| c.is_ascii_digit());
        let own_word = |word: &String| !word.is_empty() && fold(word) == bare;
        Self::COMMON.contains(&password.as_str()) || own.iter().any(own_word)
    }
}

/// Secrets that count: no two are the same, and each test run yields the same ones.
#[derive(Debug, Default)]
pub struct CountedEntropy(AtomicU64);

impl CountedEntropy {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Entropy for CountedEntropy {
    fn secret(&self) -> String {
        // The last letter carries four bits of the 32 bytes; `A` leaves the two bits after them zero.
        format!("secret-{:0>35}A", self.next())
    }

    fn one_time_password(&self) -> String {
        const LETTERS: &[u8; 10] = b"ACDEFGHJKM";
        let digits = format!("{:0>16}", self.next());
        let letters = digits.bytes().filter_map(|digit| LETTERS.get(usize::from(digit - b'0')));
        let mut password = String::new();
        for (position, letter) in letters.enumerate() {
            if position > 0 && position % 4 == 0 {
                password.push('-');
            }
            password.push(char::from(*letter));
        }
        password
    }
}

/// Tokens that anybody can read and forge: `kid.purpose.generation.user.session.issued.expires.id`.
#[derive(Debug, Default)]
pub struct PlainTokens {
    made: AtomicU64,
    installed: RwLock<Vec<SigningKey>>,
}

impl PlainTokens {
    fn installed(&self) -> Vec<SigningKey> {
        self.installed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn claims(text: &str) -> Option<Claims> {
        let mut parts = text.splitn(7, '.');
        let mut next = || parts.next();
        let (purpose, generation) = (next()?, next()?.parse().ok()?);
        Some(Claims {
            purpose: match purpose {
                "access" => Purpose::Access,
                "refresh" => Purpose::Refresh { generation },
                _ => return None,
            },
            user: UserId::parse(next()?)?,
            session: SessionId::parse(next()?)?,
            issued_at: next()?.parse().ok()?,
            expires_at: next()?.parse().ok()?,
            id: next()?.to_owned(),
        })
    }
}

impl Tokens for PlainTokens {
    fn generate(&self, now: Timestamp) -> Result<SigningKey, BoxError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("key-{number}");
        Ok(SigningKey {
            private: format!("private half of {id}").into_bytes(),
            public: format!("{id:.<32}").into_bytes(),
            id,
            created_at: now,
        })
    }

    fn install(&self, keys: &[SigningKey]) -> Result<(), BoxError> {
        *self.installed.write().unwrap_or_else(PoisonError::into_inner) = keys.to_vec();
        Ok(())
    }

    fn sign(&self, claims: &Claims) -> Result<String, BoxError> {
        let keys = self.installed();
        let newest = keys.first().ok_or("no signing key is installed")?;
        let (purpose, generation) = match claims.purpose {
            Purpose::Access => ("access", 0),
            Purpose::Refresh { generation } => ("refresh", generation),
        };
        Ok(format!(
            "{}.{purpose}.{generation}.{}.{}.{}.{}.{}",
            newest.id, claims.user, claims.session, claims.issued_at, claims.expires_at, claims.id
        ))
    }

    fn read(&self, token: &str) -> Result<Claims, TokenError> {
        let (kid, rest) = token.split_once('.').ok_or(TokenError::Invalid)?;
        let claims = Self::claims(rest).ok_or(TokenError::Invalid)?;
        if self.installed().iter().any(|key| key.id == kid) {
            Ok(claims)
        } else {
            Err(TokenError::UnknownKey)
        }
    }

    fn public_keys(&self) -> Vec<PublicKey> {
        let public = |key: SigningKey| PublicKey { id: key.id, bytes: key.public };
        self.installed().into_iter().map(public).collect()
    }
}

/// Digests that tell different inputs apart, and seals that notice a change by accident. This is no cryptography.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainVault;

impl PlainVault {
    fn mix(parts: &[&[u8]]) -> Digest {
        let mut digest = Digest::default();
        for (lane, bytes) in digest.chunks_exact_mut(8).enumerate() {
            let mut hasher = DefaultHasher::new();
            (lane, parts).hash(&mut hasher);
            bytes.copy_from_slice(&hasher.finish().to_be_bytes());
        }
        digest
    }

    fn veil(key: &[u8], content: &[u8]) -> Vec<u8> {
        let pad = Self::mix(&[b"veil", key]);
        content.iter().zip(pad.iter().cycle()).map(|(byte, pad)| byte ^ pad).collect()
    }
}

impl Vault for PlainVault {
    fn digest<'a>(&self, parts: &'a [&'a [u8]]) -> Digest {
        Self::mix(parts)
    }

    fn keyed_digest<'a>(&self, key: &'a [u8], parts: &'a [&'a [u8]]) -> Digest {
        Self::mix(&[b"keyed", key, &Self::mix(parts)])
    }

    fn seal(&self, key: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut sealed = self.keyed_digest(key, &[content]).to_vec();
        sealed.extend(Self::veil(key, content));
        Ok(sealed)
    }

    fn open(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (tag, veiled) = sealed.split_at_checked(size_of::<Digest>()).ok_or(VaultError)?;
        let content = Self::veil(key, veiled);
        if tag == self.keyed_digest(key, &[&content]) { Ok(content) } else { Err(VaultError) }
    }
}

/// Grants every request and counts none.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnlimitedAllowances;

#[async_trait]
impl Allowances for UnlimitedAllowances {
    async fn take(&self, _caller: &str, per_minute: u32) -> Allowance {
        Allowance { granted: true, limit: per_minute, remaining: per_minute, retry_after: Duration::ZERO }
    }

    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pollster::block_on;

    fn claims() -> Claims {
        Claims {
            purpose: Purpose::Refresh { generation: 3 },
            user: UserId::new(7).unwrap(),
            session: SessionId::new(8).unwrap(),
            id: "a.b".into(),
            issued_at: 100,
            expires_at: 700,
        }
    }

    #[test]
    fn a_password_matches_its_own_hash_alone_and_an_old_hash_is_found_outdated() {
        let verdict = |stored| block_on(PlainPasswords.verify(&PasswordAttempt::new("right horse"), stored));
        let of = |matches, outdated| Verdict { matches, outdated };
        let right = PlainPasswords::hash_of("right horse");
        assert_eq!(verdict(Some(right)).unwrap(), of(true, false));
        let old = PlainPasswords::outdated_hash_of("right horse");
        assert_eq!(verdict(Some(old)).unwrap(), of(true, true));
        let other = PlainPasswords::hash_of("wrong horse");
        assert_eq!(verdict(Some(other)).unwrap(), of(false, false));
        assert_eq!(verdict(None).unwrap(), of(false, false));
    }

    #[test]
    fn what_everybody_tries_and_ones_own_words_are_common() {
        let common = |text| {
            let password = Password::parse(text, 8, &[]).unwrap();
            PlainPasswords.is_common(&password, &["anna.maria".into(), String::new()])
        };
        assert!(common("Password") && common("12345678") && common("anna.maria1987"));
        assert!(!common("correct horse") && !common("90210902"));
    }

    #[test]
    fn secrets_have_the_promised_shape_and_differ() {
        let entropy = CountedEntropy::default();
        let (one, two) = (entropy.secret(), entropy.secret());
        assert!(one != two && one.len() == 43);
        let (one, two) = (entropy.one_time_password(), entropy.one_time_password());
        assert!(one != two);
        assert_eq!(one, "AAAA-AAAA-AAAA-AAAE");
    }

    #[test]
    fn a_token_is_read_back_as_long_as_its_key_is_installed() {
        let tokens = PlainTokens::default();
        assert!(tokens.sign(&claims()).is_err());
        let old = tokens.generate(Timestamp::MIN).unwrap();
        tokens.install(std::slice::from_ref(&old)).unwrap();
        let token = tokens.sign(&claims()).unwrap();
        assert_eq!(tokens.read(&token), Ok(claims()));

        let new = tokens.generate(Timestamp::MAX).unwrap();
        tokens.install(&[new.clone(), old]).unwrap();
        assert_eq!(tokens.read(&token), Ok(claims()));
        assert!(tokens.sign(&claims()).unwrap().starts_with("key-2."));

        tokens.install(&[new]).unwrap();
        assert_eq!(tokens.read(&token), Err(TokenError::UnknownKey));
        assert_eq!(tokens.read("key-2.nonsense"), Err(TokenError::Invalid));
        assert!(tokens.public_keys().iter().all(|key| key.bytes.len() == 32));
    }

    #[test]
    fn digests_tell_apart_where_one_part_ends_and_the_next_begins() {
        assert_eq!(PlainVault.digest(&[b"ab", b"c"]), PlainVault.digest(&[b"ab", b"c"]));
        assert_ne!(PlainVault.digest(&[b"ab", b"c"]), PlainVault.digest(&[b"a", b"bc"]));
        assert_ne!(PlainVault.keyed_digest(b"one", &[b"a"]), PlainVault.keyed_digest(b"two", &[b"a"]));
    }

    #[test]
    fn a_seal_opens_with_its_key_and_unchanged_alone() {
        let sealed = PlainVault.seal(b"key", b"a secret").unwrap();
        assert_eq!(PlainVault.open(b"key", &sealed), Ok(b"a secret".to_vec()));
        assert_eq!(PlainVault.open(b"yek", &sealed), Err(VaultError));
        let mut changed = sealed;
        changed[35] ^= 1;
        assert_eq!(PlainVault.open(b"key", &changed), Err(VaultError));
        assert_eq!(PlainVault.open(b"key", b"short"), Err(VaultError));
    }
}
