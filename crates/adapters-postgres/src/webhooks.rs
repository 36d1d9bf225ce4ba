//! Who outside is told of alerts: the `webhooks` table. What is delivered to them is in `webhook_deliveries`.

use crate::functions::strpos;
use crate::link::Link;
use crate::lists::{Ordering, among, by, effective, page, within};
use crate::rows::{Row, stamp};
use crate::schema::webhooks;
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use domain::id::WebhookId;
use domain::page::{Order, Page};
use domain::ports::{Reference, StoreError, Webhooks};
use domain::rules::Severity;
use domain::text::{Label, fold};
use domain::time::Timestamp;
use domain::webhooks::{
    FormerSecret, NewWebhook, Shape, Wants, Webhook, WebhookDetails, WebhookFilter, WebhookKey, WebhookQuery,
    WebhookUrl,
};

/// Who is told again at this very moment by another server is left to it.
const TAKE_REPEATS: &str = "\
    UPDATE webhooks SET repeated_until = ? WHERE id IN ( \
        SELECT id FROM webhooks WHERE enabled AND shape = ? AND coalesce(repeated_until, '-infinity') <= ? \
        FOR NO KEY UPDATE SKIP LOCKED) \
    RETURNING id";

#[async_trait]
impl Webhooks for Link {
    async fn insert(&mut self, webhook: &NewWebhook) -> Result<Webhook, StoreError> {
        let created_at = stamp(webhook.created_at);
        let row = diesel::insert_into(webhooks::table)
            .values((
                WebhookWrite::from(&webhook.details),
                webhooks::secret.eq(webhook.secret.as_slice()),
                webhooks::created_at.eq(created_at),
                webhooks::updated_at.eq(created_at),
            ))
            .returning(WebhookRow::as_returning());
        Webhook::try_from(self.the(row).await?)
    }

    async fn find(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let row = webhooks::table.find(id.get()).select(WebhookRow::as_select());
        self.one(row).await?.map(Webhook::try_from).transpose()
    }

    async fn lock(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.in_unit()?;
        let row = webhooks::table.find(id.get()).select(WebhookRow::as_select()).for_no_key_update();
        self.one(row).await?.map(Webhook::try_from).transpose()
    }

    async fn save(&mut self, webhook: &Webhook) -> Result<Webhook, StoreError> {
        let former = webhook.former_secret.as_ref();
        let row = diesel::update(webhooks::table.find(webhook.id.get()))
            .set((
                WebhookWrite::from(&webhook.details),
                webhooks::secret.eq(webhook.secret.as_slice()),
                webhooks::former_secret.eq(former.map(|former| former.sealed.as_slice())),
                webhooks::former_until.eq(former.map(|former| stamp(former.until))),
                webhooks::disabled_because.eq(webhook.disabled_because.as_deref()),
                webhooks::version.eq(webhooks::version + 1),
                webhooks::updated_at.eq(stamp(webhook.updated_at)),
            ))
            .returning(WebhookRow::as_returning());
        let row = self.one(row).await?.ok_or(StoreError::Dangling(Reference::Webhook))?;
        Webhook::try_from(row)
    }

    async fn delete(&mut self, id: WebhookId) -> Result<bool, StoreError> {
        Ok(self.run(diesel::delete(webhooks::table.find(id.get()))).await? > 0)
    }

    async fn list(&mut self, query: &WebhookQuery) -> Result<Page<Webhook>, StoreError> {
        let order = effective(&query.order, WebhookKey::Id);
        page!(self, query.page, matching(&query.filter), order, WebhookRow::as_select(), WebhookRow => Webhook::try_from)
    }

    async fn enabled(&mut self) -> Result<Vec<Webhook>, StoreError> {
        let rows =
            webhooks::table.filter(webhooks::enabled).order(webhooks::id).select(WebhookRow::as_select());
        self.all(rows).await?.into_iter().map(Webhook::try_from).collect()
    }

