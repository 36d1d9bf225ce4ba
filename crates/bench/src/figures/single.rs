//! How fast readings come in one by one, beside `pgbench` inserting single rows.

use crate::failure::{Outcome, failed};
use crate::figures::bulk::{COLUMNS, LIMIT_TABLE};
use crate::load::{self, Lane, Pace, Ran};
use crate::payload;
use crate::plan::{CLIENTS, Plan};
use crate::process::Costs;
use crate::results::{Bar, Figure, Measured, Pairs, Plot, Table, rounded};
use crate::sensors::{METRICS, SIGNALS};
use crate::terminal::say;
use crate::workshop::{Plant, Workshop};
use std::fmt::Write;

/// A twentieth of the 6 ms that the same request costs behind Django REST Framework.
const MOST_CPU_US: f64 = 6000.0 / 20.0;

#[derive(Default)]
struct Series {
    pairs: Pairs,
    costs: Costs,
    median_ms: Vec<f64>,
    slow_ms: Vec<f64>,
}

/// Measures it.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = shop.plant("single", 100).await?;
    plant.database.ask(&limit_table())?;
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), insert_script())?;

    let mut series = Series::default();
    send(plan, &mut plant, plan.singles / 4).await?;
    for _ in 0..plan.repetitions {
        plant.database.ask(&format!("TRUNCATE {LIMIT_TABLE}"))?;
        plant.database.ask("CHECKPOINT")?;
        let limit = plant.database.transactions_per_second(script.path(), CLIENTS, plan.span)?;
        plant.database.ask("CHECKPOINT")?;
        once(plan, &mut plant, &mut series, limit).await?;
    }
    let memory = plant.server.peak_memory_mib();
    plant.server.stop().await?;
    Ok(figure(plan, &series, memory))
}

async fn once(plan: &Plan, plant: &mut Plant, series: &mut Series, limit: f64) -> Outcome<()> {
    let meter = plant.meter();
    let ran = send(plan, plant, plan.singles).await?;
    let cost = series.costs.note(&meter, ran.latencies.len());
    say(&format!(
        "single  {:>8} requests/s, limit {:>8}, ratio {:.3}; {cost} µs of CPU a request; \
         p50 {:.1} ms, p99 {:.1} ms",
        rounded(ran.per_second()),
        rounded(limit),
        ran.per_second() / limit,
        ran.latency_ms(0.5),
        ran.latency_ms(0.99),
    ));
    series.pairs.ours.push(ran.per_second());
    series.pairs.limit.push(limit);
    series.median_ms.push(ran.latency_ms(0.5));
    series.slow_ms.push(ran.latency_ms(0.99));
    Ok(())
}

/// Sends that many readings over all connections, one a request, as long as there is time.
async fn send(plan: &Plan, plant: &mut Plant, readings: usize) -> Outcome<Ran> {
    let split = plant.next(readings, CLIENTS);
    let lanes = split.lanes.iter().map(|rows| {
        let request =
            |row| plant.server.request("POST", "/api/data", "application/json", &payload::single(row));
        Lane::once(rows.iter().map(request).collect()).for_at_most(plan.span * 4)
    });
    let ran = load::drive(plant.server.address(), lanes.collect(), Pace::Saturating, stored).await?;
    if ran.counted == ran.latencies.len() as u64 {
        Ok(ran)
    } else {
        Err(failed("not all readings were stored"))
    }
}

/// A reading that was not there before.
fn stored(answer: &crate::http::Answer<'_>) -> Outcome<u64> {
    load::one(answer).map(|_| u64::from(answer.status == 201))
}

/// A table like `readings`, with partitions like its own.
fn limit_table() -> String {
    format!(
        "CREATE TABLE {LIMIT_TABLE} (LIKE readings INCLUDING ALL) PARTITION BY RANGE (at); \
         DO $$ DECLARE part record; BEGIN \
             FOR part IN SELECT relname, pg_get_expr(relpartbound, oid) AS bounds FROM pg_class \
                 JOIN pg_inherits ON inhrelid = oid WHERE inhparent = 'readings'::regclass \
             LOOP \
                 EXECUTE format('CREATE TABLE %I PARTITION OF {LIMIT_TABLE} %s', \
                     '{LIMIT_TABLE}_' || part.relname, part.bounds); \
             END LOOP; \
         END $$"
    )
}

/// The same row with the same durability, as `pgbench` runs it: made up in the script, its parameters bound. Each client has
/// machines of its own, as ours have: two readings of one machine in one microsecond would be one reading.
fn insert_script() -> String {
    let mut script = format!("\\set piece random(0, 30) * {CLIENTS} + :client_id + 1\n");
    let mut numbers = Vec::with_capacity(METRICS);
    for signal in &SIGNALS {
        // Writing into memory cannot fail.
        let _ = writeln!(script, "\\set {} random(100, 99999)", signal.metric);
        numbers.push(format!(":{}::float8 / 100", signal.metric));
    }
    let numbers = numbers.join(", ");
    let _ = writeln!(
        script,
        "INSERT INTO {LIMIT_TABLE} ({COLUMNS}) \
         VALUES (:piece, clock_timestamp(), clock_timestamp(), 1, ARRAY[{numbers}], NULL);"
    );
    script
}

fn figure(plan: &Plan, series: &Series, memory: f64) -> Figure {
    let Series { pairs, costs, median_ms, slow_ms } = series;
    let mut table =
        Table::new(&["run", "requests/s", "pgbench TPS", "server µs", "database µs", "p50 ms", "p99 ms"]);
    let columns = [&pairs.ours, &pairs.limit, &costs.server, &costs.database, median_ms, slow_ms];
    for run in 0..pairs.ours.len() {
        let cells = columns.iter().filter_map(|column| column.get(run)).map(|number| rounded(*number));
        table.rows.push(std::iter::once((run + 1).to_string()).chain(cells).collect());
    }
    let cpu = costs.whole();
    let mut plot = Plot { unit: "requests/s".to_owned(), ..Plot::default() };
    plot.column("one reading a request", pairs.our_median(), false);
    plot.column("pgbench, one row a transaction", pairs.limit_median(), true);
    Figure {
        name: "single".to_owned(),
        title: "Readings one by one".to_owned(),
        method: format!(
            "At most {} readings and {} s a run, one reading a request, over {CLIENTS} connections, 100 rules; each is answered once it is \
             committed. The limit is `pgbench` with {CLIENTS} clients and a prepared single-row insert into a table like \
             `readings`, partitioned as it is. Processor time is that of the server and of all PostgreSQL processes.",
            plan.singles,
            (plan.span * 4).as_secs()
        ),
        measured: vec![
            Measured::share(
                "One reading a request",
                "requests/s",
                pairs.our_median(),
                ("pgbench, single-row insert", pairs.limit_median()),
                Bar::AtLeast(0.8),
            ),
            Measured::absolute("CPU a reading sent alone", "µs", cpu, Bar::AtMost(MOST_CPU_US)),
        ],
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_draws_every_number_that_it_inserts() {
        let script = insert_script();
        for signal in &SIGNALS {
            assert!(script.contains(&format!("\\set {} ", signal.metric)));
            assert!(script.contains(&format!(":{}::float8", signal.metric)));
        }
    }
}
