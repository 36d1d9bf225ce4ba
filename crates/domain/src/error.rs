//! What can go wrong, said once: a table of codes, and the one error that use cases return.
//!
//! Adapters and the HTTP face translate *into* and *out of* [`Error`]; nothing else decides what a failure means.

use crate::access::Permission;
use crate::id::Version;
use crate::ports::{Reference, StoreError, Unique};
use std::fmt;
use std::time::Duration;

/// What kind of failure a code is. Faces (HTTP, the command line) decide by kind, never by code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Understood, but some values are not acceptable.
    Invalid,
    /// We do not know who is asking.
    Unauthenticated,
    /// We know, and the answer is no.
    Forbidden,
    /// Absent, or not to be seen by the caller.
    Missing,
    /// The present state of things does not allow it.
    Conflict,
    /// Somebody changed it meanwhile.
    Stale,
    /// Too often.
    Limited,
    /// Not now; try again.
    Busy,
    /// Our own mistake.
    Fault,
}

macro_rules! codes {
    ($($code:ident = $name:literal, $kind:ident, $title:literal, $about:literal;)*) => {
        /// The stable name of a failure, the same in every face and release.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $about] $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$code),*];

            /// The name that clients see.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$code => $name,)* }
            }

            /// Its kind.
            pub const fn kind(self) -> Kind {
                match self { $(Code::$code => Kind::$kind,)* }
            }

            /// A short title for people.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$code => $title,)* }
            }

            /// What it means and what to do about it.
            pub const fn about(self) -> &'static str {
                match self { $(Code::$code => $about,)* }
            }
        }
    };
}

codes! {
    InvalidFields = "invalid_fields", Invalid, "Some fields are not valid",
        "The request was understood, but some of its fields are not acceptable. `errors` lists all of them with a reason each; correct them and send the request again. Nothing was stored.";
    IdempotencyKeyReused = "idempotency_key_reused", Invalid, "This idempotency key belongs to another request",
        "The `Idempotency-Key` was used within the last 24 hours with another body or for another call. Choose a new key for a new request.";
    Unauthenticated = "unauthenticated", Unauthenticated, "Sign in first",
        "The request carries no credential, or one that is expired, revoked, forged or malformed. Sign in again, or refresh the access token.";
    InvalidCredentials = "invalid_credentials", Unauthenticated, "The credentials are not valid",
        "No active account matches this login and password, or the token presented is spent, expired or revoked. The answer is the same whatever the cause.";
    PermissionRequired = "permission_required", Forbidden, "You may not do this",
        "The caller is known but lacks the permission that `detail` names. Ask an administrator for a role that holds it.";
    BeyondYourRights = "beyond_your_rights", Forbidden, "Nobody grants what they lack",
        "The request would hand out, or take over, permissions that the caller does not hold.";
    NotFound = "not_found", Missing, "There is nothing here",
        "No such thing exists, or it is not visible to the caller.";
    Taken = "taken", Conflict, "Already taken",
        "A value that must be unique belongs to somebody else. `errors` names the field.";
    RoleInUse = "role_in_use", Conflict, "The role is in use",
        "A role can be deleted only when nobody holds it. Take it from its holders first.";
    BuiltInRole = "built_in_role", Conflict, "Built-in roles do not change",
        "ADMIN, OPERATOR and CLIENT are part of the product and can be neither changed nor deleted. Create a role of your own instead.";
    LastAdministrator = "last_administrator", Conflict, "Somebody must stay administrator",
        "The request would leave the installation without an active administrator. Make somebody else one first.";
    DifferentValue = "different_value", Conflict, "Another value is stored for this instant",
        "A reading of the same equipment and instant is stored with another value in the fields that `errors` lists. Send it with `?on_conflict=replace` if the new value is the right one.";
    IllegalTransition = "illegal_transition", Conflict, "That cannot happen now",
        "The state that it is in does not allow this step; `detail` says why. Read it again to see how far it has come.";
    StaleVersion = "stale_version", Stale, "It has changed since you read it",
        "`If-Match` names a version that is no longer current. Read the resource again, redo the change, and send it with the new version.";
    TooManyAttempts = "too_many_attempts", Limited, "Too many failed sign-ins",
        "Sign-in for this account or from this address failed too often. Wait as long as `Retry-After` says.";
    RateLimited = "rate_limited", Limited, "Too many requests",
        "The caller's request allowance is used up. Wait as long as `Retry-After` says.";
    Busy = "busy", Busy, "Busy just now",
        "The server or its database cannot take the request at this moment. Nothing was changed; try again after `Retry-After`.";
    OutcomeUnknown = "outcome_unknown", Busy, "The outcome is not known",
        "The link to the database was lost while it was committing: the change may or may not have been stored. Repeat the request with the same `Idempotency-Key`, or read the resource to find out.";
    Fault = "internal_error", Fault, "Something broke on our side",
        "A fault in the server. It was logged under the request id in this answer; quote that when you report it.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a value is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable word for programs, such as `too_long`.
    pub code: &'static str,
    /// A sentence fragment for people that follows the field's name, such as `must not be empty`.
    pub message: String,
}

