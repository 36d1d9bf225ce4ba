//! Many things of which most are equal, such as the shapes of readings: each distinct one once, and known by its place.

use std::collections::HashMap;
use std::hash::Hash;

/// Distinct things in the order in which they came.
pub(crate) struct Distinct<T> {
    items: Vec<T>,
    places: HashMap<T, usize>,
    /// Where the one is that came last: the next is mostly equal to it.
    last: usize,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { items: Vec::new(), places: HashMap::new(), last: 0 }
    }
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    /// The place of this thing among the distinct ones.
    pub(crate) fn place(&mut self, item: &T) -> usize {
        if self.last().is_some_and(|last| last == item) {
            return self.last;
        }
        let next = self.items.len();
        self.last = *self.places.entry(item.clone()).or_insert(next);
        if self.last == next {
            self.items.push(item.clone());
        }
        self.last
    }

    /// What came last.
    pub(crate) fn last(&self) -> Option<&T> {
        self.items.get(self.last)
    }

    /// The distinct ones.
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_have_one_place() {
        let mut distinct = Distinct::default();
        assert_eq!(["b", "b", "a", "b", "a", "c"].map(|item| distinct.place(&item)), [0, 0, 1, 0, 1, 2]);
        assert_eq!((distinct.items(), distinct.last()), (["b", "a", "c"].as_slice(), Some(&"c")));
    }
}
