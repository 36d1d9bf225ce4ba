//! Rules that raise alerts: what must be so, for how long, on which equipment.
//!
//! [`judge`] is the one machine that judges samples, live and on history; [`silence`] is its counterpart for equipment
//! that says nothing. What becomes of alerts when late data changes the judgement is in [`crate::alerts::reconcile`].
//! How people write and change rules is in [`written`].

pub mod judge;
pub mod silence;
pub mod written;

use crate::equipment::{Reach, named};
use crate::error::{Error, Flaw, Reason};
use crate::id::{EquipmentId, RuleId, Version};
use crate::page::{Order, PageRequest};
use crate::telemetry::MetricName;
use crate::text::{Description, Label};
use crate::time::{Span, Timestamp};
use std::time::Duration;

named! {
    /// How bad it is.
    Severity {
        /// Good to know.
        Info = "info",
        /// Somebody should look.
        Warning = "warning",
        /// Somebody must act.
        Critical = "critical",
    }
}

named! {
    /// How a value is compared with the threshold.
    Operator {
        /// Above the threshold.
        Above = ">",
        /// The threshold or above.
        AtLeast = ">=",
        /// Below the threshold.
        Below = "<",
        /// The threshold or below.
        AtMost = "<=",
        /// Below `threshold` or above `threshold_high`.
        Outside = "outside",
    }
}

/// What one value says about a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It breaches the rule.
    Breach,
    /// It breaches nothing, but an alert that is there stays: the value is not back far enough.
    Between,
    /// It ends an alert that is there.
    Clear,
}

/// A range of values, both ends of which belong to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calm {
    low: f64,
    high: f64,
}

impl Calm {
    /// All values.
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// Whether the value lies in the range.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// What both ranges have in common.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }
}

/// A condition on the values of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// Of which metric.
    pub metric: MetricName,
    /// How it is compared.
    pub operator: Operator,
    /// With what; for `outside` the lower end of the good range.
    pub threshold: f64,
    /// The upper end of the good range, for `outside` alone.
    pub threshold_high: Option<f64>,
    /// Where a value must be back before an alert ends; for `outside`, how far inside the range. None: as soon as the
    /// rule is not breached.
    pub clear_threshold: Option<f64>,
}

impl Threshold {
    /// What this value says.
    pub fn class(&self, value: f64) -> Class {
        if self.is_breached_by(value) {
            Class::Breach
        } else if self.is_cleared_by(value) {
            Class::Clear
        } else {
            Class::Between
        }
    }

    /// The values that do not breach it.
    pub fn calm(&self) -> Calm {
        let threshold = self.threshold;
        match self.operator {
            Operator::Above => Calm { high: threshold, ..Calm::ALL },
            Operator::AtLeast => Calm { high: threshold.next_down(), ..Calm::ALL },
            Operator::Below => Calm { low: threshold, ..Calm::ALL },
            Operator::AtMost => Calm { low: threshold.next_up(), ..Calm::ALL },
            Operator::Outside => Calm { low: threshold, high: self.high() },
        }
    }

    fn high(&self) -> f64 {
        self.threshold_high.unwrap_or(self.threshold)
    }

    fn is_breached_by(&self, value: f64) -> bool {
        match self.operator {
            Operator::Above => value > self.threshold,
            Operator::AtLeast => value >= self.threshold,
            Operator::Below => value < self.threshold,
            Operator::AtMost => value <= self.threshold,
            Operator::Outside => value < self.threshold || value > self.high(),
        }
    }

    fn is_cleared_by(&self, value: f64) -> bool {
        let Some(clear) = self.clear_threshold else { return true };
        match self.operator {
            Operator::Above | Operator::AtLeast => value <= clear,
            Operator::Below | Operator::AtMost => value >= clear,
            Operator::Outside => value >= self.threshold + clear && value <= self.high() - clear,
        }
    }

