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
    let external = kind == "ClusterIP" && !list(spec, "externalIPs").is_empty();
    if external || matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default_zero_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
        balancer_modes(service);
    }
}

fn balancer_modes(service: &mut Value) {
    let Some(balancer) = service.get_mut("status").and_then(|status| status.get_mut("loadBalancer")) else {
        return;
    };
    for entry in items_mut(balancer, "ingress").filter(|entry| !is_zero(at(entry, "ip"))) {
        default_to(entry, "ipMode", "VIP");
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

/// A new Service was nowhere yet. Whoever names one address has named them all.
pub(super) fn create(service: &mut Value) {
    replace(service, "status", Some(json!({"loadBalancer": {}})));
    let Some(spec) = service.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if !is_zero(at(spec, "clusterIP")) && is_zero(at(spec, "clusterIPs")) {
        only_address(spec);
    }
}

fn only_address(spec: &mut Value) {
    let only = json!([at(spec, "clusterIP")]);
    replace(spec, "clusterIPs", Some(only));
}

/// What an update need not say: what was handed out before stays, what the new type cannot have goes.
pub(super) fn update(new: &mut Value, old: &Value) {
    drop_what_went_with_the_type(new, old);
    one_address_for_all(new, old);
    keep_addresses(new, old);
    release_the_second(new, old);
}

/// A client that knows of one address only changes that one, and means the list too.
fn one_address_for_all(new: &mut Value, old: &Value) {
    let old = at(old, "spec");
    let Some(spec) = new.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if at(spec, "clusterIP") == at(old, "clusterIP") || at(spec, "clusterIPs") != at(old, "clusterIPs") {
        return;
    }
    match text(spec, "clusterIP") {
        "" if is_zero(at(old, "clusterIP")) => {}
        "" => drop(remove(spec, "clusterIPs")),
        _ => only_address(spec),
    }
}

/// Who asks for one family gives the other one up.
fn release_the_second(new: &mut Value, old: &Value) {
    let was_dual = matches!(text(old, "spec.ipFamilyPolicy"), "PreferDualStack" | "RequireDualStack");
    let Some(spec) =
        new.get_mut("spec").filter(|spec| was_dual && text(spec, "ipFamilyPolicy") == "SingleStack")
    else {
        return;
    };
    for field in ["clusterIPs", "ipFamilies"] {
        if let Some(listed) = spec.get_mut(field).and_then(Value::as_array_mut) {
            listed.truncate(1);
        }
    }
}

/// Fields that only the old type had are dropped, unless the update changes them: then somebody means them, and is refused.
fn drop_what_went_with_the_type(new: &mut Value, old: &Value) {
    let old = at(old, "spec");
    let had_balancer = text(old, "type") == "LoadBalancer";
    let Some(spec) = new.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    let has_balancer = text(spec, "type") == "LoadBalancer";
    let lost = |wants: fn(&Value) -> bool| wants(old) && !wants(spec);
    let mut fields: Vec<&str> = Vec::new();
    if lost(|spec| text(spec, "type") != "ExternalName") {
        fields.extend(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
    }
    if lost(wants_health_port) {
        fields.push("healthCheckNodePort");
    }
    if had_balancer && !has_balancer {
        fields.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if lost(|spec| wants_node_ports(spec) || !list(spec, "externalIPs").is_empty()) {
        fields.push("externalTrafficPolicy");
    }
    let no_node_ports = lost(wants_node_ports);
    for field in fields {
        if at(spec, field) == at(old, field) {
            remove(spec, field);
        }
    }
    let node_ports =
        |spec: &Value| list(spec, "ports").iter().map(|port| at(port, "nodePort").clone()).collect();
    if no_node_ports && Vec::<Value>::eq(&node_ports(spec), &node_ports(old)) {
        items_mut(spec, "ports").for_each(|port| drop(remove(port, "nodePort")));
    }
    if had_balancer && !has_balancer {
        replace(new, "status", Some(json!({"loadBalancer": {}})));
    }
}

/// An update may leave out what was handed out on create: addresses, ports, families.
fn keep_addresses(new: &mut Value, old: &Value) {
    let old = at(old, "spec");
    let Some(spec) = new.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if text(spec, "type") == "ExternalName" || text(old, "type") == "ExternalName" {
        return;
    }
    keep(spec, old, "clusterIP");
    if at(spec, "clusterIP") == at(old, "clusterIP") {
        keep(spec, old, "clusterIPs");
    }
    for field in ["ipFamilies", "ipFamilyPolicy"] {
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

pub(super) fn wants_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

pub(super) fn wants_health_port(spec: &Value) -> bool {
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
        update(&mut new, &old);
        assert_eq!(new, old);
    }

    #[test]
    fn what_only_the_old_type_had_goes_with_it() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "externalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]}});
        let mut new = old.clone();
        new["spec"]["type"] = "ClusterIP".into();
        update(&mut new, &old);
        assert_eq!(
            new,
            json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}})
        );
        let mut other = old.clone();
        other["spec"]["type"] = "ClusterIP".into();
        other["spec"]["ports"][0]["nodePort"] = 30001.into();
        update(&mut other, &old);
        assert_eq!(other["spec"]["ports"][0]["nodePort"], 30001, "validation tells");
    }
}
