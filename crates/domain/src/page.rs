//! Lists: which part of them, in which order.

/// Which page of a list, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest {
    number: u64,
    size: u32,
}

impl PageRequest {
    /// How many items a page has when nobody says.
    pub const DEFAULT_SIZE: u32 = 50;
    /// The most items that a page may have.
    pub const MAX_SIZE: u32 = 1000;

    /// The page with this number, counted from 1; `None` when number or size is out of range.
    pub const fn new(number: u64, size: u32) -> Option<Self> {
        let fits = number >= 1 && number <= u64::MAX / 2048 && size >= 1 && size <= Self::MAX_SIZE;
        if fits { Some(Self { number, size }) } else { None }
    }

    /// The page's number, from 1.
    pub const fn number(self) -> u64 {
        self.number
    }

    /// How many items the page has at most.
    pub const fn size(self) -> u32 {
        self.size
    }

    /// How many items come before the page.
    pub fn offset(self) -> i64 {
        let before = self.number.saturating_sub(1).saturating_mul(u64::from(self.size));
        i64::try_from(before).unwrap_or(i64::MAX)
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { number: 1, size: Self::DEFAULT_SIZE }
    }
}

/// One page of a list, and how many items the whole list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// All items that match, on every page.
    pub total: u64,
    /// The items of this page.
    pub items: Vec<T>,
}

/// Up or down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// One key of an ordering. Storage adapters end every ordering in the id, so that ties are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order<K> {
    /// What to compare.
    pub key: K,
    /// Which way.
    pub direction: Direction,
}

/// The keys of an ordering that make a difference, ended by `last`, which tells all items apart: a repeated key changes
/// nothing, and neither does what follows `last`.
pub fn effective_order<K: Copy + PartialEq>(order: &[Order<K>], last: K) -> Vec<Order<K>> {
    let mut keys: Vec<Order<K>> = Vec::new();
    for wanted in order {
        if keys.iter().all(|kept| kept.key != wanted.key) {
            keys.push(*wanted);
        }
        if wanted.key == last {
            return keys;
        }
    }
    keys.push(Order { key: last, direction: Direction::Ascending });
    keys
}

/// Where a stream of items is read from: everything strictly beyond `mark`, in the stream's order or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek<M> {
    /// From the stream's beginning.
    Start,
    /// The items that follow the mark.
    After(M),
    /// The items just ahead of the mark, still answered in the stream's order.
    Before(M),
}

/// A stretch of a stream, in the stream's order, and whether more lies beyond either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether items precede the first one.
    pub has_previous: bool,
    /// Whether items follow the last one.
    pub has_next: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(key: char) -> Order<char> {
        Order { key, direction: Direction::Ascending }
    }

    #[test]
    fn an_order_ends_in_the_last_key_and_repeats_nothing() {
        let down = Order { key: 'a', direction: Direction::Descending };
        assert_eq!(effective_order(&[down, up('b'), up('a'), up('b')], 'z'), [down, up('b'), up('z')]);
        assert_eq!(effective_order(&[], 'z'), [up('z')]);
    }

    #[test]
    fn what_follows_the_last_key_makes_no_difference() {
        let last = Order { key: 'z', direction: Direction::Descending };
        assert_eq!(effective_order(&[last, up('a')], 'z'), [last]);
    }
}
