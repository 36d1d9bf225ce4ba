//! Lists: which items match, in which order, cut into pages or stretches.

use crate::page::{Direction, Order, Page, PageRequest, Seek, Stretch};
use crate::text::Username;
use crate::users::{User, UserRef};
use std::cmp::Ordering;

/// Whether one of the wanted values will do; nothing wanted means that any will.
pub(super) fn any<T>(wanted: &[T], will_do: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(will_do)
}

pub(super) fn is_meant(user: &User, by: &UserRef) -> bool {
    match by {
        UserRef::Id(id) => user.id == *id,
        UserRef::Login(login) => same_login(&user.username, login),
    }
}

pub(super) fn same_login(one: &Username, other: &Username) -> bool {
    one.key() == other.key()
}

/// Sorts and cuts. `items` come ordered by id, which the stable sort keeps among equals.
pub(super) fn page<T, K: Copy>(
    mut items: Vec<T>,
    order: &[Order<K>],
    compare: impl Fn(K, &T, &T) -> Ordering,
    request: PageRequest,
) -> Page<T> {
    items.sort_by(|one, other| {
        let verdicts = order.iter().map(|by| directed(by.direction, compare(by.key, one, other)));
        verdicts.fold(Ordering::Equal, Ordering::then)
    });
    let before = usize::try_from(request.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(request.size()).unwrap_or(usize::MAX);
    Page { total: items.len() as u64, items: items.into_iter().skip(before).take(size).collect() }
}

pub(super) fn directed(direction: Direction, verdict: Ordering) -> Ordering {
    match direction {
        Direction::Ascending => verdict,
        Direction::Descending => verdict.reverse(),
    }
}

/// Cuts a stretch out of a whole stream, which is already in its order. `beside` says where an item stands, seen from a
/// mark, in that order.
pub(super) fn stretch<T, M: Copy>(
    mut stream: Vec<T>,
    seek: Seek<M>,
    limit: u32,
    beside: impl Fn(&T, M) -> Ordering,
) -> Stretch<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (from, until) = match seek {
        Seek::Start => (0, limit),
        Seek::After(mark) => {
            let from = stream.partition_point(|item| beside(item, mark).is_le());
            (from, from.saturating_add(limit))
        }
        Seek::Before(mark) => {
            let until = stream.partition_point(|item| beside(item, mark).is_lt());
            (until.saturating_sub(limit), until)
        }
    };
    let until = until.min(stream.len());
    let has_next = until < stream.len();
    stream.truncate(until);
    Stretch { items: stream.into_iter().skip(from).collect(), has_previous: from > 0, has_next }
}
