//! The addresses and node ports of Services: handed out here, because only here they can be handed out once.
//!
//! What a Service holds is one record each in the store: an IPAddress object for an address, as upstream keeps them, and a plain
//! record for a node port. They are written and removed in the same transaction as the Service that holds them, so
//! two Services never hold the same, and nothing that no Service holds is ever left over.
//!
//! - [`families`] decides which addresses a Service should have, [`hand_out`] picks them;
//! - [`changes`] are the records that go with a write of a Service.

mod claims;
mod families;
mod networks;
mod pick;

use api::field::{Errors, Node};
use api::kinds::Kind;
use api::status::{self, Status};
use api::value::{at, text};
use serde_json::Value;
use store::Store;

pub(crate) use self::claims::{changes, is_claim};
use self::networks::Networks;
use self::pick::Picker;

pub(crate) fn is_service(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Service"
}

/// Gives a valid Service the addresses and ports it asks for by leaving them out, and checks those it names.
pub(crate) fn hand_out(
    store: &Store,
    kind: &Kind,
    service: &mut Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if !is_service(kind) {
        return Ok(());
    }
    let networks = Networks::of(store)?;
    let mut errors = Errors::new();
    if let Some(spec) = service.get_mut("spec") {
        families::settle(spec, &networks, &mut errors);
    }
    if errors.is_empty() {
        let picker = Picker::new(store, &networks, old);
        picker.addresses(service, &mut errors)?;
        picker.node_ports(service, &mut errors)?;
    }
    if errors.is_empty() {
        return Ok(());
    }
    let named = status::Resource { group: kind.group, name: kind.kind };
    Err(Status::invalid(named, text(service, "metadata.name"), &errors))
}

/// Whether the Service has an address of its own in the cluster.
fn wants_address(spec: &Value) -> bool {
    text(spec, "type") != "ExternalName" && text(spec, "clusterIP") != "None"
}

fn wants_node_ports(spec: &Value) -> bool {
    match text(spec, "type") {
        "NodePort" => true,
        "LoadBalancer" => at(spec, "allocateLoadBalancerNodePorts").as_bool() != Some(false),
        _ => false,
    }
}
