//! The rules of the demo plant: limits that a well machine keeps, and silence.

use super::kinds::{
    CNC_MILL, COMMON_METRIC, CONVEYOR, HYDRAULIC_PRESS, INDUCTION_FURNACE, Kind, VISION_RIG, WELDING_ROBOT,
};
use crate::commands::granted;
use domain::access::rights::ManageRules;
use domain::app::{App, rules};
use domain::error::Error;
use domain::idempotency::Once;
use domain::rules::{Condition, Operator, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::MetricName;
use domain::text::Label;
use std::time::Duration;

/// For how long a limit must be broken: no single odd value counts.
const LIMIT_WAIT: Duration = Duration::from_secs(8);

/// For how long a machine may say nothing.
pub(super) const SILENCE_WAIT: Duration = Duration::from_secs(45);

struct Limit {
    name: &'static str,
    kind: &'static Kind,
    severity: Severity,
    metric: &'static str,
    operator: Operator,
    threshold: f64,
    threshold_high: Option<f64>,
    clear_threshold: Option<f64>,
    latch: bool,
}

/// What the limits below have in common.
const LIMIT: Limit = Limit {
    name: "",
    kind: &WELDING_ROBOT,
    severity: Severity::Warning,
    metric: "temperature",
    operator: Operator::Above,
    threshold: 0.0,
    threshold_high: None,
    clear_threshold: None,
    latch: false,
};

const LIMITS: [Limit; 7] = [
    Limit { name: "Welding robot is too hot", threshold: 75.0, clear_threshold: Some(60.0), ..LIMIT },
    Limit {
        name: "Press is out of pressure range",
        kind: &HYDRAULIC_PRESS,
        severity: Severity::Critical,
        metric: "pressure",
        operator: Operator::Outside,
        threshold: 140.0,
        threshold_high: Some(250.0),
        clear_threshold: Some(5.0),
        ..LIMIT
    },
    Limit {
        name: "Furnace is too hot",
        kind: &INDUCTION_FURNACE,
        severity: Severity::Critical,
        threshold: 1260.0,
        clear_threshold: Some(1230.0),
        ..LIMIT
    },
    // A coil that ran dry is looked at before anybody trusts it again.
    Limit {
        name: "Furnace lacks coolant",
        kind: &INDUCTION_FURNACE,
        severity: Severity::Critical,
        metric: "coolant_flow",
        operator: Operator::Below,
        threshold: 25.0,
        latch: true,
        ..LIMIT
    },
    Limit {
        name: "Spindle vibrates",
        kind: &CNC_MILL,
        metric: "vibration",
        threshold: 4.5,
        clear_threshold: Some(3.0),
        ..LIMIT
    },
    Limit {
        name: "Conveyor is stuck",
        kind: &CONVEYOR,
        metric: "belt_speed",
        operator: Operator::Below,
        threshold: 0.25,
        clear_threshold: Some(0.35),
        ..LIMIT
    },
    Limit {
        name: "Many parts are rejected",
        kind: &VISION_RIG,
        severity: Severity::Info,
        metric: "reject_rate",
        threshold: 5.0,
        clear_threshold: Some(3.0),
        ..LIMIT
    },
];

/// Makes the rules.
pub(super) async fn install(app: &App) -> Result<(), Error> {
    for details in all() {
        rules::create(app, granted::<ManageRules>(super::DEMO)?, details, Once::each_time()).await?;
    }
    Ok(())
}

/// The rules.
pub(super) fn all() -> Vec<RuleDetails> {
    let mut rules: Vec<RuleDetails> = LIMITS.iter().map(limit).collect();
    rules.push(silence());
    rules
}

fn limit(limit: &Limit) -> RuleDetails {
    RuleDetails {
        name: Label::restore(limit.name.to_owned()),
        target: Target::Kind(Label::restore(limit.kind.name.to_owned())),
        condition: Condition::Threshold(Threshold {
            metric: MetricName::restore(limit.metric),
            operator: limit.operator,
            threshold: limit.threshold,
            threshold_high: limit.threshold_high,
            clear_threshold: limit.clear_threshold,
        }),
        wait: LIMIT_WAIT,
        severity: limit.severity,
        enabled: true,
        latch: limit.latch,
    }
}

/// Components say nothing at all, so the rule waits for a metric: it is owed only by what has reported it before.
fn silence() -> RuleDetails {
    RuleDetails {
        name: Label::restore("Machine is silent".to_owned()),
        target: Target::All,
        condition: Condition::NoData(Some(MetricName::restore(COMMON_METRIC))),
        wait: SILENCE_WAIT,
        severity: Severity::Warning,
        enabled: true,
        latch: false,
    }
}
