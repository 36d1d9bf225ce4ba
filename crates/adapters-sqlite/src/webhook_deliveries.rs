//! What is to be delivered to webhooks, and what became of it. There is one writer, so whoever claims something has no rival.

use crate::lists::{PART, any_of, changed, cut_page, then_by, total, within};
use crate::rows::Place;
use crate::schema::{webhook_attempts, webhook_deliveries, webhooks};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::dsl::{count_star, exists, min, not};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::id::{AlertId, DeliveryId, WebhookId};
use domain::page::{Order, Page, effective_order};
use domain::ports::{Deliveries, StoreError};
use domain::time::Timestamp;
use domain::webhooks::{
    ATTEMPTS_KEPT, Attempt, Backlog, Claimed, Delivery, DeliveryKey, DeliveryQuery, DeliveryStatus, Event,
    LoggedDelivery, NewDelivery, Settled, Shape,
};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

diesel::alias!(webhook_deliveries as others: Others);

#[async_trait]
impl Deliveries for Work {
    async fn put(&mut self, deliveries: &[NewDelivery]) -> Result<Vec<DeliveryId>, StoreError> {
        let deliveries = deliveries.to_vec();
        self.run(move |connection| put(connection, &deliveries)).await
    }

    async fn due(&mut self, now: Timestamp) -> Result<Vec<WebhookId>, StoreError> {
        self.run(move |connection| due(connection, now)).await
    }

    async fn claim(
        &mut self,
        webhook: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.hold()?;
        self.run(move |connection| claim(connection, webhook, (now, until), limit)).await
    }

    async fn settle(&mut self, settled: &Settled) -> Result<bool, StoreError> {
        let settled = settled.clone();
        self.run(move |connection| settle(connection, &settled)).await
    }

    async fn find(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<LoggedDelivery>, StoreError> {
        self.run(move |connection| {
            let row = webhook_deliveries::table
                .find(id.get())
                .filter(webhook_deliveries::webhook_id.eq(webhook.get()))
                .select(DeliveryRow::as_select());
            let rows = row.load(connection)?;
            Ok(logged(connection, rows)?.pop())
        })
        .await
    }

    async fn renew(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.run(move |connection| renew(connection, webhook, id, at)).await
    }

    async fn list(&mut self, query: &DeliveryQuery) -> Result<Page<LoggedDelivery>, StoreError> {
        let query = query.clone();
        self.run(move |connection| {
            let all = || matching(&query);
            let (total, rows) =
                cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), DeliveryRow);
            Ok(Page { total, items: logged(connection, rows)? })
        })
        .await
    }

    async fn backlog(&mut self) -> Result<Backlog, StoreError> {
        self.run(|connection| {
            let pending = webhook_deliveries::table.filter(webhook_deliveries::next_try_at.is_not_null());
            let (count, oldest): (i64, Option<i64>) =
                pending.select((count_star(), min(webhook_deliveries::created_at))).first(connection)?;
            let place = Place { table: "webhook_deliveries", row: "(the oldest)" };
            Ok(Backlog { count: total(count), oldest_at: place.instant_if_any("created_at", oldest)? })
        })
        .await
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.run(move |connection| {
            let old: Vec<i64> = webhook_deliveries::table
                .filter(webhook_deliveries::created_at.lt(before.micros()))
                .order(webhook_deliveries::created_at)
                .limit(i64::from(most))
                .select(webhook_deliveries::id)
                .load(connection)?;
            let mut forgotten = 0;
            for part in old.chunks(PART) {
                let part = webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(part));
                forgotten += changed(diesel::delete(part).execute(connection)?);
            }
            Ok(forgotten)
        })
        .await
    }
}

#[derive(Insertable)]
#[diesel(table_name = webhook_deliveries, treat_none_as_default_value = false)]
struct Columns<'a> {
    webhook_id: i64,
    event: &'static str,
    alert_id: Option<i64>,
    message: &'a str,
    notice: &'a str,
    status: &'static str,
    tries: i32,
    attempts: i32,
    next_try_at: Option<i64>,
    created_at: i64,
}

fn put(connection: &mut SqliteConnection, deliveries: &[NewDelivery]) -> Answer<Vec<DeliveryId>> {
    let there: Vec<i64> = webhooks::table.select(webhooks::id).load(connection)?;
    let there: HashSet<i64> = there.into_iter().collect();
    let mut ids = Vec::new();
    for new in deliveries.iter().filter(|new| there.contains(&new.webhook.get())) {
        let at = new.created_at.micros();
        let row = Columns {
            webhook_id: new.webhook.get(),
            event: new.event.name(),
            alert_id: new.alert.map(AlertId::get),
            message: &new.message,
            notice: &new.notice,
            status: DeliveryStatus::Pending.name(),
            tries: 0,
            attempts: 0,
            next_try_at: Some(at),
            created_at: at,
        };
        let id: i64 = diesel::insert_into(webhook_deliveries::table)
            .values(row)
            .returning(webhook_deliveries::id)
            .get_result(connection)?;
        ids.push(Place { table: "webhook_deliveries", row: id }.sound("id", DeliveryId::new(id))?);
    }
    Ok(ids)
}

