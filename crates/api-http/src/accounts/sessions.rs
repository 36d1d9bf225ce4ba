//! One's own signed-in clients.

use crate::auth::Granted;
use crate::completion::to_completion;
use crate::page::Listed;
use crate::path::Id;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::Done;
use actix_web::web::Data;
use domain::access::rights::OwnAccount;
use domain::app::{App, sessions};
use domain::id::SessionId;
use domain::page::{Order, PageRequest};
use domain::sessions::{Session, SessionKey};
use serde::Serialize;
use utoipa::ToSchema;

/// A signed-in client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionBody {
    id: i64,
    /// When the person signed in.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last seen in use, to the minute.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// When it lapses unless it is refreshed.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The network address that signed in.
    #[schema(required)]
    address: Option<String>,
    /// What the client called itself.
    #[schema(required)]
    agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionBody {
    fn new(session: Session, current: Option<SessionId>) -> Self {
        Self {
            id: session.id.get(),
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            expires_at: session.expires_at.to_string(),
            address: session.address,
            agent: session.agent,
            current: current == Some(session.id),
        }
    }
}

/// Which of one's sessions are asked for.
pub struct SessionsAsked {
    order: Vec<Order<SessionKey>>,
    page: PageRequest,
}

impl FromQuery for SessionsAsked {
    fn read(params: &mut Params) -> Self {
        let keys = [
            ("id", SessionKey::Id),
            ("created_at", SessionKey::CreatedAt),
            ("last_used_at", SessionKey::LastUsedAt),
        ];
        Self { order: params.order(&keys), page: params.page() }
    }
}

/// Lists one's own sessions
#[utoipa::path(get, path = "/api/sessions/")]
pub async fn list_sessions(
    Granted(by): Granted<OwnAccount>,
    Query { asked, here }: Query<SessionsAsked>,
    app: Data<App>,
) -> Reply<Listed<SessionBody>> {
    let page = sessions::list(&app, &by, &asked.order, asked.page).await?;
    Listed::new(&here, asked.page, page, |session| SessionBody::new(session, by.actor().session()))
}

/// Ends one of one's own sessions
#[utoipa::path(delete, path = "/api/sessions/{id}")]
pub async fn end_session(
    Granted(by): Granted<OwnAccount>,
    Id(session): Id<SessionId>,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { sessions::end(&app, by, session).await }).await?;
    Ok(Done)
}