impl Reason {
    /// A reason with this code and message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The same reason, pinned on a field. Of a name that is longer than any the beginning is told.
    pub fn at(self, field: impl Into<String>) -> Flaw {
        let mut field = field.into();
        if let Some((end, _)) = field.char_indices().nth(LONGEST_FIELD) {
            field.truncate(end);
            field.push('…');
        }
        Flaw { field, reason: self }
    }
}

/// Names of fields may come from clients; more than this of one helps nobody to find it.
const LONGEST_FIELD: usize = 1000;

/// A field and why its value is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The field's path in the request, such as `email` or `roles.2`.
    pub field: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What was found wrong so far, so that all of it can be told at once.
#[derive(Debug, Default)]
pub struct Flaws(Vec<Flaw>);

impl Flaws {
    /// The value, or nothing if it is flawed, which is noted. Whatever else went wrong ends the matter.
    pub fn gather<T>(&mut self, judged: Result<T, Error>) -> Result<Option<T>, Error> {
        match judged {
            Ok(value) => Ok(Some(value)),
            Err(Error::Invalid(flaws)) => {
                self.0.extend(flaws);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// The last value, if neither it nor anything before is flawed.
    pub fn conclude<T>(mut self, judged: Result<T, Error>) -> Result<T, Error> {
        let value = self.gather(judged)?;
        value.filter(|_| self.0.is_empty()).ok_or(Error::Invalid(self.0))
    }
}

/// Anything that broke below us, kept whole for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant is described by its code's row in the table")]
pub enum Error {
    #[error("{}", list(.0))]
    Invalid(Vec<Flaw>),
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    #[error("the request needs a valid credential")]
    Unauthenticated,
    #[error("the credentials are not valid")]
    InvalidCredentials,
    #[error("{0}")]
    Forbidden(Denied),
    #[error("this needs permissions that you lack: {}", names(.0))]
    BeyondYourRights(Vec<Permission>),
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("already taken: {}", fields(.0))]
    Taken(Vec<Unique>),
    #[error("the role {0} is in use")]
    RoleInUse(String),
    #[error("the role {0} is built in")]
    BuiltInRole(String),
    #[error("the last active administrator must stay")]
    LastAdministrator,
    #[error("another value is stored: {}", .0.join(", "))]
    DifferentValue(Vec<String>),
    #[error("{0}")]
    IllegalTransition(&'static str),
    #[error("the current version is {0}")]
    StaleVersion(Version),
    #[error("too many failed sign-ins; wait {} s", .0.as_secs())]
    TooManyAttempts(Duration),
    #[error("too many requests; wait {} s", .0.as_secs())]
    RateLimited(Duration),
    #[error("busy: {0}")]
    Busy(&'static str, #[source] Option<BoxError>),
    #[error("the link to the database was lost during commit")]
    OutcomeUnknown,
    #[error("internal error")]
    Fault(#[source] BoxError),
}

/// Why a right was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The caller lacks this permission.
    #[error("this needs the permission {}", .0.name())]
    Lacks(Permission),
    /// An API key asked for what only a signed-in person may do.
    #[error("this needs a signed-in person; an API key does not do")]
    PersonsOnly,
    /// The caller asked for something that only others may do for them.
    #[error("one cannot do this to oneself; change your own password with `current_password`")]
    NotOneself,
    /// The caller lost permissions while they were still sending.
    #[error("you may less than when you began to send this; send it again")]
    Lessened,
    /// An API key that is limited to some equipment asked for what concerns all of it.
    #[error("this key is limited to some equipment; this concerns the whole plant")]
    OutOfReach,
}

impl Error {
    /// A single field's flaw.
    pub fn flaw(field: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Error::Invalid(vec![Reason::new(code, message).at(field)])
    }

    /// The error's row in the table.
    pub fn code(&self) -> Code {
        match self {
            Error::Invalid(_) => Code::InvalidFields,
            Error::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Error::Unauthenticated => Code::Unauthenticated,
            Error::InvalidCredentials => Code::InvalidCredentials,
            Error::Forbidden(_) => Code::PermissionRequired,
            Error::BeyondYourRights(_) => Code::BeyondYourRights,
            Error::NotFound(_) => Code::NotFound,
            Error::Taken(_) => Code::Taken,
            Error::RoleInUse(_) => Code::RoleInUse,
            Error::BuiltInRole(_) => Code::BuiltInRole,
            Error::LastAdministrator => Code::LastAdministrator,
            Error::DifferentValue(_) => Code::DifferentValue,
            Error::IllegalTransition(_) => Code::IllegalTransition,
            Error::StaleVersion(_) => Code::StaleVersion,
            Error::TooManyAttempts(_) => Code::TooManyAttempts,
            Error::RateLimited(_) => Code::RateLimited,
            Error::Busy(..) => Code::Busy,
            Error::OutcomeUnknown => Code::OutcomeUnknown,
            Error::Fault(_) => Code::Fault,
        }
    }

    /// The fields that are to blame, for [`Kind::Invalid`], [`Code::Taken`] and [`Code::DifferentValue`].
    pub fn flaws(&self) -> Vec<Flaw> {
        if let Error::Invalid(flaws) = self {
            flaws.clone()
        } else if let Error::Taken(uniques) = self {
            uniques.iter().map(|unique| Reason::new("taken", "is already taken").at(unique.field())).collect()
        } else if let Error::DifferentValue(fields) = self {
            let reason = || Reason::new("different", "is stored with another value");
            fields.iter().map(|field| reason().at(field.clone())).collect()
        } else {
            Vec::new()
        }
    }

    /// How long to wait before trying again, where that makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Error::TooManyAttempts(wait) | Error::RateLimited(wait) = self {
            return Some(*wait);
        }
        (self.code().kind() == Kind::Busy).then_some(Duration::from_secs(1))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(unique) => Error::Taken(vec![unique]),
            StoreError::Dangling(reference) => Error::NotFound(match reference {
                Reference::User => "user",
                Reference::Role => "role",
                Reference::Equipment => "equipment",
                Reference::Rule => "alert rule",
                Reference::Alert => "alert",
                Reference::Metric => "metric",
                Reference::Webhook => "webhook",
            }),
            StoreError::Busy(source) => Error::Busy("the database cannot take the request now", Some(source)),
            StoreError::OutcomeUnknown => Error::OutcomeUnknown,
            other @ (StoreError::ReadOnly | StoreError::Corrupt { .. } | StoreError::Fault(_)) => {
                Error::Fault(Box::new(other))
            }
        }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Error::Forbidden(denied)
    }
}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Self {
        Error::Invalid(vec![flaw])
    }
}

