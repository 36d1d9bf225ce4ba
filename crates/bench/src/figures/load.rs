//! What an installation of two servers behind a balancer does in a minute of everything at once: whether anything goes wrong,
//! whether anything that was acknowledged is missing afterwards, and how long each kind of request takes.
//!
//! [`traffic`] is what is sent, [`found`] looks for it afterwards.

mod found;
mod traffic;

use crate::failure::Outcome;
use crate::front::Front;
use crate::http::Answer;
use crate::load::{self, Lane, Pace, Ran};
use crate::results::{Bar, Figure, Measured, Plot, Table, rounded};
use crate::server::Server;
use crate::statistics::percentile;
use crate::terminal::say;
use crate::workshop::Workshop;
use tokio::task::JoinSet;
use traffic::{Class, Run, Traffic};

/// No more than one request in a hundred may take longer.
const SLOW_MS: f64 = 250.0;

/// How each kind of request went.
struct Went {
    class: Class,
    ran: Ran,
}

impl Went {
    /// Answers that were not what was asked for, those that there is too much to do among them.
    fn errors(&self) -> usize {
        (self.ran.latencies.len() + self.ran.turned_away).saturating_sub(self.ran.counted as usize)
    }
}

/// Measures the mixed load.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let run = if shop.plan.is_quick { Run::QUICK } else { Run::FULL };
    let mut plant = shop.plant("load", 100).await?;
    let second =
        Server::start_with(&shop.plan.server, plant.database.url(), plant.server.key().to_owned()).await?;
    let front = Front::before(&plant.server, &second).await?;
    let Traffic { lanes, sent } = Traffic::prepare(&mut plant, run).await?;
    plant.database.ask("CHECKPOINT")?;

    let went = send(&front, lanes, run).await?;
    for went in &went {
        say(&line(went, run).join(" | "));
    }
    let lost = found::lost(&front, &plant.server, &sent).await?;
    say(&format!("load  {} readings sent, {lost} not found", sent.len()));
    let memory = plant.server.peak_memory_mib().max(second.peak_memory_mib());
    drop(front);
    second.stop().await?;
    plant.server.stop().await?;
    Ok(figure(run, &went, lost, sent.len(), memory))
}

/// All classes at once, each at its own pace over connections of its own.
async fn send(front: &Front, lanes: Vec<(Class, Vec<Lane>)>, run: Run) -> Outcome<Vec<Went>> {
    let address = front.address();
    let mut running = JoinSet::new();
    for (class, lanes) in lanes {
        running.spawn(async move {
            let ran = load::drive(address, lanes, Pace::PerSecond(class.rate(run)), as_wished).await?;
            Outcome::Ok(Went { class, ran })
        });
    }
    let mut went = Vec::new();
    while let Some(class) = running.join_next().await {
        went.push(class??);
    }
    went.sort_by_key(|went| went.class);
    Ok(went)
}

/// One for a success; anything else is told, and counts for nothing.
fn as_wished(answer: &Answer<'_>) -> Outcome<u64> {
    if (200..300).contains(&answer.status) {
        return Ok(1);
    }
    say(&format!("load  answered {}: {}", answer.status, answer.excerpt()));
    Ok(0)
}

fn line(went: &Went, run: Run) -> Vec<String> {
    let Went { class, ran } = went;
    vec![
        class.name().to_owned(),
        class.connections().to_string(),
        rounded(class.rate(run)),
        (ran.latencies.len() + ran.turned_away).to_string(),
        rounded(ran.latency_ms(0.5)),
        rounded(ran.latency_ms(0.99)),
        rounded(ran.latency_ms(1.0)),
        went.errors().to_string(),
    ]
}

fn figure(run: Run, went: &[Went], lost: usize, sent: usize, memory: f64) -> Figure {
    let mut table = Table::new(&[
        "kind",
        "connections",
        "requests/s",
        "requests",
        "p50 ms",
        "p99 ms",
        "slowest ms",
        "errors",
    ]);
    let mut plot = Plot { unit: "p99, ms".to_owned(), ..Plot::default() };
    for went in went {
        table.rows.push(line(went, run));
        plot.column(went.class.name(), went.ran.latency_ms(0.99), false);
    }
    let errors: usize = went.iter().map(Went::errors).sum();
    let connections: usize = went.iter().map(|went| went.class.connections()).sum();
    let mut all: Vec<u64> = went.iter().flat_map(|went| went.ran.latencies.iter().copied()).collect();
    all.sort_unstable();
    let slow_ms = percentile(&all, 0.99) as f64 / 1000.0;
    Figure {
        name: "load".to_owned(),
        title: "Everything at once".to_owned(),
        method: format!(
            "{} s of mixed requests over {connections} connections through HAProxy, as `deploy/haproxy.cfg` has it, to two servers on one \
             database; 100 rules judge the readings. Each kind of request has a pace of its own that does not wait for answers. \
             Afterwards every reading that was sent, {sent} of them, is looked for through the API and compared value by value: where \
             all were answered with success, none that was acknowledged may be missing.",
            run.span.as_secs(),
        ),
        measured: vec![
            Measured::absolute("Mixed load: answers other than success", "", errors as f64, Bar::AtMost(0.0)),
            Measured::absolute(
                "Mixed load: readings sent and not found afterwards",
                "",
                lost as f64,
                Bar::AtMost(0.0),
            ),
            Measured::absolute("Mixed load: p99 of all requests", "ms", slow_ms, Bar::AtMost(SLOW_MS)),
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
    fn whatever_is_no_success_is_an_error_and_so_is_being_turned_away() {
        let ran = Ran { latencies: vec![1, 2, 3], turned_away: 2, counted: 2, ..Ran::default() };
        assert_eq!(Went { class: Class::Reads, ran }.errors(), 3);
    }
}
