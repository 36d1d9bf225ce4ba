//! What of the stored registers changed, as far as this process knows: the ground on which answers are remembered.
//!
//! Whoever remembers an answer asks for the [`Generation`] of all that it depends on *before* it is read from storage, and
//! believes it for as long as that generation is current. A change made here makes a new generation when it is committed,
//! before anybody is told that it is; one made elsewhere, when this process hears of it. While a change is being
//! committed, and while changes made elsewhere could go unheard, there is no generation, and nothing is believed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A register: what changes as people change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Register {
    /// Users, their roles and mentors, and what roles permit.
    People,
    /// Sessions and keys, as far as they let somebody in.
    Credentials,
    /// Equipment, but for what its readings say.
    Equipment,
    /// Alert rules.
    Rules,
    /// Webhooks.
    Webhooks,
}

impl Register {
    /// All of them.
    pub const ALL: [Register; 5] =
        [Register::People, Register::Credentials, Register::Equipment, Register::Rules, Register::Webhooks];

    /// The name under which servers tell each other that it changed.
    pub const fn name(self) -> &'static str {
        match self {
            Register::People => "people",
            Register::Credentials => "credentials",
            Register::Equipment => "equipment",
            Register::Rules => "rules",
            Register::Webhooks => "webhooks",
        }
    }

    /// The register of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|register| register.name() == name)
    }
}

/// Keeps account of changes. One for each process and database.
#[derive(Debug)]
pub struct Changes {
    registers: [Account; Register::ALL.len()],
    hears: AtomicBool,
    is_shared: bool,
    /// What changes that were left open may still change.
    open: Mutex<Vec<&'static [Register]>>,
}

#[derive(Debug, Default)]
struct Account {
    generation: AtomicU64,
    under_way: AtomicU64,
}

impl Changes {
    fn new(hears: bool, is_shared: bool) -> Self {
        let (registers, open) = Default::default();
        Self { registers, hears: AtomicBool::new(hears), is_shared, open }
    }

    /// Of a database that no other process writes to.
    pub fn alone() -> Self {
        Self::new(true, false)
    }

    /// Of a database that others write to as well. Believes nothing until [`Changes::hear_again`].
    pub fn shared() -> Self {
        Self::new(false, true)
    }

    /// Whether other processes write to the database as well.
    pub fn are_shared(&self) -> bool {
        self.is_shared
    }

    fn account(&self, register: Register) -> &Account {
        let [people, credentials, equipment, rules, webhooks] = &self.registers;
        match register {
            Register::People => people,
            Register::Credentials => credentials,
            Register::Equipment => equipment,
            Register::Rules => rules,
            Register::Webhooks => webhooks,
        }
    }

    /// What these registers say now; nothing while that cannot be known. To be asked before they are read.
    pub fn generation(&self, of: &'static [Register]) -> Option<Generation> {
        if !self.hears.load(Ordering::SeqCst) {
            return None;
        }
        let mut sum = 0;
        for register in of {
            let account = self.account(*register);
            // In this order: a change that ends in between has made its new generation.
            let generation = account.generation.load(Ordering::SeqCst);
            if account.under_way.load(Ordering::SeqCst) > 0 {
                return None;
            }
            sum += generation;
        }
        Some(Generation { of, sum })
    }

    /// Whether the registers still say what they said.
    pub fn is_current(&self, generation: Generation) -> bool {
        self.generation(generation.of) == Some(generation)
    }

    /// Begins a change of these registers. It is over when what is returned is dropped, which must be when it can be seen
    /// by whoever reads from then on.
    pub fn begin(&self, of: &'static [Register]) -> UnderWay<'_> {
        for register in of {
            self.account(*register).under_way.fetch_add(1, Ordering::SeqCst);
        }
        UnderWay { changes: self, of }
    }

    fn end(&self, of: &[Register]) {
        for register in of {
            let account = self.account(*register);
            account.generation.fetch_add(1, Ordering::SeqCst);
            account.under_way.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// All changes that were left open have ended by now, one way or the other.
    pub fn settle(&self) {
        for of in std::mem::take(&mut *self.open()) {
            self.end(of);
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<&'static [Register]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody else changed this register.
    pub fn hear_of(&self, register: Register) {
        self.account(register).generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether changes made elsewhere are heard of just now.
    pub fn are_heard(&self) -> bool {
        self.hears.load(Ordering::SeqCst)
    }

    /// Changes made elsewhere may go unheard from now on.
    pub fn hear_no_more(&self) {
        self.hears.store(false, Ordering::SeqCst);
    }

    /// All changes made elsewhere are heard of from now on. What was changed meanwhile is not known.
    pub fn hear_again(&self) {
        for register in Register::ALL {
            self.hear_of(register);
        }
        self.hears.store(true, Ordering::SeqCst);
    }
}

/// What some registers said at some moment. Generations of a register only grow, so that a sum tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    of: &'static [Register],
    sum: u64,
}

/// A change that is being committed.
#[must_use]
pub struct UnderWay<'a> {
    changes: &'a Changes,
    of: &'static [Register],
}

impl UnderWay<'_> {
    /// Nobody knows whether it took place, nor whether it still will: it stays under way until [`Changes::settle`].
    pub fn leave_open(self) {
        self.changes.open().push(self.of);
        std::mem::forget(self);
    }
}

impl Drop for UnderWay<'_> {
    /// However it ended: whoever broke off does not know.
    fn drop(&mut self) {
        self.changes.end(self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANT: &[Register] = &[Register::Equipment, Register::Rules];

    #[test]
    fn a_generation_lasts_until_one_of_its_registers_changes() {
        let changes = Changes::alone();
        let before = changes.generation(PLANT).unwrap();
        drop(changes.begin(&[Register::People]));
        assert!(changes.is_current(before));
        drop(changes.begin(&[Register::Rules]));
        assert!(!changes.is_current(before));
    }

    #[test]
    fn nothing_is_believed_while_a_change_is_being_committed() {
        let changes = Changes::alone();
        let before = changes.generation(PLANT).unwrap();
        let (one, other) = (changes.begin(&[Register::Equipment]), changes.begin(&[Register::Equipment]));
        assert!(changes.generation(PLANT).is_none() && !changes.is_current(before));
        drop(one);
        assert!(changes.generation(PLANT).is_none(), "the other one is still under way");
        drop(other);
        assert!(changes.generation(PLANT).is_some() && !changes.is_current(before));
    }

    #[test]
    fn a_change_that_may_still_come_is_under_way_until_it_is_settled() {
        let changes = Changes::alone();
        let before = changes.generation(PLANT).unwrap();
        changes.begin(&[Register::Equipment]).leave_open();
        drop(changes.begin(&[Register::Equipment]));
        assert!(changes.generation(PLANT).is_none());
        changes.settle();
        assert!(changes.generation(PLANT).is_some() && !changes.is_current(before));
    }

    #[test]
    fn whoever_hears_nothing_believes_nothing_and_afterwards_nothing_from_before() {
        let changes = Changes::shared();
        assert!(changes.generation(PLANT).is_none(), "nobody said that changes are heard of");
        changes.hear_again();
        let before = changes.generation(PLANT).unwrap();
        changes.hear_no_more();
        assert!(!changes.is_current(before));
        changes.hear_again();
        assert!(!changes.is_current(before));
    }

    #[test]
    fn what_others_changed_is_not_believed_any_more() {
        let changes = Changes::shared();
        changes.hear_again();
        let before = changes.generation(PLANT).unwrap();
        changes.hear_of(Register::parse("equipment").unwrap());
        assert!(!changes.is_current(before));
    }
}
