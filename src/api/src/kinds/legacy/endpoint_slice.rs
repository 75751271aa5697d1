//! discovery.k8s.io/v1beta1: zone and node of an endpoint were two of its topology labels.

use serde_json::Value;

use super::Shape;
use crate::value::{at, is_zero, items_mut, object, remove, replace};

pub(super) const SHAPE: Shape =
    Shape { to_hub, from_hub, later: &["endpoints[].deprecatedTopology", "endpoints[].zone"] };

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

fn to_hub(slice: &mut Value) {
    for endpoint in items_mut(slice, "endpoints") {
        let Some(mut topology) = remove(endpoint, "topology") else { continue };
        if let Some(zone) = remove(&mut topology, ZONE) {
            replace(endpoint, "zone", Some(zone));
        }
        // A host that is not the node is nothing but a label.
        if !at(endpoint, "nodeName").is_null() && topology.get(HOSTNAME) == endpoint.get("nodeName") {
            remove(&mut topology, HOSTNAME);
        }
        replace(endpoint, "deprecatedTopology", Some(topology).filter(|topology| !is_zero(topology)));
    }
}

fn from_hub(slice: &mut Value) {
    for endpoint in items_mut(slice, "endpoints") {
        if let Some(topology) = remove(endpoint, "deprecatedTopology") {
            replace(endpoint, "topology", Some(topology));
        }
        let labels = [(ZONE, remove(endpoint, "zone")), (HOSTNAME, endpoint.get("nodeName").cloned())];
        for (label, value) in labels {
            if let Some(value) = value
                && let Some(topology) = object(endpoint, "topology")
            {
                topology.insert(label.into(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn topology_becomes_zone_and_node() {
        let old = json!({"endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n",
            "topology": {ZONE: "z", HOSTNAME: "n", "rack": "r"}}]});
        let mut slice = old.clone();
        to_hub(&mut slice);
        assert_eq!(
            slice["endpoints"][0],
            json!({"addresses": ["10.0.0.1"], "nodeName": "n", "zone": "z", "deprecatedTopology": {"rack": "r"}})
        );
        from_hub(&mut slice);
        assert_eq!(slice, old);
    }
}
