//! Finding the next readings in order of time among the packs of many pieces of equipment.
//!
//! Packs of one piece follow each other and never overlap; those of different pieces do. So the outlines of each piece's
//! next packs are looked at first, and only when it is known which readings come next are their bodies wanted. Nothing
//! here asks a database: who does is told what is wanted, and hands over what was found.

use crate::{Damaged, Outline, Pack};
use domain::id::EquipmentId;
use domain::page::Direction;
use domain::telemetry::{Reading, ReadingFilter, ReadingId};
use domain::time::Timestamp;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How many packs of all pieces together are asked for at once, if not one of each is more.
const AT_ONCE: usize = 256;

/// The most packs of one piece that are asked for at once.
const MOST_OF_EACH: usize = 8;

/// A pack as it is listed, without its body.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the database calls it.
    pub id: i64,
    /// Whose readings it holds.
    pub equipment: EquipmentId,
    /// The oldest instant in it.
    pub first_at: Timestamp,
    /// The newest instant in it.
    pub last_at: Timestamp,
    /// Which readings it holds.
    pub outline: Outline,
}

/// The packs to look at next: of each piece those that reach to its instant or beyond, the nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The pieces, and from which instant on (upwards or downwards). Packs that only begin (downwards: end) outside of the
    /// filter's span are not wanted.
    pub pieces: Vec<(EquipmentId, Timestamp)>,
    /// How many of each piece.
    pub of_each: usize,
}

/// Where a walk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the end of time that the direction comes from.
    Anywhere,
    /// With this reading, if it is there.
    At(ReadingId),
    /// Strictly beyond this reading, whether it is there or not.
    Beyond(ReadingId),
}

impl Start {
    fn mark(self) -> Option<ReadingId> {
        match self {
            Start::Anywhere => None,
            Start::At(mark) | Start::Beyond(mark) => Some(mark),
        }
    }

    fn admits(self, id: ReadingId, direction: Direction) -> bool {
        match self {
            Start::Anywhere => true,
            Start::At(mark) => directed(direction, place(id).cmp(&place(mark))) != Ordering::Less,
            Start::Beyond(mark) => directed(direction, place(id).cmp(&place(mark))) == Ordering::Greater,
        }
    }
}

/// The next readings of a walk through packs.
pub struct Course<'query> {
    filter: &'query ReadingFilter,
    direction: Direction,
    start: Start,
    most: usize,
    /// Pieces of which there may be further packs, and from which instant on those lie.
    open: BTreeMap<EquipmentId, Timestamp>,
    /// How many packs of each piece were asked for last.
    asked: usize,
    packs: HashMap<i64, Listed>,
    /// What was found so far, the next ones first.
    found: Vec<Found>,
}

#[derive(Clone, Copy)]
struct Found {
    id: ReadingId,
    pack: i64,
    place: usize,
}

