//! Identifiers: positive 64-bit integers, one type per noun, so that a role's id never stands where a user's is due.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The id with this number; `None` unless it is positive.
            pub const fn new(number: i64) -> Option<Self> {
                if number > 0 { Some(Self(number)) } else { None }
            }

            /// Reads the canonical decimal form: no sign, no leading zero, no blanks.
            pub fn parse(text: &str) -> Option<Self> {
                let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
                if canonical { text.parse().ok().and_then(Self::new) } else { None }
            }

            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A person with an account.
    UserId,
    /// A named set of permissions.
    RoleId,
    /// One signed-in client of a user.
    SessionId,
    /// A machine's credential.
    ApiKeyId,
    /// A piece of equipment of the plant.
    EquipmentId,
    /// A line of the audit trail.
    EventId,
    /// An entry of a maintenance log.
    MaintenanceId,
    /// A rule that raises alerts.
    RuleId,
    /// An alert.
    AlertId,
    /// A line of an alert's timeline.
    AlertEntryId,
    /// A webhook.
    WebhookId,
    /// Something to be delivered to a webhook.
    DeliveryId,
}

/// How often a stored resource was written: starts at 1, grows by one with each write, is its `ETag`. Only the versions of
/// readings count nothing ([`crate::telemetry::Reading::version`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(i64);

impl Version {
    /// The version of something just created.
    pub const FIRST: Version = Version(1);

    /// The version with this number; `None` unless it is positive.
    pub const fn new(number: i64) -> Option<Self> {
        if number > 0 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The version after one more write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_its_canonical_decimal_form_alone() {
        assert_eq!(UserId::parse("17").map(UserId::get), Some(17));
        assert_eq!(UserId::parse("9223372036854775807").map(UserId::get), Some(i64::MAX));
        for bad in ["", "0", "-1", "+1", "01", " 1", "1.0", "9223372036854775808", "١", "me", "1\0"] {
            assert_eq!(UserId::parse(bad), None, "{bad:?}");
        }
    }
}
