//! What is kept as a number because lists are ordered by it.

use domain::alerts::AlertStatus;
use domain::equipment::Status;
use domain::rules::Severity;

/// One of a few things that come in an order. A number that is in a database already keeps its meaning.
pub(crate) trait Ranked: Copy + 'static {
    /// All of them.
    const EVERY: &'static [Self];

    /// The number that it is stored as.
    fn rank(self) -> i32;

    /// The one that is stored as this number.
    fn of_rank(rank: i32) -> Option<Self> {
        Self::EVERY.iter().copied().find(|one| one.rank() == rank)
    }
}

impl Ranked for Status {
    const EVERY: &'static [Self] = Self::ALL;

    fn rank(self) -> i32 {
        match self {
            Status::Operational => 1,
            Status::Idle => 2,
            Status::Maintenance => 3,
            Status::Fault => 4,
            Status::Offline => 5,
            Status::Decommissioned => 6,
        }
    }
}

impl Ranked for Severity {
    const EVERY: &'static [Self] = Self::ALL;

    fn rank(self) -> i32 {
        match self {
            Severity::Info => 1,
            Severity::Warning => 2,
            Severity::Critical => 3,
        }
    }
}

impl Ranked for AlertStatus {
    const EVERY: &'static [Self] = Self::ALL;

    fn rank(self) -> i32 {
        match self {
            AlertStatus::Open => 1,
            AlertStatus::Acknowledged => 2,
            AlertStatus::Resolved => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascends<T: Ranked>() {
        let ranks: Vec<i32> = T::EVERY.iter().map(|one| one.rank()).collect();
        assert!(ranks.is_sorted_by(|one, next| one < next), "{ranks:?}");
    }

    #[test]
    fn ranks_ascend_in_the_order_of_the_domain() {
        ascends::<Status>();
        ascends::<Severity>();
        ascends::<AlertStatus>();
        assert!(Severity::of_rank(0).is_none());
    }
}