    /// What is wrong with the numbers, if anything.
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut note = |field: &str, code, message: &str| flaws.push(Reason::new(code, message).at(field));
        match (self.operator, self.threshold_high) {
            (Operator::Outside, None) => {
                note("threshold_high", "required", "is required with the operator outside");
            }
            (Operator::Outside, Some(high)) if high <= self.threshold => {
                note("threshold_high", "too_low", "must be above threshold");
            }
            (Operator::Outside, Some(_)) | (_, None) => {}
            (_, Some(_)) => note("threshold_high", "unexpected", "goes with the operator outside alone"),
        }
        flaws.extend(self.clear_threshold.and_then(|clear| self.flaw_of_clear(clear)));
        flaws
    }

    fn flaw_of_clear(&self, clear: f64) -> Option<Flaw> {
        let (is_wrong, code, message) = match self.operator {
            Operator::Above | Operator::AtLeast => {
                (clear > self.threshold, "too_high", "must not be above threshold")
            }
            Operator::Below | Operator::AtMost => {
                (clear < self.threshold, "too_low", "must not be below threshold")
            }
            Operator::Outside => {
                let fits = (0.0..=(self.high() - self.threshold) / 2.0).contains(&clear);
                (!fits, "out_of_range", "must be at least 0 and at most half the good range")
            }
        };
        is_wrong.then(|| Reason::new(code, message).at("clear_threshold"))
    }

    /// The condition in words, such as `is above 80`.
    pub fn in_words(&self) -> String {
        let threshold = self.threshold;
        match self.operator {
            Operator::Above => format!("is above {threshold}"),
            Operator::AtLeast => format!("is {threshold} or more"),
            Operator::Below => format!("is below {threshold}"),
            Operator::AtMost => format!("is {threshold} or less"),
            Operator::Outside => format!("is outside {threshold} to {}", self.high()),
        }
    }
}

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Values that breach a threshold.
    Threshold(Threshold),
    /// No reading for as long as the rule says: of this metric, or of any.
    NoData(Option<MetricName>),
}

impl Condition {
    /// The metric that the condition is about.
    pub fn metric(&self) -> Option<&MetricName> {
        match self {
            Condition::Threshold(threshold) => Some(&threshold.metric),
            Condition::NoData(metric) => metric.as_ref(),
        }
    }
}

/// Which equipment a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All of it.
    All,
    /// What is of this kind, compared folded.
    Kind(Label),
    /// This piece.
    Equipment(EquipmentId),
}

impl Target {
    /// Whether the rule is about this piece.
    pub fn covers(&self, equipment: EquipmentId, kind: &Label) -> bool {
        match self {
            Target::All => true,
            Target::Kind(wanted) => wanted.key() == kind.key(),
            Target::Equipment(id) => *id == equipment,
        }
    }

    /// Whether whoever has this reach may know of it: it names no piece beyond.
    pub fn is_within(&self, reach: &Reach) -> bool {
        match self {
            Target::All | Target::Kind(_) => true,
            Target::Equipment(id) => reach.covers(*id),
        }
    }
}

/// The longest time that a rule may wait for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The longest time that values may have to breach a rule. While they do, they are read back with each reading.
pub const LONGEST_BREACH: Duration = Duration::from_secs(24 * 60 * 60);

/// What people write about a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDetails {
    /// What it is called.
    pub name: Label,
    /// Which equipment it is about.
    pub target: Target,
    /// What it looks for.
    pub condition: Condition,
    /// For how long it must be so.
    pub wait: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it judges at all.
    pub enabled: bool,
    /// Whether its alerts stay until somebody resolves them.
    pub latch: bool,
}

/// What is wrong with a condition that must hold for so long, if anything.
pub fn flaws(condition: &Condition, wait: Duration) -> Vec<Flaw> {
    let mut flaws = match condition {
        Condition::Threshold(threshold) => threshold.flaws(),
        Condition::NoData(_) if wait.is_zero() => {
            vec![Reason::new("too_small", "must be at least 1 with kind no_data").at("for_seconds")]
        }
        Condition::NoData(_) => Vec::new(),
    };
    let longest = match condition {
        Condition::Threshold(_) => LONGEST_BREACH,
        Condition::NoData(_) => LONGEST_WAIT,
    };
    if wait > longest {
        let most = longest.as_secs();
        flaws.push(Reason::new("too_large", format!("must be at most {most}")).at("for_seconds"));
    }
    flaws
}

impl RuleDetails {
    /// Refuses what makes no sense, all of it at once.
    pub fn check(&self) -> Result<(), Error> {
        let flaws = flaws(&self.condition, self.wait);
        if flaws.is_empty() { Ok(()) } else { Err(Error::Invalid(flaws)) }
    }

    /// Whether the other judges the same things the same way. Name and severity do not matter.
    pub fn judges_like(&self, other: &RuleDetails) -> bool {
        self.target == other.target
            && self.condition == other.condition
            && self.wait == other.wait
            && self.enabled == other.enabled
            && self.latch == other.latch
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// What people write about it.
    pub details: RuleDetails,
    /// Since when it judges as it does: it judges the readings that arrive from then on, by their own time.
    pub in_force_since: Timestamp,
    /// The version since which it judges as it does.
    pub in_force_version: Version,
    /// How often it was written.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A rule to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRule {
    /// What people write about it.
    pub details: RuleDetails,
    /// When it is made.
    pub created_at: Timestamp,
}

/// The rules that are enabled, and the generation of rules that they are of: any change of any rule makes a new one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesInForce {
    /// Which generation.
    pub generation: i64,
    /// The enabled rules, ordered by id.
    pub rules: Vec<Rule>,
}

