//! A watch: the lines of one long answer, each an event.
//!
//! Lines are cut here rather than by a generic JSON stream: an event's object is decoded straight from the bytes of
//! its line, once, by the codec of its kind.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Status, Time};
use kube::client::Body;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{Error, Object};

/// No event is longer than the largest object with room for its envelope; a longer line is not the API's.
const LONGEST_LINE: usize = 8 << 20;

/// One change of the watched objects.
#[derive(Debug)]
pub enum Event<K> {
    /// The object is there, new or changed.
    Applied(K),
    Deleted(K),
    /// Nothing changed for us, but the watch has come this far.
    Bookmark {
        revision: String,
    },
}

/// The events of one watch request, in order.
#[derive(Debug)]
pub struct Watch<K> {
    request: String,
    body: Body,
    pending: BytesMut,
    lines: VecDeque<Bytes>,
    decode: Decode<K>,
}

/// How the object of an event is read.
type Decode<K> = fn(&[u8]) -> Result<K, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// An object of which nothing but the metadata is of interest, and of that not who wrote which field: that is most of it, and
/// the garbage collector reads the metadata of everything.
#[derive(Deserialize)]
pub(crate) struct OnlyMetadata {
    #[serde(deserialize_with = "without_managers")]
    pub(crate) metadata: ObjectMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unmanaged {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

fn without_managers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Unmanaged::deserialize(deserializer)?;
    Ok(ObjectMeta {
        annotations: read.annotations,
        creation_timestamp: read.creation_timestamp,
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
        deletion_timestamp: read.deletion_timestamp,
        finalizers: read.finalizers,
        generation: read.generation,
        labels: read.labels,
        name: read.name,
        namespace: read.namespace,
        owner_references: read.owner_references,
        resource_version: read.resource_version,
        uid: read.uid,
        ..ObjectMeta::default()
    })
}

impl<K: Object> Watch<K> {
    pub(crate) fn new(request: String, body: Body) -> Self {
        Self::reading(request, body, |bytes| K::decode(bytes).map_err(Into::into))
    }
}

impl Watch<ObjectMeta> {
    /// A watch of the metadata alone, of whatever kind.
    pub(crate) fn of_metadata(request: String, body: Body) -> Self {
        Self::reading(request, body, |bytes| {
            let OnlyMetadata { metadata } = serde_json::from_slice(bytes)?;
            Ok(metadata)
        })
    }
}

impl<K> Watch<K> {
    fn reading(request: String, body: Body, decode: Decode<K>) -> Self {
        Self { request, body, pending: BytesMut::new(), lines: VecDeque::new(), decode }
    }

    /// The next event; `None` when the server has ended the watch, as it does from time to time.
    ///
    /// Cancel safe: what was read stays read.
    pub async fn next(&mut self) -> Option<Result<Event<K>, Error>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(self.event(&line));
            }
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data()
                        && let Err(error) = self.take(&data)
                    {
                        return Some(Err(error));
                    }
                }
                Err(source) => return Some(Err(self.broken(source.into()))),
            }
        }
    }

    /// Cuts what has come into whole lines; the rest waits for more.
    fn take(&mut self, data: &[u8]) -> Result<(), Error> {
        let mut searched = self.pending.len();
        self.pending.extend_from_slice(data);
        while let Some(end) = self.pending[searched..].iter().position(|byte| *byte == b'\n') {
            let line = self.pending.split_to(searched + end + 1).freeze();
            if !line.trim_ascii().is_empty() {
                self.lines.push_back(line);
            }
            searched = 0;
        }
        if self.pending.len() > LONGEST_LINE {
            return Err(self.broken("an event longer than any object may be".into()));
        }
        Ok(())
    }

    fn event(&self, line: &[u8]) -> Result<Event<K>, Error> {
        let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|source| self.garbled(source))?;
        let object = envelope.object.get().as_bytes();
        match envelope.kind {
            "ADDED" | "MODIFIED" => Ok(Event::Applied(self.object(object)?)),
            "DELETED" => Ok(Event::Deleted(self.object(object)?)),
            "BOOKMARK" => {
                let OnlyMetadata { metadata } =
                    serde_json::from_slice(object).map_err(|source| self.garbled(source))?;
                Ok(Event::Bookmark { revision: metadata.resource_version.unwrap_or_default() })
            }
            _ => {
                let status: Status = serde_json::from_slice(object).map_err(|source| self.garbled(source))?;
                Err(Error::Status(Box::new(status)))
            }
        }
    }

    fn object(&self, bytes: &[u8]) -> Result<K, Error> {
        (self.decode)(bytes).map_err(|source| self.garbled(source))
    }

    fn garbled(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Decode { request: self.request.clone(), source: source.into() }
    }

    fn broken(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Body { request: self.request.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    #[tokio::test]
    async fn an_event_may_come_in_pieces() {
        let line = r#"{"type":"ADDED","object":{"metadata":{"name":"a"}}}"#.to_owned() + "\n";
        let mut watch: Watch<ConfigMap> = Watch::new("GET".into(), Body::empty());
        for byte in line.as_bytes() {
            watch.take(std::slice::from_ref(byte)).unwrap();
        }
        assert!(matches!(watch.next().await, Some(Ok(Event::Applied(_)))));
        assert!(watch.next().await.is_none());
    }

    #[test]
    fn metadata_is_all_there_but_its_managers() {
        let json = r#"{"kind":"PartialObjectMetadata","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7",
            "generation":2,"labels":{"l":"1"},"annotations":{"x":"y"},"finalizers":["f"],
            "creationTimestamp":"2026-01-02T03:04:05Z","deletionTimestamp":"2026-01-02T03:04:06Z",
            "deletionGracePeriodSeconds":1,"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"o","uid":"w"}],
            "managedFields":[{"manager":"m","fieldsV1":{"f:data":{}}}]}}"#;
        let OnlyMetadata { metadata } = serde_json::from_str(json).unwrap();
        let whole: serde_json::Value = serde_json::from_str(json).unwrap();
        let whole: ObjectMeta = serde_json::from_value(whole["metadata"].clone()).unwrap();
        assert!(whole.managed_fields.is_some());
        assert_eq!(metadata, ObjectMeta { managed_fields: None, ..whole });
    }
}
