//! Digests (SHA-256, HMAC-SHA-256) and seals (AES-256-GCM-SIV under a key that HKDF derives).
//!
//! A seal is `nonce (12) ‖ ciphertext ‖ tag (16)`. GCM-SIV, because its nonces are random and it stays safe should two of
//! them ever be the same.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hkdf, hmac};
use domain::api_keys::Digest;
use domain::ports::{Vault, VaultError};

/// Digests and seals by aws-lc.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsVault;

/// Separates this use of a key from every other one, so that a key given to both tells nothing about either.
const SEALING: &[u8] = b"techtrack vault: seal 1";

impl Vault for AwsVault {
    fn digest<'a>(&self, parts: &'a [&'a [u8]]) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        each_with_length(parts, |bytes| context.update(bytes));
        array(context.finish().as_ref())
    }

    fn keyed_digest<'a>(&self, key: &'a [u8], parts: &'a [&'a [u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        each_with_length(parts, |bytes| context.update(bytes));
        array(context.sign().as_ref())
    }

    fn seal(&self, key: &[u8], content: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(key, content).map_err(|Unspecified| VaultError)
    }

    fn open(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        open(key, sealed).map_err(|Unspecified| VaultError)
    }
}

/// Feeds the parts, each after its length, so that no two lists of parts run together into the same bytes.
fn each_with_length(parts: &[&[u8]], mut update: impl FnMut(&[u8])) {
    for part in parts {
        update(&(part.len() as u64).to_be_bytes());
        update(part);
    }
}

fn seal(key: &[u8], content: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut body = content.to_vec();
    let nonce = sealing_key(key)?.seal_in_place_append_tag(Aad::empty(), &mut body)?;
    Ok([nonce.as_ref().as_slice(), &body].concat())
}

fn open(key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unspecified)?;
    let mut body = body.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let content = sealing_key(key)?.open_in_place(nonce, Aad::empty(), &mut body)?;
    Ok(content.to_vec())
}

fn sealing_key(key: &[u8]) -> Result<RandomizedNonceKey, Unspecified> {
    let mut bytes = [0; 32];
    hkdf::Salt::none(hkdf::HKDF_SHA256)
        .extract(key)
        .expand(&[SEALING], hkdf::HKDF_SHA256)?
        .fill(&mut bytes)?;
    RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes)
}

/// The bytes of a SHA-256, which are 32 by definition.
fn array(bytes: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(bytes);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_digest_is_sha_256_over_lengths_and_parts() {
        // printf '\0\0\0\0\0\0\0\3abc\0\0\0\0\0\0\0\0' | sha256sum
        assert_eq!(
            hex(&AwsVault.digest(&[b"abc", b""])),
            "f5a934b5ab96157b46905e4dec48ff8175fe8926c36ec293b98c8fbd0886171b"
        );
    }

    #[test]
    fn a_keyed_digest_is_hmac_sha_256_over_lengths_and_parts() {
        // printf '\0\0\0\0\0\0\0\3abc' | openssl dgst -sha256 -hmac key
        assert_eq!(
            hex(&AwsVault.keyed_digest(b"key", &[b"abc"])),
            "1d53d5920fce3f0b311c9f8ecf0fceaba4b4a87d4ae1c9bc98becb0d165135e5"
        );
    }

    #[test]
    fn parts_that_read_the_same_when_joined_have_different_digests() {
        let lists: [&[&[u8]]; 6] =
            [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[b"", b"abc"], &[]];
        let digests: HashSet<Digest> = lists.iter().map(|parts| AwsVault.digest(parts)).collect();
        assert_eq!(digests.len(), lists.len());
        let keyed: HashSet<Digest> = lists.iter().map(|parts| AwsVault.keyed_digest(b"k", parts)).collect();
        assert_eq!(keyed.len(), lists.len());
    }

    #[test]
    fn a_sealed_text_opens_with_its_key_and_is_sealed_differently_each_time() {
        for content in [b"".as_slice(), b"x", &[7; 10_000]] {
            let (one, other) =
                (AwsVault.seal(b"key", content).unwrap(), AwsVault.seal(b"key", content).unwrap());
            assert_eq!(AwsVault.open(b"key", &one).unwrap(), content);
            assert_eq!(AwsVault.open(b"key", &other).unwrap(), content);
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_seal_does_not_open_with_another_key() {
        let sealed = AwsVault.seal(b"key", b"content").unwrap();
        for key in [b"kex".as_slice(), b"", b"key\0", b"keykey"] {
            assert_eq!(AwsVault.open(key, &sealed), Err(VaultError));
        }
    }

    #[test]
    fn a_seal_with_any_bit_changed_or_any_byte_lost_does_not_open() {
        let sealed = AwsVault.seal(b"key", b"content").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(AwsVault.open(b"key", &changed), Err(VaultError), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(AwsVault.open(b"key", &sealed[..length]), Err(VaultError), "{length} bytes");
        }
        assert_eq!(AwsVault.open(b"key", &[&sealed[..], &[0]].concat()), Err(VaultError));
    }
}