/// Which rules a list is about. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFilter {
    /// Names, compared folded.
    pub names: Vec<Label>,
    /// Rules for exactly these pieces.
    pub equipment: Vec<EquipmentId>,
    /// Rules for exactly these kinds, compared folded.
    pub kinds: Vec<Label>,
    /// Metrics.
    pub metrics: Vec<MetricName>,
    /// Severities.
    pub severities: Vec<Severity>,
    /// Whether they judge.
    pub enabled: Option<bool>,
    /// When they were made.
    pub created: Span,
    /// Text that occurs in the name or the metric, compared folded.
    pub search: Option<String>,
    /// What the caller may see: rules for exactly a piece beyond it are left out.
    pub reach: Reach,
}

/// What rules can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the same name")]
pub enum RuleKey {
    Id,
    Name,
    Severity,
    CreatedAt,
    UpdatedAt,
}

/// A question for a page of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleQuery {
    /// Which rules.
    pub filter: RuleFilter,
    /// In which order; names are compared folded, severities from `info` up.
    pub order: Vec<Order<RuleKey>>,
    /// Which page.
    pub page: PageRequest,
}

/// A description of what a rule saw.
pub fn describe(rule: &RuleDetails, value: f64) -> Description {
    let text = match &rule.condition {
        Condition::Threshold(threshold) => {
            format!("{}: {} {}, at {value}", rule.name, threshold.metric, threshold.in_words())
        }
        Condition::NoData(Some(metric)) => {
            format!("{}: no {metric} for {} s", rule.name, rule.wait.as_secs())
        }
        Condition::NoData(None) => format!("{}: no reading for {} s", rule.name, rule.wait.as_secs()),
    };
    Description::restore(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(operator: Operator, high: Option<f64>, clear: Option<f64>) -> Threshold {
        let metric = MetricName::parse("t").unwrap();
        Threshold { metric, operator, threshold: 10.0, threshold_high: high, clear_threshold: clear }
    }

    fn classes(threshold: &Threshold, values: [f64; 3]) -> [Class; 3] {
        values.map(|value| threshold.class(value))
    }

    #[test]
    fn every_operator_breaches_and_clears_where_it_says() {
        use Class::{Between, Breach, Clear};
        let of = |operator| threshold(operator, None, None);
        assert_eq!(classes(&of(Operator::Above), [9.0, 10.0, 11.0]), [Clear, Clear, Breach]);
        assert_eq!(classes(&of(Operator::AtLeast), [9.0, 10.0, 11.0]), [Clear, Breach, Breach]);
        assert_eq!(classes(&of(Operator::Below), [9.0, 10.0, 11.0]), [Breach, Clear, Clear]);
        assert_eq!(classes(&of(Operator::AtMost), [9.0, 10.0, 11.0]), [Breach, Breach, Clear]);
        let range = threshold(Operator::Outside, Some(20.0), None);
        assert_eq!(classes(&range, [9.0, 10.0, 20.0]), [Breach, Clear, Clear]);
        assert_eq!(range.class(20.5), Breach);
        let eased = threshold(Operator::Above, None, Some(8.0));
        assert_eq!(classes(&eased, [8.0, 9.0, 11.0]), [Clear, Between, Breach]);
        let eased = threshold(Operator::Below, None, Some(12.0));
        assert_eq!(classes(&eased, [9.0, 11.0, 12.0]), [Breach, Between, Clear]);
        let eased = threshold(Operator::Outside, Some(20.0), Some(1.0));
        assert_eq!(classes(&eased, [9.0, 10.5, 11.0]), [Breach, Between, Clear]);
        assert_eq!(classes(&eased, [19.0, 19.5, 21.0]), [Clear, Between, Breach]);
    }

    #[test]
    fn calm_is_what_does_not_breach() {
        let around = |edge: f64| [edge.next_down(), edge, edge.next_up()];
        let values: Vec<f64> =
            [10.0, 20.0, 0.0, -0.0, f64::MIN, f64::MAX].into_iter().flat_map(around).collect();
        for operator in Operator::ALL {
            for edge in [10.0, 0.0, -0.0, f64::MIN, f64::MAX] {
                let high = (*operator == Operator::Outside).then_some(20.0);
                let threshold = Threshold { threshold: edge, ..threshold(*operator, high, None) };
                for value in values.iter().filter(|value| value.is_finite()) {
                    let breaches = threshold.class(*value) == Class::Breach;
                    assert_eq!(
                        threshold.calm().contains(*value),
                        !breaches,
                        "{operator:?} {edge} of {value}"
                    );
                }
            }
        }
        let both =
            threshold(Operator::Above, None, None).calm().and(threshold(Operator::Below, None, None).calm());
        assert_eq!(around(10.0).map(|value| both.contains(value)), [false, true, false]);
    }

    #[test]
    fn numbers_that_contradict_each_other_are_refused_by_field() {
        let fields =
            |threshold: Threshold| threshold.flaws().into_iter().map(|flaw| flaw.field).collect::<Vec<_>>();
        assert_eq!(fields(threshold(Operator::Outside, None, None)), ["threshold_high"]);
        assert_eq!(fields(threshold(Operator::Outside, Some(10.0), None)), ["threshold_high"]);
        assert_eq!(fields(threshold(Operator::Outside, Some(20.0), Some(6.0))), ["clear_threshold"]);
        assert_eq!(
            fields(threshold(Operator::Above, Some(20.0), Some(11.0))),
            ["threshold_high", "clear_threshold"]
        );
        assert_eq!(fields(threshold(Operator::Below, None, Some(9.0))), ["clear_threshold"]);
        assert!(fields(threshold(Operator::Outside, Some(20.0), Some(5.0))).is_empty());
        for operator in [Operator::Above, Operator::AtLeast, Operator::Below, Operator::AtMost] {
            assert!(fields(threshold(operator, None, Some(10.0))).is_empty(), "{operator:?}");
        }
    }

    #[test]
    fn every_condition_reads_as_a_sentence() {
        let words = |operator| threshold(operator, Some(20.0), None).in_words();
        assert_eq!(
            Operator::ALL.iter().copied().map(words).collect::<Vec<_>>(),
            ["is above 10", "is 10 or more", "is below 10", "is 10 or less", "is outside 10 to 20",]
        );
    }

    fn rule(condition: Condition, target: Target) -> RuleDetails {
        RuleDetails {
            name: Label::parse("Too hot").unwrap(),
            target,
            condition,
            wait: Duration::from_secs(60),
            severity: Severity::Warning,
            enabled: true,
            latch: false,
        }
    }

    #[test]
    fn what_a_rule_saw_is_told_with_the_value_or_the_silence() {
        let metric = MetricName::parse("t").unwrap();
        let above = Condition::Threshold(threshold(Operator::Above, None, None));
        let told = |condition| describe(&rule(condition, Target::All), 12.5).as_str().to_owned();
        assert_eq!(told(above), "Too hot: t is above 10, at 12.5");
        assert_eq!(told(Condition::NoData(Some(metric))), "Too hot: no t for 60 s");
        assert_eq!(told(Condition::NoData(None)), "Too hot: no reading for 60 s");
    }

    #[test]
    fn a_rule_covers_all_or_a_kind_however_it_is_written_or_one_piece() {
        let (press, oven) = (Label::parse("Press").unwrap(), Label::parse("oven").unwrap());
        let (one, two) = (EquipmentId::new(1).unwrap(), EquipmentId::new(2).unwrap());
        assert!(Target::All.covers(one, &oven));
        let presses = Target::Kind(Label::parse("pRESS").unwrap());
        assert!(presses.covers(one, &press) && !presses.covers(one, &oven));
        assert!(Target::Equipment(one).covers(one, &oven) && !Target::Equipment(one).covers(two, &oven));
    }

    #[test]
    fn a_breach_may_last_a_day_and_a_silence_thirty() {
        let above = Condition::Threshold(threshold(Operator::Above, None, None));
        for (condition, longest) in [(above, 86_400), (Condition::NoData(None), 2_592_000)] {
            assert!(flaws(&condition, Duration::from_secs(longest)).is_empty());
            let late = flaws(&condition, Duration::from_secs(longest + 1));
            assert_eq!(late.iter().map(|flaw| flaw.field.as_str()).collect::<Vec<_>>(), ["for_seconds"]);
        }
        assert!(!flaws(&Condition::NoData(None), Duration::ZERO).is_empty());
    }

    #[test]
    fn a_rule_judges_otherwise_when_anything_but_its_name_and_severity_changes() {
        let above = Condition::Threshold(threshold(Operator::Above, None, None));
        let before = rule(above, Target::All);
        let name = Label::parse("Hot").unwrap();
        assert!(before.judges_like(&RuleDetails { name, severity: Severity::Critical, ..before.clone() }));
        let target = Target::Kind(Label::parse("press").unwrap());
        for after in [
            RuleDetails { target, ..before.clone() },
            RuleDetails { condition: Condition::NoData(None), ..before.clone() },
            RuleDetails { wait: Duration::from_secs(61), ..before.clone() },
            RuleDetails { enabled: false, ..before.clone() },
            RuleDetails { latch: true, ..before.clone() },
        ] {
            assert!(!before.judges_like(&after), "{after:?}");
        }
    }
}
