//! What becomes of a server that is asked for three times as much as it can: how much it still gets done, how long those wait
//! who are served, and whether probes are answered.

use crate::failure::{Outcome, failed};
use crate::http::Answer;
use crate::load::{self, Lane, Pace, Ran};
use crate::process;
use crate::results::{Bar, Figure, Measured, Plot, Table, rounded};
use crate::statistics::median;
use crate::terminal::say;
use crate::workshop::{Plant, Workshop};
use std::time::Duration;

/// Over how many connections capacity is found out: all of them busy.
const BUSY: usize = 64;

/// Probes a second.
const PROBES: f64 = 40.0;

/// How much more than it can the server is asked for.
const TOO_MUCH: f64 = 3.0;

/// What the server may take to hold all these connections and what they ask for.
const MEMORY_BAR_MIB: f64 = 512.0;

/// For how long a connection says nothing between two requests at most: the server closes it after five seconds.
const SILENCE: f64 = 2.0;

/// What is asked for, its share of all requests, and over how many connections at most: so many that none of them is late
/// because the request before waits.
#[derive(Clone, Copy)]
struct Kind {
    what: &'static str,
    share: f64,
    connections: usize,
}

/// What is asked for together.
struct Mix {
    name: &'static str,
    title: &'static str,
    /// What is three times as much.
    load: &'static str,
    /// What else is to be known of the figures.
    note: &'static str,
    kinds: [Kind; 3],
}

const READS: Mix = Mix {
    name: "overload",
    title: "Asked for three times as much",
    load: "Three times the load",
    note: "",
    kinds: [
        Kind { what: "reads that nobody remembers", share: 0.9, connections: 1500 },
        Kind { what: CHANGES, share: 0.098, connections: 400 },
        Kind { what: SIGN_INS, share: 0.002, connections: 100 },
    ],
};

/// Writes that come one by one, and nothing else.
const WRITES: Mix = Mix {
    name: "overload_writes",
    title: "Told three times as much",
    load: "Three times the writes",
    note: " What comes at the same time shares commits, so many connections get more done than few that wait for each answer.",
    kinds: [
        Kind { what: READINGS, share: 0.7, connections: 1500 },
        Kind { what: CHANGES, share: 0.25, connections: 400 },
        Kind { what: ALERTS, share: 0.05, connections: 100 },
    ],
};

const CHANGES: &str = "changes";
const SIGN_INS: &str = "sign-ins";
const READINGS: &str = "single readings";
const ALERTS: &str = "alerts raised by hand";

/// In how many ways the same thing is changed, one after the other: what is there already would be no change.
const WAYS: usize = 7;

impl Kind {
    fn requests(self, plant: &Plant) -> Vec<Vec<u8>> {
        let server = &plant.server;
        let pieces = plant.timeline.equipment.iter();
        let say = |method, path: &str, body: String| {
            server.request(method, path, "application/json", body.as_bytes())
        };
        let change = |way: usize, id: &i64| {
            say("PATCH", &format!("/api/equipment/{id}"), format!("{{\"model\":\"M{id}.{way}\"}}"))
        };
        match self.what {
            CHANGES => (0..WAYS).flat_map(|way| pieces.clone().map(move |id| change(way, id))).collect(),
            SIGN_INS => vec![server.sign_in()],
            // Of the moment at which the server gets it, so that each is another.
            READINGS => pieces
                .map(|id| {
                    say(
                        "POST",
                        "/api/data",
                        format!("{{\"equipment\":{id},\"values\":{{\"temperature\":71.5}}}}"),
                    )
                })
                .collect(),
            ALERTS => pieces
                .map(|id| {
                    say("POST", "/api/alerts", format!("{{\"equipment\":{id},\"description\":\"Rattles.\"}}"))
                })
                .collect(),
            _ => pieces.map(|id| server.get(&format!("/api/equipment/{id}/data/?page_size=20"))).collect(),
        }
    }
}

/// How one run went.
struct Served {
    kinds: Vec<Ran>,
    probes: Ran,
    asked_per_second: f64,
}

impl Served {
    /// Requests a second that got what they asked for.
    fn goodput(&self) -> f64 {
        self.kinds.iter().map(Ran::per_second).sum()
    }

    fn turned_away(&self) -> f64 {
        self.kinds.iter().map(|ran| ran.turned_away as f64 / ran.elapsed.as_secs_f64()).sum()
    }

