//! The rules in force, sorted by what they are about, so that few of them have to be looked at.

use crate::id::EquipmentId;
use crate::rules::{Calm, Condition, Rule, RulesInForce, Target};
use crate::telemetry::{MetricName, Shape};
use crate::text::Label;
use crate::time::Timestamp;
use std::collections::HashMap;

/// The rules in force, sorted by what they are about.
#[derive(Debug)]
pub(in crate::app) struct Compiled {
    pub(in crate::app) generation: Option<i64>,
    in_force_since: Timestamp,
    rules: Vec<Rule>,
    about_all: Group,
    about_kind: HashMap<String, Group>,
    about_piece: HashMap<EquipmentId, Group>,
}

/// The rules about the same equipment, by their places among all rules.
#[derive(Debug, Default)]
struct Group {
    by_metric: HashMap<MetricName, Watched>,
    about_silence: Vec<usize>,
}

/// The rules about one metric, and the values that breach none of them.
#[derive(Debug)]
struct Watched {
    rules: Vec<usize>,
    calm: Calm,
}

/// The rules about one piece of equipment.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    all: &'a Compiled,
    /// The kind of machine, if there are rules about it in particular.
    kind: Option<(&'a str, &'a Group)>,
    /// The piece, likewise.
    piece: Option<(EquipmentId, &'a Group)>,
}

/// Pieces of which this is equal are judged by the same rules.
pub(super) type Alike<'a> = (Option<&'a str>, Option<EquipmentId>);

impl Default for Compiled {
    fn default() -> Self {
        Self {
            generation: None,
            in_force_since: Timestamp::MIN,
            rules: Vec::new(),
            about_all: Group::default(),
            about_kind: HashMap::new(),
            about_piece: HashMap::new(),
        }
    }
}

impl Compiled {
    pub(super) fn new(in_force: RulesInForce) -> Self {
        let since = in_force.rules.iter().map(|rule| rule.in_force_since).max();
        let mut compiled = Self {
            generation: Some(in_force.generation),
            in_force_since: since.unwrap_or(Timestamp::MIN),
            ..Self::default()
        };
        for (place, rule) in in_force.rules.iter().enumerate() {
            let group = match &rule.details.target {
                Target::All => &mut compiled.about_all,
                Target::Kind(kind) => compiled.about_kind.entry(kind.key()).or_default(),
                Target::Equipment(id) => compiled.about_piece.entry(*id).or_default(),
            };
            group.add(place, rule);
        }
        compiled.rules = in_force.rules;
        compiled
    }

    /// The rules about this piece, which is a machine of this kind.
    pub(super) fn about(&self, equipment: EquipmentId, kind: &Label) -> About<'_> {
        let of_kind =
            if self.about_kind.is_empty() { None } else { self.about_kind.get_key_value(&kind.key()) };
        let of_piece = self.about_piece.get(&equipment);
        About {
            all: self,
            kind: of_kind.map(|(kind, group)| (kind.as_str(), group)),
            piece: of_piece.map(|group| (equipment, group)),
        }
    }

    /// The instant to note as that of arrival: by no server's clock before the rules that judge what arrives.
    pub(in crate::app) fn arrival(&self, now: Timestamp) -> Timestamp {
        now.max(self.in_force_since)
    }

    /// Whether there is no rule at all.
    pub(in crate::app) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rules that wait for silence.
    pub(in crate::app) fn about_silence(&self) -> impl Iterator<Item = &Rule> {
        self.all().filter(|rule| matches!(rule.details.condition, Condition::NoData(_)))
    }
}

impl Group {
    fn add(&mut self, place: usize, rule: &Rule) {
        match &rule.details.condition {
            Condition::NoData(_) => self.about_silence.push(place),
            Condition::Threshold(threshold) => {
                let nothing = || Watched { rules: Vec::new(), calm: Calm::ALL };
                let watched = self.by_metric.entry(threshold.metric.clone()).or_insert_with(nothing);
                watched.rules.push(place);
                watched.calm = watched.calm.and(threshold.calm());
            }
        }
    }
}

impl<'a> About<'a> {
    fn groups(&self) -> impl Iterator<Item = &'a Group> {
        let (kind, piece) = (self.kind.map(|(_, group)| group), self.piece.map(|(_, group)| group));
        [Some(&self.all.about_all), kind, piece].into_iter().flatten()
    }

    /// Which other pieces the same rules are about.
    pub(super) fn alike(&self) -> Alike<'a> {
        (self.kind.map(|(kind, _)| kind), self.piece.map(|(id, _)| id))
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        self.groups().any(|group| !group.by_metric.is_empty() || !group.about_silence.is_empty())
    }

    /// The values that breach nothing, for each metric of the shape.
    pub(super) fn calm(&self, shape: &Shape) -> Vec<Calm> {
        let of_metric = |metric: &MetricName| {
            let watched = self.groups().filter_map(|group| group.by_metric.get(metric));
            watched.fold(Calm::ALL, |calm, watched| calm.and(watched.calm))
        };
        shape.metrics().iter().map(of_metric).collect()
    }

    /// The places of the rules about the values of this metric.
    pub(super) fn about_metric(&self, metric: &MetricName) -> impl Iterator<Item = usize> {
        self.groups()
            .filter_map(|group| group.by_metric.get(metric))
            .flat_map(|watched| watched.rules.iter().copied())
    }

    /// The places of the rules that fit, in the order of all rules.
    pub(super) fn places(&self, fits: impl Fn(&Rule) -> bool) -> impl Iterator<Item = usize> {
        let places = self.groups().flat_map(|group| {
            let about_values = group.by_metric.values().flat_map(|watched| watched.rules.iter());
            about_values.chain(&group.about_silence).copied()
        });
        places.filter(move |place| self.all.rules.get(*place).is_some_and(&fits))
    }

    /// The rules at these places, in the order of all rules.
    pub(super) fn at(&self, mut places: Vec<usize>) -> Vec<&'a Rule> {
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| self.all.rules.get(place)).collect()
    }
}
