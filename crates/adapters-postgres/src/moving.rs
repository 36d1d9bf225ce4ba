//! An installation that moves in from another database: all of it in one transaction, or nothing.
//!
//! Rows come in no database's words (see the crate `moving`). They are said as arrays of text, which the database reads as it
//! would read what a person typed, so there is one statement for all tables; and they are read back, in the same transaction, as
//! what the database made of them.

use crate::connect::Access;
use crate::link::Link;
use crate::schema::audit_head;
use crate::{PostgresStore, search, weeks};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::ports::StoreError;
use domain::time::Timestamp;
use moving::{BYTES_AT_ONCE, Cell, Column, Kind, Row, TABLES, Table, Tally, weight};
use std::fmt::Write as _;
use std::sync::Arc;

mod binary;

/// How many rows are read back at once; fewer, where they weigh much.
const STEP: usize = 2000;

/// How many are read back first, to see what they weigh.
const TRIAL: usize = 20;

/// References within a table, which rows may name before they are there.
const WITHIN: [(&str, &str); 2] =
    [("users", "users_mentor_id_fkey"), ("equipment", "equipment_parent_id_fkey")];

/// The tables whose ids the database gives out.
const NUMBERED: &str = "SELECT relname::text AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
    WHERE relnamespace = 'public'::regnamespace AND attidentity <> '' AND attname = 'id' ORDER BY relname";

