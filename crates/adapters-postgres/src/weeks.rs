//! The `readings` table week by week: partitions are made ahead, and dropped as a whole when all in them is old.
//!
//! `readings_past` holds everything before the first week, one partition for each week comes next, and `readings_default`
//! takes what lies beyond the last, so that no reading ever lacks a place. As weeks are dropped, the past grows over them.
//!
//! Whoever asks for the table's lock keeps everybody behind waiting too, so it is not asked for long: better later.

use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::statement::Statement;
use chrono::{Days, NaiveDate};
use diesel::data_types::PgTimestamp;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use domain::ports::{Part, StoreError};
use domain::time::Timestamp;

/// How many weeks are made ahead. While no server runs, nobody makes any.
const AHEAD: i64 = 2;

/// How many weeks back those are made that are missing because no server ran.
const BACK: i64 = 26;

/// A week of which more readings than this lie in the default partition stays there: they are not moved while others wait.
const MOVED_AT_ONCE: i64 = 100_000;

/// The advisory lock of whoever makes or drops weeks: spells "weeks".
const WEEKS: i64 = i64::from_be_bytes(*b"\0\0\0weeks");

/// From where to where each partition reaches: the past begins nowhere, and the default one has neither end.
const PARTITIONS: &str = r"
    SELECT relname::text,
        substring(bound FROM 'FROM \(''([^'']+)''\)')::timestamptz,
        substring(bound FROM 'TO \(''([^'']+)''\)')::timestamptz
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        CROSS JOIN LATERAL pg_get_expr(relpartbound, pg_class.oid) AS bound
    WHERE inhparent = 'readings'::regclass ORDER BY 3, 1";

const ASK_BRIEFLY: &str = "SELECT set_config('lock_timeout', '500ms', true)";

/// Until all that is dead has been swept away it may take long to see that nothing is alive, and everybody waits meanwhile.
const LOOK_BRIEFLY: &str = "SELECT set_config('statement_timeout', '500ms', true)";

const BEYOND_ITS_PLACE: &str = "\
    SELECT count(*) FROM (SELECT FROM readings_default WHERE at >= ? AND at < ? LIMIT ?) AS beyond_its_place";

/// The partitions of this instant's past that take up room worth giving back should nothing be in them: an empty index has
/// a page, too.
const LARGE: &str = r"
    SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        CROSS JOIN LATERAL pg_get_expr(relpartbound, pg_class.oid) AS bound
    WHERE inhparent = 'readings'::regclass AND pg_total_relation_size(pg_class.oid) > 1048576
        AND substring(bound FROM 'TO \(''([^'']+)''\)')::timestamptz <= $1
    ORDER BY 1";

const PAST_HAS_ANY: &str = "SELECT EXISTS (SELECT FROM readings_past)";

/// The weeks around this one get partitions if they have none yet.
pub(crate) async fn make(link: &mut Link, now: PgTimestamp) -> Result<(), StoreError> {
    link.in_unit()?;
    if missing(&partitions(link).await?, now).is_empty() {
        return Ok(());
    }
    link.hold(WEEKS).await?;
    // Another server may have been faster.
    let missing = missing(&partitions(link).await?, now);
    ask_briefly(link).await?;
    let mut made = Vec::new();
    for week in missing {
        if let Some(name) = week.name() {
            say(link, format!("CREATE TABLE {name} (LIKE readings INCLUDING ALL)")).await?;
            made.push((name, week));
        }
    }
    // In the order in which everybody takes them. Whoever stores readings goes on meanwhile, but for those beyond all weeks.
    say(link, "LOCK TABLE ONLY readings IN SHARE UPDATE EXCLUSIVE MODE".into()).await?;
    say(link, "LOCK TABLE readings_default IN ACCESS EXCLUSIVE MODE".into()).await?;
    for (name, week) in made {
        attach(link, &name, week).await?;
    }
    Ok(())
}

/// The weeks whose readings were all packed and whose room was not given back yet.
pub(crate) async fn emptied(link: &mut Link, now: PgTimestamp) -> Result<Vec<Part>, StoreError> {
    let large = sql_query(LARGE).bind::<Timestamptz, _>(Week::of(now).start());
    let large: Vec<Named> = link.all(large).await?;
    let mut emptied = Vec::new();
    for Named { relname } in large {
        if is_empty(link, &relname).await? {
            emptied.push(Part(relname));
        }
    }
    Ok(emptied)
}

