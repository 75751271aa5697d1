//! The API: every object goes in and out here, and nothing else touches the store.
//!
//! ```text
//! request ─▶ authenticate ─▶ authorize ─▶ decode by schema ─▶ admit ─▶ default, prepare, validate (api) ─▶ store
//! ```
//!
//! One generic path serves every kind; the kind table of `api` says what is special about each. Objects are stored as
//! the bytes that are sent ([`object::stored`]): a get, a list and a watch copy them and parse nothing, unless a selector or
//! a table wants to look inside.

mod admit;
mod answer;
mod audit;
mod authenticate;
mod authorize;
mod body;
mod certificates;
mod compress;
mod discovery;
mod form;
mod health;
mod impersonate;
mod issuer;
mod load;
mod metrics;
mod nodes;
mod object;
mod openapi;
mod paths;
mod random;
mod request;
mod review;
mod server;
mod services;
mod subresource;
mod user;
mod verb;
mod version;
mod view;

pub use audit::{Audit, AuditConfig, AuditError};
pub use body::{Body, Broken};
pub use issuer::Issuer;
pub use server::ApiServer;
pub use user::User;