/// Why nothing moved in.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// No connection.
    #[error("the database cannot be reached")]
    Away(#[from] diesel::ConnectionError),
    /// Somebody lives there.
    #[error("the database is not empty: there are rows in {0}; only an empty one is moved into")]
    Inhabited(&'static str),
    /// The database failed.
    #[error("the database failed at {table}")]
    Failed {
        /// At which table.
        table: &'static str,
        /// Why.
        source: diesel::result::Error,
    },
    /// The last step was not confirmed.
    #[error(
        "the database did not confirm the last step, so nobody knows whether all was moved or nothing: see whether `techtrack user list` \
         finds anybody there; if not, move again"
    )]
    OutcomeUnknown(#[source] diesel::result::Error),
    /// All is there, but the database's own statistics are not.
    #[error(
        "everything was moved, but the database has no statistics of it yet: say ANALYZE there, or wait until it does so by itself"
    )]
    Unanalysed(#[source] diesel::result::Error),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value cannot be said.
    #[error("a value of {table}.{column} cannot be stored in this database")]
    Unspeakable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

/// A database that is being moved into. Dropped, it is as empty as before.
pub struct MovingIn {
    connection: AsyncPgConnection,
}

impl PostgresStore {
    /// Begins to move in. The database MUST be migrated; it is refused unless it is empty, and nobody else writes there until the
    /// move ends.
    pub async fn move_in(&self, now: Timestamp) -> Result<MovingIn, TakeError> {
        // As a server does when it starts: what is moved in goes where it will be looked for.
        let mut link: Link = self.writers.begin().await?;
        weeks::make(&mut link, crate::rows::stamp(now)).await?;
        domain::ports::UnitOfWork::commit(Box::new(link)).await?;
        let mut connection = Arc::clone(&self.connector).establish(Access::Migrating).await?;
        let begun = connection.batch_execute("BEGIN").await;
        begun.map_err(failed("the database"))?;
        let mut moving = MovingIn { connection };
        moving.prepare().await?;
        Ok(moving)
    }
}

fn failed(table: &'static str) -> impl FnOnce(diesel::result::Error) -> TakeError {
    move |source| TakeError::Failed { table, source }
}

#[derive(QueryableByName)]
struct Any {
    #[diesel(sql_type = Bool)]
    is_any: bool,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

impl MovingIn {
    async fn prepare(&mut self) -> Result<(), TakeError> {
        for table in TABLES {
            let name = table.name;
            self.say(name, format!("LOCK TABLE {name} IN EXCLUSIVE MODE")).await?;
            // Every migrated database knows where its audit trail ends: nowhere, if it is empty.
            let of_some = if name == "audit_head" { "WHERE events > 0" } else { "" };
            let any = sql_query(format!("SELECT EXISTS (SELECT FROM {name} {of_some}) AS is_any"));
            let Any { is_any } = any.get_result(&mut self.connection).await.map_err(failed(name))?;
            if is_any {
                return Err(TakeError::Inhabited(name));
            }
        }
        let emptied = diesel::delete(audit_head::table).execute(&mut self.connection).await;
        emptied.map_err(failed("audit_head"))?;
        for (table, reference) in WITHIN {
            let late = "DEFERRABLE INITIALLY DEFERRED";
            self.say(table, format!("ALTER TABLE {table} ALTER CONSTRAINT {reference} {late}")).await?;
        }
        Ok(())
    }

    async fn say(&mut self, table: &'static str, statement: String) -> Result<(), TakeError> {
        self.connection.batch_execute(&statement).await.map_err(failed(table))
    }

    /// Stores these rows.
    pub async fn take(&mut self, table: &'static Table, rows: &[Row]) -> Result<(), TakeError> {
        if rows.is_empty() {
            return Ok(());
        }
        let derived = derived(table);
        let names: Vec<String> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let values = table.columns.iter().enumerate();
        let values = values.map(|(place, column)| format!("v{place}::{}", sql_type(column.kind)));
        let (mut names, mut values) = (names.join(", "), values.collect::<Vec<_>>().join(", "));
        let mut count = table.columns.len();
        if derived.is_some() {
            // Writing to a String cannot fail.
            let _ = write!(values, ", v{count}");
            names.push_str(", search_key");
            count += 1;
        }
        let arrays: Vec<String> = (1..=count).map(|place| format!("${place}::text[]")).collect();
        let aliases: Vec<String> = (0..count).map(|place| format!("v{place}")).collect();
        let text = format!(
            "INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM unnest({}) AS moved ({})",
            table.name,
            arrays.join(", "),
            aliases.join(", ")
        );
        let mut statement = sql_query(text).into_boxed::<Pg>();
        for (place, column) in table.columns.iter().enumerate() {
            let said = rows.iter().map(|row| said(column, row.get(place).unwrap_or(&Cell::Null)));
            let said: Option<Vec<Option<String>>> = said.collect();
            let said = said.ok_or(TakeError::Unspeakable { table: table.name, column: column.name })?;
            statement = statement.bind::<Array<Nullable<Text>>, _>(said);
        }
        if let Some(searched) = derived {
            let keys: Vec<Option<String>> =
                rows.iter().map(|row| Some(search_key(table, searched, row))).collect();
            statement = statement.bind::<Array<Nullable<Text>>, _>(keys);
        }
        statement.execute(&mut self.connection).await.map_err(failed(table.name))?;
        Ok(())
    }

    /// What is there now, as the database tells it. `progress` hears how many rows were looked at.
    pub async fn tally(
        &mut self,
        table: &'static Table,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Tally, TakeError> {
        let columns: Vec<String> = table.columns.iter().map(read_back).collect();
        let cursor =
            format!("DECLARE moved NO SCROLL CURSOR FOR SELECT {} FROM {}", columns.join(", "), table.name);
        self.say(table.name, cursor).await?;
        let mut tally = Tally::default();
        let mut step = TRIAL;
        loop {
            let fetched = sql_query(format!("FETCH {step} FROM moved")).load(&mut self.connection).await;
            let fetched: Vec<binary::Values> = fetched.map_err(failed(table.name))?;
            if fetched.is_empty() {
                break;
            }
            let rows: Option<Vec<Row>> = fetched.into_iter().map(|row| row.of(table)).collect();
            let unreadable = || TakeError::Unspeakable { table: table.name, column: "(any)" };
            let rows = rows.ok_or_else(unreadable)?;
            let heaviest = rows.iter().map(|row| weight(row)).max().unwrap_or_default().max(1);
            step = (BYTES_AT_ONCE / heaviest).min(step * 4).clamp(1, STEP);
            tally.add(&rows);
            progress(tally.rows);
        }
        self.say(table.name, "CLOSE moved".to_owned()).await?;
        Ok(tally)
    }

    /// Ends the move: from now on all of it is there, also when [`TakeError::Unanalysed`] is answered. `given_out` are the numbers up to which ids were given out, by table.
    pub async fn finish(
        mut self,
        given_out: &[(String, i64)],
        rule_generation: i64,
    ) -> Result<(), TakeError> {
        self.say("the database", "SET CONSTRAINTS ALL IMMEDIATE".to_owned()).await?;
        for (table, reference) in WITHIN {
            self.say(table, format!("ALTER TABLE {table} ALTER CONSTRAINT {reference} NOT DEFERRABLE"))
                .await?;
        }
        self.go_on_numbering(given_out).await?;
        // Counts from 1 here, and from 0 elsewhere.
        let generation = rule_generation.saturating_add(1);
        self.say("alert_rules", format!("SELECT setval('rule_generation', {generation})")).await?;
        self.connection.batch_execute("COMMIT").await.map_err(TakeError::OutcomeUnknown)?;
        // Plans that are made before the server looks at the tables by itself should be good ones.
        self.connection.batch_execute("ANALYZE").await.map_err(TakeError::Unanalysed)
    }

    /// No id that was given out is given out again, not even one of what is gone.
    async fn go_on_numbering(&mut self, given_out: &[(String, i64)]) -> Result<(), TakeError> {
        let numbered = sql_query(NUMBERED).load(&mut self.connection).await;
        let numbered: Vec<Named> = numbered.map_err(failed("the database"))?;
        for Named { name } in numbered {
            let given = given_out.iter().find(|(table, _)| *table == name).map_or(0, |(_, number)| *number);
            let next = sql_query(format!(
                "SELECT setval(pg_get_serial_sequence('{name}', 'id'), greatest(max(id), $1) + 1, false) FROM {name}"
            ));
            let next = next.bind::<BigInt, _>(given);
            next.execute(&mut self.connection).await.map_err(failed("the numbers of ids"))?;
        }
        Ok(())
    }
}

fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "boolean",
        Kind::Number => "bigint",
        Kind::Instant => "timestamptz",
        Kind::Day => "date",
        Kind::Text => "text",
        Kind::Json => "json",
        Kind::Float => "double precision",
        Kind::Bytes => "bytea",
        Kind::Numbers => "bigint[]",
        Kind::Instants => "timestamptz[]",
        Kind::Floats => "double precision[]",
        Kind::Texts => "text[]",
    }
}

