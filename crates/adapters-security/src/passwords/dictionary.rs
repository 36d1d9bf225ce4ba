//! What guessers try first. zxcvbn brings the lists of common passwords, names, words, dates, keyboard walks, repeats and
//! their usual spellings, all offline; this module decides how much of that is too much, and what looking may cost.

/// Fewer guesses than this make a password common. Sign-in allows some thousand guesses a day, so the bar is set to
/// stop what falls at once and nothing that merely could be better.
const COMMON: u64 = 100_000;

/// How many characters are looked at together. The cost grows with their square, and no word list has longer entries.
const WINDOW: usize = 24;

/// Whether a guesser's dictionary holds the password, or builds it from the words in `own`.
///
/// A long password is common when each stretch of it is: `12345678` does not become rare by being typed ten times.
pub fn finds(password: &str, own: &[String]) -> bool {
    let own = words(own);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let characters: Vec<char> = password.chars().map(plain_spelling).collect();
    characters.chunks(WINDOW).all(|stretch| {
        let stretch: String = stretch.iter().collect();
        zxcvbn::zxcvbn(&stretch, &own).guesses() < COMMON
    })
}

/// Symbols that stand for the same letter, as one symbol. zxcvbn tries every combination of what a symbol may stand for;
/// with all of them in one password that is many hundred, and takes it a quarter of a second.
fn plain_spelling(c: char) -> char {
    match c {
        '{' | '[' | '<' => '(',
        '|' => '!',
        other => other,
    }
}

/// One's own words, whole and in their parts, so that `anna.berg@example.com` also stands for `anna.berg`, `anna` and
/// `berg`.
fn words(own: &[String]) -> Vec<String> {
    let limited = |word: &str| word.chars().take(WINDOW).collect::<String>();
    let mut words = Vec::new();
    for name in own {
        let (local, _domain) = name.split_once('@').unwrap_or((name, ""));
        words.extend([limited(name), limited(local)]);
        let parts = name.split(|c: char| !c.is_alphanumeric());
        words.extend(parts.filter(|part| part.chars().count() > 2).map(limited));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn found(password: &str) -> bool {
        let own = ["anna", "anna.berg@techtrack.example"].map(str::to_owned);
        finds(password, &own)
    }

    #[test]
    fn what_everybody_tries_is_found() {
        let common = [
            "password1",
            "Password123",
            "Passw0rd",
            "P@ssw0rd1",
            "12345678",
            "11111111",
            "1q2w3e4r",
            "zaq12wsx",
            "qwertyuiop",
            "qwerty123",
            "!@#$%^&*()",
            "iloveyou1",
            "letmein1",
            "monkey123",
            "changeme1",
            "admin123",
            "administrator",
            "aaaaaaaa",
            "abcdefgh",
            "19900101",
            "summer2026",
            "hunter42",
        ];
        for password in common {
            assert!(found(password), "{password}");
        }
    }

    #[test]
    fn what_is_made_of_ones_own_words_is_found() {
        for password in [
            "anna1234",
            "Anna1234",
            "annaanna",
            "anna2026",
            "anna.berg1",
            "bergberg",
            "techtrack1",
            "annaberg",
        ] {
            assert!(found(password), "{password}");
        }
        assert!(!finds("techtrack1", &[]), "it is the word's owner who gives it away");
    }

    #[test]
    fn what_takes_more_than_a_dictionary_is_not_found() {
        let uncommon = [
            "Str0ng-Passw0rd!",
            "correct horse battery staple",
            "correct-horse",
            "kX9#mQ2$vL",
            "S3cure!Pass_2026",
            "Pa55-word-for-anna",
            "Tr0ub4dour&3",
            "Operator-1!",
            "blue-lamp-7",
            "anna-loves-bob",
            "пароль-для-Ивана",
            "b7kd-9xqm-r4tz-pwc2",
        ];
        for password in uncommon {
            assert!(!found(password), "{password}");
        }
    }

    #[test]
    fn a_common_password_stays_common_however_often_it_is_repeated() {
        for stretch in ["a", "ab", "12345678", "password"] {
            let password: String = stretch.chars().cycle().take(256).collect();
            assert!(found(&password), "{stretch}");
        }
        let mostly_repeats = format!("{}kX9#mQ2$vL", "a".repeat(WINDOW));
        assert!(!found(&mostly_repeats));
    }

    #[test]
    fn the_costliest_text_is_judged_quickly() {
        // Every symbol that may stand for a letter, first thing or behind a long stretch that is common.
        let costly = "@4({[<36!1|7$5+0%829".repeat(13);
        let late = format!("{}{costly}", "1".repeat(240));
        for password in [costly, late, "a".repeat(100_000)] {
            let password: String = password.chars().take(256).collect();
            let judged = |_round| {
                let start = Instant::now();
                found(&password);
                start.elapsed()
            };
            let quickest = (0..3).map(judged).min().unwrap();
            // Unoptimised code takes ten times as long as what is shipped, and unguarded a hundred times.
            assert!(quickest < Duration::from_millis(500), "{quickest:?}");
        }
    }
}
