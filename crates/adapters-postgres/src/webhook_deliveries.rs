//! What is to be delivered to webhooks, and what became of it: `webhook_deliveries`, and the tries in `webhook_attempts`.

use crate::link::Link;
use crate::lists::{Ordering, among, by, effective, page, within};
use crate::rows::{Row, count, stamp};
use crate::schema::{webhook_attempts, webhook_deliveries};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{count_star, min};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz};
use domain::id::{AlertId, DeliveryId, WebhookId};
use domain::page::{Order, Page};
use domain::ports::{Deliveries, StoreError};
use domain::time::Timestamp;
use domain::webhooks::{
    ATTEMPTS_KEPT, Attempt, Backlog, Claimed, Delivery, DeliveryFilter, DeliveryKey, DeliveryQuery,
    DeliveryStatus, Event, LoggedDelivery, NewDelivery, Settled, Shape,
};
use std::collections::HashMap;
use std::time::Duration;

/// Webhooks are held by their keys first, so that one that goes meanwhile is waited for and left out instead of standing in
/// the way of the whole unit of work.
const PUT: &str = "\
    WITH there AS (SELECT id FROM webhooks WHERE id = ANY (?::bigint[]) FOR KEY SHARE) \
    INSERT INTO webhook_deliveries (webhook_id, event, alert_id, message, notice, status, next_try_at, created_at) \
    SELECT new.webhook_id, new.event, new.alert_id, new.message, new.notice, 'pending', new.at, new.at \
    FROM unnest($1::bigint[], ?::text[], ?::bigint[], ?::text[], ?::text[], ?::timestamptz[]) \
        WITH ORDINALITY AS new (webhook_id, event, alert_id, message, notice, at, place) \
    JOIN there ON there.id = new.webhook_id ORDER BY new.place \
    RETURNING id";

/// Those of whom something is due that nothing older is in the way of. What is older is looked up by its alert: `coalesce`
/// keeps the planner from going through all that waits, which is much while a receiver is away.
const WITH_SOMETHING_DUE: &str = "\
    SELECT hook.id FROM webhooks AS hook WHERE hook.enabled AND EXISTS ( \
        SELECT FROM webhook_deliveries AS one WHERE one.webhook_id = hook.id AND one.next_try_at <= ? \
            AND (hook.shape = ANY (?::text[]) OR NOT EXISTS ( \
                SELECT FROM webhook_deliveries AS older WHERE older.alert_id = one.alert_id \
                    AND older.webhook_id = one.webhook_id AND older.id < one.id \
                    AND coalesce(older.next_try_at > $1, false)))) \
    ORDER BY hook.id";

/// What of one webhook is due and nothing older is in the way of. What others hold at this very moment is skipped.
const DUE: &str = "\
    SELECT one.id FROM webhook_deliveries AS one WHERE one.webhook_id = ? AND one.next_try_at <= ? AND EXISTS ( \
        SELECT FROM webhooks AS hook WHERE hook.id = $1 AND hook.enabled \
            AND (hook.shape = ANY (?::text[]) OR NOT EXISTS ( \
                SELECT FROM webhook_deliveries AS older WHERE older.alert_id = one.alert_id \
                    AND older.webhook_id = one.webhook_id AND older.id < one.id \
                    AND coalesce(older.next_try_at > $2, false)))) \
    ORDER BY one.id LIMIT ? FOR UPDATE SKIP LOCKED";

/// Those of what is held now that nothing older is in the way of which others took just before, and whether there is
/// something newer.
const FREE: &str = "\
    SELECT one.id, EXISTS ( \
        SELECT FROM webhook_deliveries AS newer WHERE newer.alert_id = one.alert_id \
            AND newer.webhook_id = one.webhook_id AND newer.id > one.id) \
    FROM webhook_deliveries AS one JOIN webhooks AS hook ON hook.id = one.webhook_id \
    WHERE one.id = ANY (?::bigint[]) AND (hook.shape = ANY (?::text[]) OR NOT EXISTS ( \
        SELECT FROM webhook_deliveries AS older WHERE older.alert_id = one.alert_id \
            AND older.webhook_id = one.webhook_id AND older.id < one.id AND older.status = 'pending' \
            AND older.id <> ALL ($1)))";