fn read_back(column: &Column) -> String {
    let name = format!("\"{}\"", column.name);
    if column.kind == Kind::Day { format!("to_char({name}, 'YYYY-MM-DD')") } else { name }
}

/// The value as it would be typed; `None` when there is no way to.
fn said(column: &Column, cell: &Cell) -> Option<Option<String>> {
    let list = |items: Vec<String>| format!("{{{}}}", items.join(","));
    Some(Some(match (column.kind, cell) {
        (_, Cell::Null) => return Some(None),
        (Kind::Instant, Cell::Number(micros)) => instant(*micros)?,
        (_, Cell::Number(number)) => number.to_string(),
        (_, Cell::Float(number)) => number.to_string(),
        (_, Cell::Text(text)) => Some(text.clone()).filter(|text| !text.contains('\0'))?,
        (_, Cell::Bytes(bytes)) => {
            let mut text = String::with_capacity(bytes.len() * 2 + 2);
            text.push_str("\\x");
            for byte in bytes {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text
        }
        (Kind::Instants, Cell::Numbers(instants)) => {
            list(instants.iter().map(|micros| instant(*micros)).collect::<Option<_>>()?)
        }
        (_, Cell::Numbers(numbers)) => list(numbers.iter().map(ToString::to_string).collect()),
        (_, Cell::Floats(numbers)) => list(numbers.iter().map(ToString::to_string).collect()),
        (_, Cell::Texts(texts)) => {
            let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            list(texts.iter().map(quoted).collect())
        }
    }))
}

fn instant(micros: i64) -> Option<String> {
    Some(Timestamp::from_micros(micros)?.to_string())
}

/// The columns of a table that are searched together.
fn derived(table: &Table) -> Option<&'static [&'static str]> {
    match table.name {
        "equipment" => Some(&["name", "kind", "model", "manufacturer", "serial_number", "location"]),
        "alerts" => Some(&["description", "note"]),
        _ => None,
    }
}

