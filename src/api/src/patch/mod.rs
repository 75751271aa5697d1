//! The three patches that change an object in place: JSON patch, JSON merge patch and strategic merge patch. (The
//! fourth, server-side apply, is [`crate::apply`].)
//!
//! They work on trees. What comes out is not yet an object of its kind: the caller runs [`crate::schema::conform`] over it.
//! Patches come from [`crate::schema::parse`], so none is deeper than [`MAX_DEPTH`]; a patch cannot make an object deeper.

mod json;
mod merge;
mod order;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;
use thiserror::Error;

pub use json::{MAX_COPIED, MAX_OPERATIONS, json};
pub use merge::merge;
pub use strategic::strategic;

use crate::schema::MAX_DEPTH;

/// Why a patch was refused, in upstream's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    #[error("json: cannot unmarshal {found} into Go value of type {wanted}")]
    WrongType { found: &'static str, wanted: &'static str },
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    #[error("Unexpected kind: {0}")]
    UnknownOperation(String),
    #[error("{operation} operation does not apply: doc is missing path: \"{path}\": missing value")]
    MissingPath { operation: &'static str, path: String },
    #[error("{operation} operation does not apply: doc is missing key: {path}: missing value")]
    MissingKey { operation: &'static str, path: String },
    #[error("{operation} operation does not apply: invalid index {index} in path: \"{path}\"")]
    BadIndex { operation: &'static str, path: String, index: String },
    #[error("{0} operation has no valid {1}")]
    IncompleteOperation(&'static str, &'static str),
    #[error("testing value {0} failed: test failed")]
    TestFailed(String),
    #[error(
        "Unable to complete the copy, the accumulated size increase of the copy is {0}, exceeding the limit {MAX_COPIED}"
    )]
    CopiedTooMuch(usize),
    #[error("the patched object would exceed max depth")]
    TooDeep,
    #[error("invalid patch format of primitive list")]
    BadPrimitiveList,
    #[error("invalid patch format of retainKeys")]
    BadRetainKeys,
    #[error("invalid patch format of setElementOrder list")]
    BadElementOrder,
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    OrderMismatch { patch: String, order: String },
    #[error("lists of lists are not supported")]
    ListOfLists,
    #[error("list element types are not identical: {0}")]
    MixedList(String),
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey { map: String, key: String },
    #[error("cannot merge lists without merge key for type {0}")]
    NoDeclaredMergeKey(&'static str),
    #[error("unknown patch type: {directive} in map: {map}")]
    BadDirective { directive: String, map: String },
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirectiveInList,
    #[error("expected a {wanted}, but received a {found}")]
    BadArgument { wanted: &'static str, found: &'static str },
    #[error("unable to find api field in struct {owner} for the json field {field:?}")]
    UnknownField { owner: String, field: String },
}

/// Which status answers an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    BadRequest,
    TooLarge,
    Unprocessable,
    Internal,
}

impl Error {
    /// As upstream sorts them; it blames itself for what it did not foresee.
    pub fn class(&self) -> Class {
        match self {
            Error::TooManyOperations(_) | Error::CopiedTooMuch(_) | Error::TooDeep => Class::TooLarge,
            Error::WrongType { .. }
            | Error::BadPrimitiveList
            | Error::BadRetainKeys
            | Error::BadElementOrder => Class::BadRequest,
            Error::UnknownOperation(_)
            | Error::MissingPath { .. }
            | Error::MissingKey { .. }
            | Error::BadIndex { .. }
            | Error::IncompleteOperation(..)
            | Error::TestFailed(_)
            | Error::ListOfLists => Class::Unprocessable,
            Error::OrderMismatch { .. }
            | Error::MixedList(_)
            | Error::NoMergeKey { .. }
            | Error::NoDeclaredMergeKey(_)
            | Error::BadDirective { .. }
            | Error::MergeDirectiveInList
            | Error::BadArgument { .. }
            | Error::UnknownField { .. } => Class::Internal,
        }
    }
}

/// Go's word for the JSON type of a value.
fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// How many levels of lists and objects a value has.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Takes a value as it is nested `level` levels down, unless that makes the object too deep.
fn nest(value: Value, level: usize) -> Result<Value, Error> {
    if level + depth(&value) > MAX_DEPTH { Err(Error::TooDeep) } else { Ok(value) }
}