fn due(connection: &mut SqliteConnection, now: Timestamp) -> Answer<Vec<WebhookId>> {
    let due = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhooks::id))
        .filter(webhook_deliveries::next_try_at.le(now.micros()));
    let hooks: Vec<(i64, String)> = webhooks::table
        .filter(webhooks::enabled)
        .filter(exists(due))
        .order(webhooks::id)
        .select((webhooks::id, webhooks::shape))
        .load(connection)?;
    let mut with_something_due = Vec::new();
    for (id, shape) in hooks {
        let due = due_of(id, shape_of(id, &shape)?, now).select(webhook_deliveries::id);
        if due.first::<i64>(connection).optional()?.is_some() {
            with_something_due.push(Place { table: "webhooks", row: id }.sound("id", WebhookId::new(id))?);
        }
    }
    Ok(with_something_due)
}

fn shape_of(webhook: i64, shape: &str) -> Answer<Shape> {
    Ok(Place { table: "webhooks", row: webhook }.sound("shape", Shape::parse(shape))?)
}

/// What of this webhook is due and nothing older about the same alert is in the way of.
fn due_of(webhook: i64, shape: Shape, now: Timestamp) -> Boxed<'static> {
    let due = webhook_deliveries::table
        .filter(webhook_deliveries::webhook_id.eq(webhook))
        .filter(webhook_deliveries::next_try_at.le(now.micros()))
        .into_boxed();
    if shape.keeps_the_newest_alone() {
        return due;
    }
    let waits_before = others
        .filter(others.field(webhook_deliveries::alert_id).eq(webhook_deliveries::alert_id))
        .filter(others.field(webhook_deliveries::webhook_id).eq(webhook_deliveries::webhook_id))
        .filter(others.field(webhook_deliveries::id).lt(webhook_deliveries::id))
        .filter(others.field(webhook_deliveries::next_try_at).gt(now.micros()));
    due.filter(not(exists(waits_before)))
}

fn claim(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    (now, until): (Timestamp, Timestamp),
    limit: u32,
) -> Answer<Vec<Claimed>> {
    let enabled = webhooks::table.find(webhook.get()).filter(webhooks::enabled).select(webhooks::shape);
    let Some(shape) = enabled.first::<String>(connection).optional()? else { return Ok(Vec::new()) };
    let due: Vec<DeliveryRow> = due_of(webhook.get(), shape_of(webhook.get(), &shape)?, now)
        .order(webhook_deliveries::id)
        .limit(i64::from(limit))
        .select(DeliveryRow::as_select())
        .load(connection)?;
    let ids: Vec<i64> = due.iter().map(|row| row.id).collect();
    let newer = others
        .filter(others.field(webhook_deliveries::alert_id).eq(webhook_deliveries::alert_id))
        .filter(others.field(webhook_deliveries::webhook_id).eq(webhook_deliveries::webhook_id))
        .filter(others.field(webhook_deliveries::id).gt(webhook_deliveries::id));
    let succeeded: Vec<i64> = webhook_deliveries::table
        .filter(webhook_deliveries::id.eq_any(&ids))
        .filter(exists(newer))
        .select(webhook_deliveries::id)
        .load(connection)?;
    diesel::update(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(&ids)))
        .set(webhook_deliveries::next_try_at.eq(until.micros()))
        .execute(connection)?;
    let mut claimed = Vec::with_capacity(due.len());
    for row in due {
        let has_successor = succeeded.contains(&row.id);
        let delivery = Delivery { next_try_at: Some(until), ..Delivery::try_from(row)? };
        claimed.push(Claimed { delivery, has_successor });
    }
    Ok(claimed)
}

fn settle(connection: &mut SqliteConnection, settled: &Settled) -> Answer<bool> {
    let tries = i32::from(settled.attempt.is_some());
    let is_over = settled.status != DeliveryStatus::Pending;
    let row = webhook_deliveries::table
        .filter(webhook_deliveries::id.eq(settled.id.get()))
        .filter(webhook_deliveries::next_try_at.eq(settled.claimed_until.micros()));
    let written = diesel::update(row)
        .set((
            webhook_deliveries::status.eq(settled.status.name()),
            webhook_deliveries::next_try_at.eq(settled.next_try_at.map(Timestamp::micros)),
            webhook_deliveries::finished_at.eq(is_over.then_some(settled.at.micros())),
            webhook_deliveries::tries.eq(webhook_deliveries::tries + tries),
            webhook_deliveries::attempts.eq(webhook_deliveries::attempts + tries),
        ))
        .execute(connection)?;
    if written == 0 {
        return Ok(false);
    }
    let Some(attempt) = &settled.attempt else { return Ok(true) };
    diesel::insert_into(webhook_attempts::table)
        .values(AttemptRow::new(settled.id, attempt))
        .execute(connection)?;
    let oldest = whole(attempt.number).saturating_sub(whole(ATTEMPTS_KEPT));
    let old = webhook_attempts::table
        .filter(webhook_attempts::delivery_id.eq(settled.id.get()))
        .filter(webhook_attempts::number.le(oldest));
    diesel::delete(old).execute(connection)?;
    Ok(true)
}

