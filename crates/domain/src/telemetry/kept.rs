//! How long readings are kept: as long as the operator says, some metrics shorter or longer than the rest.

use super::MetricName;
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// How long readings are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Values of metrics of which no class says anything; `None` is for ever.
    pub otherwise: Option<Duration>,
    /// Metrics that are kept shorter or longer. The first class that a metric is of counts.
    pub classes: Vec<Class>,
}

/// Metrics that are kept alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Which.
    pub metrics: MetricPattern,
    /// How long.
    pub kept: Duration,
}

/// A metric's name, or with a `*` at its end the beginning of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricPattern {
    /// The metric of this name.
    Name(MetricName),
    /// Metrics whose names begin so.
    Beginning(String),
}

impl MetricPattern {
    /// Reads a pattern: a metric's name, or its beginning followed by `*`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('*') {
            Some("") => Some(Self::Beginning(String::new())),
            // What begins a name is one itself.
            Some(beginning) => {
                MetricName::parse(beginning).ok().map(|name| Self::Beginning(name.to_string()))
            }
            None => MetricName::parse(text).ok().map(Self::Name),
        }
    }

    /// Whether the metric is one of those meant.
    pub fn covers(&self, metric: &MetricName) -> bool {
        match self {
            Self::Name(name) => name == metric,
            Self::Beginning(beginning) => metric.as_str().starts_with(beginning),
        }
    }
}

impl fmt::Display for MetricPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
        }
    }
}

/// Metrics whose values go before the readings as a whole do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoingEarly {
    /// Which.
    pub metrics: Vec<MetricName>,
    /// How long they are kept.
    pub kept: Duration,
}

impl Kept {
    /// How long a reading can have values at all; `None` is for ever.
    pub fn longest(&self) -> Option<Duration> {
        let otherwise = self.otherwise?;
        Some(self.classes.iter().map(|class| class.kept).fold(otherwise, Duration::max))
    }

    /// How long all values of a reading are there at least; `None` is for ever.
    pub fn shortest(&self) -> Option<Duration> {
        self.classes.iter().map(|class| class.kept).chain(self.otherwise).min()
    }

    /// From which instant on readings have all their values still.
    pub fn whole_from(&self, now: Timestamp) -> Timestamp {
        self.shortest().map_or(Timestamp::MIN, |kept| now.before(kept))
    }

    /// Which of these metrics are to go before the readings as a whole do.
    pub fn going_early(&self, metrics: &[MetricName]) -> Vec<GoingEarly> {
        let longest = self.longest().unwrap_or(Duration::MAX);
        let lifetimes = self.classes.iter().map(|class| class.kept).chain(self.otherwise);
        let early = |(number, kept): (usize, Duration)| {
            let of_it = metrics.iter().filter(|metric| self.class_of(metric) == number);
            GoingEarly { metrics: of_it.cloned().collect(), kept }
        };
        let early = lifetimes.enumerate().filter(|(_, kept)| *kept < longest).map(early);
        early.filter(|early| !early.metrics.is_empty()).collect()
    }

    /// The number of the class that the metric is of; the number of classes if it is of none.
    fn class_of(&self, metric: &MetricName) -> usize {
        let first = self.classes.iter().position(|class| class.metrics.covers(metric));
        first.unwrap_or(self.classes.len())
    }
}

/// The same text for the same decision.
impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Class { metrics, kept } in &self.classes {
            write!(f, "{metrics}={} ", kept.as_secs())?;
        }
        match self.otherwise {
            Some(kept) => write!(f, "*={}", kept.as_secs()),
            None => f.write_str("*"),
        }
    }
}

/// How far the values that go early of a piece have gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thinned {
    /// By which decision, as its text.
    pub by: String,
    /// As of which instant all is gone that has to be.
    pub as_of: Timestamp,
    /// The oldest instant about which something was written since then that was old already.
    pub late_from: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn name(text: &str) -> MetricName {
        MetricName::parse(text).unwrap()
    }

    fn kept(otherwise: Option<u32>, classes: &[(&str, u32)]) -> Kept {
        let class = |(pattern, days): &(&str, u32)| Class {
            metrics: MetricPattern::parse(pattern).unwrap(),
            kept: DAY * *days,
        };
        Kept { otherwise: otherwise.map(|days| DAY * days), classes: classes.iter().map(class).collect() }
    }

    fn early(kept: &Kept, metrics: &[&str]) -> Vec<(String, u64)> {
        let metrics: Vec<MetricName> = metrics.iter().map(|text| name(text)).collect();
        let told = |early: GoingEarly| {
            let names: Vec<&str> = early.metrics.iter().map(MetricName::as_str).collect();
            (names.join(" "), early.kept.as_secs() / DAY.as_secs())
        };
        kept.going_early(&metrics).into_iter().map(told).collect()
    }

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_names() {
        for text in ["temperature", "vibration.*", "v*", "*"] {
            assert_eq!(MetricPattern::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "**", "Vibration", "a*b", "*.x", "1*"] {
            assert_eq!(MetricPattern::parse(text), None, "{text}");
        }
        let vibrations = MetricPattern::parse("vibration.*").unwrap();
        assert!(vibrations.covers(&name("vibration.x")) && !vibrations.covers(&name("vibrations")));
        let one = MetricPattern::parse("vibration").unwrap();
        assert!(one.covers(&name("vibration")) && !one.covers(&name("vibration.x")));
    }

    #[test]
    fn the_first_class_that_a_metric_is_of_counts() {
        let kept = kept(None, &[("vibration.x", 90), ("vibration.*", 7)]);
        let going = early(&kept, &["speed", "vibration.x", "vibration.y", "vibration.z"]);
        assert_eq!(going, [("vibration.x".to_owned(), 90), ("vibration.y vibration.z".to_owned(), 7)]);
    }

    #[test]
    fn what_is_kept_longest_goes_with_the_reading_as_a_whole() {
        let kept = kept(Some(30), &[("energy", 365), ("debug.*", 7)]);
        assert_eq!((kept.longest(), kept.shortest()), (Some(DAY * 365), Some(DAY * 7)));
        let going = early(&kept, &["debug.a", "energy", "speed"]);
        assert_eq!(going, [("debug.a".to_owned(), 7), ("speed".to_owned(), 30)]);
    }

    #[test]
    fn without_classes_nothing_goes_early() {
        for otherwise in [None, Some(30)] {
            assert_eq!(early(&kept(otherwise, &[]), &["speed"]), []);
        }
        assert_eq!(kept(None, &[("a", 1)]).longest(), None, "the rest stays for ever");
    }

    #[test]
    fn different_decisions_have_different_texts() {
        let texts = [
            kept(None, &[]),
            kept(Some(7), &[]),
            kept(None, &[("a", 7)]),
            kept(None, &[("a*", 7)]),
            kept(None, &[("a", 8)]),
            kept(None, &[("a", 7), ("b", 7)]),
            kept(None, &[("b", 7), ("a", 7)]),
        ]
        .map(|kept| kept.to_string());
        for (number, text) in texts.iter().enumerate() {
            assert!(!texts[..number].contains(text), "{text}");
        }
    }
}
