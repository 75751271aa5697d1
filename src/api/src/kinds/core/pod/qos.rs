//! The class of service a pod falls into by what its containers ask for.

use serde_json::Value;

use super::resources::quantity_of;
use crate::quantity::Quantity;
use crate::value::{at, list};

/// `Guaranteed`: every container has equal requests and limits; `BestEffort`: none asks for anything.
pub(super) fn class(pod: &Value) -> &'static str {
    let spec = at(pod, "spec");
    let whole = at(spec, "resources");
    let containers: Vec<&Value> = match whole.is_null() {
        true => ["containers", "initContainers"]
            .into_iter()
            .flat_map(|kind| list(spec, kind))
            .map(|container| at(container, "resources"))
            .collect(),
        false => vec![whole],
    };
    let asks = |resources: &&Value| {
        ["cpu", "memory"].into_iter().any(|name| {
            amount(resources, "requests", name).is_some() || amount(resources, "limits", name).is_some()
        })
    };
    if !containers.iter().any(asks) {
        return "BestEffort";
    }
    let guaranteed = |resources: &Value| {
        ["cpu", "memory"].into_iter().all(|name| {
            let limit = amount(resources, "limits", name);
            limit.is_some() && limit == amount(resources, "requests", name)
        })
    };
    if containers.into_iter().all(guaranteed) { "Guaranteed" } else { "Burstable" }
}

fn amount(resources: &Value, list: &str, name: &str) -> Option<Quantity> {
    quantity_of(at(resources, list), name).filter(|quantity| !quantity.is_zero())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes() {
        let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}});
        for (resources, expected) in [
            (vec![json!({})], "BestEffort"),
            (vec![full.clone()], "Guaranteed"),
            (vec![full.clone(), json!({})], "Burstable"),
            (vec![json!({"requests": {"cpu": "1"}})], "Burstable"),
            (vec![json!({"requests": {"example.com/gpu": "1"}})], "BestEffort"),
        ] {
            let containers: Vec<Value> =
                resources.into_iter().map(|resources| json!({"resources": resources})).collect();
            assert_eq!(class(&json!({"spec": {"containers": containers}})), expected);
        }
    }
}
