//! Events: what a component tells people about an object.
//!
//! A component must never wait for, or fail because of, what it tells. Events go through a bounded queue to one task; when
//! the queue is full the newest is dropped. As in client-go, a repeat raises the count of the event that is there,
//! many alike are folded into one "(combined from similar events)", and one object is granted 25 events and then one every five
//! minutes, so that a pod that fails all night does not fill the store.

mod history;

use std::future::Future;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::{Metadata, Resource};
use task::causes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, warn};

use self::history::{History, Step};
use crate::{Client, Error, Key, Patch};

/// Reports that may wait for the writer.
const QUEUED: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    Normal,
    Warning,
}

/// Tells people about objects, in the name of one component. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder(mpsc::Sender<Report>);

#[derive(Debug)]
struct Report {
    about: ObjectReference,
    severity: Severity,
    reason: String,
    message: String,
}

impl Recorder {
    /// A recorder, and the work that writes what it is told; the work ends when the last recorder is gone.
    pub fn new(
        client: Client,
        component: impl Into<String>,
        host: impl Into<String>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(QUEUED);
        let source = EventSource { component: Some(component.into()), host: Some(host.into()) };
        (Self(sender), write_all(client, source, receiver))
    }

    pub fn event<K>(&self, about: &K, severity: Severity, reason: &str, message: impl Into<String>)
    where
        K: Resource + Metadata<Ty = ObjectMeta>,
    {
        self.event_about(reference(about), severity, reason, message);
    }

    /// For an object known by reference only, or a part of one (`spec.containers{web}`).
    pub fn event_about(
        &self,
        about: ObjectReference,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
    ) {
        let report = Report { about, severity, reason: reason.to_string(), message: message.into() };
        if let Err(error) = self.0.try_send(report) {
            debug!(%error, "an event is dropped");
        }
    }
}

/// A reference to an object, as events carry it.
pub fn reference<K>(object: &K) -> ObjectReference
where
    K: Resource + Metadata<Ty = ObjectMeta>,
{
    let metadata = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_string()),
        kind: Some(K::KIND.to_string()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        field_path: None,
    }
}

async fn write_all(client: Client, source: EventSource, mut reports: mpsc::Receiver<Report>) {
    let mut history = History::default();
    while let Some(report) = reports.recv().await {
        let Some(step) = history.step(&report, Instant::now()) else {
            continue;
        };
        match write(&client, &source, &report, &step).await {
            Ok(name) => history.written(&step, name),
            // The namespace of what failed is often gone or going: nobody to tell.
            Err(error) if error.is_namespace_terminating() || error.is_not_found() => {
                debug!(%error, "an event is lost");
            }
            Err(error) => warn!(error = %causes(&error), reason = report.reason, "an event is lost"),
        }
    }
}

async fn write(client: &Client, source: &EventSource, report: &Report, step: &Step) -> Result<Key, Error> {
    let now = Time(Timestamp::now());
    if let Some((key, count)) = &step.repeats {
        let patch = Patch::Merge(serde_json::json!({
            "count": count, "message": step.message, "lastTimestamp": now.0.to_string(),
        }));
        match client.patch::<Event>(key, None, &patch).await {
            Ok(_) => return Ok(key.clone()),
            // Its hour is over: begin again.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    let event = event(source, report, &step.message, now);
    client.create(&event).await?;
    Ok(Key::of(&event))
}

fn event(source: &EventSource, report: &Report, message: &str, now: Time) -> Event {
    let about = &report.about;
    let namespace = about.namespace.clone().filter(|namespace| !namespace.is_empty());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", about.name.as_deref().unwrap_or_default(), now.0.as_nanosecond())),
            namespace: Some(namespace.unwrap_or_else(|| "default".to_string())),
            ..ObjectMeta::default()
        },
        involved_object: about.clone(),
        type_: Some(report.severity.name().to_string()),
        reason: Some(report.reason.clone()),
        message: Some(message.to_string()),
        source: Some(source.clone()),
        reporting_component: source.component.clone(),
        reporting_instance: source.host.clone(),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        count: Some(1),
        ..Event::default()
    }
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}