    /// Of those who were served, all kinds together.
    fn slow_ms(&self) -> f64 {
        let mut all = Ran::default();
        all.latencies.extend(self.kinds.iter().flat_map(|ran| &ran.latencies));
        all.latencies.sort_unstable();
        all.latency_ms(0.99)
    }

    fn probes_ms(&self) -> f64 {
        self.probes.latency_ms(0.99)
    }
}

/// Measures it with reads for the most part.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    measure_with(shop, &READS).await
}

/// Measures it with writes alone.
pub(crate) async fn measure_writes(shop: &mut Workshop) -> Outcome<Figure> {
    measure_with(shop, &WRITES).await
}

async fn measure_with(shop: &mut Workshop, mix: &Mix) -> Outcome<Figure> {
    use crate::figures::bulk::{Form, Way, send};
    let plan = &shop.plan.clone();
    let mut plant = shop.plant(mix.name, 100).await?;
    let some = plant.next(plant.timeline.equipment.len() * 30, 2);
    send(&plant.server, Way::new(Form::Lines, 2, 1_000), &some).await?;
    plant.database.ask("VACUUM ANALYZE")?;

    let mut runs = Runs::default();
    capacity(&plant, mix, plan.span / 2).await?;
    for _ in 0..plan.repetitions {
        let peak = capacity(&plant, mix, plan.span).await?;
        let enough = overload(&plant, mix, peak, plan.span * 2).await?;
        let too_much = overload(&plant, mix, peak * TOO_MUCH, plan.span * 2).await?;
        let memory = process::memory_mib(plant.server.pid()).unwrap_or(f64::NAN);
        for (name, run) in [("once", &enough), ("three times", &too_much)] {
            say(&format!(
                "{name} the capacity of {}: {} served, {} turned away a second; p99 {:.0} ms, of probes {:.0} ms",
                rounded(peak),
                rounded(run.goodput()),
                rounded(run.turned_away()),
                run.slow_ms(),
                run.probes_ms()
            ));
        }
        runs.note(peak, enough, too_much, memory);
    }
    plant.server.stop().await?;
    Ok(figure(mix, &runs))
}

#[derive(Default)]
struct Runs {
    peak: Vec<f64>,
    enough: Vec<Served>,
    too_much: Vec<Served>,
    memory: Vec<f64>,
}

impl Runs {
    fn note(&mut self, peak: f64, enough: Served, too_much: Served, memory: f64) {
        self.peak.push(peak);
        self.enough.push(enough);
        self.too_much.push(too_much);
        self.memory.push(memory);
    }
}

fn median_of(served: &[Served], number: impl Fn(&Served) -> f64) -> f64 {
    median(&served.iter().map(number).collect::<Vec<_>>())
}

/// Requests of the mix that are served in a second when nobody asks for more than fits.
async fn capacity(plant: &Plant, asked: &Mix, time: Duration) -> Outcome<f64> {
    let mut mix = Vec::new();
    for kind in asked.kinds {
        let requests = kind.requests(plant);
        mix.extend(rounds(kind.share, &requests).cloned());
    }
    // Spread evenly: neighbours shall not want the same.
    let step = 619;
    let mixed: Vec<Vec<u8>> =
        (0..mix.len()).filter_map(|place| mix.get(place * step % mix.len()).cloned()).collect();
    let lanes = Lane::several_round(BUSY, &mixed, time);
    Ok(load::drive(plant.server.address(), lanes, Pace::Saturating, served_or_turned_away)
        .await?
        .per_second())
}

/// This share of several rounds of a thousand requests, in each of which things are changed in another way.
fn rounds<T>(share: f64, requests: &[T]) -> impl Iterator<Item = &T> {
    let count = (share * 1000.0).round() as usize;
    (0..WAYS).flat_map(move |way| requests.iter().cycle().skip(way * requests.len() / WAYS).take(count))
}

/// Asks for so much a second whatever comes of it.
async fn overload(plant: &Plant, mix: &Mix, per_second: f64, time: Duration) -> Outcome<Served> {
    let address = plant.server.address();
    let drive = |kind: Kind| {
        let rate = per_second * kind.share;
        let connections = ((rate * SILENCE) as usize).clamp(1, kind.connections);
        let lanes = Lane::several_round(connections, &kind.requests(plant), time);
        load::drive(address, lanes, Pace::PerSecond(rate), served_or_turned_away)
    };
    let probe = crate::http::request("GET", "/health/live", &[], b"");
    let probes = Lane::several_round(4, &[probe], time);
    let [most, some, few] = mix.kinds;
    let (most, some, few, probes) = tokio::try_join!(
        drive(most),
        drive(some),
        drive(few),
        load::drive(address, probes, Pace::PerSecond(PROBES), load::one)
    )?;
    Ok(Served { kinds: vec![most, some, few], probes, asked_per_second: per_second })
}