fn renew(
    connection: &mut SqliteConnection,
    webhook: WebhookId,
    id: DeliveryId,
    at: Timestamp,
) -> Answer<Option<Delivery>> {
    let meant =
        webhook_deliveries::table.find(id.get()).filter(webhook_deliveries::webhook_id.eq(webhook.get()));
    let row: Option<DeliveryRow> = diesel::update(meant)
        .set((
            webhook_deliveries::status.eq(DeliveryStatus::Pending.name()),
            webhook_deliveries::tries.eq(0),
            webhook_deliveries::next_try_at.eq(at.micros()),
            webhook_deliveries::finished_at.eq(None::<i64>),
        ))
        .returning(DeliveryRow::as_returning())
        .get_result(connection)
        .optional()?;
    Ok(row.map(Delivery::try_from).transpose()?)
}

/// The deliveries, each with its tries.
fn logged(connection: &mut SqliteConnection, rows: Vec<DeliveryRow>) -> Answer<Vec<LoggedDelivery>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let tries: Vec<AttemptRow> = webhook_attempts::table
        .filter(webhook_attempts::delivery_id.eq_any(ids))
        .order((webhook_attempts::delivery_id, webhook_attempts::number))
        .select(AttemptRow::as_select())
        .load(connection)?;
    let mut of_each: HashMap<i64, Vec<Attempt>> = HashMap::new();
    for row in tries {
        of_each.entry(row.delivery_id).or_default().push(row.try_into()?);
    }
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in rows {
        let attempts = of_each.remove(&row.id).unwrap_or_default();
        deliveries.push(LoggedDelivery { delivery: row.try_into()?, attempts });
    }
    Ok(deliveries)
}

type Boxed<'a> = webhook_deliveries::BoxedQuery<'a, Sqlite>;

fn matching(query: &DeliveryQuery) -> Boxed<'_> {
    let filter = &query.filter;
    let all = webhook_deliveries::table.into_boxed();
    let all = all.filter(webhook_deliveries::webhook_id.eq(query.webhook.get()));
    let all = any_of!(all, webhook_deliveries::event, filter.events, |event| event.name());
    let all = any_of!(all, webhook_deliveries::status, filter.statuses, |status| status.name());
    let all = any_of!(all, webhook_deliveries::alert_id, filter.alerts, |alert| alert.get());
    within!(all, webhook_deliveries::created_at, filter.created)
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<DeliveryKey>]) -> Boxed<'a> {
    effective_order(order, DeliveryKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        DeliveryKey::Id => then_by!(query, webhook_deliveries::id, direction),
        DeliveryKey::CreatedAt => then_by!(query, webhook_deliveries::created_at, direction),
    })
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhook_deliveries, check_for_backend(Sqlite))]
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
    next_try_at: Option<i64>,
    finished_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let place = Place { table: "webhook_deliveries", row: row.id };
        let alert = row.alert_id.map(|id| place.sound("alert_id", AlertId::new(id))).transpose()?;
        Ok(Self {
            id: place.sound("id", DeliveryId::new(row.id))?,
            status: place.sound("status", DeliveryStatus::parse(&row.status))?,
            tries: place.sound("tries", u32::try_from(row.tries).ok())?,
            attempts: place.sound("attempts", u32::try_from(row.attempts).ok())?,
            next_try_at: place.instant_if_any("next_try_at", row.next_try_at)?,
            finished_at: place.instant_if_any("finished_at", row.finished_at)?,
            what: NewDelivery {
                webhook: place.sound("webhook_id", WebhookId::new(row.webhook_id))?,
                event: place.sound("event", Event::parse(&row.event))?,
                alert,
                created_at: place.instant("created_at", row.created_at)?,
                message: row.message,
                notice: row.notice,
            },
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_attempts, check_for_backend(Sqlite), treat_none_as_default_value = false)]
struct AttemptRow {
    delivery_id: i64,
    number: i32,
    at: i64,
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
            at: attempt.at.micros(),
            took_us: i64::try_from(attempt.took.as_micros()).unwrap_or(i64::MAX),
            status: attempt.status.map(i32::from),
            error: attempt.error.clone(),
            answer: attempt.answer.clone(),
        }
    }
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let place = Place { table: "webhook_attempts", row: row.delivery_id };
        let took = u64::try_from(row.took_us).ok().map(Duration::from_micros);
        let status =
            row.status.map(|status| place.sound("status", u16::try_from(status).ok())).transpose()?;
        Ok(Self {
            number: place.sound("number", u32::try_from(row.number).ok())?,
            at: place.instant("at", row.at)?,
            took: place.sound("took_us", took)?,
            status,
            error: row.error,
            answer: row.answer,
        })
    }
}