const FORGET: &str = "\
    DELETE FROM webhook_deliveries WHERE id IN ( \
        SELECT id FROM webhook_deliveries WHERE created_at < ? ORDER BY created_at LIMIT ?)";

#[async_trait]
impl Deliveries for Link {
    async fn put(&mut self, deliveries: &[NewDelivery]) -> Result<Vec<DeliveryId>, StoreError> {
        let alerts = deliveries.iter().map(|new| new.alert.map(AlertId::get)).collect();
        let put = Statement::<BigInt>::new(PUT)
            .bind::<Array<BigInt>, Vec<i64>>(deliveries.iter().map(|new| new.webhook.get()).collect())
            .bind::<Array<Text>, Vec<&str>>(deliveries.iter().map(|new| new.event.name()).collect())
            .bind::<Array<Nullable<BigInt>>, Vec<Option<i64>>>(alerts)
            .bind::<Array<Text>, Vec<&str>>(deliveries.iter().map(|new| new.message.as_str()).collect())
            .bind::<Array<Text>, Vec<&str>>(deliveries.iter().map(|new| new.notice.as_str()).collect())
            .bind::<Array<Timestamptz>, Vec<PgTimestamp>>(
                deliveries.iter().map(|new| stamp(new.created_at)).collect(),
            );
        let mut ids: Vec<i64> = self.all(put).await?;
        ids.sort_unstable();
        ids.into_iter().map(delivery_id).collect()
    }

    async fn due(&mut self, now: Timestamp) -> Result<Vec<WebhookId>, StoreError> {
        let due = Statement::<BigInt>::new(WITH_SOMETHING_DUE)
            .bind::<Timestamptz, _>(stamp(now))
            .bind::<Array<Text>, _>(out_of_turn());
        let ids: Vec<i64> = self.all(due).await?;
        ids.into_iter().map(webhook_id).collect()
    }