fn list(flaws: &[Flaw]) -> String {
    let sentences: Vec<_> =
        flaws.iter().map(|flaw| format!("{} {}", flaw.field, flaw.reason.message)).collect();
    sentences.join("; ")
}

fn fields(uniques: &[Unique]) -> String {
    let fields: Vec<_> = uniques.iter().map(|unique| unique.field()).collect();
    fields.join(", ")
}

fn names(permissions: &[Permission]) -> String {
    let names: Vec<_> = permissions.iter().map(|permission| permission.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_endless_field_name_the_beginning_is_told() {
        let reason = || Reason::new("unknown_field", "is not a field here");
        assert_eq!(reason().at("ä".repeat(1000)).field, "ä".repeat(1000));
        assert_eq!(reason().at("ä".repeat(1_000_000)).field, "ä".repeat(1000) + "…");
    }

    #[test]
    fn flaws_are_told_together_and_whatever_else_goes_wrong_alone() {
        let bad = |field| Err::<(), _>(Error::flaw(field, "unknown", "is bad"));
        let fields = |error: Error| error.flaws().into_iter().map(|flaw| flaw.field).collect::<Vec<_>>();
        let mut flaws = Flaws::default();
        assert_eq!(flaws.gather(Ok(7)).unwrap(), Some(7));
        assert_eq!(flaws.gather(bad("one")).unwrap(), None);
        assert!(matches!(flaws.gather::<()>(Err(Error::LastAdministrator)), Err(Error::LastAdministrator)));
        assert_eq!(fields(flaws.conclude(bad("other")).unwrap_err()), ["one", "other"]);
        let mut flaws = Flaws::default();
        flaws.gather(bad("one")).unwrap();
        assert_eq!(fields(flaws.conclude(Ok(7)).unwrap_err()), ["one"]);
        assert_eq!(Flaws::default().conclude(Ok(7)).unwrap(), 7);
    }

    #[test]
    fn code_names_are_unique_and_explained() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert!(!code.title().is_empty() && code.about().len() > 20, "{code}");
            assert!(Code::ALL.iter().skip(index + 1).all(|other| other.name() != code.name()), "{code}");
        }
    }
}
