//! Rules field by field, as people write and change them, before they make sense as a whole.

use super::{Condition, Operator, Target, Threshold};
use crate::equipment::named;
use crate::error::{Flaw, Reason};
use crate::id::EquipmentId;
use crate::patch::Patch;
use crate::telemetry::MetricName;
use crate::text::Label;

named! {
    /// What kind of condition a rule has.
    RuleKind {
        /// See [`Condition::Threshold`].
        Threshold = "threshold",
        /// See [`Condition::NoData`].
        NoData = "no_data",
    }
}

impl Condition {
    /// What kind it is.
    pub const fn kind(&self) -> RuleKind {
        match self {
            Condition::Threshold(_) => RuleKind::Threshold,
            Condition::NoData(_) => RuleKind::NoData,
        }
    }
}

/// Which equipment a rule is about: one piece, one kind, or neither for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenTarget {
    /// This piece.
    pub equipment: Option<EquipmentId>,
    /// What is of this kind.
    pub equipment_kind: Option<Label>,
}

impl WrittenTarget {
    /// What is meant.
    pub fn read(self) -> Result<Target, Flaw> {
        match (self.equipment, self.equipment_kind) {
            (None, None) => Ok(Target::All),
            (Some(id), None) => Ok(Target::Equipment(id)),
            (None, Some(kind)) => Ok(Target::Kind(kind)),
            (Some(_), Some(_)) => {
                let message = "must not be given together with equipment";
                Err(Reason::new("ambiguous", message).at("equipment_type"))
            }
        }
    }
}

impl From<&Target> for WrittenTarget {
    fn from(target: &Target) -> Self {
        match target {
            Target::All => Self::default(),
            Target::Kind(kind) => Self { equipment: None, equipment_kind: Some(kind.clone()) },
            Target::Equipment(id) => Self { equipment: Some(*id), equipment_kind: None },
        }
    }
}

/// A change of what a rule is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPatch {
    /// Another piece.
    pub equipment: Patch<EquipmentId>,
    /// Another kind.
    pub equipment_kind: Patch<Label>,
}

impl TargetPatch {
    /// What is meant after the change. Who names a piece does not mean the kind any more, and the other way round.
    pub fn apply(&self, target: &Target) -> Result<Target, Flaw> {
        let stored = WrittenTarget::from(target);
        let written = match (&self.equipment, &self.equipment_kind) {
            (Patch::Set(id), Patch::Keep) => WrittenTarget { equipment: Some(*id), equipment_kind: None },
            (Patch::Keep, Patch::Set(kind)) => {
                WrittenTarget { equipment: None, equipment_kind: Some(kind.clone()) }
            }
            (equipment, kind) => WrittenTarget {
                equipment: equipment.apply(&stored.equipment),
                equipment_kind: kind.apply(&stored.equipment_kind),
            },
        };
        written.read()
    }
}

impl From<&Target> for TargetPatch {
    fn from(target: &Target) -> Self {
        let WrittenTarget { equipment, equipment_kind } = target.into();
        Self { equipment: equipment.into(), equipment_kind: equipment_kind.into() }
    }
}

/// What a rule looks for.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields of the same name of a condition")]
pub struct WrittenCondition {
    pub kind: RuleKind,
    pub metric: Option<MetricName>,
    pub operator: Option<Operator>,
    pub threshold: Option<f64>,
    pub threshold_high: Option<f64>,
    pub clear_threshold: Option<f64>,
}

impl WrittenCondition {
    /// What is meant, or all that is missing and all that does not go with the kind.
    pub fn read(self) -> Result<Condition, Vec<Flaw>> {
        match self.kind {
            RuleKind::Threshold => self.threshold(),
            RuleKind::NoData => self.no_data(),
        }
    }

    fn threshold(self) -> Result<Condition, Vec<Flaw>> {
        let (Some(metric), Some(operator), Some(threshold)) =
            (self.metric.clone(), self.operator, self.threshold)
        else {
            let given = [
                ("metric", self.metric.is_some()),
                ("operator", self.operator.is_some()),
                ("threshold", self.threshold.is_some()),
            ];
            let missing = || Reason::new("required", "is required with kind threshold");
            let absent = given.into_iter().filter(|(_, is_given)| !is_given);
            return Err(absent.map(|(field, _)| missing().at(field)).collect());
        };
        let Self { threshold_high, clear_threshold, .. } = self;
        Ok(Condition::Threshold(Threshold { metric, operator, threshold, threshold_high, clear_threshold }))
    }

    fn no_data(self) -> Result<Condition, Vec<Flaw>> {
        let given = [
            ("operator", self.operator.is_some()),
            ("threshold", self.threshold.is_some()),
            ("threshold_high", self.threshold_high.is_some()),
            ("clear_threshold", self.clear_threshold.is_some()),
        ];
        let unexpected = || Reason::new("unexpected", "goes with kind threshold alone");
        let senseless = given.into_iter().filter(|(_, is_given)| *is_given);
        let flaws: Vec<Flaw> = senseless.map(|(field, _)| unexpected().at(field)).collect();
        if flaws.is_empty() { Ok(Condition::NoData(self.metric)) } else { Err(flaws) }
    }

    /// The same under another kind: what goes with the former kind alone is gone.
    fn become_kind(self, kind: RuleKind) -> Self {
        match kind {
            _ if kind == self.kind => self,
            RuleKind::Threshold => Self { kind, ..self },
            RuleKind::NoData => Self::from(&Condition::NoData(self.metric)),
        }
    }
}

