//! The object model: kinds, schemas, codec, validation, selectors, quantities, patches and table columns. No I/O.
//!
//! Objects are `serde_json::Value` trees driven by a [`schema::Schema`]; k8s-openapi's typed structs are for API clients and
//! are encoded and decoded through non-generic functions alone.

pub mod amount;
pub mod apply;
pub mod codec;
pub mod cron;
pub mod field;
pub mod kinds;
pub mod metadata;
pub mod names;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
mod selector_rules;
pub mod status;
pub mod table;
pub mod taint;
pub mod value;