fn served_or_turned_away(answer: &Answer<'_>) -> Outcome<u64> {
    match answer.status {
        200..300 => Ok(1),
        429 | 503 => Ok(0),
        other => Err(failed(format!("the server answered {other}: {}", answer.excerpt()))),
    }
}

fn figure(mix: &Mix, runs: &Runs) -> Figure {
    let (peak, memory) = (median(&runs.peak), median(&runs.memory));
    let goodput = median_of(&runs.too_much, Served::goodput);
    let mut plot = Plot { unit: "requests served a second".to_owned(), ..Plot::default() };
    plot.column("asked for all that fits", peak, true);
    plot.column("asked for as much, open loop", median_of(&runs.enough, Served::goodput), false);
    plot.column("asked for three times as much", goodput, false);
    Figure {
        name: mix.name.to_owned(),
        title: mix.title.to_owned(),
        method: format!(
            "A mix of {}. Capacity is what {BUSY} connections get that always ask. Then the same mix comes in an open loop, over \
             at most {} connections, as often as that and three times as often; {PROBES} probes a second ask whether the server lives. \
             What is answered 503 or 429 is turned away and counts for nothing; latencies are those of what was served, from \
             when it was due. Generator, server and database share the cores, so turning away costs the generator, too.{}",
            mix.kinds.map(|kind| format!("{:.1} % {}", kind.share * 100.0, kind.what)).join(", "),
            mix.kinds.iter().map(|kind| kind.connections).sum::<usize>(),
            mix.note,
        ),
        measured: vec![
            Measured::share(
                &format!("{}: served", mix.load),
                "requests/s",
                goodput,
                ("capacity", peak),
                Bar::AtLeast(0.8),
            ),
            Measured::absolute(
                &format!("{}: p99 of what is served", mix.load),
                "ms",
                median_of(&runs.too_much, Served::slow_ms),
                Bar::AtMost(1000.0),
            ),
            Measured::absolute(
                &format!("{}: p99 of probes", mix.load),
                "ms",
                median_of(&runs.too_much, Served::probes_ms),
                Bar::AtMost(100.0),
            ),
            Measured::absolute(
                &format!("{}: memory of the server", mix.load),
                "MiB",
                memory,
                Bar::AtMost(MEMORY_BAR_MIB),
            ),
        ],
        tables: vec![table(mix, runs)],
        plot,
        server_memory_mib: None,
    }
}

fn table(mix: &Mix, runs: &Runs) -> Table {
    let mut table =
        Table::new(&["asked for a second", "of which", "served a second", "turned away", "p50 ms", "p99 ms"]);
    for served in runs.enough.last().into_iter().chain(runs.too_much.last()) {
        for (kind, ran) in mix.kinds.iter().zip(&served.kinds) {
            table.rows.push(vec![
                rounded(served.asked_per_second * kind.share),
                kind.what.to_owned(),
                rounded(ran.per_second()),
                rounded(ran.turned_away as f64 / ran.elapsed.as_secs_f64()),
                rounded(ran.latency_ms(0.5)),
                rounded(ran.latency_ms(0.99)),
            ]);
        }
        table.rows.push(vec![
            rounded(PROBES),
            "probes".to_owned(),
            rounded(served.probes.per_second()),
            "0".to_owned(),
            rounded(served.probes.latency_ms(0.5)),
            rounded(served.probes.latency_ms(0.99)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_the_mix_are_all_of_it() {
        for mix in [READS, WRITES] {
            let whole: f64 = mix.kinds.iter().map(|kind| kind.share).sum();
            assert!((whole - 1.0).abs() < 1e-9, "{}", mix.name);
        }
    }

    #[test]
    fn each_round_changes_the_same_things_in_another_way() {
        let requests: Vec<usize> = (0..WAYS * 1000).collect();
        let some: Vec<usize> = rounds(0.002, &requests).copied().collect();
        let expected: Vec<usize> = (0..WAYS).flat_map(|way| [way * 1000, way * 1000 + 1]).collect();
        assert_eq!(some, expected);
    }

    #[test]
    fn what_is_turned_away_is_no_failure_and_counts_for_nothing() {
        let counted = |status| served_or_turned_away(&Answer { status, body: b"" }).ok();
        assert_eq!([200, 201, 429, 503, 500].map(counted), [Some(1), Some(1), Some(0), Some(0), None]);
    }
}
