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

/// How many of so many connections one address may have: as many as was said, as long as others get in beside it. Any number, where
/// that was said.
pub(super) fn per_address(said: usize, connections: usize) -> usize {
    let most = (connections / 2).max(1);
    if said <= most {
        return said;
    }
    tracing::warn!(
        said,
        connections,
        most,
        "http.connections_per_address is more than half of the connections that the limit of open files leaves room for; half \
         is what one address may have"
    );
    most
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
    fn one_address_leaves_connections_to_others() {
        assert_eq!(per_address(4096, 50_000), 4096);
        assert_eq!(per_address(4096, 880), 440);
        assert_eq!(per_address(4096, 1), 1);
        assert_eq!(per_address(0, 880), 0, "as many as it likes");
    }

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        raised();
        let limit = getrlimit(Resource::Nofile);
        assert!(limit.maximum.is_none() || limit.current == limit.maximum);
    }
}
