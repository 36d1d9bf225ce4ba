//! Who is at work at the same time. Requests of one [`Class`] wait in a line of their own, so that a crowd that wants one
//! thing takes neither connections nor time from those who want another; and no line is so long that who gets to its end
//! has given up by then.
//!
//! A request takes its turn before anybody finds out who sent it ([`crate::middleware::admission`]) and gives it back
//! while it waits for its client ([`Pass::aside`]): what is scarce is never held for somebody slow. Answers from memory
//! ([`crate::remembered`]) take no turn.

mod line;
mod pass;
mod share;

pub use line::{Line, Turn};
pub use pass::{Onward, Pass};
pub use share::Caller;

use crate::problem::Problem;
use actix_web::http::Method;
use actix_web::{HttpMessage, HttpRequest};
use line::Measure;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What requests want, in order of what is given up last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Whether the server is well.
    Health,
    /// To get in, and to stay in.
    SignIn,
    /// To know something.
    Read,
    /// To know one reading. They are looked up in groups, so many may be waiting for that.
    Find,
    /// To change something.
    Write,
    /// To send a few readings. They are stored in groups, so many may be waiting for that.
    Ingest,
    /// To have many readings stored at once. The turn of an upload while it stores some.
    Batch,
    /// To send readings without end. Counted, not queued: it takes a turn as a batch whenever it has something to store.
    Upload,
    /// To get readings without end. Counted, not queued: it takes a turn for each portion.
    Export,
    /// To take an answer that comes in portions. Counted, not queued, from its second portion on, or once it is large.
    Answer,
    /// To find out who calls, and what they were answered before, where those who call are more than there are connections.
    LookUp,
    /// To read a portion of an export, of series or of a preview, which may be made of millions of readings.
    Portion,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 12] = [
        Class::Health,
        Class::SignIn,
        Class::Read,
        Class::Find,
        Class::Write,
        Class::Ingest,
        Class::Batch,
        Class::Upload,
        Class::Export,
        Class::Answer,
        Class::LookUp,
        Class::Portion,
    ];

    /// The class of an operation that nobody put into another.
    pub fn of_method(method: &Method) -> Self {
        if method.is_safe() { Self::Read } else { Self::Write }
    }

    /// The name in metrics and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Health => "health",
            Class::SignIn => "sign_in",
            Class::Read => "read",
            Class::Find => "find",
            Class::Write => "write",
            Class::Ingest => "ingest",
            Class::Batch => "batch",
            Class::Upload => "upload",
            Class::Export => "export",
            Class::Answer => "answer",
            Class::LookUp => "look_up",
            Class::Portion => "portion",
        }
    }

    /// Whether more are at work than there are connections to storage, so that each of them takes a turn for what it asks there.
    pub(crate) fn is_crowd(self) -> bool {
        matches!(self, Class::Find | Class::Ingest | Class::Upload | Class::Export)
    }

    /// Whether nothing is changed by those who wait here, whatever their method says.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Class::Read | Class::Find | Class::Export | Class::Portion)
    }

    /// Whether a turn is kept for as long as the client likes to take.
    fn is_kept(self) -> bool {
        matches!(self, Class::Upload | Class::Export | Class::Answer)
    }

    /// How long the line is, and how fast, where so many connections to storage are shared by all.
    ///
    /// Half of them are for reading and half for writing. No class may take a whole half: whoever wants to know who
    /// calls, or whether the database is there, finds one that is free or soon will be.
    fn measure(self, connections: usize) -> Measure {
        let sixteenths = |parts: usize| (connections * parts / 16).max(1);
        let most = (connections / 2).saturating_sub(1).max(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (at_once, waiting, Pace { patience, moment }) = match self {
            Class::Health => (64, 1024, QUICK),
            // Most of a sign-in is hashing, for which there is a core each.
            Class::SignIn => (sixteenths(4).max(2 * cores).min(most), 64, SLOW),
            Class::Read => (sixteenths(6), 1024, QUICK),
            Class::Write => (sixteenths(4), 512, QUICK),
            Class::Find | Class::Ingest => (1024, 4096, QUICK),
            Class::Batch => (sixteenths(3), 64, SLOW),
            Class::Upload => (256, 0, QUICK),
            Class::Export => (64, 0, QUICK),
            Class::Answer => (256, 0, QUICK),
            // Now and then one of them writes down that a credential was used, and waits for the one writer of an embedded database.
            Class::LookUp => (sixteenths(2).max(2).min(most), 4096, QUICK),
            Class::Portion => (sixteenths(2), 256, SLOW),
        };
        Measure { at_once, waiting, patience, moment }
    }
}

