//! Spans on their way: taken as they end, sent in batches by a task of its own.

use crate::SpanCounts;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

/// How many spans wait at most.
const ROOM: usize = 4096;

/// How many are sent at once.
const BATCH: usize = 512;

/// How long a span waits for others to go with.
const GATHERING: Duration = Duration::from_secs(1);

/// Takes spans as they end.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    ended: mpsc::Sender<SpanData>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    overflowed: AtomicU64,
    refused: AtomicU64,
}

impl Queue {
    /// Sends spans on by this exporter, which may take so long over a batch.
    pub(crate) fn start(
        mut exporter: impl SpanExporter + 'static,
        patience: Duration,
        of: &Resource,
    ) -> Self {
        exporter.set_resource(of);
        let (ended, inbox) = mpsc::channel(ROOM);
        let (flushes, flushed) = mpsc::channel(1);
        let counts = Arc::<Counts>::default();
        let sender = Sender { exporter, patience, inbox, counts: Arc::clone(&counts), is_away: false };
        tokio::spawn(sender.run(flushed));
        Self { ended, flushes, counts }
    }

    pub(crate) fn counts(&self) -> SpanCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { exported, overflowed, refused } = &*self.counts;
        SpanCounts { exported: of(exported), overflowed: of(overflowed), refused: of(refused) }
    }

    /// Returns when all that ended before was sent, or lost.
    pub(crate) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.ended.try_send(span).is_err() {
            self.counts.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nothing is waited for here: see [`Queue::flush`].
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends spans on.
struct Sender<E> {
    exporter: E,
    patience: Duration,
    inbox: mpsc::Receiver<SpanData>,
    counts: Arc<Counts>,
    /// Whether the last batch was not taken. Said when it changes, not with every batch.
    is_away: bool,
}

impl<E: SpanExporter> Sender<E> {
    async fn run(mut self, mut flushed: mpsc::Receiver<oneshot::Sender<()>>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let Some(asked) = self.gather(&mut batch, &mut flushed).await else { return };
            self.send(&mut batch).await;
            if let Some(done) = asked {
                self.send_all(&mut batch).await;
                let _ = done.send(());
            }
        }
    }

    /// Gathers a batch, until it is full, or the first of it has waited long enough, or somebody wants it sent. Nothing when no
    /// span will ever come.
    async fn gather(
        &mut self,
        batch: &mut Vec<SpanData>,
        flushed: &mut mpsc::Receiver<oneshot::Sender<()>>,
    ) -> Option<Option<oneshot::Sender<()>>> {
        let mut due: Option<Instant> = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let waited = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                taken = self.inbox.recv_many(batch, room) => {
                    if taken == 0 {
                        return None;
                    }
                    due.get_or_insert_with(|| Instant::now() + GATHERING);
                }
                Some(done) = flushed.recv() => return Some(Some(done)),
                () = waited => return Some(None),
            }
        }
        Some(None)
    }

    async fn send_all(&mut self, batch: &mut Vec<SpanData>) {
        while let Ok(span) = self.inbox.try_recv() {
            batch.push(span);
            if batch.len() == BATCH {
                self.send(batch).await;
            }
        }
        self.send(batch).await;
    }

    async fn send(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let spans = std::mem::replace(batch, Vec::with_capacity(BATCH));
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let sent = timeout(self.patience, self.exporter.export(spans)).await;
        let trouble = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_late) => Some("it took too long".to_owned()),
        };
        let counter = if trouble.is_none() { &self.counts.exported } else { &self.counts.refused };
        counter.fetch_add(count, Ordering::Relaxed);
        self.tell(trouble.as_deref());
    }

    fn tell(&mut self, trouble: Option<&str>) {
        match trouble {
            Some(trouble) if !self.is_away => {
                tracing::warn!(trouble, "the collector does not take spans; until it does they are lost");
            }
            None if self.is_away => tracing::warn!("the collector takes spans again"),
            Some(_) | None => {}
        }
        self.is_away = trouble.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::error::OTelSdkError;
    use std::sync::Mutex;
    use std::time::SystemTime;

    /// A collector that takes what it is told to take.
    #[derive(Clone, Debug, Default)]
    struct Collecting {
        taken: Arc<Mutex<Vec<usize>>>,
        is_away: bool,
        is_stuck: bool,
    }

    impl SpanExporter for Collecting {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            if self.is_stuck {
                std::future::pending::<()>().await;
            }
            if self.is_away {
                return Err(OTelSdkError::InternalFailure("nobody there".to_owned()));
            }
            self.taken.lock().unwrap().push(batch.len());
            Ok(())
        }
    }

    fn span(flags: TraceFlags) -> SpanData {
        SpanData {
            span_context: SpanContext::new(TraceId::from(7), SpanId::from(7), flags, false, TraceState::NONE),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: "GET /".into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn started(collecting: &Collecting) -> Queue {
        Queue::start(collecting.clone(), Duration::from_millis(50), &Resource::builder_empty().build())
    }

    fn end(queue: &Queue, spans: usize) {
        (0..spans).for_each(|_| queue.on_end(span(TraceFlags::SAMPLED)));
    }

    #[tokio::test]
    async fn what_ended_is_sent_in_batches_and_nothing_is_left_after_a_flush() {
        let collecting = Collecting::default();
        let queue = started(&collecting);
        end(&queue, BATCH + 7);
        queue.on_end(span(TraceFlags::NOT_SAMPLED));
        queue.flush().await;
        assert_eq!(queue.counts(), SpanCounts { exported: BATCH as u64 + 7, ..SpanCounts::default() });
        assert_eq!(collecting.taken.lock().unwrap().iter().sum::<usize>(), BATCH + 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_span_does_not_wait_for_ever() {
        let collecting = Collecting::default();
        let queue = started(&collecting);
        end(&queue, 1);
        tokio::time::sleep(GATHERING * 2).await;
        assert_eq!(queue.counts().exported, 1);
    }

    #[tokio::test]
    async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
        let queue = started(&Collecting { is_away: true, ..Collecting::default() });
        end(&queue, 3);
        queue.flush().await;
        assert_eq!(queue.counts(), SpanCounts { refused: 3, ..SpanCounts::default() });
    }

    #[tokio::test]
    async fn more_than_fit_are_counted_and_let_go_while_a_collector_hangs() {
        let queue = started(&Collecting { is_stuck: true, ..Collecting::default() });
        end(&queue, ROOM + 10);
        assert_eq!(queue.counts().overflowed, 10);
    }
}
