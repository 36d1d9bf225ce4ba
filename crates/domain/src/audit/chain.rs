//! The chain that the trail is written as: each line is sealed together with the seal of the line before.
//!
//! Whoever edits, removes or moves a line breaks every seal from there on; the [`Head`], which is kept apart, tells when the
//! newest lines are gone. What is sealed is written in one form for all databases, so a chain stays whole when it moves from one
//! to another. What this does not do: somebody who may write all of the database can write a chain of their own. Against that
//! helps a head that was noted elsewhere, which [`Walk::expecting`] looks for.

use super::{Event, Fact, Facts, NewEvent};
use crate::id::{EventId, UserId};
use sha2::{Digest, Sha256};
use std::fmt;

/// The form in which lines are sealed now. Another form gets another number; lines keep the form that they were sealed in.
const FORM: u8 = 1;

/// What is said of a trail whose rows are sealed while nothing knows where it ends.
pub const END_REMOVED: &str = "the row that knows where the audit trail ends was removed";

/// Among how many places one is looked for from which a line was moved.
const PLACES: i64 = 10_000_000;

/// What a seal comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first line follows.
    pub const NOTHING: Self = Self([0; 32]);

    /// From storage.
    pub const fn restore(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit =
                |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let [high, low] = digits else { return None };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self(bytes))
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What holds a line in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    form: u8,
    previous: Hash,
    hash: Hash,
}

impl Seal {
    /// How many bytes a seal has.
    pub const LENGTH: usize = 65;

    /// Seals a line that follows a line of this hash.
    fn set(previous: Hash, event: &Event) -> Self {
        Self { form: FORM, previous, hash: hash_of(FORM, previous, event.id.get(), &event.what) }
    }

    /// For storage.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let parts = [self.form].into_iter().chain(self.previous.0).chain(self.hash.0);
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        bytes
    }

    /// From storage.
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        let (form, hashes) = bytes.split_first()?;
        let (previous, hash) = hashes.split_at_checked(32)?;
        Some(Self {
            form: *form,
            previous: Hash(previous.try_into().ok()?),
            hash: Hash(hash.try_into().ok()?),
        })
    }

    /// Whether this line, were it of this id, is what was sealed.
    fn holds(&self, id: i64, what: &NewEvent) -> bool {
        self.form == FORM && hash_of(self.form, self.previous, id, what) == self.hash
    }
}

/// Where the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many lines there are.
    pub events: u64,
    /// The id of the newest; 0 where there is none.
    pub newest: i64,
    /// What it is sealed with.
    pub hash: Hash,
}

impl Default for Head {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Head {
    /// Of a trail without a line.
    pub const EMPTY: Self = Self { events: 0, newest: 0, hash: Hash::NOTHING };

    /// Puts an event at the end, under the next id; none when there are no more.
    pub fn append(&mut self, what: NewEvent) -> Option<(Event, Seal)> {
        let event = Event { id: EventId::new(self.newest.checked_add(1)?)?, what };
        let seal = self.take_in(&event);
        Some((event, seal))
    }

    /// Seals a line that has an id already, larger than that of the newest.
    pub fn take_in(&mut self, event: &Event) -> Seal {
        let seal = Seal::set(self.hash, event);
        *self = Self { events: self.events.saturating_add(1), newest: event.id.get(), hash: seal.hash };
        seal
    }
}

/// A line as it is stored, whether or not it makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its id.
    pub id: i64,
    /// What it says, if it makes sense.
    pub what: Option<NewEvent>,
    /// Its seal, if it has one.
    pub seal: Option<Seal>,
}

