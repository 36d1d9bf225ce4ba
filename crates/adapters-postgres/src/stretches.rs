//! Readings in order of instant, from wherever one is. No index has that order, for it would cost more than the readings.
//!
//! - Of few pieces: the newest (or oldest) of each by the key, put in order.
//! - Of many or all: window by window of time, which the BRIN index finds. Windows grow while they yield too little. Where
//!   nothing is near, the edge of what there is comes from the heads, or from the key of every piece: a gap is leapt over.
//!
//! Old readings lie in `packs`, and are put between.

use crate::link::Link;
use crate::packs;
use crate::readings::{ReadingColumns, ReadingRow};
use crate::rows::stamp;
use crate::statement::Statement;
use diesel::SelectableHelper;
use diesel::data_types::PgTimestamp;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz};
use domain::page::{Direction, Seek, Stretch};
use domain::ports::StoreError;
use domain::telemetry::{MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery};
use packing::Start;

/// Pieces are asked one by one for as many readings as are wanted of all, up to so many altogether.
const FEW: usize = 10_000;

/// How long the first window is, in microseconds, when nothing says better.
const FIRST_WINDOW: i64 = 100_000;

/// How many times as long the next window is.
const GROWTH: i64 = 4;

/// From this length on an empty window gives cause to look for the edge of what there is.
const LONG_WINDOW: i64 = 60_000_000;

/// What a reading must be like, and where it must lie: the same values in the same places of every question.
macro_rules! conditions {
    ($beyond:literal) => {
        concat!(
            "readings.at BETWEEN ? AND ? AND (readings.at, readings.equipment_id) ",
            $beyond,
            " (?, ?) AND readings.received_at >= ? AND (?::text[] IS NULL OR readings.shape_id = ANY(ARRAY( \
                SELECT shapes.id FROM shapes WHERE shapes.metrics && ARRAY( \
                    SELECT metrics.id FROM metrics WHERE metrics.name = ANY($7)))))"
        )
    };
}

macro_rules! of_few {
    ($whose:literal, $beyond:literal, $order:literal) => {
        concat!(
            "SELECT ? FROM unnest(?::bigint[]) AS piece (id) JOIN equipment ON equipment.id = piece.id ",
            $whose,
            " CROSS JOIN LATERAL (SELECT * FROM readings WHERE readings.equipment_id = piece.id AND ",
            conditions!($beyond),
            " ORDER BY readings.at ",
            $order,
            " LIMIT ?) AS readings ORDER BY readings.at ",
            $order,
            ", readings.equipment_id ",
            $order,
            " LIMIT $8"
        )
    };
}

macro_rules! of_many {
    ($whose:literal, $beyond:literal, $order:literal) => {
        concat!(
            "SELECT ? FROM readings WHERE (?::bigint[] IS NULL OR readings.equipment_id = ANY($1)) AND ",
            conditions!($beyond),
            $whose,
            " ORDER BY readings.at ",
            $order,
            ", readings.equipment_id ",
            $order,
            " LIMIT ?"
        )
    };
}

macro_rules! edge {
    ($whose:literal, $order:literal) => {
        concat!(
            "SELECT edge.at FROM equipment_heads AS head CROSS JOIN LATERAL ( \
                SELECT readings.at FROM readings \
                WHERE readings.equipment_id = head.equipment_id AND readings.at BETWEEN ? AND ? \
                ORDER BY readings.at ",
            $order,
            " LIMIT 1) AS edge WHERE (?::bigint[] IS NULL OR head.equipment_id = ANY($3))",
            $whose,
            " ORDER BY edge.at ",
            $order,
            " LIMIT 1"
        )
    };
}

/// The questions, with what keeps hidden equipment out of the answers to each.
macro_rules! questions {
    ($of_few:literal, $of_many:literal, $edge:literal) => {
        Questions {
            of_few: Both { upwards: of_few!($of_few, ">", "ASC"), downwards: of_few!($of_few, "<", "DESC") },
            of_many: Both {
                upwards: of_many!($of_many, ">", "ASC"),
                downwards: of_many!($of_many, "<", "DESC"),
            },
            edge: Both { upwards: edge!($edge, "ASC"), downwards: edge!($edge, "DESC") },
        }
    };
}

const OF_VISIBLE: Questions = questions!(
    "AND equipment.hidden_at IS NULL",
    " AND NOT EXISTS (SELECT FROM equipment \
        WHERE equipment.id = readings.equipment_id AND equipment.hidden_at IS NOT NULL)",
    " AND NOT EXISTS (SELECT FROM equipment \
        WHERE equipment.id = head.equipment_id AND equipment.hidden_at IS NOT NULL)"
);

