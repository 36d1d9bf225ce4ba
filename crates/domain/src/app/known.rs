//! What use cases remember of their answers, and the grounds on which it is believed.
//!
//! An answer rests on registers, and some on heads of readings as well (see `heads`). As long as the
//! [`Grounds`] hold, reading it anew would come to the same; faces that write answers down may keep them for as long.

use super::App;
use super::heads::KnownHead;
use crate::changes::{Generation, Register};
use crate::equipment::{Equipment, EquipmentQuery};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::Page;
use crate::ports::{StoreError, UnitOfWork};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an answer about people rests on.
pub const PEOPLE: &[Register] = &[Register::People];
/// What an answer about rules rests on.
pub const RULES: &[Register] = &[Register::Rules];
/// What an answer about equipment rests on.
pub const EQUIPMENT: &[Register] = &[Register::Equipment];
/// What is told to whom rests on.
pub(super) const WEBHOOKS: &[Register] = &[Register::Webhooks];
/// What it rests on who somebody is and what they may.
pub(super) const ACCESS: &[Register] = &[Register::People, Register::Credentials];
/// What goes with equipment that is removed for good.
pub(super) const PLANT: &[Register] = &[Register::Equipment, Register::Rules];

/// About so many bytes of equipment are remembered at most, in pages and in pieces.
const MOST_BYTES: u64 = 16 << 20;

/// About how much memory a piece takes.
const BYTES_OF_A_PIECE: u64 = 768;

/// About how many pages are remembered at once.
const PAGES_EXPECTED: usize = 1_000;

/// What an answer rests on.
#[derive(Clone)]
pub struct Grounds {
    generation: Generation,
    heads: Vec<Arc<KnownHead>>,
}

impl Grounds {
    /// On how many things it rests beside registers.
    pub fn size(&self) -> usize {
        self.heads.len()
    }
}

/// An answer, and what it rests on if it may be remembered.
#[derive(Clone)]
pub struct Known<T> {
    /// The answer.
    pub value: T,
    /// What it rests on.
    pub grounds: Option<Grounds>,
}

