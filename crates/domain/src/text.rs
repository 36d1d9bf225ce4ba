//! Text that people type, turned once into types that hold their rules: logins, e-mails, phones, names, secrets.
//!
//! `parse` takes untrusted text; `restore` takes what storage kept and believes it.

use crate::error::Reason;
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

/// NFKC: one spelling for what looks the same.
pub fn nfkc(text: &str) -> String {
    text.nfkc().collect()
}

/// The form in which names are compared: NFKC with case folding, so that `ＡDMIN`, `Admin` and `admin` are one.
pub fn fold(text: &str) -> String {
    nfkc(&caseless::default_case_fold_str(&nfkc(text)))
}

/// Refuses what no single-line field may hold: control characters (NUL among them) and invisible format characters,
/// which turn text around or hide in it.
fn refuse_invisible(text: &str) -> Result<(), Reason> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    if text.chars().any(hidden) {
        return Err(Reason::new("invisible", "must not contain control or invisible characters"));
    }
    Ok(())
}

fn refuse_length(text: &str, least: usize, most: usize) -> Result<(), Reason> {
    let length = text.chars().count();
    if length < least {
        let message = if length == 0 {
            "must not be empty".into()
        } else {
            format!("must have at least {least} characters")
        };
        return Err(Reason::new("too_short", message));
    }
    if length > most {
        return Err(Reason::new("too_long", format!("must have at most {most} characters")));
    }
    Ok(())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// What storage kept: checked when it was parsed, believed now.
            pub fn restore(text: String) -> Self {
                Self(text)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

texts! {
    /// What a person signs in with: 1 to 64 letters, digits or `. _ - + @`, starting with a letter or digit, in one script.
    Username,
    /// An e-mail address as its owner writes it.
    Email,
    /// A phone number: an optional `+` and 5 to 15 digits.
    Phone,
    /// A role's name: 1 to 64 of `A-Z a-z 0-9 _ -`, starting with a letter.
    RoleName,
    /// A short name that people give to things, up to 100 characters.
    Label,
    /// A line or more of free text, up to 1,000 characters.
    Description,
    /// A serial number: 1 to 64 visible characters.
    SerialNumber,
    /// Where something stands: up to 8 names of 1 to 64 visible characters, joined by `/`, such as `plant-1/line-2`.
    Location,
}

impl Label {
    /// The form in which names are compared.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl SerialNumber {
    /// Reads a serial number; blanks around it are dropped.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let text = text.trim();
        refuse_invisible(text)?;
        refuse_length(text, 1, 64)?;
        Ok(Self(text.to_owned()))
    }

    /// The form in which serial numbers are compared.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl Location {
    /// Reads a path of names, without a `/` at either end.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        refuse_invisible(text)?;
        refuse_length(text, 1, 200)?;
        let fits = |name: &str| (1..=64).contains(&name.chars().count()) && name.trim() == name;
        if !text.split('/').all(fits) || text.split('/').count() > 8 {
            return Err(Reason::new("location", "must be a path of at most 8 names, such as plant-1/line-2"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether this is `above` or lies below it.
    pub fn is_under(&self, above: &Location) -> bool {
        self.0.strip_prefix(&above.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Username {
    /// Reads a login, normalised to NFKC.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        refuse_invisible(text)?;
        let text = nfkc(text);
        refuse_length(&text, 1, 64)?;
        let allowed = |c: char| {
            c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c) || ".-_+@".contains(c)
        };
        if !text.starts_with(char::is_alphanumeric) || !text.chars().all(allowed) {
            return Err(Reason::new(
                "characters",
                "may have letters, digits and . _ - + @, and starts with a letter or digit",
            ));
        }
        // UTS 39: one script, or the few mixtures that languages really write; `pаypal` with a Cyrillic `а` is neither.
        let letters: String = text.chars().filter(|c| !".-_+@".contains(*c)).collect();
        if letters.detect_restriction_level() > RestrictionLevel::HighlyRestrictive {
            return Err(Reason::new("mixed_scripts", "must not mix letters of different scripts"));
        }
        Ok(Self(text))
    }

    /// The form in which logins are compared.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl Email {
    /// Reads an e-mail address of at most 254 characters.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        refuse_invisible(text)?;
        let text = nfkc(text);
        refuse_length(&text, 1, 254)?;
        let plain = email_address::Options::default().without_display_text().without_domain_literal();
        if email_address::EmailAddress::parse_with_options(&text, plain).is_err() {
            return Err(Reason::new("email", "must be an e-mail address, such as name@example.com"));
        }
        Ok(Self(text))
    }

    /// The form in which addresses are compared.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl Phone {
    /// Reads a phone number; blanks, dots, dashes, slashes and parentheses are left out.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let bare: String = text.chars().filter(|c| !" .-/()".contains(*c)).collect();
        let digits = bare.strip_prefix('+').unwrap_or(&bare);
        let plausible = (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plausible || text.len() > 40 {
            return Err(Reason::new(
                "phone",
                "must be a phone number of 5 to 15 digits, such as +49 170 1234567",
            ));
        }
        Ok(Self(bare))
    }

    /// The form in which numbers are compared: the digits alone.
    pub fn key(&self) -> String {
        self.0.trim_start_matches('+').to_owned()
    }
}

impl RoleName {
    /// Reads a role's name.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        refuse_length(text, 1, 64)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.bytes().all(allowed) {
            return Err(Reason::new(
                "characters",
                "may have A-Z, a-z, 0-9, _ and -, and starts with a letter",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The form in which role names are compared.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl Label {
    /// Reads a name of 1 to 100 visible characters; blanks around it are dropped.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let text = text.trim();
        refuse_invisible(text)?;
        refuse_length(text, 1, 100)?;
        Ok(Self(text.to_owned()))
    }
}

impl Description {
    /// Reads free text, which may be empty and may have several lines.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let single_line: String = text.chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect();
        refuse_invisible(&single_line)?;
        refuse_length(text, 0, 1000)?;
        Ok(Self(text.to_owned()))
    }
}

/// Text that must not be seen: `Debug` masks it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Say where it goes when you call this.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(********)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_that_look_alike_compare_equal() {
        let keys = ["admin", "Admin", "ＡＤＭＩＮ"].map(|text| Username::parse(text).unwrap().key());
        assert!(keys.iter().all(|key| key == "admin"), "{keys:?}");
        assert_eq!(Username::parse("Straße").unwrap().key(), Username::parse("STRASSE").unwrap().key());
    }

    #[test]
    fn a_login_of_one_script_is_welcome_whatever_the_script() {
        for text in ["anna", "Олег", "張偉", "josé.3", "79990001122", "a@b.example"] {
            assert!(Username::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_login_that_could_be_mistaken_for_another_is_refused() {
        let cases = [
            ("", "too_short"),
            ("pаypal", "mixed_scripts"),
            ("ad\u{202e}min", "invisible"),
            ("ad\0min", "invisible"),
            ("zero\u{200b}width", "invisible"),
            ("two words", "characters"),
            ("-dash", "characters"),
            ("a/b", "characters"),
        ];
        for (text, code) in cases {
            assert_eq!(Username::parse(text).unwrap_err().code, code, "{text:?}");
        }
        assert_eq!(Username::parse(&"x".repeat(65)).unwrap_err().code, "too_long");
    }

    #[test]
    fn a_phone_number_is_compared_by_its_digits() {
        let spaced = Phone::parse("+49 (170) 123-45.67").unwrap();
        assert_eq!(spaced.as_str(), "+491701234567");
        assert_eq!(spaced.key(), Phone::parse("491701234567").unwrap().key());
        for bad in ["", "1234", "12345678901234567890", "12a45", "+", "١٢٣٤٥"] {
            assert!(Phone::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_email_is_compared_without_case() {
        assert_eq!(Email::parse("Anna@Example.COM").unwrap().key(), "anna@example.com");
        for bad in [
            "",
            "anna",
            "anna@",
            "@example.com",
            "an na@example.com",
            "Anna <anna@example.com>",
            "a@b\u{202e}.com",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_location_lies_under_itself_and_what_its_path_begins_with() {
        let at = |text: &str| Location::parse(text).unwrap();
        assert!(at("plant-1/line-2").is_under(&at("plant-1")));
        assert!(at("plant-1").is_under(&at("plant-1")));
        assert!(!at("plant-10/line-2").is_under(&at("plant-1")));
        for bad in ["", "/plant", "plant/", "a//b", "a/ b", "a\0b", "a/b/c/d/e/f/g/h/i"] {
            assert!(Location::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Secret::new("hunter42")), "Secret(********)");
    }
}