fn search_key(table: &Table, searched: &[&str], row: &Row) -> String {
    let text = |name: &&str| {
        let place = table.columns.iter().position(|column| column.name == *name)?;
        if let Cell::Text(text) = row.get(place)? { Some(text.as_str()) } else { None }
    };
    search::key(searched.iter().filter_map(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Connector;
    use crate::settings::Settings;
    use crate::testing::TestDatabase;
    use std::collections::BTreeSet;

    /// What lasts for minutes, and what is derived from what moves.
    const STAY: [&str; 16] = [
        "alerts.search_key",
        "audit_head.id",
        "equipment.search_key",
        "equipment_heads.numbers",
        "equipment_heads.shape_id",
        "live_events.alerts",
        "live_events.at",
        "live_events.changes",
        "live_events.count",
        "live_events.equipment",
        "live_events.instants",
        "live_events.number",
        "live_events.numbers",
        "live_events.shapes",
        "live_events.transaction",
        "live_forgotten",
    ];

    #[tokio::test]
    async fn every_column_moves_or_is_known_to_stay() {
        let database = TestDatabase::create().await;
        let connector = Arc::new(Connector::new(&Settings::new(database.url())).unwrap());
        let mut connection = connector.establish(Access::Reading).await.unwrap();
        let stored = sql_query(
            "SELECT concat(relname, '.', attname) AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 \
             AND NOT attisdropped AND relname NOT IN ('__diesel_schema_migrations', 'live_forgotten') \
             UNION SELECT 'live_forgotten'",
        );
        let stored: Vec<Named> = stored.load(&mut connection).await.unwrap();
        let stored: BTreeSet<String> = stored.into_iter().map(|column| column.name).collect();
        let of = |table: &'static Table| {
            table.columns.iter().map(|column| format!("{}.{}", table.name, column.name))
        };
        let known = TABLES.iter().flat_map(of).chain(STAY.map(str::to_owned));
        assert_eq!(stored, known.collect::<BTreeSet<_>>());
    }

    #[test]
    fn values_are_said_as_they_would_be_typed() {
        let said = |kind, cell: Cell| said(&Column { name: "x", kind }, &cell);
        let typed = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(said(Kind::Text, Cell::Null), Some(None));
        assert_eq!(said(Kind::Instant, Cell::Number(1)), typed("1970-01-01T00:00:00.000001Z"));
        assert_eq!(said(Kind::Instant, Cell::Number(i64::MAX)), None);
        assert_eq!(said(Kind::Text, Cell::Text("a\0".into())), None);
        assert_eq!(said(Kind::Float, Cell::Float(-0.0)), typed("-0"));
        assert_eq!(said(Kind::Bytes, Cell::Bytes(vec![0, 255])), typed("\\x00ff"));
        assert_eq!(said(Kind::Floats, Cell::Floats(vec![0.5, f64::INFINITY])), typed("{0.5,inf}"));
        assert_eq!(said(Kind::Texts, Cell::Texts(vec!["a\"\\".into()])), typed(r#"{"a\"\\"}"#));
        assert_eq!(said(Kind::Numbers, Cell::Numbers(Vec::new())), typed("{}"));
    }
}
