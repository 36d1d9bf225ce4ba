//! What it costs that rules judge every reading.

use crate::failure::Outcome;
use crate::figures::bulk::{Form, Way, send};
use crate::plan::Plan;
use crate::process::Costs;
use crate::results::{Bar, Figure, Measured, Plot, Table, rounded};
use crate::statistics::median;
use crate::terminal::say;
use crate::workshop::{Plant, Workshop};

const WAY: Way = Way::new(Form::Lines, 2, 10_000);

/// How many rules there are, and how much of the throughput they may cost.
const CASES: [(usize, Option<f64>); 3] = [(0, None), (100, Some(0.10)), (10_000, Some(0.25))];

struct Case {
    rules: usize,
    most: Option<f64>,
    plant: Plant,
    rates: Vec<f64>,
    costs: Costs,
}

/// Measures it.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut cases = Vec::with_capacity(CASES.len());
    for (rules, most) in CASES {
        let mut plant = shop.plant(&format!("rules_{rules}"), rules).await?;
        let warm_up = plant.next(plan.readings / 4, WAY.connections);
        send(&plant.server, WAY, &warm_up).await?;
        cases.push(Case { rules, most, plant, rates: Vec::new(), costs: Costs::default() });
    }
    for _ in 0..plan.repetitions {
        for case in &mut cases {
            let split = case.plant.next(plan.readings, WAY.connections);
            case.plant.database.ask("CHECKPOINT")?;
            let meter = case.plant.meter();
            let rate = send(&case.plant.server, WAY, &split).await?;
            let cost = case.costs.note(&meter, split.whole.len());
            say(&format!(
                "rules  {:>6} rules: {} values/s; {cost} µs of CPU a reading",
                case.rules,
                rounded(rate)
            ));
            case.rates.push(rate);
        }
    }
    let memory = cases.iter().map(|case| case.plant.server.peak_memory_mib()).fold(0.0, f64::max);
    let figure = figure(plan, &cases, memory);
    for case in cases {
        case.plant.server.stop().await?;
    }
    Ok(figure)
}

fn figure(plan: &Plan, cases: &[Case], memory: f64) -> Figure {
    let free = cases.first().map_or(f64::NAN, |case| median(&case.rates));
    let mut table = Table::new(&["rules", "values/s", "cost", "µs of CPU a reading, server + database"]);
    let mut plot = Plot { unit: "values/s".to_owned(), ..Plot::default() };
    let mut measured = Vec::new();
    for case in cases {
        let rate = median(&case.rates);
        let cost = 1.0 - rate / free;
        table.rows.push(vec![
            case.rules.to_string(),
            rounded(rate),
            format!("{:.0} %", cost * 100.0),
            case.costs.told(),
        ]);
        plot.column(format!("{} rules", case.rules), rate, case.rules == 0);
        if let Some(most) = case.most {
            let what = format!("Cost of {} rules", case.rules);
            measured.push(Measured {
                limit: Some(("no rules".to_owned(), free)),
                ours: rate,
                ..Measured::absolute(&what, "values/s", cost, Bar::AtMost(most))
            });
        }
    }
    Figure {
        name: "rules".to_owned(),
        title: "What rules cost".to_owned(),
        method: format!(
            "{} readings a run, {WAY}, into three databases in turn. A hundred rules are about ten types and ten metrics, \
             ten thousand about each of a thousand machines and ten metrics: either way ten rules judge each reading, and \
             none is broken.",
            plan.readings
        ),
        measured,
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}
