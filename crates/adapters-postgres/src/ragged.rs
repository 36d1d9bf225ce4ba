//! Lists of different lengths as arrays for a statement. PostgreSQL's arrays of arrays are rectangular.

/// Lists one after the other, and where each begins and ends: list `n` is `items[first[n]:last[n]]` as SQL counts.
pub(crate) struct Ragged<T> {
    pub(crate) items: Vec<T>,
    pub(crate) first: Vec<i32>,
    pub(crate) last: Vec<i32>,
}

impl<T> Default for Ragged<T> {
    fn default() -> Self {
        Self { items: Vec::new(), first: Vec::new(), last: Vec::new() }
    }
}

impl<T: Clone> Ragged<T> {
    /// Adds a list.
    pub(crate) fn push(&mut self, list: &[T]) {
        self.items.extend_from_slice(list);
        self.end();
    }

    /// Ends the list that consists of the items added since the one before.
    pub(crate) fn end(&mut self) {
        self.first.push(self.last.last().copied().unwrap_or(0).saturating_add(1));
        self.last.push(i32::try_from(self.items.len()).unwrap_or(i32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_where_it_says() {
        let mut lists = Ragged::default();
        lists.push(&[7, 8]);
        lists.push(&[]);
        lists.push(&[9]);
        assert_eq!(lists.items, [7, 8, 9]);
        assert_eq!(lists.first, [1, 3, 3]);
        assert_eq!(lists.last, [2, 2, 3]);
    }
}