const OF_HIDDEN_TOO: Questions = questions!("", "", "");

/// A hint, not the truth: a reading may be stored and its head not yet be written.
const NEWEST: &str = "SELECT max(last_seen_at) FROM equipment_heads";

/// What there is to ask about the rows.
struct Questions {
    of_few: Both,
    of_many: Both,
    edge: Both,
}

/// A statement for either direction.
struct Both {
    upwards: &'static str,
    downwards: &'static str,
}

/// A stretch of readings.
pub(crate) async fn read(link: &mut Link, query: &ReadingQuery) -> Result<Stretch<Reading>, StoreError> {
    let glance = link.look_closely().await?;
    let stretch = read_closely(link, query).await;
    link.look_away(glance).await;
    stretch
}

async fn read_closely(link: &mut Link, query: &ReadingQuery) -> Result<Stretch<Reading>, StoreError> {
    let (start, backwards) = match query.seek {
        Seek::Start => (Start::Anywhere, false),
        Seek::After(mark) => (Start::Beyond(mark), false),
        Seek::Before(mark) => (Start::Beyond(mark), true),
    };
    let ahead = if backwards { turned(query.direction) } else { query.direction };
    let mut items =
        Walk::new(&query.filter, ahead, start, query.limit.saturating_add(1)).readings(link).await?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more_ahead = items.len() > limit;
    items.truncate(limit);
    let behind = match (start, items.first()) {
        (Start::Anywhere, _) => None,
        (_, Some(first)) => Some(Start::Beyond(first.id)),
        (Start::At(mark) | Start::Beyond(mark), None) => Some(Start::At(mark)),
    };
    let more_behind = match behind {
        None => false,
        Some(start) => !Walk::new(&query.filter, turned(ahead), start, 1).readings(link).await?.is_empty(),
    };
    Ok(if backwards {
        items.reverse();
        Stretch { items, has_previous: more_ahead, has_next: more_behind }
    } else {
        Stretch { items, has_previous: more_behind, has_next: more_ahead }
    })
}

/// The readings strictly after this one.
pub(crate) async fn scan(
    link: &mut Link,
    filter: &ReadingFilter,
    direction: Direction,
    after: Option<ReadingId>,
    limit: u32,
) -> Result<Vec<Reading>, StoreError> {
    let start = after.map_or(Start::Anywhere, Start::Beyond);
    let glance = link.look_closely().await?;
    let readings = next(link, filter, direction, start, limit).await;
    link.look_away(glance).await;
    readings
}

/// The readings from there on.
pub(crate) async fn next(
    link: &mut Link,
    filter: &ReadingFilter,
    direction: Direction,
    start: Start,
    limit: u32,
) -> Result<Vec<Reading>, StoreError> {
    Walk::new(filter, direction, start, limit).readings(link).await
}

fn turned(direction: Direction) -> Direction {
    match direction {
        Direction::Ascending => Direction::Descending,
        Direction::Descending => Direction::Ascending,
    }
}

/// A place in the order of readings: instants and equipment as the database has them.
#[derive(Clone, Copy)]
struct Mark {
    at: i64,
    equipment: i64,
}

impl Mark {
    const LOWEST: Self = Self { at: i64::MIN, equipment: i64::MIN };
    const HIGHEST: Self = Self { at: i64::MAX, equipment: i64::MAX };

    fn of(reading: ReadingId) -> Self {
        Self { at: stamp(reading.at).0, equipment: reading.equipment.get() }
    }

    /// The place just before this one: who walks on from there meets this one first.
    fn included(self, direction: Direction) -> Self {
        let equipment = match direction {
            Direction::Ascending => self.equipment.saturating_sub(1),
            Direction::Descending => self.equipment.saturating_add(1),
        };
        Self { equipment, ..self }
    }
}

/// A span of instants in microseconds, both ends inside. The lowest and the highest number stand for infinity.
#[derive(Clone, Copy)]
struct Window {
    low: i64,
    high: i64,
}

/// A window to look into, and how long it is: what is beyond the newest reading does not count.
#[derive(Clone, Copy)]
struct Step {
    window: Window,
    length: i64,
}

/// The readings that match, strictly beyond a mark in one direction.
#[derive(Clone)]
struct Walk<'query> {
    filter: &'query ReadingFilter,
    direction: Direction,
    start: Start,
    mark: Mark,
    /// Where it may lead.
    bounds: Window,
    pieces: Option<Vec<i64>>,
    metrics: Option<Vec<&'query str>>,
    received_from: PgTimestamp,
    most: usize,
}

