//! Secrets that are none: what documentation, templates and habit put where a secret should be.

use super::masking::MASK;
use adapters_security::is_common_password;
use domain::users::Password;

const WORDS: [&str; 12] = [
    "admin",
    "administrator",
    "changeit",
    "changeme",
    "changethis",
    "default",
    "example",
    "password",
    "placeholder",
    "replaceme",
    "secret",
    "techtrack",
];

/// Why a password in the configuration is not accepted, as it follows the setting's name.
pub(crate) fn weakness(password: &str, username: &str, min_length: usize) -> Option<String> {
    if is_placeholder(password) {
        return Some(
            "is a placeholder; choose a password of your own, or leave it out to have one made".to_owned(),
        );
    }
    match Password::parse(password, min_length, &[username]) {
        Err(refusal) => Some(refusal.message),
        Ok(password) if is_common_password(password.reveal(), &[username.to_owned()]) => {
            Some("is among the first that somebody would guess".to_owned())
        }
        Ok(_) => None,
    }
}

fn is_placeholder(password: &str) -> bool {
    let letters: String = password.chars().filter(|c| c.is_alphanumeric()).collect();
    let bracketed = |open, close| password.starts_with(open) && password.ends_with(close);
    WORDS.contains(&letters.to_ascii_lowercase().as_str())
        || password == MASK
        || bracketed("<", ">")
        || bracketed("${", "}")
        || bracketed("{{", "}}")
        || is_one_letter(password)
}

fn is_one_letter(password: &str) -> bool {
    let mut letters = password.chars();
    letters.next().is_some_and(|first| letters.all(|letter| letter == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_templates_put_in_place_of_a_password_is_refused_with_the_reason() {
        let placeholders = [
            "admin",
            "password",
            "changeme",
            "Change-Me!",
            "secret",
            "SECRET",
            "********",
            "<your password>",
            "${ADMIN_PASSWORD}",
            "{{ admin_password }}",
            "xxxxxxxxxxxx",
        ];
        for password in placeholders {
            let weakness = weakness(password, "root", 8).unwrap();
            assert!(weakness.contains("placeholder"), "{password:?}: {weakness}");
        }
    }

    #[test]
    fn a_password_too_short_or_equal_to_the_login_is_refused() {
        assert_eq!(weakness("a1b2c3", "root", 8).unwrap(), "must have at least 8 characters");
        assert_eq!(weakness("tR4m-cow", "root", 12).unwrap(), "must have at least 12 characters");
        let own = weakness("Line-Keeper", "line-keeper", 8).unwrap();
        assert!(own.contains("must not be the login"), "{own}");
    }

    #[test]
    fn a_common_password_is_refused() {
        for password in ["password123", "qwertyuiop", "admin2026"] {
            assert!(weakness(password, "admin", 8).unwrap().contains("guess"), "{password:?}");
        }
    }

    #[test]
    fn a_real_password_is_accepted() {
        assert_eq!(weakness("Tangerine-Dromedary-4", "admin", 8), None);
    }
}