/// What is wrong with a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// This line does not say what was sealed.
    Edited(i64),
    /// This line stood elsewhere when it was sealed.
    Moved {
        /// Where it is.
        id: i64,
        /// Where it was.
        from: i64,
    },
    /// This line does not follow the line before it: what it followed was removed, or something else was put there.
    Detached(i64),
    /// This line was never written as part of the trail.
    Added(i64),
    /// The newest lines are gone.
    Cut {
        /// The last line that is there; 0 where there is none.
        after: i64,
        /// How many there should be.
        events: u64,
        /// How many are there.
        found: u64,
    },
    /// The chain is whole, and ends elsewhere than its head says.
    Head,
    /// The chain is whole, and the hash that was noted elsewhere is not in it.
    Forgotten(Hash),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Edited(id) => write!(f, "row {id} was edited: it does not say what was sealed"),
            Flaw::Moved { id, from } => write!(f, "row {id} was reordered: it was written as row {from}"),
            Flaw::Detached(id) => {
                write!(
                    f,
                    "what stood before row {id} was removed or replaced: the row followed something else"
                )
            }
            Flaw::Added(id) => write!(f, "row {id} was added: the head of the trail does not know of it"),
            Flaw::Cut { after, events, found } => write!(
                f,
                "what stood after row {after} was removed: the head of the trail counts {events} rows, and {found} are there"
            ),
            Flaw::Head => f.write_str("the head of the trail does not match its newest row"),
            Flaw::Forgotten(hash) => write!(
                f,
                "the trail is whole, but the head {hash} is not in it: it was rewritten, or cut, after that head was noted"
            ),
        }
    }
}

/// A walk along the chain, line by line in order of the ids, that remembers no more than where it is.
#[derive(Clone, Debug)]
pub struct Walk {
    at: Head,
    expected: Option<Hash>,
}

impl Walk {
    /// A walk from the beginning, that looks for a hash on its way if there is one to be found.
    pub fn expecting(expected: Option<Hash>) -> Self {
        Self { at: Head::EMPTY, expected: expected.filter(|hash| *hash != Hash::NOTHING) }
    }

    /// How far it came.
    pub const fn at(&self) -> Head {
        self.at
    }

    /// Goes on to the next line. `head` is where the chain ended at some moment after the line was read.
    pub fn step(&mut self, line: &StoredEvent, head: Head) -> Result<(), Flaw> {
        let StoredEvent { id, what, seal } = line;
        if *id > head.newest {
            return Err(Flaw::Added(*id));
        }
        let (Some(what), Some(seal)) = (what, seal) else { return Err(Flaw::Edited(*id)) };
        if !seal.holds(*id, what) {
            // Nothing but the id may be wrong, which is as good as telling from where it was moved.
            let was = (1..=head.newest.min(PLACES)).find(|was| seal.holds(*was, what));
            return Err(was.map_or(Flaw::Edited(*id), |from| Flaw::Moved { id: *id, from }));
        }
        if seal.previous != self.at.hash {
            return Err(Flaw::Detached(*id));
        }
        self.expected.take_if(|expected| *expected == seal.hash);
        self.at = Head { events: self.at.events.saturating_add(1), newest: *id, hash: seal.hash };
        Ok(())
    }

    /// There is no further line. `head` is where the chain ended at some moment before that was found out.
    pub fn end(self, head: Head) -> Result<Head, Flaw> {
        if self.at.newest < head.newest || self.at.events < head.events {
            let found = self.at.events;
            return Err(Flaw::Cut { after: self.at.newest, events: head.events, found });
        }
        if self.at != head {
            return Err(Flaw::Head);
        }
        match self.expected {
            Some(hash) => Err(Flaw::Forgotten(hash)),
            None => Ok(self.at),
        }
    }
}

/// The hash of a line in this form: of all that is stored of it, each part told apart from the next by its length.
fn hash_of(form: u8, previous: Hash, id: i64, what: &NewEvent) -> Hash {
    let mut line = Line(Sha256::new());
    line.0.update([form]);
    line.0.update(previous.0);
    line.number(id);
    line.number(what.at.micros());
    line.maybe(what.actor.map(UserId::get), Line::number);
    line.text(&what.actor_name);
    line.text(what.action.name());
    line.text(&what.subject.kind);
    line.maybe(what.subject.id, Line::number);
    line.text(&what.subject.label);
    line.maybe(what.origin.address, |line, address| line.text(&address.to_string()));
    line.maybe(what.origin.agent.as_deref(), Line::text);
    line.maybe(what.origin.request_id.as_deref(), Line::text);
    line.facts(&what.before);
    line.facts(&what.after);
    Hash(line.0.finalize().into())
}

