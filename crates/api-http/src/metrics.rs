//! Counts and durations of requests, in the text form that Prometheus reads.
//!
//! One histogram by method, route and status; its `_count` is the number of requests.

use crate::doors::Doors;
use crate::turns::{Class, Turns};
use actix_web::http::{Method, StatusCode};
use domain::app::ingest::Tallied;
use domain::app::retention::Totalled;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// One answered request.
pub struct Sample<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The route's template; none when nothing was there.
    pub route: Option<&'a str>,
    /// The answer's status.
    pub status: StatusCode,
    /// How long the answer took to begin.
    pub took: Duration,
}

/// Method and status.
type Labels = (&'static str, u16);

#[derive(Default)]
struct Series {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

/// What was counted since the process started.
#[derive(Default)]
pub struct Metrics(RwLock<BTreeMap<String, BTreeMap<Labels, Arc<Series>>>>);

impl Metrics {
    /// Counts an answered request.
    pub fn observe(&self, sample: &Sample<'_>) {
        // Both slash forms of a path are one route.
        let route = sample.route.unwrap_or("(none)").trim_end_matches('/');
        let labels = (known_method(sample.method), sample.status.as_u16());
        self.series(route, labels).observe(sample.took);
    }

    fn series(&self, route: &str, labels: Labels) -> Arc<Series> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(route).and_then(|of_route| of_route.get(&labels)) {
            return Arc::clone(series);
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(route.to_owned()).or_default().entry(labels).or_default())
    }
}

/// Anybody may invent methods; a label with them would grow without end.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

impl Series {
    fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            if seconds <= *bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn write(&self, labels: &str, page: &mut String) -> fmt::Result {
        const NAME: &str = "techtrack_http_request_duration_seconds";
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            let count = bucket.load(Ordering::Relaxed);
            writeln!(page, "{NAME}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        let count = self.count.load(Ordering::Relaxed);
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(page, "{NAME}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
        writeln!(page, "{NAME}_sum{{{labels}}} {seconds}")?;
        writeln!(page, "{NAME}_count{{{labels}}} {count}")
    }
}

/// The page that Prometheus fetches.
pub struct Page<'a> {
    /// What the face counted.
    pub requests: &'a Metrics,
    /// Who is at work, who waits, and who was turned away.
    pub turns: &'a Turns,
    /// Which connections are open.
    pub(crate) doors: &'a Doors,
    /// What became of readings.
    pub readings: Tallied,
    /// What was done to old ones.
    pub old_readings: Totalled,
    /// How often something was answered from memory, and how often not, by what was asked for.
    pub caches: &'a [(&'static str, (u64, u64))],
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = String::from(
            "# HELP techtrack_build_info Which build this is.\n# TYPE techtrack_build_info gauge\n",
        );
        writeln!(page, "techtrack_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;
        page.push_str(
            "# HELP techtrack_http_request_duration_seconds How long answers took to begin.\n\
             # TYPE techtrack_http_request_duration_seconds histogram\n",
        );
        for (route, of_route) in self.requests.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            for ((method, status), series) in of_route {
                let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
                series.write(&labels, &mut page)?;
            }
        }
        write_turns(self.turns, &mut page)?;
        write_doors(self.doors, &mut page)?;
        write_readings(self.readings, &mut page)?;
        write_old_readings(self.old_readings, &mut page)?;
        write_caches(self.caches, &mut page)?;
        f.write_str(&page)
    }
}

fn write_turns(turns: &Turns, page: &mut String) -> fmt::Result {
    let mut each = |name: &str, kind: &str, help: &str, count: &dyn Fn(Class) -> u64| {
        let name = format!("techtrack_requests_{name}");
        writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        Class::ALL
            .into_iter()
            .try_for_each(|class| writeln!(page, "{name}{{class=\"{}\"}} {}", class.name(), count(class)))
    };
    let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    each("in_progress", "gauge", "Requests at work now.", &|class| whole(turns.line(class).at_work()))?;
    each("waiting", "gauge", "Requests that wait for their turn.", &|class| {
        whole(turns.line(class).waiting())
    })?;
    let help = "Requests that were turned away because too many came.";
    each("shed_total", "counter", help, &|class| turns.line(class).turned_away())
}

