//! Answers: bodies, codes and headers, and the forms an object can be shown in.

use api::kinds::Kind;
use api::status::Status;
use api::table::Table;
use api::value::text;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Entry;

use crate::body::{Body, Broken, Cause, whole};
use crate::object::stored::Head;
use crate::request::{Accept, RowObject};

pub(crate) type Answer = Response<Body>;

pub(crate) fn streamed(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    use futures_util::StreamExt;
    StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
}

pub(crate) fn empty(code: StatusCode) -> Answer {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = code;
    answer
}

/// A body that was gathered, with what stands before it.
pub(crate) async fn gathered(answer: Answer) -> Result<(Parts, Bytes), Status> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| Status::internal(&error.to_string()))?;
    Ok((parts, body.to_bytes()))
}

/// A body that is changed chunk by chunk as it goes out.
pub(crate) fn changed<E: Into<Cause>>(
    answer: Answer,
    mut change: impl FnMut(&[u8]) -> Result<Vec<u8>, E> + Send + 'static,
) -> Answer {
    use futures_util::StreamExt;
    let (parts, body) = answer.into_parts();
    let chunks = body.into_data_stream().map(move |chunk| {
        let chunk = change(&chunk?).map_err(|error| Broken(error.into()))?;
        Ok(Frame::data(chunk.into()))
    });
    Answer::from_parts(parts, StreamBody::new(chunks).boxed_unsync())
}

pub(crate) fn json(code: StatusCode, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(crate) fn value(code: StatusCode, value: &Value) -> Answer {
    json(code, whole(value.to_string()))
}

/// A sentence, as Go's `http.Error` sends it.
pub(crate) fn plain(code: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = json(code, whole(text));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// The tag of a document: another one has another.
pub(crate) fn tag(document: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, document);
    hash.as_ref().iter().take(16).map(|byte| format!("{byte:02X}")).collect()
}

/// A document with its tag; nothing but the tag for a client that has it already.
pub(crate) fn tagged(tag: &str, headers: &HeaderMap, document: impl FnOnce() -> Answer) -> Answer {
    let quoted = format!("\"{tag}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim() == quoted);
    let mut answer = if known { empty(StatusCode::NOT_MODIFIED) } else { document() };
    if let Ok(quoted) = HeaderValue::from_str(&quoted) {
        answer.headers_mut().insert(header::ETAG, quoted);
    }
    answer
}

pub(crate) fn failure(status: &Status) -> Answer {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = value(code, &status.to_value());
    if status.details.retry_after_seconds > 0 {
        answer.headers_mut().insert(header::RETRY_AFTER, status.details.retry_after_seconds.into());
    }
    answer
}

/// An object as it is stored, in the form that was asked for.
pub(crate) fn entry(code: StatusCode, accept: Accept, kind: &Kind, entry: &Entry) -> Result<Answer, Status> {
    let head = Head::of(kind);
    let mut bytes = BytesMut::with_capacity(entry.value().len() + 64);
    match accept {
        Accept::Json => head.write(entry, &mut bytes),
        Accept::Partial | Accept::PartialList => head.write_partial(entry, entry.modified(), &mut bytes),
        Accept::Table(..) => {
            let object = head.decode(entry).map_err(|error| damaged(entry, &error))?;
            return Ok(self::object(code, accept, kind.table, object));
        }
    }
    Ok(json(code, whole(bytes)))
}

/// An object that is not, or not yet, in the store.
pub(crate) fn object(code: StatusCode, accept: Accept, shown: &Table, object: Value) -> Answer {
    match accept {
        Accept::Json => value(code, &object),
        Accept::Table(version, carried) => {
            let metadata = json!({"resourceVersion": text(&object, "metadata.resourceVersion")});
            value(code, &table(shown, version, carried, &metadata, vec![object]))
        }
        Accept::Partial | Accept::PartialList => value(code, &partial(object)),
    }
}

pub(crate) fn damaged(entry: &Entry, error: &serde_json::Error) -> Status {
    Status::internal(&format!("the stored object {} cannot be read: {error}", entry.key()))
}

/// The metadata of an object alone.
pub(crate) fn partial(mut object: Value) -> Value {
    let metadata = object.get_mut("metadata").map(Value::take).unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// Objects as rows.
pub(crate) fn table(
    shown: &Table,
    version: &str,
    carried: RowObject,
    metadata: &Value,
    objects: Vec<Value>,
) -> Value {
    let mut table = rows(shown, version, carried, metadata, objects);
    table["columnDefinitions"] = shown.columns.iter().map(api::table::Column::definition).collect();
    table
}

/// The same for a client that was told the columns before.
pub(crate) fn rows(
    shown: &Table,
    version: &str,
    carried: RowObject,
    metadata: &Value,
    objects: Vec<Value>,
) -> Value {
    let now = Timestamp::now();
    let row = |object: Value| json!({"cells": (shown.cells)(&object, now), "object": carry(object, carried)});
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
        "columnDefinitions": null, "rows": objects.into_iter().map(row).collect::<Vec<_>>(),
    })
}

fn carry(object: Value, carried: RowObject) -> Value {
    match carried {
        RowObject::None => Value::Null,
        RowObject::Metadata => partial(object),
        RowObject::Whole => object,
    }
}
