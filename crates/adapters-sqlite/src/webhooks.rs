//! Who outside is told of alerts. What is delivered to them is in `webhook_deliveries.rs`.

use crate::lists::{any_of, cut_page, instr, restored, then_by, within};
use crate::rows::{Place, Ranked};
use crate::schema::webhooks;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::id::{Version, WebhookId};
use domain::page::{Order, Page, effective_order};
use domain::ports::{Reference, StoreError, Webhooks};
use domain::rules::Severity;
use domain::text::{Label, fold};
use domain::time::Timestamp;
use domain::webhooks::{
    FormerSecret, NewWebhook, Shape, Wants, Webhook, WebhookDetails, WebhookFilter, WebhookKey, WebhookQuery,
    WebhookUrl,
};

#[async_trait]
impl Webhooks for Work {
    async fn insert(&mut self, webhook: &NewWebhook) -> Result<Webhook, StoreError> {
        let webhook = webhook.clone();
        self.run(move |connection| insert(connection, &webhook)).await
    }

    async fn find(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.run(move |connection| find(connection, id)).await
    }

    async fn lock(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.hold()?;
        self.run(move |connection| find(connection, id)).await
    }

    async fn save(&mut self, webhook: &Webhook) -> Result<Webhook, StoreError> {
        let webhook = webhook.clone();
        self.run(move |connection| save(connection, &webhook)).await
    }

    async fn delete(&mut self, id: WebhookId) -> Result<bool, StoreError> {
        self.run(
            move |connection| Ok(diesel::delete(webhooks::table.find(id.get())).execute(connection)? > 0),
        )
        .await
    }

    async fn list(&mut self, query: &WebhookQuery) -> Result<Page<Webhook>, StoreError> {
        let query = query.clone();
        self.run(move |connection| list(connection, &query)).await
    }

    async fn enabled(&mut self) -> Result<Vec<Webhook>, StoreError> {
        self.run(|connection| {
            let enabled = webhooks::table.filter(webhooks::enabled).order(webhooks::id);
            restored(enabled.select(WebhookRow::as_select()).load(connection)?)
        })
        .await
    }

    async fn take_repeats(
        &mut self,
        shape: Shape,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<Vec<Webhook>, StoreError> {
        self.run(move |connection| take_repeats(connection, shape, now, next)).await
    }
}

/// The columns that people's words about a webhook are written to.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = webhooks)]
struct Columns<'a> {
    name: &'a str,
    name_key: String,
    url: &'a str,
    shape: &'static str,
    events: String,
    severity: i32,
    equipment: String,
    kinds: String,
    enabled: bool,
}

impl<'a> From<&'a WebhookDetails> for Columns<'a> {
    fn from(details: &'a WebhookDetails) -> Self {
        let [events, equipment, kinds] = details.wants.written();
        Self {
            name: details.name.as_str(),
            name_key: details.name.key(),
            url: details.url.reveal(),
            shape: details.shape.name(),
            events,
            severity: details.wants.least.rank(),
            equipment,
            kinds,
            enabled: details.enabled,
        }
    }
}

fn insert(connection: &mut SqliteConnection, webhook: &NewWebhook) -> Answer<Webhook> {
    let at = webhook.created_at.micros();
    let row: WebhookRow = diesel::insert_into(webhooks::table)
        .values((
            Columns::from(&webhook.details),
            webhooks::secret.eq(webhook.secret.as_slice()),
            webhooks::version.eq(Version::FIRST.get()),
            webhooks::created_at.eq(at),
            webhooks::updated_at.eq(at),
        ))
        .returning(WebhookRow::as_returning())
        .get_result(connection)?;
    Ok(row.try_into()?)
}

fn find(connection: &mut SqliteConnection, id: WebhookId) -> Answer<Option<Webhook>> {
    let row = webhooks::table.find(id.get()).select(WebhookRow::as_select());
    Ok(row.first(connection).optional()?.map(Webhook::try_from).transpose()?)
}

