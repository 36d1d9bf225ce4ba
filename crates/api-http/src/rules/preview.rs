//! Trying a rule on history before it raises anything.

use super::body::read_details;
use crate::auth::Granted;
use crate::body::fields::Fields;
use crate::body::{Body, FromBody};
use crate::problem::Reply;
use crate::reply::Shown;
use crate::turns::Onward;
use crate::values::Number;
use actix_web::web::Data;
use domain::access::rights::{ViewData, ViewRules};
use domain::app::App;
use domain::app::preview::{self, Preview, Trial, WouldBe};
use domain::rules::Condition;
use domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A rule, and the time to try it on.
pub struct TrialAsked(Trial);

impl FromBody for TrialAsked {
    const NAME: &'static str = "AlertRuleTrial";
    const ABOUT: &'static str =
        "An alert rule, and the stretch of history to try it on: from `from` until `to`, or until now.";
    const EXAMPLE: &'static str = r#"{"name": "Too hot", "metric": "temperature", "operator": ">", "threshold": 80,
        "from": "2026-05-04T00:00:00Z", "to": "2026-05-05T00:00:00Z"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let rule = read_details(fields);
        let from = fields.required("from");
        let until = fields.optional("to").unwrap_or(Timestamp::MAX);
        Some(Self(Trial { rule: rule?, from: from?, until }))
    }
}

/// An alert that the rule would have raised.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WouldBeAlert)]
pub struct WouldBeBody {
    equipment: i64,
    /// When it would have been raised.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The first sign of it.
    #[schema(format = DateTime)]
    began_at: String,
    /// The value that would have raised it; none for silence.
    #[schema(required, value_type = Option<f64>)]
    value: Option<Number>,
    /// The newest sign of it.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// How many signs of it there were.
    occurrences: u64,
    /// When it would have ended; none if it would be there still, as far as was looked.
    #[schema(required, format = DateTime)]
    resolved_at: Option<String>,
}

impl WouldBeBody {
    fn new(alert: &WouldBe, is_silence: bool) -> Self {
        let episode = &alert.episode;
        Self {
            equipment: alert.equipment.get(),
            timestamp: episode.raised_at.to_string(),
            began_at: episode.began_at.to_string(),
            value: (!is_silence).then_some(Number(episode.value)),
            last_seen_at: episode.last_seen_at.to_string(),
            occurrences: episode.occurrences,
            resolved_at: episode.ended_at.map(|at| at.to_string()),
        }
    }
}

/// What a trial showed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertRulePreview)]
pub struct PreviewBody {
    /// By equipment and instant.
    alerts: Vec<WouldBeBody>,
    /// Whether there was more to look at than a preview goes through (10,000 machines, 2,000,000 readings, 8 seconds), or
    /// more than 1,000 alerts to tell. The last machine was judged as far as its readings were looked at, and none after it.
    cut: bool,
    #[schema(format = DateTime)]
    from: String,
    #[schema(format = DateTime)]
    to: String,
}

impl PreviewBody {
    fn new(trial: &Trial, preview: &Preview) -> Self {
        let is_silence = matches!(trial.rule.condition, Condition::NoData(_));
        Self {
            alerts: preview.alerts.iter().map(|alert| WouldBeBody::new(alert, is_silence)).collect(),
            cut: preview.is_cut,
            from: trial.from.to_string(),
            to: trial.until.to_string(),
        }
    }
}

/// Tries an alert rule on history
///
/// Tells the alerts that it would have raised, by the machine that judges live readings. Nothing is stored; the rule need
/// not be enabled.
#[utoipa::path(post, path = "/api/alert-rules/preview")]
pub async fn preview_alert_rule(
    Granted(by): Granted<ViewRules>,
    Granted(readings): Granted<ViewData>,
    Body(TrialAsked(trial)): Body<TrialAsked>,
    app: Data<App>,
    onward: Onward,
) -> Reply<Shown<PreviewBody>> {
    let trial = Trial { until: trial.until.min(app.clock.now()), ..trial };
    let mut walk = preview::begin(&app, &by, &readings, &trial).await?;
    walk.next(&app).await?;
    while !walk.is_over() {
        onward.let_others_by().await;
        walk.next(&app).await?;
    }
    Ok(Shown(PreviewBody::new(&trial, &walk.finish())))
}
