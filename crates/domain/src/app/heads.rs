//! Heads of readings as they were found a moment ago: what is newest of each piece of equipment.
//!
//! Readings come all the time, so heads have an account of their own beside the registers. What this process commits is
//! known at once. Other processes do not tell which heads they moved on: where there are others, a head is believed for
//! less than a second, and looked up anew together with all that are as old.

use super::App;
use crate::changes::{Generation, Register};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::ports::{StoreError, UnitOfWork};
use crate::telemetry::Head;
use crate::time::Timestamp;
use quick_cache::sync::Cache;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a head is believed where others may move it on. Changes reach every server within a second.
const BELIEVED: Duration = Duration::from_millis(900);

/// From this age on somebody who asks for a head looks it up anew, while it is still good for the others.
const DUE: Duration = Duration::from_millis(500);

/// So many heads are remembered at most.
const MOST: usize = 50_000;

/// So many that are due are looked up together: few enough that whoever shares the thread hardly waits.
const AT_ONCE: usize = 256;

/// In microseconds, how often it is looked for heads that are due.
const SWEEPING: i64 = 50_000;

/// How many accounts there are of what is being committed. Pieces that share one disturb each other's memory, no more.
const ACCOUNTS: usize = 1 << 14;

/// What a head depends on beside readings: whether its equipment is in the register.
const REGISTERS: &[Register] = &[Register::Equipment];

/// What is remembered of heads.
pub(super) struct Heads {
    known: Cache<EquipmentId, Arc<KnownHead>>,
    accounts: Box<[Account]>,
    swept_at: AtomicI64,
    /// Those that commits whose end nobody heard may still move on.
    open: Mutex<Vec<EquipmentId>>,
}

#[derive(Default)]
struct Account {
    turn: AtomicU64,
    under_way: AtomicU64,
}

/// A head, and since when it is known.
pub struct KnownHead {
    /// The head.
    pub head: Head,
    generation: Option<Generation>,
    turn: Option<u64>,
    as_of: AtomicI64,
    was_asked_for: AtomicBool,
    is_being_renewed: AtomicBool,
}

impl Default for Heads {
    fn default() -> Self {
        let accounts = (0..ACCOUNTS).map(|_| Account::default()).collect();
        let (known, swept_at, open) = (Cache::new(MOST), AtomicI64::new(i64::MIN), Mutex::default());
        Self { known, accounts, swept_at, open }
    }
}

/// How far a head can be believed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Belief {
    Good,
    /// Good, but somebody should look it up anew.
    Due,
    Gone,
}

impl Heads {
    fn account(&self, piece: EquipmentId) -> Option<&Account> {
        let place = usize::try_from(piece.get().unsigned_abs()).unwrap_or(usize::MAX) % ACCOUNTS;
        self.accounts.get(place)
    }

    /// The turn of this piece; nothing while its head is being moved on. To be asked before the head is read.
    fn turn(&self, piece: EquipmentId) -> Option<u64> {
        let account = self.account(piece)?;
        let turn = account.turn.load(Ordering::SeqCst);
        (account.under_way.load(Ordering::SeqCst) == 0).then_some(turn)
    }

