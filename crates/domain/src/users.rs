//! People with accounts: what is kept of them, how a change is judged, what a password must be.
//!
//! Mentorship has its own page, [`crate::mentors`]; the verbs are in [`crate::app::users`].

use crate::error::Reason;
use crate::id::{UserId, Version};
use crate::page::{Order, PageRequest};
use crate::text::{Email, Phone, RoleName, Secret, Username, fold, nfkc};
use crate::time::{Span, Timestamp};
use std::fmt;

/// A password's argon2id hash in PHC form, parameters and salt included. `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash as hasher or storage hands it over.
    pub fn restore(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(********)")
    }
}

/// How a stored password may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As often as its owner likes.
    Lasting,
    /// For one sign-in, until this instant; whoever reset it chose it.
    OneTime {
        /// When it lapses.
        expires_at: Timestamp,
    },
    /// Its one sign-in is over; it still proves who sets the next password.
    Spent,
}

/// What is kept of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPassword {
    /// Its hash.
    pub hash: PasswordHash,
    /// What it is good for.
    pub standing: Standing,
}

impl StoredPassword {
    /// A password that its owner chose.
    pub fn lasting(hash: PasswordHash) -> Self {
        Self { hash, standing: Standing::Lasting }
    }

    /// Whether a sign-in with it is allowed now.
    pub fn opens_a_session(&self, now: Timestamp) -> bool {
        match self.standing {
            Standing::Lasting => true,
            Standing::OneTime { expires_at } => now < expires_at,
            Standing::Spent => false,
        }
    }

    /// Whether its owner should choose another one.
    pub fn must_change(&self) -> bool {
        !matches!(self.standing, Standing::Lasting)
    }
}

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The login.
    pub username: Username,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone: Option<Phone>,
    /// What is kept of the password.
    pub password: StoredPassword,
    /// Whether the person may have mentees.
    pub is_mentor: bool,
    /// Whether the person may sign in.
    pub is_active: bool,
    /// Who mentors the person.
    pub mentor: Option<UserId>,
    /// How often it was written.
    pub version: Version,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When the person last signed in.
    pub last_login_at: Option<Timestamp>,
}

impl User {
    /// Whether others may choose this person as their mentor.
    pub fn can_mentor(&self) -> bool {
        self.is_mentor && self.is_active
    }
}

/// An account to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The login.
    pub username: Username,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone: Option<Phone>,
    /// What is kept of the password.
    pub password: StoredPassword,
    /// Whether the person may have mentees.
    pub is_mentor: bool,
    /// Whether the person may sign in.
    pub is_active: bool,
    /// Who mentors the person.
    pub mentor: Option<UserId>,
    /// When the account is made.
    pub created_at: Timestamp,
}

/// A user with what hangs on them in other places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// The account.
    pub user: User,
    /// The names of its roles, in alphabetical order of their keys.
    pub roles: Vec<RoleName>,
    /// The mentor's login.
    pub mentor: Option<Username>,
    /// The mentees' logins, ordered by id.
    pub mentees: Vec<Username>,
}

/// A user named by a client, by number or by login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// By number.
    Id(UserId),
    /// By login.
    Login(Username),
}

/// Which users a list is about. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Logins.
    pub usernames: Vec<Username>,
    /// E-mail addresses.
    pub emails: Vec<Email>,
    /// Phone numbers.
    pub phones: Vec<Phone>,
    /// Roles held.
    pub roles: Vec<RoleName>,
    /// Whether they are mentors.
    pub is_mentor: Option<bool>,
    /// Whether they may sign in.
    pub is_active: Option<bool>,
    /// Their mentors.
    pub mentors: Vec<UserRef>,
    /// When the accounts were made.
    pub created: Span,
    /// Text that occurs in the login (compared folded) or, where `search_private`, in e-mail or phone.
    pub search: Option<String>,
    /// Whether the search looks into e-mail and phone too.
    pub search_private: bool,
}

/// What users can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKey {
    /// The number.
    Id,
    /// The folded login, compared byte by byte.
    Username,
    /// The folded e-mail; users without one count as smallest.
    Email,
    /// Not mentors before mentors.
    IsMentor,
    /// Inactive before active.
    IsActive,
    /// When the account was made.
    CreatedAt,
    /// When it was last written.
    UpdatedAt,
    /// When the person last signed in; never counts as smallest.
    LastLoginAt,
}

