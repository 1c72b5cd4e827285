//! Counting requests: how many by method, route and status, how long they took, how many are in flight. Also counts the
//! connections and streams that were refused before there was a request.
//!
//! Invariant: the number of routes bounds the number of time series. All unknown methods share one label value, and so
//! do all unknown paths.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram, with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

const IN_FLIGHT: &str = "larder_http_requests_in_flight";
const DURATION: &str = "larder_http_request_duration_seconds";
const REFUSED: &str = "larder_http_connections_refused_total";

/// The upper bounds of the buckets in seconds. The lowest bounds separate hits in memory, which take a fraction of a
/// millisecond; the highest show a database that does not answer for seconds. Half a second is the threshold of the alert
/// `LarderSlow`: within a bucket a quantile is interpolated, so a threshold inside of one would say nothing.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The recorder keeps each duration in memory until an upkeep adds it to the buckets. A scrape does an upkeep. Every
/// 4,096th request does one too, so that memory stays bounded without scrapes.
const KEPT: u64 = 4_096;

/// The counts of one service's requests; cheap to clone. They have a recorder of their own instead of the process's
/// global one, because several services may run in one process.
#[derive(Clone)]
pub(crate) struct Requests(Arc<Counted>);

/// The bound at which there was no room for a connection or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    InAll,
    OfAddress,
}

struct Counted {
    recorder: PrometheusRecorder,
    in_flight: Gauge,
    /// The refused connections and streams: at the bound for all, and at that for one address.
    refused: [Counter; 2],
    /// The histogram of each route, method and status that was answered. The recorder would find it by labels, which
    /// have to be allocated and hashed for each request. Guarded by the lock: every histogram of a key is that of the
    /// recorder, so it does not matter which of them is found. It is held to find or to insert, never while a duration is
    /// recorded.
    durations: RwLock<HashMap<String, Vec<(Kind, Histogram)>>>,
    answered: AtomicU64,
}

/// The method and the status of an answer.
type Kind = (&'static str, u16);

impl Requests {
    pub(crate) fn new() -> Self {
        // The builder refuses only an empty list of buckets.
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let (in_flight, refused) = with_local_recorder(&recorder, || {
            describe_counter!(
                REFUSED,
                "Connections and streams of HTTP/2 that were refused, because there were as many as are allowed."
            );
            describe_gauge!(IN_FLIGHT, "Requests that are being answered, this one included.");
            describe_histogram!(
                DURATION,
                "How long answers took, and how many there were: by method, route and status."
            );
            (gauge!(IN_FLIGHT), ["all", "address"].map(|bound| counter!(REFUSED, "bound" => bound)))
        });
        let (durations, answered) = (RwLock::default(), AtomicU64::new(0));
        Self(Arc::new(Counted { recorder, in_flight, refused, durations, answered }))
    }

    /// What was counted, in the text format.
    pub(super) fn text(&self) -> String {
        self.0.recorder.handle().render()
    }

    /// Counts a connection or a stream for which there was no room.
    pub(crate) fn refused(&self, full: Full) {
        let [all, address] = &self.0.refused;
        match full {
            Full::InAll => all,
            Full::OfAddress => address,
        }
        .increment(1);
    }

    /// Counts a request as in flight.
    pub(crate) fn begin(&self, request: &Request) -> Counting {
        self.0.in_flight.increment(1.0);
        let route = request.extensions().get::<MatchedPath>().cloned();
        Counting { requests: self.clone(), method: known(request.method()), route, began: Instant::now() }
    }

    fn answered(&self, method: &'static str, route: Option<&MatchedPath>, status: u16, began: Instant) {
        let Counted { recorder, answered, .. } = &*self.0;
        self.histogram(route.map_or("unmatched", MatchedPath::as_str), (method, status))
            .record(began.elapsed());
        // `Relaxed`: the counter orders no other memory, it only has to count each request once.
        if answered.fetch_add(1, Ordering::Relaxed) % KEPT == KEPT - 1 {
            recorder.handle().run_upkeep();
        }
    }
}

impl Requests {
    fn histogram(&self, route: &str, kind: Kind) -> Histogram {
        let of_kind = |histograms: &Vec<(Kind, Histogram)>| {
            histograms.iter().find(|(other, _)| *other == kind).map(|(_, histogram)| histogram.clone())
        };
        let durations = self.0.durations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = durations.get(route).and_then(of_kind) {
            return histogram;
        }
        drop(durations);
        let (method, status) = kind;
        let histogram = with_local_recorder(
            &self.0.recorder,
            || histogram!(DURATION, "method" => method, "route" => route.to_owned(), "status" => status.to_string()),
        );
        // If another thread was faster, it got the same histogram from the recorder, and `find` returns the first of both.
        let mut durations = self.0.durations.write().unwrap_or_else(PoisonError::into_inner);
        durations.entry(route.to_owned()).or_default().push((kind, histogram.clone()));
        histogram
    }
}

/// A request in flight, until this value is dropped, which happens when the request is answered or its client
/// disconnects.
pub(crate) struct Counting {
    requests: Requests,
    method: &'static str,
    route: Option<MatchedPath>,
    began: Instant,
}

impl Counting {
    /// Counts the request with its answer.
    pub(crate) fn answered(self, answer: Response) -> Response {
        let Self { requests, method, route, began } = &self;
        requests.answered(method, route.as_ref(), answer.status().as_u16(), *began);
        answer
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.requests.0.in_flight.decrement(1.0);
    }
}

/// The label of a method. HTTP allows any word as a method, so all unknown ones share a label.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_a_service_is_counted_once_and_none_of_another() {
        let (requests, others) = (Requests::new(), Requests::new());
        for _ in 0..=2 * KEPT {
            requests.answered("GET", None, 200, Instant::now());
        }
        let count =
            r#"larder_http_request_duration_seconds_count{method="GET",route="unmatched",status="200"} 8193"#;
        assert!(requests.text().contains(count), "{}", requests.text());
        assert!(!others.text().contains("_count{"), "{}", others.text());
    }
}
