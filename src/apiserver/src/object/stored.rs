//! The form in which objects are stored: JSON that can be sent as it lies in memory.
//!
//! An object's revision is known only when it is committed, after it was encoded. So it is not part of the bytes: they
//! begin with `{"apiVersion":…,"kind":…,"metadata":{`, always of the same length for a kind, and whoever
//! sends them puts the revision in right there. Lists leave `apiVersion` and `kind` out, as upstream does for the built-in
//! kinds: they begin the same bytes a little further on.
//!
//! Nor are they read before they are sent: a default that came to a kind with a later release is not in objects that were
//! stored before, until somebody changes them (upstream fills it in on every read). Rejected: filling it in when the server
//! starts. To know which objects lack one, all of them are to be parsed and defaulted, at every start, which is most of
//! what a start with many objects takes now; and written back they would be new revisions of objects that nobody changed.

use std::fmt::Write;

use api::kinds::Kind;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};
use store::{Entry, Revision};

const PARTIAL: &str = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"#;

/// How stored objects of a kind begin.
#[derive(Debug)]
pub(crate) struct Head(String);

impl Head {
    pub(crate) fn of(kind: &Kind) -> Self {
        Self(format!(r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"#, kind.api_version(), kind.kind))
    }

    /// The bytes to store for an object of this kind.
    pub(crate) fn encode(&self, object: &Value) -> Bytes {
        let empty = Map::new();
        let members = object.as_object().unwrap_or(&empty);
        let metadata = members.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
        let mut bytes = Vec::with_capacity(2048);
        bytes.extend_from_slice(self.0.as_bytes());
        write_members(&mut bytes, metadata.iter().filter(|(name, _)| *name != "resourceVersion"));
        bytes.push(b'}');
        let rest =
            members.iter().filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
        for member in rest {
            bytes.push(b',');
            write_members(&mut bytes, std::iter::once(member));
        }
        bytes.push(b'}');
        // Copied into what is exactly as large, for it stays as long as the object does: the allocator shrinks nothing in place that is at
        // least half full, which was 600 bytes for each object of 1 KB.
        Bytes::copy_from_slice(&bytes)
    }

    /// Appends a stored object with its revision.
    pub(crate) fn write(&self, entry: &Entry, out: &mut BytesMut) {
        self.write_at(entry, entry.modified(), out);
    }

    /// The same at another revision: a deleted object is shown at that of its deletion.
    pub(crate) fn write_at(&self, entry: &Entry, revision: Revision, out: &mut BytesMut) {
        out.extend_from_slice(self.0.as_bytes());
        write_rest(self.rest(entry), revision, out);
    }

    /// Appends a stored object as an item of a list: without the kind it shares with all of them.
    pub(crate) fn write_item(&self, entry: &Entry, out: &mut BytesMut) {
        out.extend_from_slice(br#"{"metadata":{"#);
        write_rest(self.rest(entry), entry.modified(), out);
    }

    /// Appends the metadata of a stored object alone, as a `PartialObjectMetadata`.
    pub(crate) fn write_partial(&self, entry: &Entry, revision: Revision, out: &mut BytesMut) {
        out.extend_from_slice(PARTIAL.as_bytes());
        let rest = self.rest(entry);
        write_rest(&rest[..end_of_object(rest)], revision, out);
        out.extend_from_slice(b"}");
    }

    /// What follows the brace that opens the metadata.
    fn rest<'a>(&self, entry: &'a Entry) -> &'a [u8] {
        entry.value().get(self.0.len()..).unwrap_or_default()
    }

    /// The object as a tree, with its revision.
    pub(crate) fn decode(&self, entry: &Entry) -> Result<Value, serde_json::Error> {
        let mut object: Value = serde_json::from_slice(entry.value())?;
        set_revision(&mut object, entry.modified());
        Ok(object)
    }
}

fn write_rest(rest: &[u8], revision: Revision, out: &mut BytesMut) {
    write!(out, r#""resourceVersion":"{revision}""#).expect("a buffer takes all that is written");
    if rest.first() != Some(&b'}') {
        out.extend_from_slice(b",");
    }
    out.extend_from_slice(rest);
}

/// The length of the members of an object and of the brace that closes it.
fn end_of_object(json: &[u8]) -> usize {
    let (mut depth, mut in_string, mut escaped) = (1_usize, false, false);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    json.len()
}

pub(crate) fn set_revision(object: &mut Value, revision: Revision) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), revision.to_string().into());
    }
}

fn write_members<'a>(bytes: &mut Vec<u8>, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        let written = serde_json::to_writer(&mut *bytes, name);
        bytes.push(b':');
        let written = written.and_then(|()| serde_json::to_writer(&mut *bytes, value));
        written.expect("a tree of JSON is JSON, and a vector takes all of it");
    }
}

/// Where an object is stored. The trailing slash of a collection makes it a scope of the store.
pub(crate) fn key(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    let mut key = collection(kind, namespace);
    key.push_str(name);
    key
}

pub(crate) fn collection(kind: &Kind, namespace: Option<&str>) -> String {
    match namespace.filter(|_| kind.namespaced) {
        Some(namespace) => format!("/{}/{namespace}/", kind.qualified_resource()),
        None => format!("/{}/", kind.qualified_resource()),
    }
}

#[cfg(test)]
mod tests {
    use api::kinds;
    use serde_json::json;
    use store::{InMemory, Limits, Store, Write};

    use super::*;

    #[tokio::test]
    async fn an_object_is_sent_from_its_stored_bytes_with_its_revision() {
        let kind = kinds::by_resource("", "v1", "configmaps").unwrap();
        let head = Head::of(kind);
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b\n"},
            "metadata": {"name": "x", "namespace": "n", "resourceVersion": "7", "annotations": {"b\\": "}\"{"}}});
        let event =
            store.write(Write::create(key(kind, Some("n"), "x"), head.encode(&object))).await.unwrap();
        let entry = event.entry().unwrap();
        assert_eq!(entry.key(), "/configmaps/n/x");
        let revision = entry.modified().to_string();
        let mut expected = object.clone();
        expected["metadata"]["resourceVersion"] = revision.clone().into();
        let mut bytes = BytesMut::new();
        head.write(entry, &mut bytes);
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
        assert_eq!(head.decode(entry).unwrap(), expected);
        let mut partial = BytesMut::new();
        head.write_partial(entry, entry.modified(), &mut partial);
        assert_eq!(
            serde_json::from_slice::<Value>(&partial).unwrap(),
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": expected["metadata"]})
        );
        let mut item = BytesMut::new();
        head.write_item(entry, &mut item);
        assert_eq!(
            serde_json::from_slice::<Value>(&item).unwrap(),
            json!({"data": {"a": "b\n"}, "metadata": expected["metadata"]})
        );
    }

    #[test]
    fn metadata_without_members_is_still_an_object() {
        let kind = kinds::by_resource("", "v1", "configmaps").unwrap();
        let bytes = Head::of(kind).encode(&json!({}));
        assert_eq!(&bytes[..], br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}"#);
    }
}
