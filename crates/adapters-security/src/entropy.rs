//! Randomness from the operating system, through aws-lc: secrets for machines and one-time passwords for people.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ports::Entropy;
use std::iter;

/// The system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

/// Small letters and digits that nobody confuses, written or spoken: no `i l 1`, no `o 0`.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// The letters of a one-time password: 79 bits.
const LETTERS: usize = 16;

const GROUP: usize = 4;

impl Entropy for SystemEntropy {
    fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(random_bytes::<32>())
    }

    fn one_time_password(&self) -> String {
        let mut password = String::with_capacity(LETTERS + LETTERS / GROUP);
        for (position, letter) in letters().take(LETTERS).enumerate() {
            if position > 0 && position % GROUP == 0 {
                password.push('-');
            }
            password.push(letter);
        }
        password
    }
}

/// Endless letters of the alphabet, all equally likely: of the 32 values that five bits take, the one without a letter is
/// thrown away instead of being folded onto another.
fn letters() -> impl Iterator<Item = char> {
    iter::repeat_with(random_bytes::<32>)
        .flatten()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 0b1_1111)))
        .map(|&letter| char::from(letter))
}

/// `N` random bytes.
///
/// # Panics
/// When the system has no randomness to give. A secret that can be guessed would be worse than none.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    assert!(filled.is_ok(), "the system gives no randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn a_secret_is_43_url_safe_letters_and_never_the_same() {
        let secrets: HashSet<String> = (0..1000).map(|_| SystemEntropy.secret()).collect();
        assert_eq!(secrets.len(), 1000);
        for secret in &secrets {
            assert_eq!(secret.len(), 43);
            assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        }
    }

    #[test]
    fn a_one_time_password_is_four_groups_of_four_letters_without_look_alikes() {
        let password = SystemEntropy.one_time_password();
        let groups: Vec<&str> = password.split('-').collect();
        assert_eq!(groups.len(), 4, "{password}");
        for group in groups {
            assert_eq!(group.len(), 4, "{password}");
            assert!(group.bytes().all(|letter| ALPHABET.contains(&letter)), "{password}");
        }
        assert!(!"il1o0".bytes().any(|letter| ALPHABET.contains(&letter)));
    }

    #[test]
    fn every_letter_of_a_one_time_password_is_equally_likely() {
        let drawn = 31 * 4000;
        let mut counts: HashMap<char, f64> = HashMap::new();
        for letter in letters().take(drawn) {
            *counts.entry(letter).or_default() += 1.0;
        }
        assert_eq!(counts.len(), ALPHABET.len());
        // Chi-squared with 30 degrees of freedom passes 80 about once in two million runs; folding one value of 32 onto
        // another letter would bring it to some 3,900.
        let chi_squared: f64 = counts.values().map(|count| (count - 4000.0).powi(2) / 4000.0).sum();
        assert!(chi_squared < 80.0, "{chi_squared}");
    }
}
