//! Signed-in clients and their tokens.
//!
//! A refresh token is a signed pair (session, generation). The session row knows the one generation that is good now;
//! spending a token is the single conditional step from `n` to `n + 1`. So a spent token has at most one successor by
//! construction, however many requests race, and nothing has to be remembered of tokens past.

use crate::access::Permissions;
use crate::id::{SessionId, UserId};
use crate::text::Username;
use crate::time::Timestamp;
use std::time::Duration;

/// One signed-in client of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The refresh token that is good now.
    pub generation: i64,
    /// When that token was issued.
    pub rotated_at: Timestamp,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session was last seen in use, to the minute.
    pub last_used_at: Timestamp,
    /// When it lapses unless it is refreshed.
    pub expires_at: Timestamp,
    /// The network address that signed in.
    pub address: Option<String>,
    /// What the client called itself.
    pub agent: Option<String>,
}

/// A session to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Whose it is.
    pub user: UserId,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When it lapses unless it is refreshed.
    pub expires_at: Timestamp,
    /// The network address that signed in.
    pub address: Option<String>,
    /// What the client calls itself.
    pub agent: Option<String>,
}

/// What sessions can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKey {
    /// The number.
    Id,
    /// When the person signed in.
    CreatedAt,
    /// When it was last seen in use.
    LastUsedAt,
}

/// The account behind a credential, and what it may do at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The account.
    pub user: UserId,
    /// Its login.
    pub username: Username,
    /// Whether it may act at all.
    pub is_active: bool,
    /// The union of its roles' permissions.
    pub permissions: Permissions,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Proves who is calling, for minutes.
    Access,
    /// Buys the next pair of tokens, once.
    Refresh {
        /// Which refresh token of the session it is.
        generation: i64,
    },
}

/// What a token says, in whole seconds as tokens do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is.
    pub user: UserId,
    /// The session that it belongs to.
    pub session: SessionId,
    /// Its own name.
    pub id: String,
    /// When it was made, in seconds.
    pub issued_at: i64,
    /// When it lapses, in seconds.
    pub expires_at: i64,
}

impl Claims {
    /// How far clocks of two machines may differ.
    pub const LEEWAY: i64 = 5;

    /// Whether the token is good at this instant.
    pub fn are_current(&self, now: Timestamp) -> bool {
        let now = now.seconds();
        now < self.expires_at.saturating_add(Self::LEEWAY)
            && self.issued_at <= now.saturating_add(Self::LEEWAY)
    }

    /// When the token is good no longer.
    pub fn lapses_at(&self) -> Timestamp {
        let seconds = self.expires_at.saturating_add(Self::LEEWAY);
        Timestamp::from_micros(seconds.saturating_mul(1_000_000)).unwrap_or(Timestamp::MAX)
    }
}

/// What an already advanced session says about a refresh token that comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The client lost the answer: give it the same successor.
    SameSuccessor,
    /// Somebody uses a spent token: end the session.
    Reuse,
}

/// How long a client that lost the answer may ask again with the spent token.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(10);

/// Judges a refresh token that is not the session's current one.
pub fn judge_repeat(session: &Session, presented: i64, now: Timestamp) -> Repeat {
    let successor_unused = presented.checked_add(1) == Some(session.generation);
    if successor_unused && now.since(session.rotated_at) <= REPEAT_WINDOW {
        Repeat::SameSuccessor
    } else {
        Repeat::Reuse
    }
}

/// How long sessions and their tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access: Duration,
    /// A session that nobody refreshes.
    pub idle: Duration,
    /// A session however often it is refreshed.
    pub absolute: Duration,
    /// Whether a refresh spends the refresh token.
    pub rotate: bool,
}

impl Lifetimes {
    /// When a session made at `created_at` lapses if it is used now.
    pub fn expiry(&self, created_at: Timestamp, now: Timestamp) -> Timestamp {
        now.after(self.idle).min(created_at.after(self.absolute))
    }

    /// When the refresh token of this session lapses: with the session, if the next refresh answers another one. A token that
    /// stays the same is good for as long as the session can be kept alive with it; whether it was, the session knows.
    pub fn refresh_expiry(&self, session: &Session) -> Timestamp {
        if self.rotate { session.expires_at } else { session.created_at.after(self.absolute) }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            access: Duration::from_secs(10 * 60),
            idle: Duration::from_secs(14 * DAY),
            absolute: Duration::from_secs(90 * DAY),
            rotate: true,
        }
    }
}

/// A signing key of ours: an Ed25519 pair.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in token headers.
    pub id: String,
    /// The private key, PKCS#8 DER.
    pub private: Vec<u8>,
    /// The public key, 32 bytes.
    pub public: Vec<u8>,
    /// When it was made; the newest signs, the one before still verifies.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn session(generation: i64, rotated_at: Timestamp) -> Session {
        Session {
            id: SessionId::new(1).unwrap(),
            user: UserId::new(1).unwrap(),
            generation,
            rotated_at,
            created_at: at(0),
            last_used_at: at(0),
            expires_at: at(1_000_000),
            address: None,
            agent: None,
        }
    }

    #[test]
    fn a_lost_answer_may_be_asked_for_again_for_ten_seconds_while_the_successor_is_unused() {
        let spent_once = session(2, at(100));
        assert_eq!(judge_repeat(&spent_once, 1, at(110)), Repeat::SameSuccessor);
        assert_eq!(judge_repeat(&spent_once, 1, at(111)), Repeat::Reuse);
        let successor_used = session(3, at(100));
        assert_eq!(judge_repeat(&successor_used, 1, at(100)), Repeat::Reuse);
    }

    #[test]
    fn claims_are_current_from_issue_to_expiry_give_or_take_five_seconds() {
        let claims = Claims {
            purpose: Purpose::Access,
            user: UserId::new(1).unwrap(),
            session: SessionId::new(1).unwrap(),
            id: "x".into(),
            issued_at: 100,
            expires_at: 700,
        };
        assert!(claims.are_current(at(95)) && claims.are_current(at(704)));
        assert!(!claims.are_current(at(94)) && !claims.are_current(at(705)));
    }

    #[test]
    fn a_session_ends_at_its_absolute_age_however_often_it_is_refreshed() {
        let lifetimes = Lifetimes::default();
        let late = at(0).after(lifetimes.absolute - Duration::from_secs(60));
        assert_eq!(lifetimes.expiry(at(0), late), at(0).after(lifetimes.absolute));
    }
}
