//! The heads of readings: one row for each piece of equipment, with the newest value of each metric in one column.

use crate::among::among;
use crate::catalogue::Catalogue;
use crate::errors::dangles;
use crate::overwrite::overwrite;
use crate::rows::{HeadRow, Ranked, StoredLatest, equipment_id, latest_column, latest_from};
use crate::schema::{alerts, equipment, equipment_heads};
use crate::work::Answer;
use diesel::connection::DefaultLoadingMode;
use diesel::dsl::{InnerJoin, IntoBoxed, exists, not};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use domain::equipment::Status;
use domain::id::{EquipmentId, RuleId};
use domain::ports::Reference;
use domain::rules::Target;
use domain::telemetry::{Head, MetricName};
use domain::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// How many heads are written by one statement: SQLite takes 32,766 parameters.
const AT_ONCE: usize = 5_000;

/// The heads of these pieces that are there and not hidden, ordered by id.
pub(crate) fn heads(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    pieces: &[EquipmentId],
) -> Answer<Vec<Head>> {
    heads_of(connection, catalogue, pieces, false)
}

/// The head of this piece, hidden or not.
pub(crate) fn head_even_hidden(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    piece: EquipmentId,
) -> Answer<Option<Head>> {
    Ok(heads_of(connection, catalogue, &[piece], true)?.pop())
}

fn heads_of(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    pieces: &[EquipmentId],
    hidden_too: bool,
) -> Answer<Vec<Head>> {
    let rows: Vec<HeadRow> = equipment::table
        .inner_join(equipment_heads::table)
        .filter(among(equipment::id, pieces.iter().map(|piece| piece.get())))
        .filter(equipment::hidden_at.is_null().or(hidden_too.into_sql::<Bool>()))
        .order(equipment::id)
        .select((
            equipment::id,
            equipment::kind,
            equipment_heads::last_seen_at,
            equipment_heads::latest,
            equipment_heads::rolled_until,
        ))
        .load(connection)?;
    let metrics: HashSet<i64> =
        rows.iter().flat_map(|row| latest_from(&row.latest)).map(|latest| latest.metric).collect();
    let names = catalogue.names(connection, metrics)?;
    Ok(rows.into_iter().map(|row| row.with(&names)).collect::<Result<_, _>>()?)
}

/// Writes heads, all of them by few statements: one for each takes six times as long.
pub(crate) fn save(connection: &mut SqliteConnection, catalogue: &Catalogue, heads: &[Head]) -> Answer<()> {
    let all = heads.iter().flat_map(|head| &head.latest);
    let appearing = all.map(|latest| (latest.metric.clone(), latest.at)).collect();
    let numbers = catalogue.metrics(connection, &appearing)?;
    let row = |head: &Head| {
        (
            equipment_heads::equipment_id.eq(head.equipment.get()),
            equipment_heads::last_seen_at.eq(head.last_seen_at.map(Timestamp::micros)),
            equipment_heads::latest.eq(column(head, &numbers)),
        )
    };
    for part in heads.chunks(AT_ONCE) {
        diesel::insert_into(equipment_heads::table)
            .values(part.iter().map(row).collect::<Vec<_>>())
            .on_conflict(equipment_heads::equipment_id)
            .do_update()
            .set(overwrite!(equipment_heads: last_seen_at, latest))
            .execute(connection)
            .map_err(dangles(Reference::Equipment))?;
    }
    Ok(())
}

fn column(head: &Head, numbers: &HashMap<MetricName, i64>) -> Vec<u8> {
    latest_column(head.latest.iter().filter_map(|latest| {
        let metric = *numbers.get(&latest.metric)?;
        Some(StoredLatest { metric, at: latest.at.micros(), value: latest.value })
    }))
}

/// Whose silence is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    pub(crate) rule: RuleId,
    pub(crate) target: Target,
    pub(crate) metric: Option<MetricName>,
    pub(crate) before: Timestamp,
    pub(crate) after: Option<EquipmentId>,
    pub(crate) limit: u32,
}

/// The pieces that owe a reading, ordered by id.
pub(crate) fn silent(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    asked: &Silence,
) -> Answer<Vec<EquipmentId>> {
    let ids = match &asked.metric {
        None => silent_at_all(connection, asked)?,
        Some(name) => {
            let metric = catalogue.metric(connection, name)?;
            silent_about(connection, asked, metric)?
        }
    };
    Ok(ids.into_iter().map(|id| equipment_id("equipment", id)).collect::<Result<_, _>>()?)
}

type Candidates<'a> = IntoBoxed<'a, InnerJoin<equipment::table, equipment_heads::table>, Sqlite>;

/// The pieces that are expected to report, about which nobody wrote anything lately, and of whose silence nobody was told that
/// lately either.
fn candidates(asked: &Silence) -> Candidates<'_> {
    let expected = Status::ALL.iter().filter(|status| status.is_expected_to_report());
    let told = alerts::table
        .filter(alerts::rule_id.eq(asked.rule.get()))
        .filter(alerts::equipment_id.eq(equipment::id))
        .filter(alerts::resolved_at.is_null().or(alerts::resolved_at.ge(asked.before.micros())));
    let all = equipment::table
        .inner_join(equipment_heads::table)
        .into_boxed()
        .filter(equipment::hidden_at.is_null())
        .filter(equipment::status.eq_any(expected.map(|status| status.rank())))
        .filter(equipment::id.gt(asked.after.map_or(0, EquipmentId::get)))
        .filter(equipment::updated_at.lt(asked.before.micros()))
        .filter(not(exists(told)))
        .order(equipment::id);
    match &asked.target {
        Target::All => all,
        Target::Kind(kind) => all.filter(equipment::kind_key.eq(kind.key())),
        Target::Equipment(piece) => all.filter(equipment::id.eq(piece.get())),
    }
}

fn silent_at_all(connection: &mut SqliteConnection, asked: &Silence) -> QueryResult<Vec<i64>> {
    let before = asked.before.micros();
    let never_seen = equipment_heads::last_seen_at.is_null().and(equipment::created_at.lt(before));
    candidates(asked)
        .filter(equipment_heads::last_seen_at.lt(before).or(never_seen))
        .limit(asked.limit.into())
        .select(equipment::id)
        .load(connection)
}

/// Looks into the heads one by one until there are enough: SQLite cannot.
fn silent_about(
    connection: &mut SqliteConnection,
    asked: &Silence,
    metric: Option<i64>,
) -> QueryResult<Vec<i64>> {
    let is_meant = matches!(asked.target, Target::Equipment(_));
    let owes = |created_at: i64, latest: &[u8]| {
        let newest = latest_from(latest).find(|latest| Some(latest.metric) == metric);
        let since = newest.map(|newest| newest.at).or(is_meant.then_some(created_at));
        since.is_some_and(|since| since < asked.before.micros())
    };
    let rows = candidates(asked)
        .select((equipment::id, equipment::created_at, equipment_heads::latest))
        .load_iter::<(i64, i64, Vec<u8>), DefaultLoadingMode>(connection)?;
    let silent =
        rows.filter(|row| row.as_ref().map_or(true, |(_, created_at, latest)| owes(*created_at, latest)));
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    silent.map(|row| row.map(|(id, _, _)| id)).take(limit).collect()
}