/// Gives back the room of a week whose readings were all packed. Whoever still sees them as they were before, unpacked, holds
/// the table (see [`Link::look_closely`]), so that this waits, and not for long.
pub(crate) async fn give_back(link: &mut Link, part: &Part) -> Result<(), StoreError> {
    link.in_unit()?;
    let partitions = partitions(link).await?;
    let Some(Partition { name, .. }) = partitions.iter().find(|partition| partition.name == part.0) else {
        return Ok(());
    };
    ask_briefly(link).await?;
    say(link, format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
    let _timeout: String = link.the(Statement::<Text>::new(LOOK_BRIEFLY)).await?;
    // Asked again now that nobody can write: whoever was about to commit a moment ago has done so.
    if is_empty(link, name).await? {
        say(link, format!("TRUNCATE {name}")).await?;
    }
    Ok(())
}

async fn is_empty(link: &mut Link, partition: &str) -> Result<bool, StoreError> {
    let has_any = sql_query(format!("SELECT EXISTS (SELECT FROM {partition}) AS has_any"));
    let has_any: Vec<HasAny> = link.all(has_any).await?;
    Ok(has_any.iter().all(|answer| !answer.has_any))
}

#[derive(diesel::QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    relname: String,
}

#[derive(diesel::QueryableByName)]
struct HasAny {
    #[diesel(sql_type = Bool)]
    has_any: bool,
}

/// Drops the partitions in which everything is older. MUST be called with nothing else locked.
pub(crate) async fn drop_before(link: &mut Link, before: Timestamp) -> Result<(), StoreError> {
    link.in_unit()?;
    let Some(Old { mut partitions, past_until }) = old(link, stamp(before)).await? else { return Ok(()) };
    if partitions.is_empty() && !link.the::<bool, _>(Statement::<Bool>::new(PAST_HAS_ANY)).await? {
        return Ok(());
    }
    link.hold(WEEKS).await?;
    ask_briefly(link).await?;
    say(link, "LOCK TABLE readings IN ACCESS EXCLUSIVE MODE".into()).await?;
    say(link, "TRUNCATE readings_past".into()).await?;
    let Some(until) = partitions.iter().filter_map(|partition| partition.until).max() else { return Ok(()) };
    for partition in partitions.drain(..) {
        say(link, format!("DROP TABLE IF EXISTS {}", partition.name)).await?;
    }
    grow_past(link, past_until.max(until)).await
}

/// What lies in the default partition where the past is to be is old as well.
async fn grow_past(link: &mut Link, until: PgTimestamp) -> Result<(), StoreError> {
    let until = literal(until)?;
    say(link, format!("DELETE FROM readings_default WHERE at < {until}")).await?;
    say(link, "ALTER TABLE readings DETACH PARTITION readings_past".into()).await?;
    let past = "ALTER TABLE readings ATTACH PARTITION readings_past FOR VALUES FROM (MINVALUE) TO";
    say(link, format!("{past} ({until})")).await
}

/// Partitions in which everything is older than some instant.
struct Old {
    /// All but the past.
    partitions: Vec<Partition>,
    past_until: PgTimestamp,
}

/// Nothing unless all of the past is older: the weeks come after it.
async fn old(link: &mut Link, before: PgTimestamp) -> Result<Option<Old>, StoreError> {
    let mut partitions = partitions(link).await?;
    partitions.retain(|partition| partition.until.is_some_and(|until| until <= before));
    let Some(past) = partitions.iter().position(|partition| partition.from.is_none()) else {
        return Ok(None);
    };
    let past = partitions.remove(past);
    Ok(past.until.map(|past_until| Old { partitions, past_until }))
}

async fn attach(link: &mut Link, name: &str, week: Week) -> Result<(), StoreError> {
    let beyond = Statement::<BigInt>::new(BEYOND_ITS_PLACE)
        .bind::<Timestamptz, _>(week.start())
        .bind::<Timestamptz, _>(week.end())
        .bind::<BigInt, _>(MOVED_AT_ONCE + 1);
    let beyond: i64 = link.the(beyond).await?;
    if beyond > MOVED_AT_ONCE {
        tracing::warn!(
            partition = name,
            "a week stays in the default partition, which has too many of its readings"
        );
        return say(link, format!("DROP TABLE {name}")).await;
    }
    let (from, until) = (literal(week.start())?, literal(week.end())?);
    if beyond > 0 {
        let gone = format!("DELETE FROM readings_default WHERE at >= {from} AND at < {until} RETURNING *");
        say(link, format!("WITH moved AS ({gone}) INSERT INTO {name} TABLE moved")).await?;
    }
    say(link, format!("ALTER TABLE readings ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({until})"))
        .await
}

