//! Who trains whom. At most one mentor each, never oneself, never in a circle, and only an active mentor.

use crate::error::Reason;
use crate::id::UserId;
use crate::users::User;

/// Judges whether `mentor` may mentor `mentee`. `above` are the mentor's own mentor, that one's mentor, and so on.
pub fn may_mentor(mentee: UserId, mentor: &User, above: &[UserId]) -> Result<(), Reason> {
    if mentor.id == mentee {
        return Err(Reason::new("self", "must not be the user's own"));
    }
    if !mentor.can_mentor() {
        return Err(Reason::new("not_a_mentor", "must be an active mentor"));
    }
    if above.contains(&mentee) {
        return Err(Reason::new(
            "cycle",
            "must not be somebody whom this user mentors, directly or through others",
        ));
    }
    Ok(())
}

/// What ending a mentorship did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Who mentors nobody any more.
    pub mentor: UserId,
    /// Who was released, ordered by id.
    pub mentees: Vec<UserId>,
}
