//! How long people wait for questions about much data: a year of one metric, the latest of a whole fleet, a day of many.

use crate::failure::{Outcome, failed};
use crate::figures::bulk::{Form, Way, send};
use crate::http::Connection;
use crate::load;
use crate::payload::instant;
use crate::plan::{BEGINNING, EQUIPMENT, Plan, Split, Timeline};
use crate::results::{Bar, Figure, Measured, Plot, Table, rounded};
use crate::sensors::{Fleet, SIGNALS};
use crate::server::{Server, tend};
use crate::statistics::median;
use crate::terminal::{progress, say};
use crate::workshop::{Plant, Workshop};
use serde_json::Value;
use std::fmt::Write;
use std::time::Instant;

const WAY: Way = Way::new(Form::Lines, 2, 10_000);

const YEAR: i64 = 365 * 86_400 * 1_000_000;
const DAY: i64 = 86_400 * 1_000_000;

/// How often a question is put in one repetition; the median counts.
const ASKED: usize = 5;

/// Readings of the day of many: one a machine every so often.
const READINGS_OF_A_DAY: i64 = 288;

struct Question {
    what: String,
    path: String,
    most_ms: Option<f64>,
    /// How long each answer took, in milliseconds.
    took: Vec<f64>,
    bytes: usize,
}

/// Measures all questions that the server answers.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = shop.plant("queries", 0).await?;
    let more = plan.large_fleet.saturating_sub(EQUIPMENT);
    let others = plant.server.register(EQUIPMENT, more).await?;
    plant.timeline.equipment.extend(others);
    fill(plan, &plant).await?;
    // As after a night: all of it is old.
    tend(&plan.server, plant.database.url()).await?;
    plant.database.ask("VACUUM ANALYZE")?;

    let mut questions = questions(plan, &plant).await?;
    for _ in 0..plan.repetitions {
        for question in &mut questions {
            put(&plant.server, question).await?;
        }
    }
    for question in &questions {
        say(&format!(
            "queries  {}: {} ms, {} bytes",
            question.what,
            rounded(median(&question.took)),
            question.bytes
        ));
    }
    let memory = plant.server.peak_memory_mib();
    plant.server.stop().await?;
    Ok(figure(plan, &questions, memory))
}

/// A year of the first machine, a day of a hundred, and something of everybody.
async fn fill(plan: &Plan, plant: &Plant) -> Outcome<()> {
    let Timeline { equipment, .. } = &plant.timeline;
    let (first, rest) = equipment.split_first().ok_or_else(|| failed("no equipment"))?;
    let step = YEAR / plan.readings_of_a_year as i64;
    let mut year = Fleet::new(&[*first], BEGINNING, step).take(plan.readings_of_a_year);
    let bar = progress(plan.readings_of_a_year as u64, "a year");
    loop {
        let rows: Vec<_> = year.by_ref().take(WAY.readings_a_request * 4).collect();
        if rows.is_empty() {
            break;
        }
        bar.inc(rows.len() as u64);
        send(
            &plant.server,
            Way::new(Form::Lines, 1, 10_000),
            &Split { lanes: vec![rows.clone()], whole: rows },
        )
        .await?;
    }
    bar.finish_and_clear();
    let hundred = rest.get(..100).unwrap_or(rest);
    let day = Fleet::new(hundred, BEGINNING, DAY / READINGS_OF_A_DAY);
    let rows: Vec<_> = day.take(hundred.len() * READINGS_OF_A_DAY as usize).collect();
    send(&plant.server, WAY, &Split { lanes: vec![rows.clone()], whole: rows }).await?;
    let rows: Vec<_> = Fleet::new(rest, BEGINNING + 2 * DAY, 1_000_000).take(rest.len()).collect();
    send(&plant.server, WAY, &Split { lanes: vec![rows.clone()], whole: rows }).await?;
    Ok(())
}

async fn questions(plan: &Plan, plant: &Plant) -> Outcome<Vec<Question>> {
    let equipment = &plant.timeline.equipment;
    let question =
        |what: String, path: String, most_ms| Question { what, path, most_ms, took: Vec::new(), bytes: 0 };
    let first = equipment.first().copied().unwrap_or(1);
    let (from, year, day) = (instant(BEGINNING), instant(BEGINNING + YEAR), instant(BEGINNING + DAY));
    let mut questions = vec![question(
        format!(
            "A year of one metric from {} readings, 1000 points",
            rounded(plan.readings_of_a_year as f64)
        ),
        format!("/api/series?equipment={first}&metric=temperature&from={from}&to={year}&max_points=1000"),
        Some(50.0),
    )];
    let mut many = format!("/api/series?from={from}&to={day}");
    for piece in equipment.iter().skip(1).take(100) {
        // Writing into memory cannot fail.
        let _ = write!(many, "&equipment={piece}");
    }
    for signal in SIGNALS.iter().take(3) {
        let _ = write!(many, "&metric={}", signal.metric);
    }
    questions.push(question("A day of 100 equipment × 3 metrics".to_owned(), many, None));
    if let Some(path) = latest_of_all(&plant.server).await? {
        questions.push(question(format!("Latest of {} equipment", equipment.len()), path, Some(100.0)));
    }
    Ok(questions)
}

/// Where the server tells the latest of more than one piece, by its own document.
async fn latest_of_all(server: &Server) -> Outcome<Option<String>> {
    let mut connection = Connection::open(server.address()).await?;
    let answer = connection.exchange(&server.get("/api/openapi.json")).await?;
    load::one(&answer)?;
    let document: Value = serde_json::from_slice(answer.body)?;
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let mut latest =
        paths.map(|(path, _)| path.trim_end_matches('/')).filter(|path| path.ends_with("/latest"));
    Ok(latest.find(|path| !path.contains('{')).map(str::to_owned))
}

async fn put(server: &Server, question: &mut Question) -> Outcome<()> {
    let request = server.get(&question.path);
    let mut connection = Connection::open(server.address()).await?;
    for _ in 0..ASKED {
        let begun = Instant::now();
        let answer = connection.exchange(&request).await?;
        question.took.push(begun.elapsed().as_secs_f64() * 1000.0);
        load::one(&answer)?;
        question.bytes = answer.body.len();
    }
    Ok(())
}

fn figure(plan: &Plan, questions: &[Question], memory: f64) -> Figure {
    let mut table = Table::new(&["question", "median ms", "slowest ms", "bytes answered"]);
    let mut plot = Plot { unit: "ms".to_owned(), ..Plot::default() };
    let mut measured = Vec::new();
    for question in questions {
        let took = median(&question.took);
        let slowest = question.took.iter().copied().fold(0.0, f64::max);
        table.rows.push(vec![
            question.what.clone(),
            rounded(took),
            rounded(slowest),
            question.bytes.to_string(),
        ]);
        plot.column(question.what.clone(), took, false);
        if let Some(most) = question.most_ms {
            measured.push(Measured::absolute(&question.what, "ms", took, Bar::AtMost(most)));
        }
    }
    Figure {
        name: "queries".to_owned(),
        title: "Questions about much data".to_owned(),
        method: format!(
            "One client asks one question after the other. The year is one machine with {} readings of ten metrics; the \
             day is a hundred machines with a reading every five minutes; the fleet is {} machines. Rolled up and packed \
             by `techtrack tend` before.",
            rounded(plan.readings_of_a_year as f64),
            plan.large_fleet
        ),
        measured,
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}
