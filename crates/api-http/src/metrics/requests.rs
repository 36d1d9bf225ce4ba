//! Requests that were answered: one histogram by method, route and status.

use super::histogram::Histogram;
use super::page::Page;
use super::table::HTTP_DURATION;
use actix_web::http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// One answered request.
pub struct Sample<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The route's template; none when nothing was there.
    pub route: Option<&'a str>,
    /// The answer's status.
    pub status: StatusCode,
    /// How long the answer took to begin.
    pub took: Duration,
}

/// Method and status.
type Labels = (&'static str, u16);

/// What was counted since the process started.
#[derive(Default)]
pub struct Metrics(RwLock<BTreeMap<String, BTreeMap<Labels, Arc<Histogram>>>>);

impl Metrics {
    /// Counts an answered request.
    pub fn observe(&self, sample: &Sample<'_>) {
        // Both slash forms of a path are one route.
        let route = sample.route.unwrap_or("(none)").trim_end_matches('/');
        let labels = (known_method(sample.method), sample.status.as_u16());
        self.histogram(route, labels).observe(sample.took);
    }

    fn histogram(&self, route: &str, labels: Labels) -> Arc<Histogram> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = known.get(route).and_then(|of_route| of_route.get(&labels)) {
            return Arc::clone(histogram);
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(route.to_owned()).or_default().entry(labels).or_default())
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.begin(&HTTP_DURATION);
        for (route, of_route) in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            for ((method, status), histogram) in of_route {
                page.histogram(&HTTP_DURATION, [method, route, &status.to_string()], &histogram.held());
            }
        }
    }
}

/// What a method is called that nobody knows.
pub(crate) const UNKNOWN_METHOD: &str = "other";

/// Anybody may invent methods; a label with them would grow without end.
pub(crate) fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => UNKNOWN_METHOD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_after(method: &Method, route: Option<&str>, millis: u64) -> String {
        let metrics = Metrics::default();
        let took = Duration::from_millis(millis);
        metrics.observe(&Sample { method, route, status: StatusCode::OK, took });
        let mut page = Page::default();
        metrics.write(&mut page);
        page.into_text()
    }

    #[test]
    fn a_request_falls_into_every_bucket_that_is_wide_enough() {
        let page = page_after(&Method::GET, Some("/api/users/"), 3);
        let line = |le: &str, count: u64| {
            format!("_bucket{{method=\"GET\",route=\"/api/users\",status=\"200\",le=\"{le}\"}} {count}\n")
        };
        assert!(page.contains(&line("0.0025", 0)) && page.contains(&line("0.005", 1)), "{page}");
        assert!(page.contains(&line("+Inf", 1)), "{page}");
        assert!(page.contains("_sum{method=\"GET\",route=\"/api/users\",status=\"200\"} 0.003\n"));
    }

    #[test]
    fn invented_methods_and_paths_add_no_labels_of_their_own() {
        let invented = Method::from_bytes(b"BREW").unwrap();
        let page = page_after(&invented, None, 1);
        assert!(page.contains("method=\"other\",route=\"(none)\""), "{page}");
    }
}
