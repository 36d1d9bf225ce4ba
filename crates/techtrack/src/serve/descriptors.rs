//! File descriptors: as many as this process may have, and how many of them connections of clients may take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What neither clients nor the pool of the database take: files, logs, sockets to Redis and of the runtime.
const OWN: usize = 128;

/// More connections than this are no use to one server.
const MOST: usize = 50_000;

/// Raises the limit as far as this process may, and tells how many descriptors that leaves to clients. Without it the usual
/// limit of 1,024 would be used up by a thousand idle connections, and then the database could not be reached either.
pub(super) fn for_clients(of_the_database: usize) -> usize {
    left(raised(), of_the_database)
}

fn raised() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Where there is no end to it, what holds now is raised to what can be of use.
    let wanted = limit.maximum.unwrap_or(MOST as u64 * 2);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

fn left(limit: usize, of_the_database: usize) -> usize {
    limit.saturating_sub(OWN + of_the_database).clamp(64, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_descriptors_to_the_database() {
        assert_eq!(left(1024, 16), 1024 - OWN - 16);
        assert_eq!(left(100, 16), 64);
        assert_eq!(left(usize::MAX, 16), MOST);
    }

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        raised();
        let limit = getrlimit(Resource::Nofile);
        assert!(limit.maximum.is_none() || limit.current == limit.maximum);
    }
}
