//! Rules that raise alerts: make, look up, change, delete and try them.

pub mod body;
pub mod preview;

use crate::auth::Granted;
use crate::body::Body;
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Id;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::remembered::{Kept, Topic};
use crate::reply::{Created, Done, Versioned};
use crate::rules::body::{RuleBody, RuleDraft, RulePatch, RulePut};
use actix_web::web::Data;
use domain::access::rights::{ManageRules, ViewRules};
use domain::app::App;
use domain::app::known::RULES;
use domain::app::rules::{self, RuleChange};
use domain::id::RuleId;
use domain::patch::Precondition;
use domain::rules::{RuleFilter, RuleKey, RuleQuery};

const KEYS: [(&str, RuleKey); 5] = [
    ("id", RuleKey::Id),
    ("name", RuleKey::Name),
    ("severity", RuleKey::Severity),
    ("created_at", RuleKey::CreatedAt),
    ("updated_at", RuleKey::UpdatedAt),
];

/// Which rules are asked for.
pub struct RulesAsked(RuleQuery);

impl FromQuery for RulesAsked {
    fn read(params: &mut Params) -> Self {
        let filter = RuleFilter {
            names: params.any_of("name", "Name, whatever its case."),
            equipment: params.any_of("equipment", "Id of the piece that the rule names."),
            kinds: params
                .any_of("equipment_type", "Type of equipment that the rule names, whatever its case."),
            metrics: params.any_of("metric", "Metric."),
            severities: params.any_of("severity", "Severity."),
            enabled: params.flag("enabled", "Whether it judges."),
            created: params.span("created_at__gte", "created_at__lt"),
            search: params.search("Occurs in the name or the metric."),
            ..RuleFilter::default()
        };
        Self(RuleQuery { filter, order: params.order(&KEYS), page: params.page() })
    }
}

/// Lists alert rules
#[utoipa::path(get, path = "/api/alert-rules/")]
pub async fn list_alert_rules(
    Granted(by): Granted<ViewRules>,
    Query { asked: RulesAsked(query), here }: Query<RulesAsked>,
    app: Data<App>,
) -> Reply<Kept<Listed<RuleBody>>> {
    let grounds = app.grounds(RULES);
    let asked = query.page;
    let page = rules::list(&app, &by, query).await?;
    let listed = Listed::new(&here, asked, page, |rule| RuleBody::from(&rule))?;
    Ok(Kept::new(Topic::Rules, grounds, listed))
}

/// Makes an alert rule
///
/// It judges the readings that arrive from then on, by their own time.
#[utoipa::path(post, path = "/api/alert-rules/")]
pub async fn create_alert_rule(
    Granted(by): Granted<ManageRules>,
    draft: Posted<RuleDraft>,
    app: Data<App>,
) -> Reply<Replayable<Created<RuleBody>>> {
    let work = |RuleDraft(details), once| async move { rules::create(&app, by, details, once).await };
    draft.answer(RuleBody::created, work).await
}

/// Shows an alert rule
#[utoipa::path(get, path = "/api/alert-rules/{id}")]
pub async fn get_alert_rule(
    Granted(by): Granted<ViewRules>,
    Id(rule): Id<RuleId>,
    app: Data<App>,
) -> Reply<Kept<Versioned<RuleBody>>> {
    let grounds = app.grounds(RULES);
    let rule = rules::get(&app, &by, rule).await?;
    Ok(Kept::new(Topic::Rules, grounds, RuleBody::versioned(&rule)))
}

/// Replaces an alert rule
///
/// When it judges differently afterwards, its unresolved alerts are over.
#[utoipa::path(put, path = "/api/alert-rules/{id}")]
pub async fn put_alert_rule(
    Granted(by): Granted<ManageRules>,
    Id(rule): Id<RuleId>,
    IfMatch(precondition): IfMatch,
    Body(RulePut(change)): Body<RulePut>,
    app: Data<App>,
) -> Reply<Versioned<RuleBody>> {
    change_rule(by, rule, precondition, change, app).await
}

/// Changes some fields of an alert rule
///
/// When it judges differently afterwards, its unresolved alerts are over.
#[utoipa::path(patch, path = "/api/alert-rules/{id}")]
pub async fn patch_alert_rule(
    Granted(by): Granted<ManageRules>,
    Id(rule): Id<RuleId>,
    IfMatch(precondition): IfMatch,
    Body(RulePatch(change)): Body<RulePatch>,
    app: Data<App>,
) -> Reply<Versioned<RuleBody>> {
    change_rule(by, rule, precondition, change, app).await
}

async fn change_rule(
    by: domain::access::Granted<ManageRules>,
    rule: RuleId,
    precondition: Precondition,
    change: RuleChange,
    app: Data<App>,
) -> Reply<Versioned<RuleBody>> {
    let work = async move { rules::change(&app, by, rule, change, precondition).await };
    Ok(RuleBody::versioned(&to_completion(work).await?))
}

/// Deletes an alert rule
///
/// Its alerts stay, and are over.
#[utoipa::path(delete, path = "/api/alert-rules/{id}")]
pub async fn delete_alert_rule(
    Granted(by): Granted<ManageRules>,
    Id(rule): Id<RuleId>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { rules::delete(&app, by, rule, precondition).await }).await?;
    Ok(Done)
}