impl<'query> Course<'query> {
    /// Looks for up to `most` readings of these pieces that match the filter, whatever equipment that names.
    pub fn new(
        pieces: impl IntoIterator<Item = EquipmentId>,
        filter: &'query ReadingFilter,
        direction: Direction,
        start: Start,
        most: usize,
    ) -> Self {
        let (from, until) = (filter.at.from, filter.at.until.map(just_before));
        let marked = start.mark().map(|mark| mark.at);
        let edge = match direction {
            Direction::Ascending => from.max(marked).unwrap_or(Timestamp::MIN),
            Direction::Descending => until.into_iter().chain(marked).min().unwrap_or(Timestamp::MAX),
        };
        Self {
            filter,
            direction,
            start,
            most,
            open: pieces.into_iter().map(|piece| (piece, edge)).collect(),
            asked: 0,
            packs: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// Which packs to look at next; `None` when what comes next is known.
    pub fn wants(&mut self) -> Option<Want> {
        let last = self.found.get(self.most.checked_sub(1)?).map(|last| last.id.at);
        // What lies beyond the last one that is wanted need not be looked at.
        let direction = self.direction;
        let pieces: Vec<(EquipmentId, Timestamp)> = self
            .open
            .iter()
            .filter(|(_, edge)| {
                last.is_none_or(|last| directed(direction, edge.cmp(&&last)) != Ordering::Greater)
            })
            .map(|(piece, edge)| (*piece, *edge))
            .collect();
        if pieces.is_empty() {
            return None;
        }
        self.asked = (AT_ONCE / pieces.len()).clamp(1, MOST_OF_EACH);
        Some(Want { pieces, of_each: self.asked })
    }

    /// Takes the packs that were wanted last: of each piece the nearest first.
    pub fn take(&mut self, want: &Want, listed: Vec<Listed>) {
        let mut counts: HashMap<EquipmentId, usize> = HashMap::new();
        for pack in listed {
            *counts.entry(pack.equipment).or_default() += 1;
            match self.beyond(&pack) {
                Some(beyond) => self.open.insert(pack.equipment, beyond),
                None => self.open.remove(&pack.equipment),
            };
            self.look_into(&pack);
            self.packs.insert(pack.id, pack);
        }
        for (piece, _) in &want.pieces {
            if counts.get(piece).is_none_or(|count| *count < want.of_each) {
                self.open.remove(piece);
            }
        }
        let direction = self.direction;
        self.found.sort_unstable_by(|one, other| directed(direction, place(one.id).cmp(&place(other.id))));
        self.found.truncate(self.most);
        let found = &self.found;
        let wanted: HashSet<i64> = found.iter().map(|found| found.pack).collect();
        self.packs.retain(|id, _| wanted.contains(id));
    }

    /// From where on further packs of the same piece lie; `None` at the end of time.
    fn beyond(&self, pack: &Listed) -> Option<Timestamp> {
        match self.direction {
            Direction::Ascending => Some(just_after(pack.last_at)).filter(|beyond| *beyond > pack.last_at),
            Direction::Descending => {
                Some(just_before(pack.first_at)).filter(|beyond| *beyond < pack.first_at)
            }
        }
    }

    fn look_into(&mut self, pack: &Listed) {
        for (nth, at) in pack.outline.matching(self.filter) {
            let id = ReadingId { equipment: pack.equipment, at };
            if self.start.admits(id, self.direction) {
                self.found.push(Found { id, pack: pack.id, place: nth });
            }
        }
    }

    /// The packs whose bodies are needed.
    pub fn needed(&self) -> Vec<i64> {
        let mut needed: Vec<i64> = self.packs.keys().copied().collect();
        needed.sort_unstable();
        needed
    }

    /// The readings, in order. `bodies` are those of the needed packs.
    pub fn readings(&self, bodies: &HashMap<i64, Vec<u8>>) -> Result<Vec<Reading>, Damaged> {
        let mut places: HashMap<i64, Vec<usize>> = HashMap::new();
        for found in &self.found {
            places.entry(found.pack).or_default().push(found.place);
        }
        let mut readings = Vec::with_capacity(self.found.len());
        for (id, places) in &places {
            let missing = Damaged("a pack that is not there");
            let (pack, body) = (self.packs.get(id).ok_or(missing)?, bodies.get(id).ok_or(missing)?);
            readings.extend(Pack::unpack_some(pack.equipment, &pack.outline, body, places)?);
        }
        let direction = self.direction;
        readings.sort_unstable_by(|one, other| directed(direction, place(one.id).cmp(&place(other.id))));
        Ok(readings)
    }
}

/// Readings are in order of instant, those of one instant in order of equipment.
fn place(id: ReadingId) -> (Timestamp, EquipmentId) {
    (id.at, id.equipment)
}

fn directed(direction: Direction, ordering: Ordering) -> Ordering {
    match direction {
        Direction::Ascending => ordering,
        Direction::Descending => ordering.reverse(),
    }
}

const MICROSECOND: Duration = Duration::from_micros(1);

fn just_before(at: Timestamp) -> Timestamp {
    at.before(MICROSECOND)
}

fn just_after(at: Timestamp) -> Timestamp {
    at.after(MICROSECOND)
}

/// Puts readings that lie in packs between those that do not, both in order, and keeps the first ones.
pub fn merged(loose: Vec<Reading>, packed: Vec<Reading>, direction: Direction, most: usize) -> Vec<Reading> {
    if packed.is_empty() || loose.is_empty() {
        let mut either = if packed.is_empty() { loose } else { packed };
        either.truncate(most);
        return either;
    }
    let mut all = loose;
    all.extend(packed);
    // Both parts are sorted already, which this sort finds out.
    all.sort_by(|one, other| directed(direction, place(one.id).cmp(&place(other.id))));
    all.truncate(most);
    all
}
