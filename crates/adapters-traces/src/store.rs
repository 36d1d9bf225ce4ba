//! A store whose units of work and readers are spans, below whatever request they are for. What is for no request, such as
//! upkeep, makes none.

use async_trait::async_trait;
use domain::ports::{
    AlertRules, Alerts, ApiKeys, Deliveries, Idempotency, Intake, IntakeNeeds, Live, MaintenanceLog,
    Mentorships, Metrics, PoolUse, Readings, Register, Repos, Roles, Rollups, Sessions, SignIns, SigningKeys,
    Store, StoreError, TakenIn, Thinnings, Trail, UnitOfWork, Users, Webhooks,
};
use opentelemetry::global::{BoxedSpan, BoxedTracer};
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use std::sync::Arc;

/// The same store, with spans.
pub struct TracedStore {
    store: Arc<dyn Store>,
    tracer: BoxedTracer,
    system: &'static str,
}

impl TracedStore {
    /// Spans by this tracer about a store of this kind of database.
    pub fn new(store: Arc<dyn Store>, tracer: BoxedTracer, system: &'static str) -> Self {
        Self { store, tracer, system }
    }

    /// A span below the one that is being worked on, if that is recorded.
    fn span(&self, name: &'static str) -> Option<BoxedSpan> {
        Context::map_current(|here| {
            let attributes = vec![KeyValue::new("db.system.name", self.system)];
            let builder =
                || self.tracer.span_builder(name).with_kind(SpanKind::Client).with_attributes(attributes);
            here.span().is_recording().then(|| self.tracer.build_with_context(builder(), here))
        })
    }
}

/// Something borrowed from a store, and its span, which ends with it.
struct Traced<T: ?Sized> {
    span: Option<BoxedSpan>,
    inner: Box<T>,
}

/// Notes on a span how something ended.
fn note<T>(span: &mut Option<BoxedSpan>, what: &'static str, outcome: &Result<T, StoreError>) {
    let Some(span) = span else { return };
    match outcome {
        Ok(_) => span.add_event(what, Vec::new()),
        // The error says what storage is like, and may quote what is in it.
        Err(_) => span.set_status(Status::error(what)),
    }
}

#[async_trait]
impl Store for TracedStore {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        let Some(span) = self.span("read") else { return self.store.reader().await };
        let mut span = Some(span);
        let reader = self.store.reader().await;
        note(&mut span, "begun", &reader);
        Ok(Box::new(Traced { span, inner: reader? }))
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let Some(span) = self.span("transaction") else { return self.store.begin().await };
        let mut span = Some(span);
        let unit = self.store.begin().await;
        note(&mut span, "begun", &unit);
        Ok(Box::new(Traced { span, inner: unit? }))
    }

    async fn begin_intake(
        &self,
        needs: IntakeNeeds<'_>,
    ) -> Result<(Box<dyn UnitOfWork>, Intake), StoreError> {
        let Some(span) = self.span("transaction") else { return self.store.begin_intake(needs).await };
        let mut span = Some(span);
        let begun = self.store.begin_intake(needs).await;
        note(&mut span, "begun", &begun);
        let (unit, intake) = begun?;
        Ok((Box::new(Traced { span, inner: unit }), intake))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    fn pools(&self) -> Vec<PoolUse> {
        self.store.pools()
    }
}

/// Every port of what was borrowed.
macro_rules! ports {
    ($($port:ident: $Port:ident,)*) => {
        impl<T: Repos + ?Sized> Repos for Traced<T> {
            $(fn $port(&mut self) -> &mut dyn $Port {
                self.inner.$port()
            })*
        }
    };
}

ports! {
    users: Users,
    mentorships: Mentorships,
    roles: Roles,
    sessions: Sessions,
    api_keys: ApiKeys,
    sign_ins: SignIns,
    idempotency: Idempotency,
    signing_keys: SigningKeys,
    trail: Trail,
    equipment: Register,
    maintenance: MaintenanceLog,
    readings: Readings,
    rollups: Rollups,
    thinnings: Thinnings,
    metrics: Metrics,
    rules: AlertRules,
    alerts: Alerts,
    live: Live,
    webhooks: Webhooks,
    deliveries: Deliveries,
}

#[async_trait]
impl UnitOfWork for Traced<dyn UnitOfWork> {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { mut span, inner } = *self;
        let committed = inner.commit().await;
        note(&mut span, "committed", &committed);
        committed
    }

    async fn commit_intake(self: Box<Self>, taken: TakenIn<'_>) -> Result<(), StoreError> {
        let Self { mut span, inner } = *self;
        let committed = inner.commit_intake(taken).await;
        note(&mut span, "committed", &committed);
        committed
    }

    async fn rollback(self: Box<Self>) {
        let Self { mut span, inner } = *self;
        inner.rollback().await;
        note(&mut span, "rolled back", &Ok(()));
    }
}