impl<'query> Walk<'query> {
    fn new(filter: &'query ReadingFilter, direction: Direction, start: Start, most: u32) -> Self {
        let mark = match start {
            Start::Anywhere => None,
            Start::At(mark) => Some(Mark::of(mark).included(direction)),
            Start::Beyond(mark) => Some(Mark::of(mark)),
        };
        let low = filter.at.from.map_or(i64::MIN, |from| stamp(from).0);
        let high = filter.at.until.map_or(i64::MAX, |until| stamp(until).0.saturating_sub(1));
        let (mark, bounds) = match direction {
            Direction::Ascending => {
                let mark = mark.unwrap_or(Mark::LOWEST);
                (mark, Window { low: low.max(mark.at), high })
            }
            Direction::Descending => {
                let mark = mark.unwrap_or(Mark::HIGHEST);
                (mark, Window { low, high: high.min(mark.at) })
            }
        };
        let mut pieces: Vec<i64> = filter.equipment.iter().map(|piece| piece.get()).collect();
        pieces.sort_unstable();
        pieces.dedup();
        let metrics: Vec<&str> = filter.metrics.iter().map(MetricName::as_str).collect();
        Self {
            filter,
            direction,
            start,
            mark,
            bounds,
            pieces: Some(pieces).filter(|pieces| !pieces.is_empty()),
            metrics: Some(metrics).filter(|metrics| !metrics.is_empty()),
            received_from: filter.received_from.map_or(PgTimestamp(i64::MIN), stamp),
            most: usize::try_from(most).unwrap_or(usize::MAX),
        }
    }

    /// Those that are rows and those that are packed. Where the walk begins with the old, those that are packed come first,
    /// and what is beyond them need not be looked for; where it begins with the new, it is the other way round.
    async fn readings(&self, link: &mut Link) -> Result<Vec<Reading>, StoreError> {
        let (loose, packed);
        match self.direction {
            Direction::Ascending => {
                packed = packs::next(link, self.filter, self.direction, self.start, self.most).await?;
                let nearer = self.up_to(packed.last().filter(|_| packed.len() >= self.most));
                let rows = nearer.rows(link).await?;
                loose = link.restore_readings(rows).await?;
            }
            Direction::Descending => {
                let rows = self.rows(link).await?;
                loose = link.restore_readings(rows).await?;
                let mut filter = self.filter.clone();
                if let Some(last) = loose.last().filter(|_| loose.len() >= self.most) {
                    filter.at.from = Some(last.id.at);
                }
                packed = packs::next(link, &filter, self.direction, self.start, self.most).await?;
            }
        }
        Ok(packing::merged(loose, packed, self.direction, self.most))
    }

    /// The part of the walk up to this reading.
    fn up_to(&self, last: Option<&Reading>) -> Self {
        let mut nearer = self.clone();
        if let Some(last) = last {
            nearer.bounds.high = nearer.bounds.high.min(stamp(last.id.at).0);
        }
        nearer
    }

    async fn rows(&self, link: &mut Link) -> Result<Vec<ReadingRow>, StoreError> {
        if self.bounds.low > self.bounds.high {
            return Ok(Vec::new());
        }
        if self.is_of_few() {
            return link.all(self.question(&self.questions().of_few, self.bounds, self.most)).await;
        }
        let mut found: Vec<ReadingRow> = Vec::new();
        let mut next = self.first_step(link).await?;
        while let Some(step) = next {
            let lacking = self.most.saturating_sub(found.len());
            let rows: Vec<ReadingRow> =
                link.all(self.question(&self.questions().of_many, step.window, lacking)).await?;
            let is_empty = rows.is_empty();
            found.extend(rows);
            if found.len() >= self.most {
                break;
            }
            next = match self.beyond(step.window) {
                None => None,
                Some(rest) if is_empty && step.length >= LONG_WINDOW => self.leap(link, step, rest).await?,
                Some(rest) => Some(self.step(rest, step.grown())),
            };
        }
        Ok(found)
    }

