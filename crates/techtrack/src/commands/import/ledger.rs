//! The register as an import finds it and moves it on: which line means which piece, and what becomes of it.
//!
//! All that can be judged beforehand is judged here, so that a rehearsal says what the import itself will say.

use crate::commands::columns::{Column, Draft};
use domain::equipment::{DEEPEST, Details, Equipment, EquipmentChange, may_contain};
use domain::error::{Error, Reason};
use domain::id::EquipmentId;
use domain::patch::Patch;
use domain::text::{SerialNumber, fold};
use std::collections::{HashMap, HashSet};

/// What becomes of a line.
#[derive(Debug)]
pub(super) enum Step {
    /// The piece is new.
    Create(Details),
    /// The piece is there and said something else; this is what it is to say.
    Update(EquipmentId, EquipmentChange, Details),
    /// The piece is there and says the same.
    Leave(EquipmentId, Details),
    /// The piece is to be a component of one that no line before this one has brought.
    Wait,
}

/// A piece in the register.
#[derive(Clone, Debug)]
struct Piece {
    details: Details,
    is_hidden: bool,
}

/// What is in the register, with the lines that were handled.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pieces: HashMap<EquipmentId, Piece>,
    by_serial: HashMap<String, EquipmentId>,
    /// What the numbers mean that the file gives to its lines; nothing when it gives none.
    by_number: Option<HashMap<EquipmentId, EquipmentId>>,
    in_file: HashSet<String>,
    largest: i64,
}

impl Ledger {
    /// The register, for a file that numbers its lines or not.
    pub(super) fn of(register: Vec<Equipment>, is_numbered: bool) -> Self {
        let by_number = is_numbered.then(HashMap::new);
        let mut ledger = Self { by_number, ..Self::default() };
        for Equipment { id, details, hidden_at, .. } in register {
            ledger.put(id, Piece { details, is_hidden: hidden_at.is_some() });
        }
        ledger
    }

    /// Decides what becomes of a line.
    pub(super) fn judge(&self, draft: &Draft) -> Result<Step, Error> {
        let registered = self.registered(draft)?;
        let parent = match &draft.parent {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(name) => match self.find(name) {
                Some(parent) => Patch::Set(parent),
                None => return Ok(Step::Wait),
            },
        };
        let change = EquipmentChange { parent, ..draft.change.clone() };
        let Some((id, piece)) = registered else {
            let details = new_details(change)?;
            self.refuse_circle(None, None, &details)?;
            return Ok(Step::Create(details));
        };
        let after = change.clone().apply(&piece.details);
        if after == piece.details {
            return Ok(Step::Leave(id, after));
        }
        self.refuse_circle(Some(id), piece.details.parent, &after)?;
        Ok(Step::Update(id, change, after))
    }

    /// Takes note of what was done with a line.
    pub(super) fn note(&mut self, draft: &Draft, id: EquipmentId, details: Details) {
        if let (Some(numbered), Some(number)) = (&mut self.by_number, draft.number) {
            numbered.insert(number, id);
        }
        self.in_file.extend(serial(draft).map(SerialNumber::key));
        self.put(id, Piece { details, is_hidden: false });
    }

    /// An id that no piece has, for one that is not registered in earnest.
    pub(super) fn unused_id(&self) -> Option<EquipmentId> {
        EquipmentId::new(self.largest.checked_add(1)?)
    }

    fn put(&mut self, id: EquipmentId, piece: Piece) {
        let before = self.pieces.get(&id).and_then(|before| before.details.serial_number.as_ref());
        if let Some(before) = before {
            self.by_serial.remove(&before.key());
        }
        self.largest = self.largest.max(id.get());
        self.by_serial.extend(piece.details.serial_number.as_ref().map(|serial| (serial.key(), id)));
        self.pieces.insert(id, piece);
    }

    /// The piece that a line is about, if it is there already.
    fn registered(&self, draft: &Draft) -> Result<Option<(EquipmentId, &Piece)>, Error> {
        let taken = |field: Column, by: &str| {
            Err(Reason::new("taken", format!("is already taken by {by}")).at(field.name()).into())
        };
        let is_repeated = |number| self.by_number.as_ref().is_some_and(|known| known.contains_key(&number));
        if draft.number.is_some_and(is_repeated) {
            return taken(Column::Id, "another line");
        }
        let Some(key) = serial(draft).map(SerialNumber::key) else { return Ok(None) };
        if self.in_file.contains(&key) {
            return taken(Column::SerialNumber, "another line");
        }
        let found = self.by_serial.get(&key).and_then(|id| Some((*id, self.pieces.get(id)?)));
        match found {
            Some((_, piece)) if piece.is_hidden => taken(Column::SerialNumber, "hidden equipment"),
            found => Ok(found),
        }
    }

    /// The piece of this name: a serial number, else a number, perhaps behind a `#`.
    fn find(&self, name: &str) -> Option<EquipmentId> {
        let number = || EquipmentId::parse(name.strip_prefix('#').unwrap_or(name));
        let numbered = || match &self.by_number {
            Some(known) => known.get(&number()?).copied(),
            None => number(),
        };
        let id = self.by_serial.get(&fold(name)).copied().or_else(numbered)?;
        self.pieces.get(&id).filter(|piece| !piece.is_hidden).map(|_| id)
    }

    fn refuse_circle(
        &self,
        component: Option<EquipmentId>,
        before: Option<EquipmentId>,
        after: &Details,
    ) -> Result<(), Error> {
        let Some(parent) = after.parent.filter(|_| after.parent != before) else { return Ok(()) };
        let above = |id: &EquipmentId| self.pieces.get(id).and_then(|piece| piece.details.parent);
        let above: Vec<_> = std::iter::successors(above(&parent), above).take(DEEPEST).collect();
        may_contain(component, parent, &above, component.map_or(0, |component| self.levels_below(component)))
    }

    /// How many levels of components a piece has, as far as it matters.
    fn levels_below(&self, piece: EquipmentId) -> usize {
        let components = |above: &Vec<EquipmentId>| -> Option<Vec<EquipmentId>> {
            let is_within = |piece: &Piece| piece.details.parent.is_some_and(|id| above.contains(&id));
            let within = self.pieces.iter().filter(|(_, piece)| is_within(piece)).map(|(id, _)| *id);
            Some(within.collect()).filter(|level: &Vec<EquipmentId>| !level.is_empty())
        };
        std::iter::successors(components(&vec![piece]), components).take(DEEPEST).count()
    }
}

/// What is written about a new piece.
fn new_details(change: EquipmentChange) -> Result<Details, Error> {
    let missing = |column: Column| Error::flaw(column.name(), "required", "must not be empty");
    let blank = Details::new(
        change.name.clone().ok_or_else(|| missing(Column::Name))?,
        change.kind.clone().ok_or_else(|| missing(Column::Kind))?,
    );
    Ok(change.apply(&blank))
}

fn serial(draft: &Draft) -> Option<&SerialNumber> {
    if let Patch::Set(serial) = &draft.change.serial_number { Some(serial) } else { None }
}
