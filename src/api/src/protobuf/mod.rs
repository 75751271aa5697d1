//! `application/vnd.kubernetes.protobuf`: what Go clients send and ask for by default, from JSON and to JSON.
//!
//! The schema drives both directions. A field's number is a fact (`facts/protobuf.tsv`); all else about the wire follows
//! from its shape. What is decoded has the zero values in it that Go always sends: [`crate::schema::conform`] makes of them
//! what it makes of those in JSON. What is encoded is only what the JSON says, which every protobuf reader takes for the same.
//!
//! Rejected: generated message types (prost): a megabyte of code for what a table of 40 KB says.

mod decode;
mod encode;
mod envelope;
mod wire;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use decode::decode;
pub use encode::{encode, event};
pub use envelope::{Envelope, Known};
pub(crate) use wire::varint;

#[derive(Debug, Error)]
pub enum Error {
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    #[error("unexpected EOF")]
    Truncated,
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    #[error("proto: wrong wireType for field {0}")]
    WireType(String),
    #[error("proto: field {0} is not UTF-8")]
    Text(String),
    #[error("proto: field {0} has a value that no JSON has")]
    Value(String),
    #[error("proto: field {field} holds no JSON")]
    Embedded {
        field: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("exceeded max depth")]
    Depth,
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    Kind { api_version: String, kind: String },
    #[error("not an object of its kind")]
    Object(#[source] serde_json::Error),
}