impl From<&Condition> for WrittenCondition {
    fn from(condition: &Condition) -> Self {
        let threshold = match condition {
            Condition::Threshold(threshold) => Some(threshold),
            Condition::NoData(_) => None,
        };
        Self {
            kind: condition.kind(),
            metric: condition.metric().cloned(),
            operator: threshold.map(|it| it.operator),
            threshold: threshold.map(|it| it.threshold),
            threshold_high: threshold.and_then(|it| it.threshold_high),
            clear_threshold: threshold.and_then(|it| it.clear_threshold),
        }
    }
}

/// A change of what a rule looks for.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields of the same name of a condition")]
pub struct ConditionPatch {
    pub kind: Option<RuleKind>,
    pub metric: Patch<MetricName>,
    pub operator: Patch<Operator>,
    pub threshold: Patch<f64>,
    pub threshold_high: Patch<f64>,
    pub clear_threshold: Patch<f64>,
}

impl ConditionPatch {
    /// What is looked for after the change.
    pub fn apply(&self, condition: &Condition) -> Result<Condition, Vec<Flaw>> {
        let stored = WrittenCondition::from(condition).become_kind(self.kind.unwrap_or(condition.kind()));
        let written = WrittenCondition {
            kind: stored.kind,
            metric: self.metric.apply(&stored.metric),
            operator: self.operator.apply(&stored.operator),
            threshold: self.threshold.apply(&stored.threshold),
            threshold_high: self.threshold_high.apply(&stored.threshold_high),
            clear_threshold: self.clear_threshold.apply(&stored.clear_threshold),
        };
        written.read()
    }
}

impl From<&Condition> for ConditionPatch {
    fn from(condition: &Condition) -> Self {
        let written = WrittenCondition::from(condition);
        Self {
            kind: Some(written.kind),
            metric: written.metric.into(),
            operator: written.operator.into(),
            threshold: written.threshold.into(),
            threshold_high: written.threshold_high.into(),
            clear_threshold: written.clear_threshold.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn above_80() -> Condition {
        let metric = MetricName::parse("temperature").unwrap();
        Condition::Threshold(Threshold {
            metric,
            operator: Operator::Above,
            threshold: 80.0,
            threshold_high: None,
            clear_threshold: Some(75.0),
        })
    }

    fn fields(refused: Result<Condition, Vec<Flaw>>) -> Vec<String> {
        refused.unwrap_err().into_iter().map(|flaw| flaw.field).collect()
    }

    #[test]
    fn a_change_of_kind_drops_what_goes_with_the_former_kind_alone() {
        let silent = ConditionPatch { kind: Some(RuleKind::NoData), ..Default::default() };
        let silence = silent.apply(&above_80()).unwrap();
        assert_eq!(silence, Condition::NoData(above_80().metric().cloned()));
        let with_operator = ConditionPatch { operator: Patch::Set(Operator::Above), ..silent };
        assert_eq!(fields(with_operator.apply(&above_80())), ["operator"]);
        let back = ConditionPatch { kind: Some(RuleKind::Threshold), ..Default::default() };
        assert_eq!(fields(back.apply(&silence)), ["operator", "threshold"]);
        assert_eq!(ConditionPatch::from(&above_80()).apply(&silence), Ok(above_80()));
    }

    #[test]
    fn what_a_condition_needs_cannot_be_cleared_and_the_rest_can() {
        let bare = ConditionPatch {
            metric: Patch::Clear,
            operator: Patch::Clear,
            threshold: Patch::Clear,
            ..Default::default()
        };
        assert_eq!(fields(bare.apply(&above_80())), ["metric", "operator", "threshold"]);
        let eased = ConditionPatch { clear_threshold: Patch::Clear, ..Default::default() };
        let Condition::Threshold(threshold) = eased.apply(&above_80()).unwrap() else { panic!("kept") };
        assert_eq!(threshold.clear_threshold, None);
    }

    #[test]
    fn naming_a_piece_or_a_kind_replaces_the_other_and_naming_neither_means_all() {
        let (piece, kind) = (EquipmentId::new(7).unwrap(), Label::parse("robot").unwrap());
        let set = |equipment: Patch<EquipmentId>, equipment_kind: Patch<Label>| TargetPatch {
            equipment,
            equipment_kind,
        };
        let for_kind = Target::Kind(kind.clone());
        let for_piece = Target::Equipment(piece);
        assert_eq!(set(Patch::Set(piece), Patch::Keep).apply(&for_kind), Ok(for_piece.clone()));
        assert_eq!(set(Patch::Keep, Patch::Set(kind.clone())).apply(&for_piece), Ok(for_kind.clone()));
        assert_eq!(set(Patch::Clear, Patch::Keep).apply(&for_kind), Ok(for_kind.clone()));
        assert_eq!(set(Patch::Clear, Patch::Keep).apply(&for_piece), Ok(Target::All));
        assert_eq!(set(Patch::Clear, Patch::Clear).apply(&for_kind), Ok(Target::All));
        assert!(set(Patch::Set(piece), Patch::Set(kind)).apply(&Target::All).is_err());
        for target in [Target::All, for_kind, for_piece] {
            assert_eq!(TargetPatch::from(&target).apply(&Target::All), Ok(target));
        }
    }
}
