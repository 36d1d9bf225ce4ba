//! Tokens: JWTs signed with Ed25519, read back without trusting a word of theirs before the signature is checked.
//!
//! `form` is how claims look on the wire, `keyring` holds the keys. When a token lapses and what its bearer may do is for
//! `domain::sessions` to say; where keys come from and when they change, for `domain::app`.

mod form;
#[cfg(test)]
mod hostile;
mod keyring;
mod pem;

pub use keyring::KeyError;
pub use pem::signing_keys_from_pem;

use domain::error::BoxError;
use domain::id::{SessionId, UserId};
use domain::ports::{PublicKey, TokenError, Tokens};
use domain::sessions::{Claims, Purpose, SigningKey};
use domain::time::Timestamp;
use form::{Body, Head};
use jsonwebtoken::{Algorithm, Validation};
use keyring::{Key, Keyring};
use std::sync::{Arc, PoisonError, RwLock};

/// For whom and by whom tokens are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Who issues them: this installation's name, such as its public address.
    pub issuer: String,
    /// Who they are meant for.
    pub audience: String,
}

/// JWTs by EdDSA, and by nothing else whatever a token's header says.
pub struct JwtTokens {
    settings: TokenSettings,
    validation: Validation,
    keyring: RwLock<Arc<Keyring>>,
}

/// No token of ours comes near this length; what is longer is not worth reading.
const LONGEST: usize = 4096;

impl JwtTokens {
    /// Tokens for this issuer and audience. They can be signed and read once keys are installed.
    pub fn new(settings: TokenSettings) -> Self {
        let validation = validation(&settings);
        Self { settings, validation, keyring: RwLock::default() }
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn sign_with(&self, key: &Key, claims: &Claims) -> Result<String, BoxError> {
        let head = form::head(claims.purpose, key.id());
        let body = Body::of(claims, &self.settings);
        Ok(jsonwebtoken::encode(&head, &body, key.signing())?)
    }

    fn read_with(&self, keyring: &Keyring, token: &str) -> Result<Claims, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Invalid);
        }
        let head = Head::read(token).ok_or(TokenError::Invalid)?;
        let key = keyring.find(&head.kid).ok_or(TokenError::UnknownKey)?;
        jsonwebtoken::decode::<Body>(token, key.verifying(), &self.validation)
            .ok()
            .and_then(|read| read.claims.into_claims(&head))
            .ok_or(TokenError::Invalid)
    }

    /// Signs with each key and reads the token back, before anybody's sign-in depends on it. A jsonwebtoken that was
    /// built without its cryptography panics at first use; better at start than at the first request.
    fn prove(&self, keyring: &Keyring) -> Result<(), BoxError> {
        let probe = probe();
        for key in keyring.newest_first() {
            let token = self.sign_with(key, &probe)?;
            if self.read_with(keyring, &token) != Ok(probe.clone()) {
                return Err(KeyError::Useless(key.id().to_owned()).into());
            }
        }
        Ok(())
    }
}

impl Tokens for JwtTokens {
    fn generate(&self, now: Timestamp) -> Result<SigningKey, BoxError> {
        keyring::generate(now)
    }

    fn install(&self, keys: &[SigningKey]) -> Result<(), BoxError> {
        let keyring = Keyring::of(keys)?;
        self.prove(&keyring)?;
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
        Ok(())
    }

    fn sign(&self, claims: &Claims) -> Result<String, BoxError> {
        let keyring = self.keyring();
        let newest = keyring.newest().ok_or(KeyError::None)?;
        self.sign_with(newest, claims)
    }

    fn read(&self, token: &str) -> Result<Claims, TokenError> {
        self.read_with(&self.keyring(), token)
    }

    fn public_keys(&self) -> Vec<PublicKey> {
        self.keyring().newest_first().iter().map(Key::public).collect()
    }
}