    async fn claim(
        &mut self,
        webhook: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.in_unit()?;
        let due = Statement::<BigInt>::new(DUE)
            .bind::<BigInt, _>(webhook.get())
            .bind::<Timestamptz, _>(stamp(now))
            .bind::<Array<Text>, _>(out_of_turn())
            .bind::<BigInt, _>(i64::from(limit));
        let held: Vec<i64> = self.all(due).await?;
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let free = Statement::<(BigInt, Bool)>::new(FREE)
            .bind::<Array<BigInt>, _>(held)
            .bind::<Array<Text>, _>(out_of_turn());
        let free: HashMap<i64, bool> = self.all::<(i64, bool), _>(free).await?.into_iter().collect();
        let ids: Vec<i64> = free.keys().copied().collect();
        let claimed = diesel::update(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(ids)))
            .set(webhook_deliveries::next_try_at.eq(Some(stamp(until))))
            .returning(DeliveryRow::as_returning());
        let mut rows: Vec<DeliveryRow> = self.all(claimed).await?;
        rows.sort_unstable_by_key(|row| row.id);
        let claim = |row: DeliveryRow| {
            let has_successor = free.get(&row.id).copied().unwrap_or_default();
            Ok(Claimed { has_successor, delivery: row.try_into()? })
        };
        rows.into_iter().map(claim).collect()
    }

    async fn settle(&mut self, settled: &Settled) -> Result<bool, StoreError> {
        let tries = i32::from(settled.attempt.is_some());
        let is_over = settled.status != DeliveryStatus::Pending;
        let row = webhook_deliveries::table
            .filter(webhook_deliveries::id.eq(settled.id.get()))
            .filter(webhook_deliveries::next_try_at.eq(stamp(settled.claimed_until)));
        let written = diesel::update(row).set((
            webhook_deliveries::status.eq(settled.status.name()),
            webhook_deliveries::next_try_at.eq(settled.next_try_at.map(stamp)),
            webhook_deliveries::finished_at.eq(is_over.then_some(stamp(settled.at))),
            webhook_deliveries::tries.eq(webhook_deliveries::tries + tries),
            webhook_deliveries::attempts.eq(webhook_deliveries::attempts + tries),
        ));
        if self.run(written).await? == 0 {
            return Ok(false);
        }
        let Some(attempt) = &settled.attempt else { return Ok(true) };
        let number = whole(attempt.number);
        let row = AttemptRow::new(settled.id, attempt);
        self.run(diesel::insert_into(webhook_attempts::table).values(row)).await?;
        let old = webhook_attempts::table
            .filter(webhook_attempts::delivery_id.eq(settled.id.get()))
            .filter(webhook_attempts::number.le(number.saturating_sub(whole(ATTEMPTS_KEPT))));
        self.run(diesel::delete(old)).await?;
        Ok(true)
    }

    async fn find(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<LoggedDelivery>, StoreError> {
        let row = webhook_deliveries::table
            .find(id.get())
            .filter(webhook_deliveries::webhook_id.eq(webhook.get()))
            .select(DeliveryRow::as_select());
        let Some(row) = self.one(row).await? else { return Ok(None) };
        Ok(logged(self, vec![Delivery::try_from(row)?]).await?.pop())
    }

    async fn renew(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let meant =
            webhook_deliveries::table.find(id.get()).filter(webhook_deliveries::webhook_id.eq(webhook.get()));
        let row = diesel::update(meant)
            .set((
                webhook_deliveries::status.eq(DeliveryStatus::Pending.name()),
                webhook_deliveries::tries.eq(0),
                webhook_deliveries::next_try_at.eq(Some(stamp(at))),
                webhook_deliveries::finished_at.eq(None::<PgTimestamp>),
            ))
            .returning(DeliveryRow::as_returning());
        self.one(row).await?.map(Delivery::try_from).transpose()
    }

    async fn list(&mut self, query: &DeliveryQuery) -> Result<Page<LoggedDelivery>, StoreError> {
        let Page { total, items } = page_of(self, query).await?;
        Ok(Page { total, items: logged(self, items).await? })
    }

    async fn backlog(&mut self) -> Result<Backlog, StoreError> {
        let pending = webhook_deliveries::table
            .filter(webhook_deliveries::next_try_at.is_not_null())
            .select((count_star(), min(webhook_deliveries::created_at)));
        let (count, oldest): (i64, Option<PgTimestamp>) = self.the(pending).await?;
        let row = Row { table: "webhook_deliveries", key: &"(the oldest)" };
        Ok(Backlog { count: count.unsigned_abs(), oldest_at: row.maybe_instant("created_at", oldest)? })
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::<()>::new(FORGET)
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(i64::from(most));
        Ok(count(self.run(forgotten).await?))
    }
}

/// The shapes whose receivers do not wait for what is older.
fn out_of_turn() -> Vec<&'static str> {
    Shape::ALL.iter().filter(|shape| shape.keeps_the_newest_alone()).map(|shape| shape.name()).collect()
}

async fn page_of(link: &mut Link, query: &DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
    let order = effective(&query.order, DeliveryKey::Id);
    let rows = || matching(query.webhook, &query.filter);
    page!(link, query.page, rows(), order, DeliveryRow::as_select(), DeliveryRow => Delivery::try_from)
}

/// The deliveries, each with its tries.
async fn logged(link: &mut Link, deliveries: Vec<Delivery>) -> Result<Vec<LoggedDelivery>, StoreError> {
    let ids: Vec<i64> = deliveries.iter().map(|delivery| delivery.id.get()).collect();
    let rows = webhook_attempts::table
        .filter(webhook_attempts::delivery_id.eq_any(ids))
        .order((webhook_attempts::delivery_id, webhook_attempts::number))
        .select(AttemptRow::as_select());
    let mut of_each: HashMap<i64, Vec<Attempt>> = HashMap::new();
    for row in link.all::<AttemptRow, _>(rows).await? {
        of_each.entry(row.delivery_id).or_default().push(row.try_into()?);
    }
    let with_its_own = |delivery: Delivery| {
        let attempts = of_each.remove(&delivery.id.get()).unwrap_or_default();
        LoggedDelivery { delivery, attempts }
    };
    Ok(deliveries.into_iter().map(with_its_own).collect())
}