/// A question for a list of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Which users.
    pub filter: UserFilter,
    /// In which order; ties and an empty list end in the id.
    pub order: Vec<Order<UserKey>>,
    /// Which page.
    pub page: PageRequest,
}

/// A password that somebody typed to prove who they are. Never refused, only found wrong.
#[derive(Clone, Debug)]
pub struct PasswordAttempt(Secret);

impl PasswordAttempt {
    /// Normalises as [`Password::parse`] does, so that keyboards which compose letters differently still agree.
    pub fn new(text: &str) -> Self {
        Self(Secret::new(nfkc(text)))
    }

    /// The normalised text, for the hasher.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Whether no stored password can be this long, so that hashing it in full would only serve an attacker.
    pub fn is_oversized(&self) -> bool {
        self.reveal().chars().count() > Password::MAX_LENGTH
    }
}

/// A password acceptable by length and by not being the login or the e-mail. Whether it is a common one, the hasher's
/// dictionary knows; see [`crate::ports::Passwords::is_common`].
#[derive(Clone, Debug)]
pub struct Password(Secret);

impl Password {
    /// The most characters that a password may have.
    pub const MAX_LENGTH: usize = 256;

    /// Reads a password that somebody wants to use. `own` are the login and e-mail that it must not repeat.
    pub fn parse(text: &str, min_length: usize, own: &[&str]) -> Result<Self, Reason> {
        let text = nfkc(text);
        let length = text.chars().count();
        if length < min_length {
            return Err(Reason::new("too_short", format!("must have at least {min_length} characters")));
        }
        if length > Self::MAX_LENGTH {
            return Err(Reason::new(
                "too_long",
                format!("must have at most {} characters", Self::MAX_LENGTH),
            ));
        }
        if text.contains('\0') {
            return Err(Reason::new("invisible", "must not contain NUL"));
        }
        let password = Self(Secret::new(text));
        password.must_differ_from(own)?;
        Ok(password)
    }

    /// Refuses a password that repeats one of these names: login, e-mail, or what stands before the e-mail's `@`.
    pub fn must_differ_from(&self, own: &[&str]) -> Result<(), Reason> {
        let folded = fold(self.reveal());
        let repeats = |name: &&str| {
            let name = fold(name);
            folded == name || name.split_once('@').is_some_and(|(local, _)| local == folded)
        };
        if own.iter().any(repeats) {
            return Err(Reason::new("same_as_name", "must not be the login or the e-mail address"));
        }
        Ok(())
    }

    /// The normalised text, for the hasher.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_counted_in_characters_after_normalising() {
        assert!(Password::parse("пароль12", 8, &[]).is_ok());
        assert_eq!(Password::parse("ﬁ\u{301}xed", 8, &[]).unwrap_err().code, "too_short");
        assert!(Password::parse(&"ü".repeat(256), 8, &[]).is_ok());
        assert_eq!(Password::parse(&"x".repeat(257), 8, &[]).unwrap_err().code, "too_long");
    }

    #[test]
    fn a_password_that_repeats_login_or_email_is_refused() {
        for text in ["Anna.Maria", "anna.maria@example.com", "ANNA.MARIA"] {
            let refused = Password::parse(text, 8, &["anna.maria", "anna.maria@example.com"]);
            assert_eq!(refused.unwrap_err().code, "same_as_name", "{text}");
        }
    }

    #[test]
    fn an_attempt_is_normalised_like_the_password_it_should_match() {
        let chosen = Password::parse("pa\u{308}ssword", 8, &[]).unwrap();
        assert_eq!(PasswordAttempt::new("p\u{e4}ssword").reveal(), chosen.reveal());
    }

    #[test]
    fn a_one_time_password_opens_one_session_before_it_lapses() {
        let hash = PasswordHash::restore("$x".into());
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).unwrap();
        let one_time =
            StoredPassword { hash: hash.clone(), standing: Standing::OneTime { expires_at: at(10) } };
        assert!(one_time.opens_a_session(at(9)) && !one_time.opens_a_session(at(10)));
        assert!(!StoredPassword { hash, standing: Standing::Spent }.opens_a_session(at(0)));
    }
}
