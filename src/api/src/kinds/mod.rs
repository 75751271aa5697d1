//! The kind table: every resource the API serves is one entry here.
//!
//! The generic request path (routing, discovery, decoding, defaulting, validation, storage, printing) is driven by these
//! entries and knows no kind by name. Entries are static and live in one file per API group; adding a kind is adding an
//! entry. Objects themselves stay `serde_json::Value`s: compiled types for seventy kinds would cost megabytes of generic
//! code and could not serve custom resources.

mod admissionregistration;
mod apiextensions;
mod apiregistration;
mod apps;
mod authentication;
mod authorization;
mod autoscaling;
mod batch;
mod certificates;
mod conditions;
mod coordination;
mod core;
mod discovery;
mod entry;
mod events;
mod field;
mod flowcontrol;
mod legacy;
mod lifecycle;
mod lookup;
mod networking;
mod node;
mod policy;
mod rbac;
mod resource;
mod scale;
mod scheduling;
mod storage;
mod strategy;

pub use entry::{Conversion, Deprecation, Kind, PartRules, Subresource, Verb};
pub use field::{Selectable, UnknownField};
pub use lifecycle::Part;
pub use lookup::{Group, all, by_kind, by_resource, group, groups};
pub use scale::{SCALE_TABLE, validate_scale};
pub use strategy::{Dependents, Generation, NameRule, Strategy};

/// Every group's entries, in the order discovery lists the groups.
static TABLE: &[&[Kind]] = &[
    core::KINDS,
    apiregistration::KINDS,
    apps::KINDS,
    events::KINDS,
    authentication::KINDS,
    authorization::KINDS,
    autoscaling::KINDS,
    batch::KINDS,
    certificates::KINDS,
    networking::KINDS,
    policy::KINDS,
    rbac::KINDS,
    storage::KINDS,
    admissionregistration::KINDS,
    apiextensions::KINDS,
    scheduling::KINDS,
    coordination::KINDS,
    node::KINDS,
    discovery::KINDS,
    flowcontrol::KINDS,
    resource::KINDS,
    // Last: the versions of a group stand in the order of this table.
    legacy::KINDS,
];

#[cfg(test)]
mod tests;