/// How often something was answered from memory, and how often not.
#[derive(Debug, Default)]
pub struct Hits {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Hits {
    /// Counts one answer.
    pub fn count(&self, is_hit: bool) {
        let counter = if is_hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many hits there were, and how many misses.
    pub fn told(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

/// What is counted of memory.
#[derive(Debug, Default)]
pub struct Counts {
    /// Who calls.
    pub callers: Hits,
    /// Equipment, in pieces and in pages.
    pub equipment: Hits,
    /// Heads of readings.
    pub heads: Hits,
}

/// Equipment as it was found.
pub(super) struct Pieces {
    pages: Cache<EquipmentQuery, Found<Page<Equipment>>, Bytes>,
    pieces: Cache<EquipmentId, Found<Equipment>>,
}

#[derive(Clone)]
struct Found<T> {
    generation: Generation,
    value: Arc<T>,
}

/// Weighs pages by about how many bytes they take.
#[derive(Clone)]
struct Bytes;

impl Weighter<EquipmentQuery, Found<Page<Equipment>>> for Bytes {
    fn weight(&self, _query: &EquipmentQuery, found: &Found<Page<Equipment>>) -> u64 {
        (found.value.items.len() as u64 + 2).saturating_mul(BYTES_OF_A_PIECE)
    }
}

impl Default for Pieces {
    fn default() -> Self {
        let most_pieces = MOST_BYTES / BYTES_OF_A_PIECE;
        Self {
            pages: Cache::with_weighter(PAGES_EXPECTED, MOST_BYTES, Bytes),
            pieces: Cache::new(usize::try_from(most_pieces).unwrap_or(usize::MAX)),
        }
    }
}

impl App {
    /// What an answer rests on that is read from these registers alone, from now on; nothing while that cannot be known.
    pub fn grounds(&self, registers: &'static [Register]) -> Option<Grounds> {
        let generation = self.changes.generation(registers)?;
        Some(Grounds { generation, heads: Vec::new() })
    }

    /// Whether reading the answer anew would come to the same.
    pub fn hold(&self, grounds: &Grounds) -> bool {
        if !self.changes.is_current(grounds.generation) {
            return false;
        }
        if grounds.heads.is_empty() {
            return true;
        }
        let now = self.clock.now();
        // All are asked, so that those that are due are looked up together.
        grounds.heads.iter().filter(|head| !head.is_good(self, now)).count() == 0
    }

    /// Commits what changes these registers. However that ends, nothing that rests on them is believed any more.
    ///
    /// Where no other process writes, units of work follow one another. So as `tx` is open, no other is, and of commits whose
    /// end nobody heard it is known that they have ended: until then they keep what they may change from being remembered.
    pub(super) async fn commit_changing(
        &self,
        registers: &'static [Register],
        tx: Box<dyn UnitOfWork>,
    ) -> Result<(), StoreError> {
        self.settle();
        let under_way = self.changes.begin(registers);
        let outcome = tx.commit().await;
        if self.may_still_come(&outcome) {
            under_way.leave_open();
        }
        outcome
    }

    /// All commits have ended but that of whoever calls.
    pub(super) fn settle(&self) {
        self.changes.settle();
        self.heads.settle();
    }

    /// Whether the commit may take place later without anybody telling. What it changes must not be remembered meanwhile.
    pub(super) fn may_still_come<T>(&self, outcome: &Result<T, StoreError>) -> bool {
        !self.changes.are_shared() && matches!(outcome, Err(StoreError::OutcomeUnknown))
    }

    /// The piece, hidden or not.
    pub(super) async fn piece(&self, id: EquipmentId) -> Result<Option<Known<Equipment>>, Error> {
        let generation = self.changes.generation(EQUIPMENT);
        let found = self.pieces.pieces.get(&id).filter(|found| Some(found.generation) == generation);
        self.counts.equipment.count(found.is_some());
        if let Some(found) = found {
            return self.with_head(found).await.map(Some);
        }
        let Some(piece) = self.store.reader().await?.equipment().find(id).await? else { return Ok(None) };
        // What is hidden has no head that anybody could ask for.
        let Some(generation) = generation.filter(|_| piece.hidden_at.is_none()) else {
            return Ok(Some(Known { value: piece, grounds: None }));
        };
        let found = Found { generation, value: Arc::new(piece) };
        self.pieces.pieces.insert(id, found.clone());
        self.with_head(found).await.map(Some)
    }

    async fn with_head(&self, found: Found<Equipment>) -> Result<Known<Equipment>, Error> {
        let Found { generation, value } = found;
        let mut pieces = [(*value).clone()];
        let grounds = self.refresh(&mut pieces, generation).await?;
        let [value] = pieces;
        Ok(Known { value, grounds })
    }

    /// A page of equipment.
    pub(super) async fn page(&self, query: EquipmentQuery) -> Result<Known<Page<Equipment>>, Error> {
        // What is hidden has no head that anybody could ask for.
        let generation = self.changes.generation(EQUIPMENT).filter(|_| !query.filter.hidden);
        let Some(generation) = generation else {
            let value = self.store.reader().await?.equipment().list(&query).await?;
            return Ok(Known { value, grounds: None });
        };
        let found = self.pieces.pages.get(&query).filter(|found| found.generation == generation);
        self.counts.equipment.count(found.is_some());
        let found = match found {
            Some(found) => found,
            None => {
                let page = self.store.reader().await?.equipment().list(&query).await?;
                let found = Found { generation, value: Arc::new(page) };
                self.pieces.pages.insert(query, found.clone());
                found
            }
        };
        let mut value = (*found.value).clone();
        let grounds = self.refresh(&mut value.items, generation).await?;
        Ok(Known { value, grounds })
    }

    /// Writes into pieces that are remembered what is newest of them.
    async fn refresh(
        &self,
        pieces: &mut [Equipment],
        generation: Generation,
    ) -> Result<Option<Grounds>, Error> {
        let ids: Vec<EquipmentId> = pieces.iter().map(|piece| piece.id).collect();
        let heads = self.heads_of(&ids).await?;
        for piece in pieces.iter_mut() {
            // A piece without a head was hidden a moment ago; it is shown as it was then.
            if let Some(known) = heads.get(&piece.id) {
                piece.last_seen_at = known.head.last_seen_at;
            }
        }
        let is_whole = heads.len() == pieces.len();
        Ok(is_whole.then(|| Grounds { generation, heads: heads.into_values().collect() }))
    }

    /// What is newest of a piece in the register.
    pub(super) async fn latest_of(&self, id: EquipmentId) -> Result<Option<Known<Arc<KnownHead>>>, Error> {
        let generation = self.changes.generation(EQUIPMENT);
        let Some(value) = self.heads_of(&[id]).await?.remove(&id) else { return Ok(None) };
        let grounds = generation.map(|generation| Grounds { generation, heads: vec![Arc::clone(&value)] });
        Ok(Some(Known { value, grounds }))
    }
}
