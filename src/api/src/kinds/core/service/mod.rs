//! Services: defaults, rules and how they are shown. Addresses and node ports are handed out by the API server, not here.

mod addresses;
mod defaults;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use super::super::{NameRule, Strategy};

pub(in crate::kinds) use rules::host_name;
pub(super) use table::TABLE;
pub(in crate::kinds) use table::load_balancer;

pub(super) const STRATEGY: Strategy = Strategy {
    name: NameRule::Label1035,
    defaults: defaults::service,
    prepare_create: defaults::create,
    prepare_update: defaults::update,
    validate: rules::service,
    validate_update: rules::update,
    validate_status: rules::status,
    warnings: rules::warnings,
    create_on_update: true,
    ..Strategy::PLAIN
};
