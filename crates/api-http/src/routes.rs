//! The list of everything that is served, and who waits in which line. A new handler is one more name here.

use crate::accounts::{api_keys, registration, sessions, tokens};
use crate::operation::{Operation, operations};
use crate::problem::explanation;
use crate::readings::{bulk, export};
use crate::roles::assignment;
use crate::rules::preview;
use crate::webhooks::deliveries;
use crate::{
    about, alerts, audit, catalogue, equipment, health, influx, latest, maintenance, mentors, readings,
    roles, rules, series, stream, swagger, users, webhooks,
};
use std::sync::LazyLock;

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    operations! {
        "account":
            registration [register] as SignIn,
            tokens [obtain_tokens, log_in, refresh_tokens, verify_token, log_out] as SignIn,
            sessions [list_sessions, end_session],
            api_keys [list_api_keys, create_api_key, get_api_key, revoke_api_key];
        "users": users [list_users, create_user, get_user, put_user, patch_user, delete_user, reset_password];
        "mentors": mentors [put_mentor, delete_mentor, list_mentees, release_mentees];
        "roles":
            roles [list_roles, create_role, get_role, put_role, patch_role, delete_role, list_permissions],
            assignment [get_roles_of_user, put_roles_of_user, give_role, take_role];
        "rules":
            rules [list_alert_rules, create_alert_rule, get_alert_rule, put_alert_rule, patch_alert_rule, delete_alert_rule],
            preview [preview_alert_rule] as Portion;
        "alerts": alerts [
            list_alerts, create_alert, get_alert, put_alert, patch_alert, delete_alert, acknowledge_alert, resolve_alert,
            list_timeline, list_alerts_of_equipment,
        ];
        "webhooks":
            webhooks [
                list_webhooks, create_webhook, get_webhook, put_webhook, patch_webhook, delete_webhook,
                rotate_webhook_secret,
            ],
            deliveries [
                list_webhook_deliveries, get_webhook_delivery, test_webhook, replay_webhook_delivery,
            ];
        "live": stream [watch_events];
        "equipment":
            equipment [
                list_equipment, create_equipment, get_equipment, put_equipment, patch_equipment, delete_equipment,
                restore_equipment, list_components,
            ],
            maintenance [list_maintenance, log_maintenance, get_maintenance, remove_maintenance];
        "readings":
            readings [
                read_readings, read_readings_of_equipment, list_latest, put_reading, patch_reading, delete_reading,
            ],
            readings [get_reading] as Find,
            readings [send_readings] as Ingest,
            bulk [send_lines] as Upload,
            export [export_readings] as Export,
            latest [list_latest_of_many],
            series [fold_series] as Portion,
            catalogue [list_metrics, get_metric, patch_metric];
        "influx":
            influx [write_points_v1, write_points_v2] as Ingest,
            influx [execute_statement, execute_statement_by_get, ping],
            influx [influx_health] as Health;
        "audit": audit [read_audit_trail];
        "service":
            about [list_resources, openapi_document, public_keys],
            explanation [explain_problem],
            health [live, ready, metrics] as Health,
            swagger [swagger_page, swagger_file];
    }
});

/// Every operation.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}