    /// Whether nobody looked for heads that are due within the last moments.
    fn is_time_to_sweep(&self, now: Timestamp) -> bool {
        let (now, last) = (now.micros(), self.swept_at.load(Ordering::SeqCst));
        let is_time = now < last || now.saturating_sub(last) >= SWEEPING;
        is_time && self.swept_at.compare_exchange(last, now, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn moving(&self, pieces: Vec<EquipmentId>) -> Moving<'_> {
        for account in pieces.iter().filter_map(|piece| self.account(*piece)) {
            account.under_way.fetch_add(1, Ordering::SeqCst);
        }
        Moving { heads: self, pieces }
    }

    fn moved(&self, pieces: &[EquipmentId]) {
        for account in pieces.iter().filter_map(|piece| self.account(*piece)) {
            account.turn.fetch_add(1, Ordering::SeqCst);
            account.under_way.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// What was left open has ended by now, one way or the other.
    pub(super) fn settle(&self) {
        self.moved(&std::mem::take(&mut *self.open()));
    }

    fn open(&self) -> MutexGuard<'_, Vec<EquipmentId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heads that are being moved on.
struct Moving<'a> {
    heads: &'a Heads,
    pieces: Vec<EquipmentId>,
}

impl Moving<'_> {
    /// Nobody knows whether they were moved on, nor whether they still will be.
    fn leave_open(mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        self.heads.open().extend(pieces);
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.heads.moved(&self.pieces);
    }
}

impl KnownHead {
    fn new(head: Head, generation: Option<Generation>, turn: Option<u64>, as_of: Timestamp) -> Self {
        Self {
            head,
            generation,
            turn,
            as_of: AtomicI64::new(as_of.micros()),
            was_asked_for: AtomicBool::new(true),
            is_being_renewed: AtomicBool::new(false),
        }
    }

    fn belief(&self, app: &App, now: Timestamp) -> Belief {
        let has_not_moved = self.turn.is_some() && app.heads.turn(self.head.equipment) == self.turn;
        if !has_not_moved || !self.generation.is_some_and(|generation| app.changes.is_current(generation)) {
            return Belief::Gone;
        }
        if !app.changes.are_shared() {
            return Belief::Good;
        }
        let age = now.micros().saturating_sub(self.as_of.load(Ordering::SeqCst));
        match u64::try_from(age).map(Duration::from_micros) {
            Ok(age) if age < DUE => Belief::Good,
            Ok(age) if age < BELIEVED => Belief::Due,
            // Too old, or from a time that is still to come, because the clock was set back.
            Ok(_) | Err(_) => Belief::Gone,
        }
    }

    /// Whether it can be believed. Of all who ask for one that is due, the first is told to look it up anew.
    pub(super) fn is_good(&self, app: &App, now: Timestamp) -> bool {
        if !self.was_asked_for.load(Ordering::Relaxed) {
            self.was_asked_for.store(true, Ordering::Relaxed);
        }
        match self.belief(app, now) {
            Belief::Good => true,
            Belief::Due => self.is_being_renewed.swap(true, Ordering::SeqCst),
            Belief::Gone => false,
        }
    }

    /// Takes note if it was found once more as it is known.
    fn confirms(&self, found: &KnownHead) -> bool {
        let is_same =
            (self.generation, self.turn) == (found.generation, found.turn) && self.head == found.head;
        if is_same {
            self.as_of.fetch_max(found.as_of.load(Ordering::SeqCst), Ordering::SeqCst);
            // Whoever asks for it from now on says so.
            self.was_asked_for.store(false, Ordering::Relaxed);
            self.is_being_renewed.store(false, Ordering::SeqCst);
        }
        is_same
    }

    /// Found otherwise than it was known.
    fn disown(&self) {
        self.as_of.store(i64::MIN, Ordering::SeqCst);
    }
}

impl App {
    /// The heads of these pieces, without those that are hidden or gone; from memory where that can be believed.
    pub(super) async fn heads_of(
        &self,
        pieces: &[EquipmentId],
    ) -> Result<HashMap<EquipmentId, Arc<KnownHead>>, Error> {
        let now = self.clock.now();
        let mut found = HashMap::with_capacity(pieces.len());
        let mut missing = Vec::new();
        for piece in pieces {
            match self.heads.known.get(piece).filter(|known| known.is_good(self, now)) {
                Some(known) => drop(found.insert(*piece, known)),
                None => missing.push(*piece),
            }
        }
        self.counts.heads.count(missing.is_empty());
        if !missing.is_empty() {
            self.look_up_heads(missing, &mut found).await?;
        }
        Ok(found)
    }

    async fn look_up_heads(
        &self,
        mut missing: Vec<EquipmentId>,
        found: &mut HashMap<EquipmentId, Arc<KnownHead>>,
    ) -> Result<(), Error> {
        let as_of = self.clock.now();
        let asked: HashSet<EquipmentId> = missing.iter().copied().collect();
        self.add_due(&mut missing, &asked, as_of);
        let generation = self.changes.generation(REGISTERS);
        let turns: HashMap<EquipmentId, Option<u64>> =
            missing.iter().map(|piece| (*piece, self.heads.turn(*piece))).collect();
        for head in self.store.reader().await?.readings().heads(&missing).await? {
            let piece = head.equipment;
            let turn = turns.get(&piece).copied().flatten();
            let known = self.learn(KnownHead::new(head, generation, turn, as_of));
            if asked.contains(&piece) {
                known.was_asked_for.store(true, Ordering::Relaxed);
                found.insert(piece, known);
            }
        }
        Ok(())
    }

    /// Adds heads that others will ask for soon: one look-up for all costs hardly more than for one.
    fn add_due(&self, missing: &mut Vec<EquipmentId>, asked: &HashSet<EquipmentId>, now: Timestamp) {
        if !self.changes.are_shared() || !self.heads.is_time_to_sweep(now) {
            return;
        }
        let others = self.heads.known.iter().filter(|(piece, known)| {
            known.was_asked_for.load(Ordering::Relaxed)
                && known.belief(self, now) != Belief::Good
                && !asked.contains(piece)
        });
        missing.extend(others.take(AT_ONCE.saturating_sub(asked.len())).map(|(piece, _)| piece));
    }

    /// Remembers a head as it was found, unless it is known as it was found later.
    fn learn(&self, found: KnownHead) -> Arc<KnownHead> {
        let piece = found.head.equipment;
        if let Some(known) = self.heads.known.get(&piece) {
            if known.confirms(&found) {
                return known;
            }
            if known.as_of.load(Ordering::SeqCst) > found.as_of.load(Ordering::SeqCst) {
                return Arc::new(found);
            }
            known.disown();
        }
        let known = Arc::new(found);
        if known.turn.is_some() && known.generation.is_some() {
            self.heads.known.insert(piece, Arc::clone(&known));
        }
        known
    }

    /// Commits what moves the heads of these pieces on. However that ends, they are not known any more.
    pub(super) async fn commit_heads(
        &self,
        tx: Box<dyn UnitOfWork>,
        pieces: Vec<EquipmentId>,
    ) -> Result<(), StoreError> {
        self.moving_heads(pieces, tx.commit()).await
    }

    /// Ends an open unit of work that moves the heads of these pieces on. However that ends, they are not known any more. As
    /// to commits whose end nobody heard, see [`App::commit_changing`].
    pub(super) async fn moving_heads<T>(
        &self,
        pieces: Vec<EquipmentId>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.settle();
        let moving = self.heads.moving(pieces);
        let outcome = work.await;
        if self.may_still_come(&outcome) {
            moving.leave_open();
        }
        outcome
    }
}