fn save(connection: &mut SqliteConnection, webhook: &Webhook) -> Answer<Webhook> {
    let former = webhook.former_secret.as_ref();
    let row: Option<WebhookRow> = diesel::update(webhooks::table.find(webhook.id.get()))
        .set((
            Columns::from(&webhook.details),
            webhooks::secret.eq(webhook.secret.as_slice()),
            webhooks::former_secret.eq(former.map(|former| former.sealed.as_slice())),
            webhooks::former_until.eq(former.map(|former| former.until.micros())),
            webhooks::disabled_because.eq(webhook.disabled_because.as_deref()),
            webhooks::version.eq(webhooks::version + 1),
            webhooks::updated_at.eq(webhook.updated_at.micros()),
        ))
        .returning(WebhookRow::as_returning())
        .get_result(connection)
        .optional()?;
    Ok(row.ok_or(StoreError::Dangling(Reference::Webhook))?.try_into()?)
}

fn take_repeats(
    connection: &mut SqliteConnection,
    shape: Shape,
    now: Timestamp,
    next: Timestamp,
) -> Answer<Vec<Webhook>> {
    let is_due = webhooks::repeated_until.is_null().or(webhooks::repeated_until.le(now.micros()));
    let due = webhooks::table
        .filter(webhooks::enabled)
        .filter(webhooks::shape.eq(shape.name()))
        .filter(is_due.assume_not_null());
    let rows: Vec<WebhookRow> = due.order(webhooks::id).select(WebhookRow::as_select()).load(connection)?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    diesel::update(webhooks::table.filter(webhooks::id.eq_any(ids)))
        .set(webhooks::repeated_until.eq(next.micros()))
        .execute(connection)?;
    restored(rows)
}

fn list(connection: &mut SqliteConnection, query: &WebhookQuery) -> Answer<Page<Webhook>> {
    let all = || matching(&query.filter);
    let (total, rows) =
        cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), WebhookRow);
    Ok(Page { total, items: restored(rows)? })
}

type Boxed<'a> = webhooks::BoxedQuery<'a, Sqlite>;

fn matching(filter: &WebhookFilter) -> Boxed<'_> {
    let all = webhooks::table.into_boxed();
    let all = any_of!(all, webhooks::name_key, filter.names, Label::key);
    let all = any_of!(all, webhooks::shape, filter.shapes, |shape| shape.name());
    let mut all = within!(all, webhooks::created_at, filter.created);
    if let Some(enabled) = filter.enabled {
        all = all.filter(webhooks::enabled.eq(enabled));
    }
    match filter.search.as_deref().map(fold) {
        Some(text) => all.filter(instr(webhooks::name_key, text).gt(0)),
        None => all,
    }
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<WebhookKey>]) -> Boxed<'a> {
    effective_order(order, WebhookKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        WebhookKey::Id => then_by!(query, webhooks::id, direction),
        WebhookKey::Name => then_by!(query, webhooks::name_key, direction),
        WebhookKey::CreatedAt => then_by!(query, webhooks::created_at, direction),
        WebhookKey::UpdatedAt => then_by!(query, webhooks::updated_at, direction),
    })
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhooks, check_for_backend(Sqlite))]
struct WebhookRow {
    id: i64,
    name: String,
    url: String,
    shape: String,
    events: String,
    severity: i32,
    equipment: String,
    kinds: String,
    enabled: bool,
    secret: Vec<u8>,
    former_secret: Option<Vec<u8>>,
    former_until: Option<i64>,
    disabled_because: Option<String>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self, StoreError> {
        let place = Place { table: "webhooks", row: row.id };
        let least = place.sound("severity", Severity::of_rank(row.severity))?;
        let wants = Wants::restore([&row.events, &row.equipment, &row.kinds], least);
        let until = place.instant_if_any("former_until", row.former_until)?;
        let former = row.former_secret.zip(until);
        Ok(Self {
            id: place.sound("id", WebhookId::new(row.id))?,
            version: place.sound("version", Version::new(row.version))?,
            created_at: place.instant("created_at", row.created_at)?,
            updated_at: place.instant("updated_at", row.updated_at)?,
            details: WebhookDetails {
                shape: place.sound("shape", Shape::parse(&row.shape))?,
                wants: place.sound("events", wants)?,
                name: Label::restore(row.name),
                url: WebhookUrl::restore(row.url),
                enabled: row.enabled,
            },
            secret: row.secret,
            former_secret: former.map(|(sealed, until)| FormerSecret { sealed, until }),
            disabled_because: row.disabled_because,
        })
    }
}
