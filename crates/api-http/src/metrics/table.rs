//! The one table of metrics: name, kind, labels and meaning of every family of samples. What is served, and the page of the
//! documentation, follow from it.

use std::fmt::Write as _;

/// Samples that belong together; what Prometheus calls a metric.
#[derive(Debug)]
pub struct Family {
    /// The name, by Prometheus' conventions.
    pub name: &'static str,
    /// What its samples are.
    pub kind: Kind,
    /// The labels that tell its samples apart.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// What samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A count that only grows, from the start of the process.
    Counter,
    /// A figure that goes up and down.
    Gauge,
    /// Counts by upper bounds, with a sum and a count.
    Histogram,
}

impl Kind {
    /// Its name in Prometheus' text.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

macro_rules! families {
    ($($title:literal { $($ID:ident: $Kind:ident $name:literal [$($label:literal),*] $help:literal;)* })*) => {
        $($(pub(super) const $ID: Family =
            Family { name: $name, kind: Kind::$Kind, labels: &[$($label),*], help: $help };)*)*

        /// All families, under titles.
        pub const FAMILIES: &[(&str, &[Family])] = &[$(($title, &[$($ID),*])),*];
    };
}

families! {
    "The process" {
        BUILD_INFO: Gauge "techtrack_build_info" ["version", "revision"] "Which build this is; always 1.";
        UPTIME: Gauge "techtrack_uptime_seconds" [] "How long the server has been there.";
        DRAINING: Gauge "techtrack_draining" [] "Whether the server is about to stop: 1, or 0.";
        CPU: Counter "process_cpu_seconds_total" [] "Time on processors, of users and of the system, in seconds.";
        RESIDENT: Gauge "process_resident_memory_bytes" [] "Resident memory, in bytes.";
        VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Virtual memory, in bytes.";
        THREADS: Gauge "process_threads" [] "Threads of the process.";
        OPEN_FDS: Gauge "process_open_fds" [] "File descriptors that are open.";
        MAX_FDS: Gauge "process_max_fds" [] "File descriptors that may be open.";
        START_TIME: Gauge "process_start_time_seconds" [] "When the server started, in seconds since 1970.";
    }
    "Requests" {
        HTTP_DURATION: Histogram "techtrack_http_request_duration_seconds" ["method", "route", "status"] "How long answers took to begin; the count is that of requests.";
        IN_PROGRESS: Gauge "techtrack_requests_in_progress" ["class"] "Requests at work now.";
        WAITING: Gauge "techtrack_requests_waiting" ["class"] "Requests that wait for their turn.";
        PLACES: Gauge "techtrack_requests_places" ["class"] "Requests that may be at work at the same time.";
        SHED: Counter "techtrack_requests_shed_total" ["class"] "Requests that were turned away because too many came.";
        LIVE_STREAMS: Gauge "techtrack_live_streams" [] "Clients that listen to events.";
    }
    "Connections" {
        CONNECTIONS_OPEN: Gauge "techtrack_connections_open" [] "Connections of clients.";
        CONNECTIONS_LIMIT: Gauge "techtrack_connections_limit" [] "Connections of clients that may be open.";
        CONNECTIONS_REFUSED: Counter "techtrack_connections_refused_total" [] "Connections refused because their address had too many.";
        TLS_HANDSHAKES: Counter "techtrack_tls_handshakes_total" ["result"] "TLS handshakes; `late` took longer than 5 seconds, `plain` was not TLS.";
        TLS_EXPIRY: Gauge "techtrack_tls_certificate_expiry_timestamp_seconds" [] "When the certificate that is served expires, in seconds since 1970.";
        TLS_RELOADS: Counter "techtrack_tls_certificate_reloads_total" ["result"] "Attempts to load a new certificate; after one that failed the old one stays.";
    }
    "Readings" {
        RECEIVED: Counter "techtrack_readings_received_total" [] "Readings received; the sum of stored, duplicate and rejected ones whenever none is under way.";
        STORED: Counter "techtrack_readings_stored_total" [] "Readings stored, or added to what was there.";
        DUPLICATE: Counter "techtrack_readings_duplicate_total" [] "Readings that were there already.";
        REJECTED: Counter "techtrack_readings_rejected_total" [] "Readings not stored, for whatever reason.";
        PACKED: Counter "techtrack_readings_packed_total" [] "Old readings that were packed.";
        REMOVED: Counter "techtrack_readings_removed_total" [] "Readings removed one by one because they are kept no longer.";
        THINNED: Counter "techtrack_readings_thinned_total" [] "Readings that lost the values of metrics that are kept shorter than others, and went if they had no more.";
        ROLLUPS: Counter "techtrack_rollups_made_total" [] "Rollups made, anew or for the first time.";
    }
    "Rules and alerts" {
        RULE_BATCHES: Counter "techtrack_rule_batches_total" [] "Units of work whose readings rules looked at.";
        RULE_READINGS: Counter "techtrack_rule_readings_total" [] "Readings that rules looked at.";
        RULE_VALUES: Counter "techtrack_rule_values_total" [] "Values that rules looked at.";
        RULE_EVALUATIONS: Counter "techtrack_rule_evaluations_total" [] "Pairs of a rule and a piece of equipment that were judged because a value could matter.";
        RULE_SECONDS: Counter "techtrack_rule_evaluation_seconds_total" [] "How long rules took to judge, in seconds.";
        ALERTS: Gauge "techtrack_alerts_unresolved" ["severity", "status"] "Alerts that are not resolved, as of a few seconds ago.";
        AUDIT_EVENTS: Gauge "techtrack_audit_events" [] "Lines of the audit trail, as of a few seconds ago.";
    }
    "Webhooks" {
        DELIVERIES: Counter "techtrack_webhook_deliveries_total" ["result"] "Tries of deliveries to webhooks, by what came of them.";
        OUTBOX: Gauge "techtrack_webhook_outbox_deliveries" [] "Deliveries to webhooks that wait, as of a few seconds ago.";
        OUTBOX_AGE: Gauge "techtrack_webhook_outbox_oldest_age_seconds" [] "How long the oldest of them has waited.";
    }
    "The database and what servers share" {
        DATABASE_UP: Gauge "techtrack_database_up" [] "Whether the database gave a sign of life a few seconds ago: 1, or 0.";
        DATABASE_PING: Gauge "techtrack_database_ping_seconds" [] "How long that sign of life took.";
        POOL: Gauge "techtrack_database_pool_connections" ["pool", "state"] "Connections to the database, lent or waiting to be.";
        POOL_MAX: Gauge "techtrack_database_pool_connections_max" ["pool"] "Connections to the database that there may be.";
        POOL_WAITING: Gauge "techtrack_database_pool_waiting" ["pool"] "Who waits for a connection to the database.";
        REDIS_UP: Gauge "techtrack_redis_up" [] "Whether requests are counted together with other servers: 1, or 0. Absent without Redis.";
    }
    "Caches" {
        CACHE_HITS: Counter "techtrack_cache_hits_total" ["cache"] "Answers from memory.";
        CACHE_MISSES: Counter "techtrack_cache_misses_total" ["cache"] "Answers that had to be read from the database.";
        CACHE_LINK_UP: Gauge "techtrack_cache_invalidation_up" [] "Whether changes made by other servers are heard of: 1, or 0, and then nothing is answered from memory.";
    }
    "Traces" {
        SPANS_EXPORTED: Counter "techtrack_trace_spans_exported_total" [] "Spans that the collector took.";
        SPANS_DROPPED: Counter "techtrack_trace_spans_dropped_total" ["reason"] "Spans that were lost: the queue was full, or the collector did not take them.";
    }
}

/// All families.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().flat_map(|(_, families)| families.iter())
}

/// Every family explained, as Markdown.
pub fn metrics_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, families) in FAMILIES {
        let _ = write!(page, "\n## {title}\n\n| Name | Kind | Labels | Meaning |\n|---|---|---|---|\n");
        for Family { name, kind, labels, help } in *families {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(page, "| `{name}` | {} | {} | {help} |", kind.name(), labels.join(", "));
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Metrics

Printed by `techtrack metrics`. A server tells them at `/metrics` as Prometheus text, or at an address of their own, which
`metrics.listen` names; see [operations.md](operations.md#observing). Rules and a dashboard that use them are in
[`deploy/`](../deploy/README.md#watching).
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_stand_for_one_family_each() {
        let mut names: Vec<_> = families().map(|family| family.name).collect();
        for family in families() {
            let counts = family.name.ends_with("_total");
            assert_eq!(counts, family.kind == Kind::Counter, "{family:?}");
            assert!(family.name.starts_with("techtrack_") || family.name.starts_with("process_"));
            assert!(!family.help.is_empty() && !family.help.contains(['\n', '\\', '|']), "{family:?}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
