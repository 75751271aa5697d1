//! From a finished object to the store, and from the store's refusals to the API's.

use std::collections::BTreeMap;

use api::kinds::Kind;
use api::status::{self, Status};
use http::{HeaderValue, header};
use serde_json::Value;
use store::{Action, Class, Entry, Event, Precondition, Store, Write, WriteError};

use crate::answer::Answer;
use crate::object::stored::Head;
use crate::{random, services};

/// Stores an object that is not there yet.
pub(super) async fn insert(
    store: &Store,
    kind: &Kind,
    key: String,
    object: &Value,
) -> Result<Event, WriteError> {
    let write = Write { key: key.into(), action: Action::Create(value(kind, object)), class: class(kind) };
    commit(store, kind, write, None, Some(object)).await
}

/// Replaces an object that is still what it was when it was read.
pub(super) async fn replace(
    store: &Store,
    kind: &Kind,
    entry: &Entry,
    old: &Value,
    new: &Value,
) -> Result<Event, WriteError> {
    let unchanged = Precondition::Unchanged(entry.modified());
    let class = if (kind.strategy.is_sign_of_life)(new, old) { Class::Soft } else { class(kind) };
    let write = Write { key: entry.key().into(), action: Action::Update(value(kind, new), unchanged), class };
    commit(store, kind, write, Some(old), Some(new)).await
}

/// Removes an object that is still what it was when it was read.
pub(super) async fn remove(
    store: &Store,
    kind: &Kind,
    entry: &Entry,
    old: &Value,
) -> Result<Event, WriteError> {
    let unchanged = Precondition::Unchanged(entry.modified());
    let write = Write { key: entry.key().into(), action: Action::Delete(unchanged), class: class(kind) };
    commit(store, kind, write, Some(old), None).await
}

/// Soft kinds are kept in memory.
fn class(kind: &Kind) -> Class {
    if kind.soft { Class::Soft } else { Class::Durable }
}

/// The object as it is stored; until its time is over, if its kind has one.
fn value(kind: &Kind, object: &Value) -> store::Value {
    let bytes = Head::of(kind).encode(object);
    match kind.ttl {
        Some(ttl) => store::Value::expiring(bytes, ttl),
        None => bytes.into(),
    }
}

/// One write, and in the same transaction those of what the object holds beside itself.
async fn commit(
    store: &Store,
    kind: &Kind,
    write: Write,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Result<Event, WriteError> {
    let beside = if services::is_service(kind) { services::changes(store, old, new) } else { Vec::new() };
    if beside.is_empty() {
        return store.write(write).await;
    }
    let mut writes = vec![write];
    writes.extend(beside);
    let events = store.write_all(writes).await?;
    Ok(events.into_iter().next().expect("as many events come back as writes went in"))
}

/// What the store refused, in the words of the API.
pub(super) fn refused(error: &WriteError, subject: status::Resource<'_>, name: &str) -> Status {
    match error {
        WriteError::Exists { .. } => Status::already_exists(subject, name),
        WriteError::NotFound { .. } => Status::not_found(subject, name),
        WriteError::Conflict { .. } => Status::modified(subject, name),
        WriteError::Storage(cause) => Status::internal(&format!("the object cannot be stored: {cause}")),
        WriteError::Stopped => Status::unavailable("the API server is stopping"),
    }
}

/// A name of one's own, for as long as there are clocks: RFC 9562, version 4.
pub(crate) fn uid() -> String {
    let mut bytes = random::bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let part = |from: u32, bits: u32| (number >> (128 - from - bits)) & ((1 << bits) - 1);
    let (a, b, c, d, e) = (part(0, 32), part(32, 16), part(48, 16), part(64, 16), part(80, 48));
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// Warnings as HTTP carries them, each once.
pub(crate) fn warn(answer: &mut Answer, warnings: impl IntoIterator<Item = String>) {
    let unique: BTreeMap<String, ()> = warnings.into_iter().map(|warning| (warning, ())).collect();
    for warning in unique.into_keys() {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
        // What cannot stand in a header is not worth failing a request that succeeded.
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            answer.headers_mut().append(header::WARNING, value);
        }
    }
}