/// How long one waits for a turn: as part of a burst, and where there is no end of those who want one.
struct Pace {
    patience: Duration,
    moment: Duration,
}

/// For work that takes milliseconds. Whoever is served in the end has an answer within a second.
const QUICK: Pace = Pace { patience: Duration::from_millis(600), moment: Duration::from_millis(100) };

/// For work that may take as long as that itself.
const SLOW: Pace = Pace { patience: Duration::from_secs(2), moment: Duration::from_millis(600) };

/// On a request that was turned away before anybody looked at it.
pub struct TurnedAway;

impl TurnedAway {
    /// Marks the request.
    pub fn mark(request: &HttpRequest) {
        request.extensions_mut().insert(Self);
    }

    /// Whether the request is marked.
    pub fn stands_on(request: &HttpRequest) -> bool {
        request.extensions().contains::<Self>()
    }
}

/// Up to so many bytes of a body are nobody's concern.
pub const SMALL: usize = 64 * 1024;

/// How many bytes of larger bodies are held at most, all requests together.
const ROOM: usize = 256 * 1024 * 1024;

/// The lines of a server.
pub struct Turns {
    lines: [Line; Class::ALL.len()],
    /// Bytes of large bodies that are held.
    held: AtomicUsize,
}

impl Turns {
    /// Where so many connections to storage are shared by all.
    pub fn among(connections: usize) -> Arc<Self> {
        let lines = Class::ALL.map(|class| Line::new(class, class.measure(connections)));
        Arc::new(Self { lines, held: AtomicUsize::new(0) })
    }

    /// The line of a class.
    pub fn line(&self, class: Class) -> &Line {
        let [health, sign_in, read, find, write, ingest, batch, upload, export, answer, look_up, portion] =
            &self.lines;
        match class {
            Class::Health => health,
            Class::SignIn => sign_in,
            Class::Read => read,
            Class::Find => find,
            Class::Write => write,
            Class::Ingest => ingest,
            Class::Batch => batch,
            Class::Upload => upload,
            Class::Export => export,
            Class::Answer => answer,
            Class::LookUp => look_up,
            Class::Portion => portion,
        }
    }

    /// A turn, as soon as there is one; or a refusal, when that takes too long or too many wait already.
    pub async fn take(&self, class: Class) -> Result<Turn, Problem> {
        self.line(class).take().await.ok_or(Problem::Crowded(class.name()))
    }

    /// A turn, however long that takes: for who has begun already, and is counted elsewhere.
    pub async fn wait(&self, class: Class) -> Option<Turn> {
        self.line(class).wait().await
    }

    /// Holds a turn of this class against a caller, of whom no one gets all that there are.
    pub fn charge(&self, class: Class, turn: Turn, caller: Caller) -> Result<Turn, Problem> {
        self.line(class).charge(turn, caller).ok_or(Problem::Greedy(class.name()))
    }

    /// Takes room for this much more of a large body.
    fn hold(&self, bytes: usize) -> Result<(), Problem> {
        let fits = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= ROOM);
        let held = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        held.map(drop).map_err(|_| Problem::Crowded("large bodies"))
    }

    fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_few_connections_there_are_every_class_gets_on() {
        for connections in [1, 2, 16, 1000] {
            let turns = Turns::among(connections);
            for class in Class::ALL {
                assert!(turns.line(class).places() >= 1, "{class:?} of {connections}");
            }
        }
    }

    #[test]
    fn no_class_takes_all_connections_for_reading_or_for_writing() {
        for connections in [8, 16, 100] {
            let turns = Turns::among(connections);
            for class in
                [Class::SignIn, Class::Read, Class::Write, Class::Batch, Class::LookUp, Class::Portion]
            {
                assert!(turns.line(class).places() < connections / 2, "{class:?} of {connections}");
            }
        }
    }

    #[test]
    fn large_bodies_have_so_much_room_and_no_more() {
        let turns = Turns::among(16);
        turns.hold(ROOM).unwrap();
        assert!(turns.hold(1).is_err() && turns.hold(usize::MAX).is_err());
        turns.let_go(1);
        turns.hold(1).unwrap();
    }
}
