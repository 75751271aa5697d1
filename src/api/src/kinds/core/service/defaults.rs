//! Defaults of Services, and what an update may leave out.

use serde_json::{Value, json};

use crate::value::{at, default_to, default_zero_to, is_zero, items_mut, list, remove, replace, text};

/// Three hours.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn service(service: &mut Value) {
    let Some(spec) = service.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    default_zero_to(spec, "sessionAffinity", "None");
    affinity(spec);
    default_zero_to(spec, "type", "ClusterIP");
    items_mut(spec, "ports").for_each(port);
    let kind = text(spec, "type").to_owned();
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default_zero_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn affinity(spec: &mut Value) {
    match text(spec, "sessionAffinity") {
        "None" => drop(remove(spec, "sessionAffinityConfig")),
        "ClientIP" if at(spec, "sessionAffinityConfig.clientIP.timeoutSeconds").is_null() => {
            let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
            replace(spec, "sessionAffinityConfig", Some(config));
        }
        _ => {}
    }
}

fn port(port: &mut Value) {
    default_zero_to(port, "protocol", "TCP");
    let number = at(port, "port").clone();
    default_zero_to(port, "targetPort", number);
}

/// An update may leave out what was handed out on create: addresses, ports, families.
pub(super) fn keep_addresses(new: &mut Value, old: &Value) {
    let old = at(old, "spec");
    let Some(spec) = new.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if text(spec, "type") == "ExternalName" || text(old, "type") == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        keep(spec, old, field);
    }
    if wants_node_ports(spec) && wants_node_ports(old) {
        keep_node_ports(spec, old);
    }
    if wants_health_port(spec) && wants_health_port(old) {
        keep(spec, old, "healthCheckNodePort");
    }
}

fn keep(spec: &mut Value, old: &Value, field: &str) {
    if is_zero(at(spec, field)) && !is_zero(at(old, field)) {
        replace(spec, field, old.get(field).cloned());
    }
}

fn wants_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

fn wants_health_port(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// A port keeps its node port as long as its number and protocol stay.
fn keep_node_ports(spec: &mut Value, old: &Value) {
    let taken: Vec<Value> = list(spec, "ports").iter().map(|port| at(port, "nodePort").clone()).collect();
    for port in items_mut(spec, "ports").filter(|port| is_zero(at(port, "nodePort"))) {
        let same = |old: &&Value| ["port", "protocol"].iter().all(|field| at(port, field) == at(old, field));
        let node_port = list(old, "ports").iter().find(same).map(|old| at(old, "nodePort").clone());
        if let Some(node_port) = node_port.filter(|number| !is_zero(number) && !taken.contains(number)) {
            replace(port, "nodePort", Some(node_port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_cluster_ip_over_tcp() {
        let mut object = json!({"spec": {"ports": [{"port": 80}], "sessionAffinity": "ClientIP"}});
        service(&mut object);
        assert_eq!(
            object,
            json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "type": "ClusterIP",
                "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "internalTrafficPolicy": "Cluster"}})
        );
    }

    #[test]
    fn an_update_keeps_what_was_handed_out() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}});
        keep_addresses(&mut new, &old);
        assert_eq!(new, old);
    }
}
