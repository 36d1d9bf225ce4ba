//! Lines of readings, taken in: read as they come, stored batch by batch, and never held all at once; bad lines are left out
//! and told. While one batch is stored, the next is read. How a line is read is for [`Reads`] to say.

use crate::auth::Lasting;
use crate::body::PATIENCE;
use crate::body::coding::Incoming;
use crate::completion::{Started, start};
use crate::problem::table::Misuse;
use crate::problem::{FlawBody, Problem, Reply};
use crate::readings::few;
use crate::readings::gather::Gatherer;
use crate::readings::lines::{Line, Lines};
use crate::readings::newcomers::Newcomers;
use crate::state::State;
use crate::turns::{Caller, Class, Pass, Turns};
use domain::access::Origin;
use domain::access::rights::WriteData;
use domain::app::App;
use domain::app::ingest::{self, Counts, Sent, Sifted, Single};
use domain::error::Error;
use domain::telemetry::OnConflict;
use domain::text::Label;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

/// How many lines are stored at once.
const LINES_AT_ONCE: usize = 10_000;

/// How many bytes of lines are gathered before they are stored.
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// For so many uploads there is room for all that they may gather. More of them gather less each.
const ROOM_FOR: usize = 16;

/// A line waits for others no longer than this before it is stored.
const PATIENCE_FOR_MORE: Duration = Duration::from_millis(100);

/// How many bad lines are told.
const MOST_TOLD: usize = 1000;

/// How many flaws of one line are told.
const MOST_FLAWS: usize = 10;

/// How many characters a text about a line may have: lines can be long, and are quoted.
const LONGEST_TEXT: usize = 200;

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineError)]
pub(crate) struct LineError {
    /// The line's number, from 1.
    #[schema(minimum = 1)]
    pub(crate) line: u64,
    /// The code of the failure.
    #[schema(examples("invalid_fields"))]
    code: &'static str,
    pub(crate) message: String,
    /// The fields that are to blame; none when the line cannot be read.
    errors: Vec<FlawBody>,
}

impl LineError {
    /// A line that cannot be read.
    pub(crate) fn unreadable(line: u64, what_it_is: &str) -> Self {
        let message = shortened(&format!("the line is {what_it_is}"));
        Self { line, code: Misuse::MalformedRequest.row().code, message, errors: Vec::new() }
    }

    /// A line that was refused.
    pub(crate) fn refused(line: u64, error: &Error) -> Self {
        let told = error.flaws().into_iter().take(MOST_FLAWS).map(|flaw| FlawBody {
            field: shortened(&flaw.field),
            code: flaw.reason.code.to_owned(),
            message: shortened(&flaw.reason.message),
        });
        Self {
            line,
            code: error.code().name(),
            message: shortened(&error.to_string()),
            errors: told.collect(),
        }
    }
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(LONGEST_TEXT).map(|(end, _)| end);
    match end.and_then(|end| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}

/// What became of the lines. `received` is always `accepted` + `duplicates` + `rejected`.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = BulkReceipt, examples(json!({
    "received": 3, "accepted": 1, "duplicates": 1, "rejected": 1, "errors_cut": false,
    "errors": [{
        "line": 3, "code": "invalid_fields", "message": "equipment must be equipment in the register",
        "errors": [{"field": "equipment", "code": "unknown", "message": "must be equipment in the register"}]
    }]
})))]
pub struct BulkBody {
    pub(crate) received: u64,
    /// Stored, or added to what was there.
    accepted: u64,
    /// There already.
    duplicates: u64,
    /// Left out.
    pub(crate) rejected: u64,
    /// The first bad lines, in their order.
    pub(crate) errors: Vec<LineError>,
    /// Whether there were more bad lines than are told.
    errors_cut: bool,
}

impl BulkBody {
    fn add(&mut self, counts: Counts, bad: Vec<LineError>) {
        let rejected = u64::try_from(bad.len()).unwrap_or(u64::MAX);
        self.accepted += counts.accepted;
        self.duplicates += counts.duplicates;
        self.rejected += rejected;
        self.received += counts.accepted + counts.duplicates + rejected;
        let room = MOST_TOLD.saturating_sub(self.errors.len());
        self.errors_cut |= bad.len() > room;
        self.errors.extend(bad.into_iter().take(room));
    }
}

/// How lines are read.
pub(crate) trait Reads {
    /// Reads a line, which may be blank; tells the batch what is in it, if there is anything.
    fn take(&mut self, app: &App, line: Line, batch: &mut Batch);

    /// No more lines come.
    fn end(&mut self, _: &App, _: &mut Batch) {}

    /// What was gathered goes away to be stored.
    fn handed_over(&mut self) {}

    /// The number of the first line that was read and told no batch yet, because it may go on.
    fn first_waiting(&self) -> Option<u64> {
        None
    }
}