    async fn take_repeats(
        &mut self,
        shape: Shape,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<Vec<Webhook>, StoreError> {
        let taken = Statement::<BigInt>::new(TAKE_REPEATS)
            .bind::<Timestamptz, _>(stamp(next))
            .bind::<Text, _>(shape.name())
            .bind::<Timestamptz, _>(stamp(now));
        let taken: Vec<i64> = self.all(taken).await?;
        let rows = webhooks::table
            .filter(webhooks::id.eq_any(taken))
            .order(webhooks::id)
            .select(WebhookRow::as_select());
        self.all(rows).await?.into_iter().map(Webhook::try_from).collect()
    }
}

fn matching(filter: &WebhookFilter) -> webhooks::BoxedQuery<'_, Pg> {
    let mut matching = webhooks::table.into_boxed();
    among!(matching, webhooks::name_key, filter.names, Label::key);
    among!(matching, webhooks::shape, filter.shapes, |shape| shape.name());
    within!(matching, webhooks::created_at, filter.created, stamp);
    if let Some(enabled) = filter.enabled {
        matching = matching.filter(webhooks::enabled.eq(enabled));
    }
    if let Some(text) = &filter.search {
        matching = matching.filter(strpos(webhooks::name_key.nullable(), fold(text)).gt(0));
    }
    matching
}

fn ordering(order: Order<WebhookKey>) -> Ordering<webhooks::table> {
    match order.key {
        WebhookKey::Id => by!(webhooks::id, order.direction),
        WebhookKey::Name => by!(webhooks::name_key, order.direction),
        WebhookKey::CreatedAt => by!(webhooks::created_at, order.direction),
        WebhookKey::UpdatedAt => by!(webhooks::updated_at, order.direction),
    }
}

/// What people write about a webhook, as it is written.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = webhooks)]
struct WebhookWrite<'webhook> {
    name: &'webhook str,
    name_key: String,
    url: &'webhook str,
    shape: &'static str,
    events: String,
    severity: i16,
    equipment: String,
    kinds: String,
    enabled: bool,
}

impl<'webhook> From<&'webhook WebhookDetails> for WebhookWrite<'webhook> {
    fn from(details: &'webhook WebhookDetails) -> Self {
        let [events, equipment, kinds] = details.wants.written();
        Self {
            name: details.name.as_str(),
            name_key: details.name.key(),
            url: details.url.reveal(),
            shape: details.shape.name(),
            events,
            severity: details.wants.least as i16,
            equipment,
            kinds,
            enabled: details.enabled,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhooks, check_for_backend(Pg))]
struct WebhookRow {
    id: i64,
    name: String,
    url: String,
    shape: String,
    events: String,
    severity: i16,
    equipment: String,
    kinds: String,
    enabled: bool,
    secret: Vec<u8>,
    former_secret: Option<Vec<u8>>,
    former_until: Option<PgTimestamp>,
    disabled_because: Option<String>,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(webhook: WebhookRow) -> Result<Self, StoreError> {
        let row = Row { table: "webhooks", key: &webhook.id };
        let least = row.placed("severity", Severity::ALL, webhook.severity)?;
        let wants = Wants::restore([&webhook.events, &webhook.equipment, &webhook.kinds], least);
        let until = row.maybe_instant("former_until", webhook.former_until)?;
        let former = webhook.former_secret.zip(until);
        Ok(Self {
            id: row.read("id", WebhookId::new(webhook.id))?,
            version: row.version(webhook.version)?,
            created_at: row.instant("created_at", webhook.created_at)?,
            updated_at: row.instant("updated_at", webhook.updated_at)?,
            details: WebhookDetails {
                shape: row.read("shape", Shape::parse(&webhook.shape))?,
                wants: row.read("events", wants)?,
                name: Label::restore(webhook.name),
                url: WebhookUrl::restore(webhook.url),
                enabled: webhook.enabled,
            },
            secret: webhook.secret,
            former_secret: former.map(|(sealed, until)| FormerSecret { sealed, until }),
            disabled_because: webhook.disabled_because,
        })
    }
}