fn write_doors(doors: &Doors, page: &mut String) -> fmt::Result {
    const OPEN: &str = "techtrack_connections_open";
    writeln!(page, "# HELP {OPEN} Connections of clients.\n# TYPE {OPEN} gauge\n{OPEN} {}", doors.open())?;
    let help = "Connections refused because their address had too many.";
    write_counter("techtrack_connections_refused_total", help, doors.refused(), page)
}

fn write_readings(readings: Tallied, page: &mut String) -> fmt::Result {
    let Tallied { received, stored, duplicate, rejected } = readings;
    let counters = [
        ("received", "Readings received; the sum of the three below whenever none is under way.", received),
        ("stored", "Readings stored, or added to what was there.", stored),
        ("duplicate", "Readings that were there already.", duplicate),
        ("rejected", "Readings not stored, for whatever reason.", rejected),
    ];
    counters.into_iter().try_for_each(|(what, help, count)| {
        write_counter(&format!("techtrack_readings_{what}_total"), help, count, page)
    })
}

fn write_old_readings(old: Totalled, page: &mut String) -> fmt::Result {
    let Totalled { packed, removed, rollups } = old;
    write_counter("techtrack_readings_packed_total", "Old readings that were packed.", packed, page)?;
    let help = "Readings removed one by one because they are kept no longer.";
    write_counter("techtrack_readings_removed_total", help, removed, page)?;
    write_counter("techtrack_rollups_made_total", "Rollups made, anew or for the first time.", rollups, page)
}

fn write_counter(name: &str, help: &str, count: u64, page: &mut String) -> fmt::Result {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}")
}

fn write_caches(caches: &[(&str, (u64, u64))], page: &mut String) -> fmt::Result {
    let hits = caches.iter().map(|(cache, (hits, _))| (cache, hits));
    write_cache("hits", "Answers from memory.", hits, page)?;
    let misses = caches.iter().map(|(cache, (_, misses))| (cache, misses));
    write_cache("misses", "Answers that had to be read from the database.", misses, page)
}

fn write_cache<'a>(
    what: &str,
    help: &str,
    counts: impl Iterator<Item = (&'a &'a str, &'a u64)>,
    page: &mut String,
) -> fmt::Result {
    let name = format!("techtrack_cache_{what}_total");
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} counter")?;
    for (cache, count) in counts {
        writeln!(page, "{name}{{cache=\"{cache}\"}} {count}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(method: &Method, route: Option<&str>, millis: u64) -> String {
        let metrics = Metrics::default();
        metrics.observe(&Sample {
            method,
            route,
            status: StatusCode::OK,
            took: Duration::from_millis(millis),
        });
        Page {
            requests: &metrics,
            turns: &Turns::among(16),
            doors: &Doors::new(0, Vec::new()),
            readings: Tallied::default(),
            old_readings: Totalled::default(),
            caches: &[("roles", (5, 2))],
        }
        .to_string()
    }

    #[test]
    fn a_request_falls_into_every_bucket_that_is_wide_enough() {
        let page = sample(&Method::GET, Some("/api/users/"), 3);
        let line = |le: &str, count: u64| {
            format!("_bucket{{method=\"GET\",route=\"/api/users\",status=\"200\",le=\"{le}\"}} {count}\n")
        };
        assert!(page.contains(&line("0.0025", 0)) && page.contains(&line("0.005", 1)), "{page}");
        assert!(page.contains(&line("+Inf", 1)), "{page}");
        assert!(page.contains("_sum{method=\"GET\",route=\"/api/users\",status=\"200\"} 0.003\n"));
    }

    #[test]
    fn hits_and_misses_are_told_apart_by_cache() {
        let page = sample(&Method::GET, None, 1);
        assert!(page.contains("\ntechtrack_cache_hits_total{cache=\"roles\"} 5\n"), "{page}");
        assert!(page.contains("\ntechtrack_cache_misses_total{cache=\"roles\"} 2\n"), "{page}");
    }

    #[test]
    fn invented_methods_and_paths_add_no_labels_of_their_own() {
        let invented = Method::from_bytes(b"BREW").unwrap();
        let page = sample(&invented, None, 1);
        assert!(page.contains("method=\"other\",route=\"(none)\""), "{page}");
    }
}