/// Lines that were read and not handed over yet.
#[derive(Default)]
pub(crate) struct Batch {
    /// Readings, and the numbers of their lines.
    sent: Vec<Sent>,
    numbers: Vec<u64>,
    bad: Vec<LineError>,
    bytes: usize,
    /// The number of the last line.
    end: u64,
    /// By when it is handed over, once there is anything in it.
    due: Option<Instant>,
}

impl Batch {
    /// A line with a reading.
    pub(crate) fn good(&mut self, number: u64, sent: Sent) {
        self.sent.push(sent);
        self.numbers.push(number);
    }

    /// A line that makes none.
    pub(crate) fn bad(&mut self, app: &App, bad: LineError) {
        app.tally.reject(1);
        self.bad.push(bad);
    }

    /// Whether it is as much as one of so many uploads may gather.
    fn is_full(&self, uploads: usize) -> bool {
        let share = uploads.div_ceil(ROOM_FOR).max(1);
        let lines = self.sent.len() + self.bad.len();
        lines >= LINES_AT_ONCE / share || self.bytes >= BYTES_AT_ONCE / share
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// A line is about to be read.
    fn note(&mut self, line: &Line) {
        self.end = line.number;
        if !line.is_blank() {
            self.due.get_or_insert_with(|| Instant::now() + PATIENCE_FOR_MORE);
            self.bytes += line.text.as_ref().map_or(0, bytes::Bytes::len);
        }
    }
}

/// A batch that is being stored.
struct UnderWay {
    numbers: Vec<u64>,
    bad: Vec<LineError>,
    end: u64,
    work: Started<Sifted>,
}

/// Takes lines in.
pub(crate) struct Intake<R> {
    app: Arc<App>,
    turns: Arc<Turns>,
    by: Lasting<WriteData>,
    on_conflict: OnConflict,
    reader: R,
    /// As what kind equipment comes into the register by reporting; none keeps it out.
    register_as: Option<Label>,
    gathered: Batch,
    under_way: Option<UnderWay>,
    told: BulkBody,
    /// The number of the last line that was dealt with.
    done: u64,
}

impl<R: Reads> Intake<R> {
    /// Takes in lines that this caller sends and this reader reads.
    pub(crate) fn new(state: &State, by: Lasting<WriteData>, on_conflict: OnConflict, reader: R) -> Self {
        Self {
            app: Arc::clone(&state.app),
            turns: Arc::clone(&state.turns),
            by,
            on_conflict,
            reader,
            register_as: None,
            gathered: Batch::default(),
            under_way: None,
            told: BulkBody::default(),
            done: 0,
        }
    }

    /// The same, with equipment that comes into the register as this kind by reporting, if any.
    pub(crate) fn with_newcomers(self, register_as: Option<Label>) -> Self {
        Self { register_as, ..self }
    }

    /// Takes all lines of this body. What was stored stays stored, whatever happens later.
    pub(crate) async fn run(mut self, mut incoming: Incoming) -> Reply<BulkBody> {
        let read = self.read(&mut Lines::default(), &mut incoming).await;
        self.finish(read).await
    }

