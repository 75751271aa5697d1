//! Services: defaults, rules and how they are shown. Addresses and node ports are handed out by the API server, not here.

mod defaults;
mod rules;
mod table;

use super::super::{NameRule, Strategy};

pub(in crate::kinds) use rules::is_cidr;
pub(super) use table::TABLE;
pub(in crate::kinds) use table::load_balancer;

pub(super) const STRATEGY: Strategy = Strategy {
    name: NameRule::Label1035,
    defaults: defaults::service,
    prepare_create: |service| {
        crate::value::replace(service, "status", Some(serde_json::json!({"loadBalancer": {}})));
    },
    prepare_update: defaults::update,
    validate: rules::service,
    validate_update: rules::update,
    create_on_update: true,
    ..Strategy::PLAIN
};