fn matching(webhook: WebhookId, filter: &DeliveryFilter) -> webhook_deliveries::BoxedQuery<'_, Pg> {
    let mut matching =
        webhook_deliveries::table.filter(webhook_deliveries::webhook_id.eq(webhook.get())).into_boxed();
    among!(matching, webhook_deliveries::event, filter.events, |event| event.name());
    among!(matching, webhook_deliveries::status, filter.statuses, |status| status.name());
    among!(matching, webhook_deliveries::alert_id, filter.alerts, |alert| alert.get());
    within!(matching, webhook_deliveries::created_at, filter.created, stamp);
    matching
}

fn ordering(order: Order<DeliveryKey>) -> Ordering<webhook_deliveries::table> {
    match order.key {
        DeliveryKey::Id => by!(webhook_deliveries::id, order.direction),
        DeliveryKey::CreatedAt => by!(webhook_deliveries::created_at, order.direction),
    }
}

fn delivery_id(id: i64) -> Result<DeliveryId, StoreError> {
    Row { table: "webhook_deliveries", key: &id }.read("id", DeliveryId::new(id))
}

fn webhook_id(id: i64) -> Result<WebhookId, StoreError> {
    Row { table: "webhooks", key: &id }.read("id", WebhookId::new(id))
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries, check_for_backend(Pg))]
struct DeliveryRow {
    id: i64,
    webhook_id: i64,
    event: String,
    alert_id: Option<i64>,
    message: String,
    notice: String,
    status: String,
    tries: i32,
    attempts: i32,
    next_try_at: Option<PgTimestamp>,
    finished_at: Option<PgTimestamp>,
    created_at: PgTimestamp,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(delivery: DeliveryRow) -> Result<Self, StoreError> {
        let row = Row { table: "webhook_deliveries", key: &delivery.id };
        let alert = delivery.alert_id.map(|id| row.read("alert_id", AlertId::new(id))).transpose()?;
        Ok(Self {
            id: delivery_id(delivery.id)?,
            status: row.read("status", DeliveryStatus::parse(&delivery.status))?,
            tries: row.read("tries", u32::try_from(delivery.tries).ok())?,
            attempts: row.read("attempts", u32::try_from(delivery.attempts).ok())?,
            next_try_at: row.maybe_instant("next_try_at", delivery.next_try_at)?,
            finished_at: row.maybe_instant("finished_at", delivery.finished_at)?,
            what: NewDelivery {
                webhook: row.read("webhook_id", WebhookId::new(delivery.webhook_id))?,
                event: row.read("event", Event::parse(&delivery.event))?,
                alert,
                created_at: row.instant("created_at", delivery.created_at)?,
                message: delivery.message,
                notice: delivery.notice,
            },
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_attempts, check_for_backend(Pg), treat_none_as_default_value = false)]
struct AttemptRow {
    delivery_id: i64,
    number: i32,
    at: PgTimestamp,
    took_us: i64,
    status: Option<i32>,
    error: Option<String>,
    answer: Option<String>,
}

impl AttemptRow {
    fn new(delivery: DeliveryId, attempt: &Attempt) -> Self {
        Self {
            delivery_id: delivery.get(),
            number: whole(attempt.number),
            at: stamp(attempt.at),
            took_us: i64::try_from(attempt.took.as_micros()).unwrap_or(i64::MAX),
            status: attempt.status.map(i32::from),
            error: attempt.error.clone(),
            answer: attempt.answer.clone(),
        }
    }
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(attempt: AttemptRow) -> Result<Self, StoreError> {
        let row = Row { table: "webhook_attempts", key: &attempt.delivery_id };
        let took = u64::try_from(attempt.took_us).ok().map(Duration::from_micros);
        let status =
            attempt.status.map(|status| row.read("status", u16::try_from(status).ok())).transpose()?;
        Ok(Self {
            number: row.read("number", u32::try_from(attempt.number).ok())?,
            at: row.instant("at", attempt.at)?,
            took: row.read("took_us", took)?,
            status,
            error: attempt.error,
            answer: attempt.answer,
        })
    }
}
