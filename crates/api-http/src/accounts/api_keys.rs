//! One's own credentials for machines.

use crate::auth::Granted;
use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Id;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::{Created, Done, Versioned};
use actix_web::web::Data;
use domain::access::rights::OwnAccount;
use domain::api_keys::{ApiKey, ApiKeyKey};
use domain::app::App;
use domain::app::api_keys::{self, ApiKeyDraft, FreshApiKey};
use domain::id::ApiKeyId;
use domain::page::{Order, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

impl FromBody for ApiKeyDraft {
    const NAME: &'static str = "NewApiKey";
    const ABOUT: &'static str = "A key as somebody wants it. Without `equipment` it is good for all equipment, \
        without `expires_at` until it is revoked.";
    const EXAMPLE: &'static str = r#"{"name": "line 2 gateway", "permissions": ["data:write"],
        "equipment": [4, 7], "expires_at": "2031-01-01T00:00:00Z"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name");
        let permissions = fields.required("permissions");
        let equipment = fields.optional("equipment");
        let expires_at = fields.optional("expires_at");
        Some(Self { name: name?, permissions: permissions?, equipment, expires_at })
    }
}

/// A machine's credential.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyBody {
    id: i64,
    name: String,
    /// The first letters of the secret.
    #[schema(examples("ttk_9fJx2b"))]
    hint: String,
    permissions: Vec<&'static str>,
    /// The equipment that it is limited to; empty means all.
    equipment: Vec<i64>,
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last seen in use, to the minute.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
    version: i64,
    /// The secret itself: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    secret: Option<String>,
}

impl From<&ApiKey> for ApiKeyBody {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.get(),
            name: key.name.to_string(),
            hint: key.hint.clone(),
            permissions: key.permissions.iter().map(|permission| permission.name()).collect(),
            equipment: key.equipment.iter().map(|id| id.get()).collect(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            created_at: key.created_at.to_string(),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            version: key.version.get(),
            secret: None,
        }
    }
}

impl ApiKeyBody {
    fn created(fresh: &FreshApiKey) -> Created<Self> {
        let secret = Some(fresh.secret.reveal().to_owned());
        Created {
            location: format!("/api/api-keys/{}", fresh.key.id),
            version: Some(fresh.key.version),
            body: Self { secret, ..Self::from(&fresh.key) },
        }
    }
}

/// Which of one's keys are asked for.
pub struct ApiKeysAsked {
    order: Vec<Order<ApiKeyKey>>,
    page: PageRequest,
}

impl FromQuery for ApiKeysAsked {
    fn read(params: &mut Params) -> Self {
        let keys = [("id", ApiKeyKey::Id), ("name", ApiKeyKey::Name), ("created_at", ApiKeyKey::CreatedAt)];
        Self { order: params.order(&keys), page: params.page() }
    }
}

/// Lists one's own API keys
#[utoipa::path(get, path = "/api/api-keys/")]
pub async fn list_api_keys(
    Granted(by): Granted<OwnAccount>,
    Query { asked, here }: Query<ApiKeysAsked>,
    app: Data<App>,
) -> Reply<Listed<ApiKeyBody>> {
    let page = api_keys::list(&app, &by, &asked.order, asked.page).await?;
    Listed::new(&here, asked.page, page, |key| ApiKeyBody::from(&key))
}

/// Makes an API key
///
/// The answer holds the secret, which nobody sees again. A key may do no more than its maker.
#[utoipa::path(post, path = "/api/api-keys/", responses((status = 409)))]
pub async fn create_api_key(
    Granted(by): Granted<OwnAccount>,
    draft: Posted<ApiKeyDraft>,
    app: Data<App>,
) -> Reply<Replayable<Created<ApiKeyBody>>> {
    let work = |draft, once| async move { api_keys::create(&app, by, draft, once).await };
    draft.answer(ApiKeyBody::created, work).await
}

/// Shows one of one's own API keys
#[utoipa::path(get, path = "/api/api-keys/{id}")]
pub async fn get_api_key(
    Granted(by): Granted<OwnAccount>,
    Id(key): Id<ApiKeyId>,
    app: Data<App>,
) -> Reply<Versioned<ApiKeyBody>> {
    let key = api_keys::get(&app, &by, key).await?;
    Ok(Versioned { version: key.version, body: ApiKeyBody::from(&key) })
}

/// Revokes one of one's own API keys
#[utoipa::path(delete, path = "/api/api-keys/{id}")]
pub async fn revoke_api_key(
    Granted(by): Granted<OwnAccount>,
    Id(key): Id<ApiKeyId>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { api_keys::revoke(&app, by, key, precondition).await }).await?;
    Ok(Done)
}
