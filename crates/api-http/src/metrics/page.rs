//! Prometheus' text: families, one after the other.

use super::histogram::Held;
use super::table::Family;
use std::fmt::Write as _;

/// The page that Prometheus fetches.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins a family. Its samples follow.
    pub(super) fn begin(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = family;
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {}", kind.name()));
    }

    /// A family of one sample, or of none.
    pub(super) fn one(&mut self, family: &Family, value: impl Into<Option<f64>>) {
        self.each(family, value.into().map(|value| ([], value)));
    }

    /// A family of samples with labels.
    pub(super) fn each<'a, const N: usize>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) {
        self.begin(family);
        for (labels, value) in samples {
            let labels = written(family, labels);
            self.sample(family.name, &labels, value);
        }
    }

    /// A histogram of a family that has begun.
    pub(super) fn histogram<const N: usize>(&mut self, family: &Family, labels: [&str; N], held: &Held) {
        let (name, labels) = (family.name, written(family, labels));
        let infinite = (f64::INFINITY, held.count);
        for (bound, count) in held.buckets.iter().chain([&infinite]) {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            self.line(format_args!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}"));
        }
        self.line(format_args!("{name}_sum{{{labels}}} {}", held.seconds));
        self.line(format_args!("{name}_count{{{labels}}} {}", held.count));
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }
}

fn written<const N: usize>(family: &Family, values: [&str; N]) -> String {
    let pairs = family.labels.iter().zip(values);
    let pairs: Vec<_> = pairs.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    pairs.join(",")
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::table::{CACHE_HITS, DATABASE_UP, RECEIVED};
    use super::*;

    #[test]
    fn samples_stand_below_their_family() {
        let mut page = Page::default();
        page.each(&CACHE_HITS, [(["roles"], 5.0), (["a \"b\"\\\n"], 2.0)]);
        page.one(&DATABASE_UP, None);
        page.one(&RECEIVED, 12_345_678_901_234.0);
        let lines = page.into_text();
        let lines: Vec<_> = lines.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE techtrack_cache_hits_total counter",
                "techtrack_cache_hits_total{cache=\"roles\"} 5",
                "techtrack_cache_hits_total{cache=\"a \\\"b\\\"\\\\\\n\"} 2",
                "# TYPE techtrack_database_up gauge",
                "# TYPE techtrack_readings_received_total counter",
                "techtrack_readings_received_total 12345678901234",
            ]
        );
    }
}
