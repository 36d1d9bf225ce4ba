//! Whether readings come in as fast when many are stored as when there are none; and what they take up on disk.

use crate::failure::Outcome;
use crate::figures::bulk::{Form, Way, send};
use crate::plan::{Plan, Timeline};
use crate::results::{Bar, Figure, Measured, Pairs, Plot, Table, rounded};
use crate::sensors::METRICS;
use crate::server::tend;
use crate::terminal::{progress, say};
use crate::workshop::{Plant, Workshop};

const WAY: Way = Way::new(Form::Lines, 2, 10_000);

/// How many machines there are where it is measured what their readings take up.
const MACHINES: usize = 20;

/// How many values are stored between two points of the curve.
const CURVE_POINTS: usize = 10;

/// Measures bytes a value.
pub(crate) async fn disk(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = shop.plant("disk", 100).await?;
    // Few machines over hours, so that there is something to roll up.
    let some = plant.timeline.equipment.iter().copied().take(MACHINES).collect();
    plant.timeline = Timeline::of(some);
    let split = plant.next(plan.readings * 2, WAY.connections);
    send(&plant.server, WAY, &split).await?;
    let values = split.whole.len() * METRICS;
    let sizes = Sizes::of(&plant)?;
    let memory = plant.server.peak_memory_mib();
    // All of it happened long ago, so all of it is packed.
    tend(&plan.server, plant.database.url()).await?;
    plant.database.ask("VACUUM")?;
    let packed = Sizes::of(&plant)?;
    plant.server.stop().await?;
    let a_value = |bytes: f64| bytes / values as f64;
    say(&format!(
        "disk  {:.1} bytes a value fresh, {:.1} packed",
        a_value(sizes.total()),
        a_value(packed.total())
    ));
    let mut table = Table::new(&["part", "bytes a value"]);
    let mut plot = Plot { unit: "bytes a value".to_owned(), ..Plot::default() };
    let parts = [
        ("fresh: rows", sizes.rows),
        ("fresh: their indexes", sizes.indexes),
        ("packed: packs", packed.packs),
        ("packed: rollups", packed.rollups),
        ("packed: what is left of rows", packed.rows + packed.indexes),
    ];
    for (part, bytes) in parts {
        table.rows.push(vec![part.to_owned(), format!("{:.1}", a_value(bytes))]);
        plot.column(part, a_value(bytes), false);
    }
    plot.column("eight bytes a number", 8.0, true);
    let most = |what, bytes, bar| Measured::absolute(what, "bytes a value", a_value(bytes), Bar::AtMost(bar));
    Ok(Figure {
        name: "disk".to_owned(),
        title: "What a value takes up".to_owned(),
        method: format!(
            "{} readings of {METRICS} values, one a second of {MACHINES} machines: just stored, and after `techtrack tend` and VACUUM. \
             Tables with their indexes and what PostgreSQL keeps beside them.",
            split.whole.len()
        ),
        measured: vec![most("Disk, fresh", sizes.total(), 24.0), most("Disk, packed", packed.total(), 4.0)],
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    })
}

struct Sizes {
    rows: f64,
    indexes: f64,
    packs: f64,
    rollups: f64,
}

impl Sizes {
    fn of(plant: &Plant) -> Outcome<Self> {
        let sum = |function: &str| {
            let sql =
                format!("SELECT coalesce(sum({function}(relid)), 0) FROM pg_partition_tree('readings')");
            plant.database.number(&sql)
        };
        let whole = |table: &str| plant.database.number(&format!("SELECT pg_total_relation_size('{table}')"));
        Ok(Self {
            rows: sum("pg_table_size")?,
            indexes: sum("pg_indexes_size")?,
            packs: whole("packs")?,
            rollups: whole("rollups")?,
        })
    }

    fn total(&self) -> f64 {
        self.rows + self.indexes + self.packs + self.rollups
    }
}

/// Measures growth.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut full = shop.plant("full", 100).await?;
    let mut curve = Vec::new();
    let readings = plan.grown_to / METRICS;
    let slice = plan.readings.min(readings);
    let slices = readings.div_ceil(slice);
    let bar = progress(slices as u64, "filling");
    for number in 0..slices {
        let split = full.next(slice, WAY.connections);
        let rate = send(&full.server, WAY, &split).await?;
        if number % slices.div_ceil(CURVE_POINTS) == 0 {
            curve.push((number * slice * METRICS, rate));
            say(&format!(
                "growth  {} values stored: {} values/s",
                rounded((number * slice * METRICS) as f64),
                rounded(rate)
            ));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();

    let mut pairs = Pairs::default();
    let mut empty = shop.plant("empty", 100).await?;
    let warm_up = empty.next(plan.readings / 4, WAY.connections);
    send(&empty.server, WAY, &warm_up).await?;
    for _ in 0..plan.repetitions {
        empty.database.ask("TRUNCATE readings")?;
        empty.database.ask("CHECKPOINT")?;
        let split = empty.next(plan.readings, WAY.connections);
        pairs.limit.push(send(&empty.server, WAY, &split).await?);
        full.database.ask("CHECKPOINT")?;
        let split = full.next(plan.readings, WAY.connections);
        pairs.ours.push(send(&full.server, WAY, &split).await?);
    }
    say(&format!("growth  ratio {:.3}", pairs.ratio()));
    let memory = full.server.peak_memory_mib().max(empty.server.peak_memory_mib());
    full.server.stop().await?;
    empty.server.stop().await?;
    Ok(figure(plan, &pairs, &curve, memory))
}

fn figure(plan: &Plan, pairs: &Pairs, curve: &[(usize, f64)], memory: f64) -> Figure {
    let mut table = Table::new(&["values stored before", "values/s"]);
    let mut plot = Plot { unit: "values/s".to_owned(), ..Plot::default() };
    for (stored, rate) in curve {
        let stored = rounded(*stored as f64);
        table.rows.push(vec![stored.clone(), rounded(*rate)]);
        plot.column(format!("{stored} stored, while filling"), *rate, false);
    }
    let stored = rounded(plan.grown_to as f64);
    plot.column(format!("{stored} stored"), pairs.our_median(), false);
    plot.column("nothing stored", pairs.limit_median(), true);
    Figure {
        name: "growth".to_owned(),
        title: "Much data".to_owned(),
        method: format!(
            "{WAY}; a database with {stored} values and one whose readings were just removed take {} readings in turn.",
            plan.readings
        ),
        measured: vec![Measured::share(
            &format!("Ingest with {stored} values stored"),
            "values/s",
            pairs.our_median(),
            ("an empty table", pairs.limit_median()),
            Bar::AtLeast(0.9),
        )],
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}