    /// Takes all lines of this body, of which there are few as a rule: those are stored together with what others send at
    /// the same time. Only whoever sends more is counted among the uploads.
    pub(crate) async fn run_few(
        mut self,
        mut incoming: Incoming,
        pass: Option<Pass>,
        storing: &Arc<Gatherer<Single>>,
    ) -> Reply<BulkBody> {
        let mut lines = Lines::default();
        let gathered = self.gather(&mut lines, &mut incoming);
        let is_all = match &pass {
            Some(pass) => pass.aside(gathered).await?,
            None => gathered.await,
        };
        let read = match is_all {
            Ok(true) => match self.are_few() {
                true => return self.store_few(storing).await,
                false => Ok(()),
            },
            Ok(false) => {
                if let Some(pass) = &pass {
                    pass.change_to(Class::Upload).await?;
                    pass.charge(|| Caller::of(Some(self.by.held().actor()), &Origin::default()))?;
                }
                match self.hand_over().await {
                    Ok(()) => self.read(&mut lines, &mut incoming).await,
                    Err(problem) => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        };
        self.finish(read).await
    }

    async fn read(&mut self, lines: &mut Lines, incoming: &mut Incoming) -> Result<(), Problem> {
        while !self.gather(lines, incoming).await? {
            self.hand_over().await?;
        }
        Ok(())
    }

    async fn finish(mut self, read: Result<(), Problem>) -> Reply<BulkBody> {
        let handed_over = match read {
            Ok(()) => self.hand_over().await,
            Err(problem) => Err(problem),
        };
        match handed_over.and(self.settle().await) {
            Ok(()) => Ok(self.told),
            Err(problem) => Err(Problem::Midway(Box::new(problem), self.done)),
        }
    }

    /// Reads until there is something to be stored now, or until the end; says whether that was the end.
    async fn gather(&mut self, lines: &mut Lines, incoming: &mut Incoming) -> Reply<bool> {
        loop {
            while let Some(line) = lines.next() {
                self.take(line);
                if self.gathered.is_full(self.turns.line(Class::Upload).at_work()) {
                    return Ok(false);
                }
            }
            if self.gathered.is_due() {
                return Ok(false);
            }
            match self.receive(lines, incoming).await? {
                Received::Lines => {}
                Received::Pause => return Ok(false),
                Received::End => break,
            }
        }
        if let Some(line) = std::mem::take(lines).last() {
            self.take(line);
        }
        self.reader.end(&self.app, &mut self.gathered);
        Ok(true)
    }

    fn are_few(&mut self) -> bool {
        let Batch { sent, numbers, .. } = &mut self.gathered;
        few::fused(sent, numbers, self.on_conflict)
    }

    fn take(&mut self, line: Line) {
        self.gathered.note(&line);
        self.reader.take(&self.app, line, &mut self.gathered);
    }

    /// Waits until a line ends. A client that pauses or trickles need not fear for what it sent.
    async fn receive(&mut self, lines: &mut Lines, incoming: &mut Incoming) -> Reply<Received> {
        if let Some(due) = self.gathered.due {
            return timeout_at(due, more(lines, incoming)).await.unwrap_or(Ok(Received::Pause));
        }
        timeout(PATIENCE, more(lines, incoming)).await.unwrap_or_else(|_| {
            let detail = format!("no line ended within {} s", PATIENCE.as_secs());
            Err(Problem::Http(Misuse::RequestTimeout, detail))
        })
    }

    /// Has what is gathered stored, once what was handed over before is.
    async fn hand_over(&mut self) -> Result<(), Problem> {
        self.settle().await?;
        let Batch { sent, numbers, bad, end, .. } = std::mem::take(&mut self.gathered);
        self.reader.handed_over();
        // A line that waits goes with a later batch.
        let end = self.reader.first_waiting().map_or(end, |waiting| end.min(waiting.saturating_sub(1)));
        let by = self.by.now(&self.app).await?.clone();
        let (app, turns, on_conflict) = (Arc::clone(&self.app), Arc::clone(&self.turns), self.on_conflict);
        let newcomers = Newcomers::brought_by(by.actor(), self.register_as.as_ref());
        let work = start(async move {
            if sent.is_empty() {
                return Ok(Sifted::default());
            }
            let _turn = turns.wait(Class::Batch).await;
            if let Some(newcomers) = newcomers {
                newcomers.register(&app, &sent).await?;
            }
            ingest::sift(&app, &by, sent, on_conflict).await
        });
        self.under_way = Some(UnderWay { numbers, bad, end, work });
        Ok(())
    }

    /// Waits for the batch that is being stored.
    async fn settle(&mut self) -> Result<(), Problem> {
        let Some(UnderWay { numbers, bad, end, work }) = self.under_way.take() else {
            return Ok(());
        };
        let sifted = work.outcome().await?;
        self.tell(sifted, &numbers, bad);
        self.done = self.done.max(end);
        Ok(())
    }

    /// Has all that is gathered stored together with what comes from others meanwhile.
    async fn store_few(mut self, storing: &Arc<Gatherer<Single>>) -> Reply<BulkBody> {
        let Batch { sent, numbers, bad, .. } = std::mem::take(&mut self.gathered);
        let by = self.by.now(&self.app).await?.clone();
        if let Some(newcomers) = Newcomers::brought_by(by.actor(), self.register_as.as_ref()) {
            newcomers.register(&self.app, &sent).await?;
        }
        let work = few::store(Arc::clone(&self.app), Arc::clone(storing), by, sent, self.on_conflict);
        let sifted = start(work).outcome().await?;
        self.tell(sifted, &numbers, bad);
        Ok(self.told)
    }

    fn tell(&mut self, Sifted { counts, refused }: Sifted, numbers: &[u64], mut bad: Vec<LineError>) {
        bad.extend(refused.iter().filter_map(|(index, error)| {
            let number = numbers.get(*index)?;
            Some(LineError::refused(*number, error))
        }));
        bad.sort_unstable_by_key(|error| error.line);
        self.told.add(counts, bad);
    }
}

/// What a wait for more ended with.
enum Received {
    Lines,
    Pause,
    End,
}

async fn more(lines: &mut Lines, incoming: &mut Incoming) -> Reply<Received> {
    while let Some(chunk) = incoming.next().await {
        if lines.push(chunk?) {
            return Ok(Received::Lines);
        }
    }
    Ok(Received::End)
}