struct Line(Sha256);

impl Line {
    fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn length(&mut self, length: usize) {
        self.0.update((length as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text);
    }

    fn maybe<T>(&mut self, part: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.update([u8::from(part.is_some())]);
        if let Some(part) = part {
            write(self, part);
        }
    }

    fn facts(&mut self, facts: &Facts) {
        self.length(facts.len());
        for (name, fact) in facts {
            self.text(name);
            self.fact(fact);
        }
    }

    fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Null => self.0.update([0]),
            Fact::Flag(flag) => self.0.update([1, u8::from(*flag)]),
            Fact::Number(number) => {
                self.0.update([2]);
                self.number(*number);
            }
            Fact::Text(text) => {
                self.0.update([3]);
                self.text(text);
            }
            Fact::List(texts) => {
                self.0.update([4]);
                self.length(texts.len());
                texts.iter().for_each(|text| self.text(text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Origin;
    use crate::audit::{Action, Subject};
    use crate::time::Timestamp;

    fn event(label: &str) -> NewEvent {
        NewEvent {
            at: Timestamp::from_micros(1_700_000_000_000_000).unwrap(),
            actor: UserId::new(7),
            actor_name: "anna".into(),
            action: Action::UserUpdated,
            subject: Subject::other("user", Some(8), label),
            origin: Origin {
                address: Some("192.0.2.1".parse().unwrap()),
                agent: None,
                request_id: Some("r".into()),
            },
            before: vec![("is_active".into(), Fact::Flag(true))],
            after: vec![("roles".into(), Fact::List(vec!["A".into(), "B".into()]))],
        }
    }

    fn stored((event, seal): (Event, Seal)) -> StoredEvent {
        StoredEvent { id: event.id.get(), what: Some(event.what), seal: Some(seal) }
    }

    fn chain(labels: &[&str]) -> (Vec<StoredEvent>, Head) {
        let mut head = Head::EMPTY;
        let lines = labels.iter().map(|label| stored(head.append(event(label)).unwrap())).collect();
        (lines, head)
    }

    fn walk(lines: &[StoredEvent], head: Head, expected: Option<Hash>) -> Result<Head, Flaw> {
        let mut walk = Walk::expecting(expected);
        for line in lines {
            walk.step(line, head)?;
        }
        walk.end(head)
    }

    #[test]
    fn what_nobody_touched_is_whole_to_its_head() {
        for labels in [&[][..], &["a"], &["a", "b", "c"]] {
            let (lines, head) = chain(labels);
            assert_eq!(walk(&lines, head, None), Ok(head));
            assert_eq!(head.events, labels.len() as u64);
        }
    }

    #[test]
    fn the_form_in_which_lines_are_sealed_stays_what_it_is() {
        let (_, head) = chain(&["a"]);
        assert_eq!(head.hash.to_string(), "ed384e49403328fa057dc7171691da2881f18cc52204ec79bb9bbf93b8f31902");
    }

    #[test]
    fn a_change_of_any_part_of_a_line_is_an_edit() {
        type Edit = fn(&mut NewEvent);
        let edits: [Edit; 14] = [
            |line| line.at = Timestamp::MIN,
            |line| line.actor = None,
            |line| line.actor_name.push('x'),
            |line| line.action = Action::UserCreated,
            |line| line.subject.kind.clear(),
            |line| line.subject.id = None,
            |line| line.subject.label.push(' '),
            |line| line.origin.address = None,
            |line| line.origin.agent = Some(String::new()),
            |line| line.origin.request_id = None,
            |line| line.before.clear(),
            |line| line.before[0].1 = Fact::Flag(false),
            |line| line.after[0].1 = Fact::List(vec!["AB".into(), String::new()]),
            |line| std::mem::swap(&mut line.before, &mut line.after),
        ];
        for (number, edit) in edits.into_iter().enumerate() {
            let (mut lines, head) = chain(&["a", "b", "c"]);
            edit(lines[1].what.as_mut().unwrap());
            assert_eq!(walk(&lines, head, None), Err(Flaw::Edited(2)), "edit {number}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_or_has_no_seal_was_edited() {
        let (mut lines, head) = chain(&["a", "b"]);
        lines[0].what = None;
        assert_eq!(walk(&lines, head, None), Err(Flaw::Edited(1)));
        let (mut lines, head) = chain(&["a", "b"]);
        lines[1].seal = None;
        assert_eq!(walk(&lines, head, None), Err(Flaw::Edited(2)));
    }

    #[test]
    fn a_line_that_is_gone_is_missed_by_the_one_behind_it() {
        for gone in 0..3 {
            let (mut lines, head) = chain(&["a", "b", "c", "d"]);
            lines.remove(gone);
            assert_eq!(walk(&lines, head, None), Err(Flaw::Detached(gone as i64 + 2)));
        }
    }

    #[test]
    fn lines_that_changed_places_tell_where_they_were() {
        let (mut lines, head) = chain(&["a", "b", "c", "d"]);
        lines.swap(1, 2);
        (lines[1].id, lines[2].id) = (2, 3);
        assert_eq!(walk(&lines, head, None), Err(Flaw::Moved { id: 2, from: 3 }));
    }

    #[test]
    fn the_newest_lines_are_missed_by_the_head() {
        let (mut lines, head) = chain(&["a", "b", "c"]);
        lines.truncate(1);
        assert_eq!(walk(&lines, head, None), Err(Flaw::Cut { after: 1, events: 3, found: 1 }));
        lines.clear();
        assert_eq!(walk(&lines, head, None), Err(Flaw::Cut { after: 0, events: 3, found: 0 }));
    }

    #[test]
    fn a_line_that_only_looks_sealed_is_told_by_the_head() {
        let (lines, head) = chain(&["a", "b"]);
        let mut forged = head;
        let added = stored(forged.append(event("c")).unwrap());
        let longer = [lines, vec![added]].concat();
        assert_eq!(walk(&longer, head, None), Err(Flaw::Added(3)));
    }

    #[test]
    fn a_head_that_was_changed_does_not_match() {
        let (lines, head) = chain(&["a", "b"]);
        assert_eq!(walk(&lines, Head { hash: Hash::NOTHING, ..head }, None), Err(Flaw::Head));
        assert_eq!(walk(&lines, Head { events: 1, ..head }, None), Err(Flaw::Head));
        let cut = Flaw::Cut { after: 2, events: 9, found: 2 };
        assert_eq!(walk(&lines, Head { events: 9, ..head }, None), Err(cut));
    }

    #[test]
    fn a_head_that_was_noted_is_found_in_what_grew_from_it_and_in_nothing_that_was_rewritten() {
        let (lines, head) = chain(&["a", "b", "c"]);
        let (_, noted) = chain(&["a", "b"]);
        assert_eq!(walk(&lines, head, Some(noted.hash)), Ok(head));
        assert_eq!(walk(&lines, head, Some(Hash::NOTHING)), Ok(head));
        let (rewritten, other) = chain(&["a", "x", "c"]);
        assert_eq!(walk(&rewritten, other, Some(noted.hash)), Err(Flaw::Forgotten(noted.hash)));
    }

    #[test]
    fn seals_and_hashes_come_back_as_they_were() {
        let (lines, head) = chain(&["a", "b"]);
        let seal = lines[1].seal.unwrap();
        assert_eq!(Seal::restore(&seal.to_bytes()), Some(seal));
        assert_eq!(Seal::restore(&seal.to_bytes()[..64]), None);
        assert_eq!(Hash::parse(&head.hash.to_string()), Some(head.hash));
        assert_eq!(Hash::parse(&head.hash.to_string().to_uppercase()), Some(head.hash));
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Hash::parse(bad), None, "{bad}");
        }
    }
}
