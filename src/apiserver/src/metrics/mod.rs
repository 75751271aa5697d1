//! `/metrics`: how the server does, in the text form of Prometheus, under upstream's names.
//!
//! Labels come from the kind table, never from what clients write: there are as many series as resources that are used.

mod process;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::kinds::{self, Kind};
use http::{HeaderValue, StatusCode, header};
use store::Store;

use crate::answer::{self, Answer};
use crate::audit::Audit;
use crate::body;
use crate::object::stored;
use crate::request::Request;

/// Seconds, as upstream.
const BUCKETS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];

#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Series>);

#[derive(Debug, Default)]
struct Series {
    requests: BTreeMap<(Call, u16), u64>,
    durations: BTreeMap<Call, Histogram>,
    inflight: BTreeMap<&'static str, i64>,
    watches: BTreeMap<Call, i64>,
}

/// What a request is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
    scope: &'static str,
}

#[derive(Debug, Default)]
struct Histogram {
    counts: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Call {
    pub(crate) fn of(request: &Request) -> Self {
        let kind: &'static Kind = request.kind();
        let below = request.resource.subresource_name().and_then(|name| kind.subresource(name));
        let named = request.resource.name.is_some();
        Self {
            verb: match request.verb() {
                "get" => "GET",
                "list" => "LIST",
                "watch" => "WATCH",
                "create" => "POST",
                "update" => "PUT",
                "patch" if request.content == crate::request::Content::ApplyPatch => "APPLY",
                "patch" => "PATCH",
                "delete" => "DELETE",
                "deletecollection" => "DELETECOLLECTION",
                _ => "other",
            },
            group: kind.group,
            version: kind.version,
            resource: kind.plural,
            subresource: below.map_or("", |below| below.name),
            scope: match (named || request.verb() == "create", request.namespace()) {
                (true, _) => "resource",
                (false, Some(_)) => "namespace",
                (false, None) => "cluster",
            },
        }
    }

    fn is_watch(&self) -> bool {
        self.verb == "WATCH"
    }

    fn reads(&self) -> &'static str {
        if matches!(self.verb, "GET" | "LIST" | "WATCH") { "readOnly" } else { "mutating" }
    }
}

/// A request that is being answered; counted when this is dropped, as whatever its code is then.
#[derive(Debug)]
pub(crate) struct Running {
    metrics: Arc<Metrics>,
    call: Call,
    began: Instant,
    code: u16,
}

impl Metrics {
    pub(crate) fn begin(self: &Arc<Self>, call: Call) -> Running {
        let mut series = self.series();
        match call.is_watch() {
            true => *series.watches.entry(call).or_default() += 1,
            false => *series.inflight.entry(call.reads()).or_default() += 1,
        }
        drop(series);
        // A request whose client goes away before it is answered.
        Running { metrics: self.clone(), call, began: Instant::now(), code: 499 }
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn answer(&self, store: &Store, audit: Option<&Audit>) -> Answer {
        let mut text = String::with_capacity(16 * 1024);
        self.series().write(&mut text);
        write_objects(store, &mut text);
        audit.into_iter().for_each(|audit| write_audit(audit, &mut text));
        process::write(&mut text);
        let mut answer = answer::json(StatusCode::OK, body::whole(text));
        let form = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, form);
        answer
    }
}

impl Running {
    /// The answer, which ends the request; a watch ends when its body does.
    pub(crate) fn done(mut self, answer: Answer) -> Answer {
        self.code = answer.status().as_u16();
        if !self.call.is_watch() {
            return answer;
        }
        answer.map(|body| body::held(body, self))
    }

    pub(crate) fn failed(mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut series = self.metrics.series();
        *series.requests.entry((self.call, self.code)).or_default() += 1;
        if self.call.is_watch() {
            *series.watches.entry(self.call).or_default() -= 1;
        } else {
            *series.inflight.entry(self.call.reads()).or_default() -= 1;
            series.durations.entry(self.call).or_default().add(self.began.elapsed());
        }
    }
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        for (count, bound) in self.counts.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

impl Series {
    fn write(&self, out: &mut String) {
        head(
            out,
            "apiserver_request_total",
            "counter",
            "Requests, by what they were for and how they ended.",
        );
        for ((call, code), count) in &self.requests {
            line(out, "apiserver_request_total", &format!("code=\"{code}\",{}", call.labels()), count);
        }
        head(
            out,
            "apiserver_request_duration_seconds",
            "histogram",
            "How long answers took, without watches.",
        );
        for (call, histogram) in &self.durations {
            histogram.write(&call.labels(), out);
        }
        head(out, "apiserver_current_inflight_requests", "gauge", "Requests that are being answered.");
        for (reads, count) in &self.inflight {
            line(out, "apiserver_current_inflight_requests", &format!("request_kind=\"{reads}\""), count);
        }
        head(out, "apiserver_longrunning_requests", "gauge", "Watches that go on.");
        for (call, count) in &self.watches {
            line(out, "apiserver_longrunning_requests", &call.labels(), count);
        }
    }
}

impl Histogram {
    fn write(&self, labels: &str, out: &mut String) {
        let name = "apiserver_request_duration_seconds";
        for (count, bound) in self.counts.iter().zip(BUCKETS) {
            line(out, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), count);
        }
        line(out, &format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), &self.count);
        line(out, &format!("{name}_sum"), labels, &self.sum);
        line(out, &format!("{name}_count"), labels, &self.count);
    }
}

impl Call {
    fn labels(&self) -> String {
        let Self { verb, group, version, resource, subresource, scope } = self;
        format!(
            "component=\"apiserver\",group=\"{group}\",resource=\"{resource}\",scope=\"{scope}\",\
             subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\""
        )
    }
}

fn write_objects(store: &Store, out: &mut String) {
    head(out, "apiserver_storage_objects", "gauge", "Objects that are stored, by kind.");
    for kind in kinds::all().filter(|kind| kind.conversion.is_none()) {
        let count = store.snapshot(&stored::collection(kind, None)).iter().count();
        if count > 0 {
            let labels = format!("resource=\"{}\"", kind.qualified_resource());
            line(out, "apiserver_storage_objects", &labels, &count);
        }
    }
}

fn write_audit(audit: &Audit, out: &mut String) {
    let (events, lost) = audit.counts();
    head(out, "apiserver_audit_event_total", "counter", "Audit events that were made.");
    line(out, "apiserver_audit_event_total", "", &events);
    head(out, "apiserver_audit_error_total", "counter", "Audit events that are not in the log.");
    line(out, "apiserver_audit_error_total", "plugin=\"log\"", &lost);
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("a string takes all that is written");
}

fn line(out: &mut String, name: &str, labels: &str, value: &dyn std::fmt::Display) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    writeln!(out, "{name}{labels} {value}").expect("a string takes all that is written");
}
