//! All that is stored, given away table by table: how an installation leaves for another database.

use crate::rows::latest_from;
use crate::store::SqliteStore;
use crate::workers::Unanswered;
use diesel::connection::DefaultLoadingMode;
use diesel::deserialize::{self, FromSqlRow};
use diesel::prelude::*;
use diesel::row::Field;
use diesel::sql_types::{BigInt, Text, Untyped};
use diesel::sqlite::{Sqlite, SqliteType};
use moving::{BYTES_AT_ONCE, Cell, Column, Kind, Row, Table, weight};
use tokio::sync::mpsc;

/// How many rows are handed over at once; fewer, where they weigh much.
const STEP: usize = 1000;

/// How many such steps may wait for whoever takes them.
const AHEAD: usize = 4;

/// Why rows were not given.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// The database is closed, or busy.
    #[error("the database cannot be read now")]
    Busy(#[from] Unanswered),
    /// SQLite failed.
    #[error("the table {table} cannot be read")]
    Failed {
        /// Which table.
        table: &'static str,
        /// Why not.
        source: diesel::result::Error,
    },
    /// A value is not what the column is for.
    #[error("{table}.{column} holds what does not belong there")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

/// The numbers up to which ids were given out, and how often the rules changed.
#[derive(Debug)]
pub struct Counters {
    /// By table.
    pub ids: Vec<(String, i64)>,
    /// Of rules.
    pub rule_generation: i64,
}

impl SqliteStore {
    /// All rows of the table, in steps. The store MUST be open for this process alone, and nobody else write.
    pub async fn give(
        &self,
        table: &'static Table,
    ) -> Result<mpsc::Receiver<Result<Vec<Row>, GiveError>>, GiveError> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let lease = self.writer().lease().await?;
        lease.tell(move |connection| {
            if let Err(error) = give(connection, table, &sender) {
                // Nobody is there to be told where nobody waits for rows any more.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(receiver)
    }

    /// How many rows the table has.
    pub async fn count(&self, table: &'static Table) -> Result<u64, GiveError> {
        let lease = self.writer().lease().await?;
        lease.ask(move |connection| count(connection, table)).await?
    }

    /// The numbers that are no rows.
    pub async fn counters(&self) -> Result<Counters, GiveError> {
        let lease = self.writer().lease().await?;
        lease.ask(counters).await?
    }
}

#[derive(QueryableByName)]
struct Counter {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn count(connection: &mut SqliteConnection, table: &'static Table) -> Result<u64, GiveError> {
    let count = format!("SELECT '' AS name, count(*) AS number FROM {}", source(table));
    let counted: Counter = diesel::sql_query(count).get_result(connection).map_err(failed(table.name))?;
    Ok(counted.number.try_into().unwrap_or(0))
}

fn counters(connection: &mut SqliteConnection) -> Result<Counters, GiveError> {
    let ids: Vec<Counter> = diesel::sql_query("SELECT name, seq AS number FROM sqlite_sequence")
        .load(connection)
        .map_err(failed("sqlite_sequence"))?;
    let generation = diesel::sql_query("SELECT '' AS name, generation AS number FROM rule_generation");
    let generation: Counter = generation.get_result(connection).map_err(failed("rule_generation"))?;
    let ids = ids.into_iter().map(|counter| (counter.name, counter.number)).collect();
    Ok(Counters { ids, rule_generation: generation.number })
}

fn failed(table: &'static str) -> impl Fn(diesel::result::Error) -> GiveError {
    move |source| GiveError::Failed { table, source }
}

fn give(
    connection: &mut SqliteConnection,
    table: &'static Table,
    to: &mpsc::Sender<Result<Vec<Row>, GiveError>>,
) -> Result<(), GiveError> {
    let columns: Vec<String> = table.columns.iter().map(|column| expression(table, column)).collect();
    let query = diesel::sql_query(format!("SELECT {} FROM {}", columns.join(", "), source(table)));
    let rows = query.load_iter::<Stored, DefaultLoadingMode>(connection).map_err(failed(table.name))?;
    let (mut step, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let row = row.map_err(failed(table.name))?.of(table)?;
        bytes += weight(&row);
        step.push(row);
        let is_enough = step.len() >= STEP || bytes >= BYTES_AT_ONCE;
        if is_enough {
            bytes = 0;
        }
        if is_enough && to.blocking_send(Ok(std::mem::take(&mut step))).is_err() {
            return Ok(());
        }
    }
    // Whoever went away needs no last step.
    let _ = to.blocking_send(Ok(step));
    Ok(())
}

/// From where the rows of a table come.
fn source(table: &Table) -> &'static str {
    match table.name {
        // Pieces that never reported have no head of their own here.
        "equipment_heads" => {
            "equipment LEFT JOIN equipment_heads ON equipment_heads.equipment_id = equipment.id"
        }
        name => name,
    }
}

/// What stands in a column, in the words that are nobody's own.
fn expression(table: &Table, column: &Column) -> String {
    match (table.name, column.name) {
        // Ranks begin at 1 here.
        ("equipment" | "alerts" | "alert_entries", "status") => "status - 1".to_owned(),
        ("alerts" | "alert_rules" | "webhooks", "severity") => "severity - 1".to_owned(),
        ("equipment_heads", "equipment_id") => "equipment.id".to_owned(),
        ("equipment_heads", "kind") => "equipment.kind".to_owned(),
        ("equipment_heads", "hidden") => "equipment.hidden_at IS NOT NULL".to_owned(),
        ("equipment_heads", "older_metrics" | "older_instants" | "older_numbers") => {
            "nullif(equipment_heads.latest, x'')".to_owned()
        }
        ("equipment_heads", "packed_until") => {
            "(SELECT max(packs.last_at) FROM packs WHERE packs.equipment_id = equipment.id)".to_owned()
        }
        (table @ "equipment_heads", name) => format!("{table}.{name}"),
        (_, name) => format!("\"{name}\""),
    }
}

/// A row of any query, as SQLite keeps it.
struct Stored(Row);

impl FromSqlRow<Untyped, Sqlite> for Stored {
    fn build_from_row<'a>(row: &impl diesel::row::Row<'a, Sqlite>) -> deserialize::Result<Self> {
        let cells = (0..row.field_count()).map(|place| {
            let field = row.get(place).ok_or("there are fewer columns than were asked for")?;
            let Some(mut value) = field.value() else { return Ok(Cell::Null) };
            Ok(match value.value_type() {
                Some(SqliteType::Integer | SqliteType::SmallInt | SqliteType::Long) => {
                    Cell::Number(value.read_long())
                }
                Some(SqliteType::Float | SqliteType::Double) => Cell::Float(value.read_double()),
                Some(SqliteType::Text) => Cell::Text(value.read_text().to_owned()),
                Some(SqliteType::Binary) => Cell::Bytes(value.read_blob().to_vec()),
                None => Cell::Null,
            })
        });
        cells.collect::<deserialize::Result<_>>().map(Self)
    }
}

impl Stored {
    fn of(self, table: &'static Table) -> Result<Row, GiveError> {
        let cells = table.columns.iter().zip(self.0);
        let told = cells.map(|(column, cell)| {
            let corrupt = GiveError::Corrupt { table: table.name, column: column.name };
            told(column, cell).ok_or(corrupt)
        });
        told.collect()
    }
}

/// The value as its column means it.
fn told(column: &Column, cell: Cell) -> Option<Cell> {
    match (column.kind, cell) {
        (_, Cell::Null) => Some(Cell::Null),
        (Kind::Flag | Kind::Number | Kind::Instant, cell @ Cell::Number(_))
        | (Kind::Day | Kind::Text | Kind::Json, cell @ Cell::Text(_))
        | (Kind::Float, cell @ Cell::Float(_))
        | (Kind::Bytes, cell @ Cell::Bytes(_)) => Some(cell),
        (Kind::Numbers, Cell::Text(words)) => {
            let numbers = words.split_ascii_whitespace().map(|word| word.parse().ok());
            numbers.collect::<Option<_>>().map(Cell::Numbers)
        }
        (Kind::Texts, Cell::Text(words)) => {
            Some(Cell::Texts(words.split_ascii_whitespace().map(str::to_owned).collect()))
        }
        (Kind::Numbers, Cell::Bytes(latest)) => {
            Some(Cell::Numbers(latest_from(&latest).map(|latest| latest.metric).collect()))
        }
        (Kind::Instants, Cell::Bytes(latest)) => {
            Some(Cell::Numbers(latest_from(&latest).map(|latest| latest.at).collect()))
        }
        (Kind::Floats, Cell::Bytes(latest)) if column.name == "older_numbers" => {
            Some(Cell::Floats(latest_from(&latest).map(|latest| latest.value).collect()))
        }
        (Kind::Floats, Cell::Bytes(numbers)) => {
            let (numbers, rest) = numbers.as_chunks();
            let numbers = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            rest.is_empty().then_some(Cell::Floats(numbers))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::run_missing;
    use diesel::sql_types::Text;
    use moving::TABLES;
    use std::collections::BTreeSet;

    /// What lasts for minutes, what moves as a number, and what is derived from what moves.
    const STAY: [&str; 9] = [
        "alerts.description_key",
        "alerts.note_key",
        "audit_head.id",
        "equipment.location_key",
        "equipment_heads.latest",
        "live_events",
        "live_marks",
        "rule_generation",
        "shape_metrics",
    ];

    /// What the other database keeps in heads, and this one puts together.
    const PUT_TOGETHER: [&str; 6] = [
        "equipment_heads.hidden",
        "equipment_heads.kind",
        "equipment_heads.older_instants",
        "equipment_heads.older_metrics",
        "equipment_heads.older_numbers",
        "equipment_heads.packed_until",
    ];

    #[derive(QueryableByName)]
    struct Named {
        #[diesel(sql_type = Text)]
        name: String,
    }

    #[test]
    fn every_column_moves_or_is_known_to_stay() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        run_missing(&mut connection).unwrap();
        let stored = diesel::sql_query(
            "SELECT CASE WHEN tables.name IN ('live_events', 'live_marks', 'rule_generation', 'shape_metrics') \
             THEN tables.name ELSE tables.name || '.' || columns.name END AS name \
             FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
             AND tables.name NOT IN ('__diesel_schema_migrations', 'sqlite_sequence')",
        );
        let stored: Vec<Named> = stored.load(&mut connection).unwrap();
        let stored: BTreeSet<String> = stored.into_iter().map(|column| column.name).collect();
        let of = |table: &'static Table| {
            table.columns.iter().map(|column| format!("{}.{}", table.name, column.name))
        };
        let moving: BTreeSet<String> = TABLES.iter().flat_map(of).collect();
        let mut known = BTreeSet::from(STAY);
        known.extend(moving.iter().map(String::as_str).filter(|column| !PUT_TOGETHER.contains(column)));
        assert_eq!(stored.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
        for table in TABLES {
            let (sender, _receiver) = mpsc::channel(AHEAD);
            give(&mut connection, table, &sender).unwrap();
        }
    }
}
