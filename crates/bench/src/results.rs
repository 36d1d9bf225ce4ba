//! What was measured, in a form that the report, the plots and other programs read.

use crate::statistics::median;
use serde::{Deserialize, Serialize};

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    /// Whether this reaches it.
    pub(crate) fn is_met_by(self, judged: f64) -> bool {
        match self {
            Self::AtLeast(bar) => judged >= bar,
            Self::AtMost(bar) => judged <= bar,
        }
    }
}

/// A measurement beside its limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) ours: f64,
    /// What the limit is, and what it reached in the same run.
    pub(crate) limit: Option<(String, f64)>,
    /// What the bar is held against: the ratio of the two, or our number itself where the bar is absolute.
    pub(crate) judged: f64,
    pub(crate) bar: Bar,
    pub(crate) is_met: bool,
}

impl Measured {
    /// Our number as a share of the limit's.
    pub(crate) fn share(what: &str, unit: &str, ours: f64, limit: (&str, f64), bar: Bar) -> Self {
        let judged = ours / limit.1;
        let limit = Some((limit.0.to_owned(), limit.1));
        Self {
            what: what.to_owned(),
            unit: unit.to_owned(),
            ours,
            limit,
            judged,
            bar,
            is_met: bar.is_met_by(judged),
        }
    }

    /// Our number as it is.
    pub(crate) fn absolute(what: &str, unit: &str, ours: f64, bar: Bar) -> Self {
        Self {
            what: what.to_owned(),
            unit: unit.to_owned(),
            ours,
            limit: None,
            judged: ours,
            bar,
            is_met: bar.is_met_by(ours),
        }
    }

    /// The same with what somebody else's is in the same run, which decides nothing.
    pub(crate) fn beside(self, whose: &str, theirs: f64) -> Self {
        Self { limit: Some((whose.to_owned(), theirs)), ..self }
    }
}

/// Rows of text below a figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) headings: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { headings: headings.iter().map(|heading| (*heading).to_owned()).collect(), rows: Vec::new() }
    }
}

/// One bar of a plot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) is_limit: bool,
}

/// One of the questions that the benchmark answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) title: String,
    /// How it was measured.
    pub(crate) method: String,
    pub(crate) measured: Vec<Measured>,
    pub(crate) tables: Vec<Table>,
    pub(crate) plot: Plot,
    /// The most memory that the server had meanwhile.
    pub(crate) server_memory_mib: Option<f64>,
}

/// What a figure's plot shows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Plot {
    pub(crate) unit: String,
    pub(crate) columns: Vec<Column>,
}

impl Plot {
    /// Adds a bar.
    pub(crate) fn column(&mut self, label: impl Into<String>, value: f64, is_limit: bool) {
        self.columns.push(Column { label: label.into(), value, is_limit });
    }
}

/// The same thing measured again and again, with its limit each time just before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) ours: Vec<f64>,
    pub(crate) limit: Vec<f64>,
}

impl Pairs {
    /// The median of ours.
    pub(crate) fn our_median(&self) -> f64 {
        median(&self.ours)
    }

    /// The median of the limit.
    pub(crate) fn limit_median(&self) -> f64 {
        median(&self.limit)
    }

    /// Ours as a share of the limit.
    pub(crate) fn ratio(&self) -> f64 {
        self.our_median() / self.limit_median()
    }

    /// The ratio of each run.
    pub(crate) fn runs(&self) -> String {
        let ratios = self.ours.iter().zip(&self.limit).map(|(ours, limit)| format!("{:.2}", ours / limit));
        ratios.collect::<Vec<_>>().join(" ")
    }
}

/// A number for people: three digits that matter, thousands apart.
pub(crate) fn rounded(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude >= 1e6 {
        format!("{:.2} M", number / 1e6)
    } else if magnitude >= 1e4 {
        format!("{:.0} k", number / 1e3)
    } else if magnitude >= 100.0 {
        format!("{number:.0}")
    } else if magnitude >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_held_against_its_bar() {
        let measured = |ours| Measured::share("bulk", "values/s", ours, ("copy", 10.0), Bar::AtLeast(0.6));
        assert!(measured(6.0).is_met && !measured(5.9).is_met);
        assert!(Measured::absolute("disk", "bytes", 24.0, Bar::AtMost(24.0)).is_met);
    }

    #[test]
    fn pairs_are_compared_by_their_medians() {
        let pairs = Pairs { ours: vec![1.0, 5.0, 2.0], limit: vec![4.0, 4.0, 100.0] };
        assert_eq!(pairs.ratio(), 0.5);
    }

    #[test]
    fn numbers_for_people_have_three_digits_that_matter() {
        let texts = [2_345_678.0, 45_678.0, 1234.0, 45.67, 1.234].map(rounded);
        assert_eq!(texts, ["2.35 M", "46 k", "1234", "45.7", "1.23"]);
    }
}