async fn ask_briefly(link: &mut Link) -> Result<(), StoreError> {
    let _timeout: String = link.the(Statement::<Text>::new(ASK_BRIEFLY)).await?;
    Ok(())
}

/// Names and bounds of tables cannot be bound, so these statements are put together. Nothing in them comes from outside.
async fn say(link: &mut Link, statement: String) -> Result<(), StoreError> {
    link.run(sql_query(statement)).await?;
    Ok(())
}

struct Partition {
    name: String,
    from: Option<PgTimestamp>,
    until: Option<PgTimestamp>,
}

impl Partition {
    /// Whether some of the week has its place here.
    fn meets(&self, week: Week) -> bool {
        let Some(until) = self.until else { return false };
        self.from.is_none_or(|from| from.0 < week.end().0) && week.start().0 < until.0
    }
}

async fn partitions(link: &mut Link) -> Result<Vec<Partition>, StoreError> {
    let rows = Statement::<(Text, Nullable<Timestamptz>, Nullable<Timestamptz>)>::new(PARTITIONS);
    let rows: Vec<(String, Option<PgTimestamp>, Option<PgTimestamp>)> = link.all(rows).await?;
    Ok(rows.into_iter().map(|(name, from, until)| Partition { name, from, until }).collect())
}

/// The weeks around this instant that have no partition.
fn missing(partitions: &[Partition], now: PgTimestamp) -> Vec<Week> {
    let Week(this) = Week::of(now);
    let around = (this.saturating_sub(BACK)..=this.saturating_add(AHEAD)).map(Week);
    around.filter(|week| !partitions.iter().any(|partition| partition.meets(*week))).collect()
}

fn literal(at: PgTimestamp) -> Result<String, StoreError> {
    let at = Row { table: "readings", key: &"(a partition's end)" }.instant("at", at)?;
    Ok(format!("'{at}'"))
}

/// A week from Monday to Monday, by its number since the first Monday of 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Week(i64);

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;
const WEEK_US: i64 = 7 * DAY_US;

/// PostgreSQL counts from a Saturday.
const FIRST_MONDAY_US: i64 = 2 * DAY_US;

impl Week {
    fn of(at: PgTimestamp) -> Self {
        Self(at.0.saturating_sub(FIRST_MONDAY_US).div_euclid(WEEK_US))
    }

    fn start(self) -> PgTimestamp {
        PgTimestamp(self.0.saturating_mul(WEEK_US).saturating_add(FIRST_MONDAY_US))
    }

    fn end(self) -> PgTimestamp {
        Self(self.0.saturating_add(1)).start()
    }

    /// The name of its partition. Weeks before the year 2000 have none: they are past.
    fn name(self) -> Option<String> {
        let days = u64::try_from(self.0).ok()?.checked_mul(7)?;
        let monday = NaiveDate::from_ymd_opt(2000, 1, 3)?.checked_add_days(Days::new(days))?;
        Some(format!("readings_w{}", monday.format("%Y%m%d")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> PgTimestamp {
        stamp(Timestamp::parse(text).unwrap())
    }

    fn partition(from: Option<&str>, until: Option<&str>) -> Partition {
        Partition { name: String::new(), from: from.map(instant), until: until.map(instant) }
    }

    #[test]
    fn a_week_reaches_from_monday_to_monday() {
        let week = Week::of(instant("2026-11-21T15:00:00Z"));
        assert_eq!(week.name().as_deref(), Some("readings_w20261116"));
        assert_eq!(week.start(), instant("2026-11-16T00:00:00Z"));
        assert_eq!(week.end(), instant("2026-11-23T00:00:00Z"));
        assert_eq!(Week::of(week.start()), week);
        assert_eq!(Week::of(PgTimestamp(week.start().0 - 1)).end(), week.start());
    }

    #[test]
    fn weeks_that_lie_in_the_past_or_have_a_partition_are_not_missing() {
        let now = instant("2026-11-21T15:00:00Z");
        let past = partition(None, Some("2026-11-09T00:00:00Z"));
        let this = partition(Some("2026-11-16T00:00:00Z"), Some("2026-11-23T00:00:00Z"));
        let names = |partitions: &[Partition]| {
            missing(partitions, now).into_iter().filter_map(Week::name).collect::<Vec<_>>()
        };
        let expected = ["readings_w20261109", "readings_w20261123", "readings_w20261130"];
        assert_eq!(names(&[past, this, partition(None, None)]), expected);
        assert_eq!(names(&[]).len(), (BACK + 1 + AHEAD) as usize);
    }
}