    fn questions(&self) -> &'static Questions {
        if self.filter.hidden_too { &OF_HIDDEN_TOO } else { &OF_VISIBLE }
    }

    fn is_of_few(&self) -> bool {
        let pieces = self.pieces.as_ref().map_or(usize::MAX, Vec::len);
        pieces == 1 || pieces.saturating_mul(self.most) <= FEW
    }

    /// Where to look first: at the end where the walk begins, or if that is infinitely far, at the edge of what there is.
    async fn first_step(&self, link: &mut Link) -> Result<Option<Step>, StoreError> {
        let endless = match self.direction {
            Direction::Ascending => self.bounds.low == i64::MIN,
            Direction::Descending => self.bounds.high == i64::MAX,
        };
        if !endless {
            return Ok(Some(self.step(self.bounds, FIRST_WINDOW)));
        }
        if self.direction == Direction::Descending {
            let newest = Statement::<Nullable<Timestamptz>>::new(NEWEST);
            let newest: Option<PgTimestamp> = link.the(newest).await?;
            if let Some(newest) = newest {
                let low = newest.0.saturating_sub(FIRST_WINDOW).max(self.bounds.low);
                return Ok(Some(Step { window: Window { low, ..self.bounds }, length: FIRST_WINDOW }));
            }
        }
        let edge = self.edge(link, self.bounds).await?;
        Ok(edge.map(|edge| self.step(self.from(edge, self.bounds), FIRST_WINDOW)))
    }

    /// Where to go on after an empty window. Where readings follow at once, the filter was to blame: then farther. After a gap
    /// nobody knows how densely they lie, so the window does not grow.
    async fn leap(&self, link: &mut Link, empty: Step, rest: Window) -> Result<Option<Step>, StoreError> {
        let Some(edge) = self.edge(link, rest).await? else { return Ok(None) };
        Ok(Some(if self.step(rest, empty.length).window.contains(edge) {
            self.step(rest, empty.grown())
        } else {
            self.step(self.from(edge, rest), empty.length)
        }))
    }

    /// The first instant within the window that has a reading, whatever it carries.
    async fn edge(&self, link: &mut Link, window: Window) -> Result<Option<i64>, StoreError> {
        let edge = Statement::<Timestamptz>::new(self.questions().edge.towards(self.direction))
            .bind::<Timestamptz, _>(PgTimestamp(window.low))
            .bind::<Timestamptz, _>(PgTimestamp(window.high))
            .bind::<Nullable<Array<BigInt>>, _>(self.pieces.as_deref());
        let edge: Option<PgTimestamp> = link.one(edge).await?;
        Ok(edge.map(|at| at.0))
    }

    fn question(&self, text: &Both, window: Window, most: usize) -> Statement<'_, ReadingColumns> {
        Statement::new(text.towards(self.direction))
            .part(ReadingRow::as_select())
            .bind::<Nullable<Array<BigInt>>, _>(self.pieces.as_deref())
            .bind::<Timestamptz, _>(PgTimestamp(window.low))
            .bind::<Timestamptz, _>(PgTimestamp(window.high))
            .bind::<Timestamptz, _>(PgTimestamp(self.mark.at))
            .bind::<BigInt, _>(self.mark.equipment)
            .bind::<Timestamptz, _>(self.received_from)
            .bind::<Nullable<Array<Text>>, _>(self.metrics.as_deref())
            .bind::<BigInt, _>(i64::try_from(most).unwrap_or(i64::MAX))
    }

    /// The first part of the span, this long.
    fn step(&self, span: Window, length: i64) -> Step {
        let window = match self.direction {
            Direction::Ascending => Window { high: span.low.saturating_add(length).min(span.high), ..span },
            Direction::Descending => Window { low: span.high.saturating_sub(length).max(span.low), ..span },
        };
        Step { window, length }
    }

    /// The part of the span that begins at this instant.
    fn from(&self, at: i64, span: Window) -> Window {
        match self.direction {
            Direction::Ascending => Window { low: at, ..span },
            Direction::Descending => Window { high: at, ..span },
        }
    }

    /// What is left of the walk after the window.
    fn beyond(&self, window: Window) -> Option<Window> {
        match self.direction {
            Direction::Ascending if window.high < self.bounds.high => {
                Some(Window { low: window.high.saturating_add(1), ..self.bounds })
            }
            Direction::Descending if window.low > self.bounds.low => {
                Some(Window { high: window.low.saturating_sub(1), ..self.bounds })
            }
            Direction::Ascending | Direction::Descending => None,
        }
    }
}

impl Both {
    fn towards(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Ascending => self.upwards,
            Direction::Descending => self.downwards,
        }
    }
}

impl Step {
    fn grown(self) -> i64 {
        self.length.saturating_mul(GROWTH)
    }
}

impl Window {
    fn contains(self, at: i64) -> bool {
        (self.low..=self.high).contains(&at)
    }
}
