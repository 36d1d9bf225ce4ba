//! Signing keys from a file that an operator keeps, as `openssl genpkey -algorithm ed25519` writes them.

use super::keyring::{KeyError, from_pkcs8};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::sessions::SigningKey;
use domain::time::Timestamp;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// Reads every private key of a PEM text, the one that signs first. Whatever else the text holds is passed over.
///
/// When they were made the text does not say; their order says which is newest.
pub fn signing_keys_from_pem(text: &str) -> Result<Vec<SigningKey>, KeyError> {
    let blocks = text.split(BEGIN).skip(1);
    let keys = blocks.enumerate().map(|(index, block)| {
        let place = || KeyError::Malformed(format!("number {} of the file", index + 1));
        let (body, _) = block.split_once(END).ok_or_else(place)?;
        let letters: String = body.split_whitespace().collect();
        let private = STANDARD.decode(letters).map_err(|_| place())?;
        from_pkcs8(private, Timestamp::MIN).ok_or_else(place)
    });
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(KeyError::None) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::keyring::generate;

    // Written by `openssl genpkey -algorithm ed25519`.
    const BY_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIM+0IFhdy56OealKOCk78RDA7fWJn2iMZL5czm6wcjy9
-----END PRIVATE KEY-----
";

    fn pem(key: &SigningKey) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(&key.private))
    }

    #[test]
    fn a_key_keeps_its_name_and_halves_in_a_file() {
        let key = generate(Timestamp::MIN).unwrap();
        assert_eq!(signing_keys_from_pem(&pem(&key)).unwrap(), [key]);
    }

    #[test]
    fn several_keys_keep_their_order_and_what_is_between_them_is_passed_over() {
        let newest = generate(Timestamp::MIN).unwrap();
        let text = format!("made in May\n{}\nmade before\n{BY_OPENSSL}", pem(&newest));
        let keys = signing_keys_from_pem(&text).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0], newest);
    }

    #[test]
    fn a_text_without_keys_or_with_something_else_is_refused() {
        assert_eq!(signing_keys_from_pem("").unwrap_err(), KeyError::None);
        let spoilt = [
            BY_OPENSSL.replace("MC4C", "MC4D"),
            BY_OPENSSL.replace("MC4C", "????"),
            BY_OPENSSL.replace(END, ""),
        ];
        for text in spoilt {
            let error = signing_keys_from_pem(&text).unwrap_err();
            assert!(matches!(error, KeyError::Malformed(_)), "{error}");
        }
    }
}