/// What jsonwebtoken itself has to check. Times are left out: the caller judges them by the clock it was given.
fn validation(settings: &TokenSettings) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// Claims that lapsed in 1970: should a token with them ever get out, it opens nothing.
fn probe() -> Claims {
    const USER: UserId = UserId::new(1).unwrap();
    const SESSION: SessionId = SessionId::new(1).unwrap();
    Claims {
        purpose: Purpose::Refresh { generation: 1 },
        user: USER,
        session: SESSION,
        id: "probe".into(),
        issued_at: 0,
        expires_at: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> JwtTokens {
        JwtTokens::new(TokenSettings { issuer: "techtrack".into(), audience: "techtrack".into() })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn claims(purpose: Purpose) -> Claims {
        Claims {
            purpose,
            user: UserId::new(i64::MAX).unwrap(),
            session: SessionId::new(7).unwrap(),
            id: "a name, \"quoted\" and \u{1f9f0}".into(),
            issued_at: 1_777_879_800,
            expires_at: 1_777_880_400,
        }
    }

    #[test]
    fn what_was_signed_is_read_back_whole() {
        let tokens = tokens();
        tokens.install(&[tokens.generate(at(1)).unwrap()]).unwrap();
        for purpose in
            [Purpose::Access, Purpose::Refresh { generation: 1 }, Purpose::Refresh { generation: i64::MAX }]
        {
            let token = tokens.sign(&claims(purpose)).unwrap();
            assert_eq!(tokens.read(&token), Ok(claims(purpose)));
        }
    }

    #[test]
    fn the_same_claims_give_the_same_token() {
        let tokens = tokens();
        tokens.install(&[tokens.generate(at(1)).unwrap()]).unwrap();
        let sign = || tokens.sign(&claims(Purpose::Refresh { generation: 3 })).unwrap();
        assert_eq!(sign(), sign());
    }

    #[test]
    fn times_are_left_for_the_caller_to_judge() {
        let tokens = tokens();
        tokens.install(&[tokens.generate(at(1)).unwrap()]).unwrap();
        for (issued_at, expires_at) in [(0, 1), (253_402_300_000, 253_402_300_799), (10, 5)] {
            let claims = Claims { issued_at, expires_at, ..claims(Purpose::Access) };
            assert_eq!(tokens.read(&tokens.sign(&claims).unwrap()), Ok(claims));
        }
    }

    #[test]
    fn the_newest_key_signs_and_the_one_before_still_reads() {
        let tokens = tokens();
        let (old, new) = (tokens.generate(at(1)).unwrap(), tokens.generate(at(2)).unwrap());
        tokens.install(std::slice::from_ref(&old)).unwrap();
        let before = tokens.sign(&claims(Purpose::Access)).unwrap();
        tokens.install(&[new.clone(), old]).unwrap();
        let after = tokens.sign(&claims(Purpose::Access)).unwrap();
        assert_eq!(tokens.read(&before), Ok(claims(Purpose::Access)));
        assert_eq!(Head::read(&after).unwrap().kid, new.id);

        tokens.install(&[new]).unwrap();
        assert_eq!(tokens.read(&before), Err(TokenError::UnknownKey));
        assert_eq!(tokens.read(&after), Ok(claims(Purpose::Access)));
    }

    #[test]
    fn without_keys_nothing_is_signed_and_no_key_is_known() {
        let (ours, others) = (tokens(), tokens());
        others.install(&[others.generate(at(1)).unwrap()]).unwrap();
        let token = others.sign(&claims(Purpose::Access)).unwrap();
        assert_eq!(ours.read(&token), Err(TokenError::UnknownKey));
        assert!(ours.sign(&claims(Purpose::Access)).is_err());
        assert!(ours.public_keys().is_empty());
    }

    #[test]
    fn keys_that_do_not_do_are_refused_and_those_before_stay() {
        let tokens = tokens();
        let good = tokens.generate(at(1)).unwrap();
        tokens.install(std::slice::from_ref(&good)).unwrap();
        let another = tokens.generate(at(2)).unwrap();
        let refused = [
            vec![],
            vec![good.clone(), good.clone()],
            vec![good.clone(), SigningKey { private: b"no key".to_vec(), ..another.clone() }],
            vec![SigningKey { public: good.public.clone(), ..another.clone() }],
            vec![SigningKey { id: String::new(), ..another.clone() }],
            vec![SigningKey { id: "x".repeat(5000), ..another }],
        ];
        for keys in refused {
            assert!(tokens.install(&keys).is_err(), "{keys:?}");
        }
        assert_eq!(tokens.public_keys(), [PublicKey { id: good.id, bytes: good.public }]);
    }

    #[test]
    fn the_public_halves_verify_what_we_sign() {
        let tokens = tokens();
        let (old, new) = (tokens.generate(at(1)).unwrap(), tokens.generate(at(2)).unwrap());
        tokens.install(&[new.clone(), old.clone()]).unwrap();
        let public = tokens.public_keys();
        assert_eq!(public.iter().map(|key| &key.id).collect::<Vec<_>>(), [&new.id, &old.id]);

        let token = tokens.sign(&claims(Purpose::Access)).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        use base64::Engine;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verifies = |key: &PublicKey| {
            aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, &key.bytes)
                .verify(message.as_bytes(), &signature)
                .is_ok()
        };
        assert_eq!(public.iter().map(verifies).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_new_key_is_named_after_its_public_half() {
        let tokens = tokens();
        let key = tokens.generate(at(5)).unwrap();
        assert_eq!((key.id.len(), key.public.len(), key.created_at), (16, 32, at(5)));
        assert_ne!(key.id, tokens.generate(at(5)).unwrap().id);
    }

    proptest! {
        #[test]
        fn no_text_is_a_token_but_what_was_signed(
            text in "\\PC{0,40}|[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}",
            at: prop::sample::Index,
            with in any::<char>(),
        ) {
            let tokens = tokens();
            tokens.install(&[tokens.generate(self::at(1)).unwrap()]).unwrap();
            prop_assert!(tokens.read(&text).is_err());
            let token = tokens.sign(&claims(Purpose::Access)).unwrap();
            let mut forged: Vec<char> = token.chars().collect();
            let at = at.index(forged.len());
            forged[at] = with;
            let forged: String = forged.into_iter().collect();
            prop_assert!(forged == token || tokens.read(&forged).is_err(), "{} is taken for a token", forged);
        }
    }
}
