//! How many addresses a Service has, and of which families: `ipFamilyPolicy`, `ipFamilies` and `clusterIPs` in agreement.

use std::net::IpAddr;

use api::field::Errors;
use api::value::{at, is_zero, list, members, replace, text};
use serde_json::{Value, json};

use super::networks::{Family, Networks};
use super::{Node, wants_address};

/// Completes what the Service says of its families. Errors are about what the cluster cannot give.
pub(super) fn settle(spec: &mut Value, networks: &Networks, errors: &mut Errors) {
    if text(spec, "type") == "ExternalName" {
        return;
    }
    if list(spec, "clusterIPs").is_empty() && !text(spec, "clusterIP").is_empty() {
        let only = json!([text(spec, "clusterIP")]);
        replace(spec, "clusterIPs", Some(only));
    }
    let known = networks.families();
    let open = text(spec, "clusterIP") == "None" && members(spec, "selector").next().is_none();
    if is_zero(at(spec, "ipFamilyPolicy")) {
        let both = list(spec, "clusterIPs").len() > 1 || list(spec, "ipFamilies").len() > 1 || open;
        // Without a selector nobody knows what its endpoints will be: it takes both.
        let policy = if both { "RequireDualStack" } else { "SingleStack" };
        replace(spec, "ipFamilyPolicy", Some(policy.into()));
    }
    check(spec, &known, open, errors);
    let families = wanted(spec, &known, open);
    let names: Vec<&str> = families.iter().map(|family| family.name()).collect();
    replace(spec, "ipFamilies", Some(json!(names)));
    if !wants_address(spec) {
        replace(spec, "clusterIPs", Some(json!(["None"])));
    }
}

fn check(spec: &Value, known: &[Family], open: bool, errors: &mut Errors) {
    let object = json!({"spec": spec});
    let root = Node::root(&object);
    let spec = root.at("spec");
    if open {
        return;
    }
    for family in spec.at("ipFamilies").items() {
        match Family::named(family.text()) {
            None => errors.push(family.unsupported(&["IPv4", "IPv6"])),
            Some(named) if !known.contains(&named) => {
                errors.push(family.invalid("not configured on this cluster"));
            }
            Some(_) => {}
        }
    }
    let policy = spec.at("ipFamilyPolicy");
    if policy.text() == "RequireDualStack" && known.len() < 2 {
        errors.push(policy.invalid("this cluster is not configured for dual-stack services"));
    }
}

/// Those that are named, those of the addresses that are named, the cluster's first; and the other one if both are asked for.
fn wanted(spec: &Value, known: &[Family], open: bool) -> Vec<Family> {
    let mut families: Vec<Family> =
        list(spec, "ipFamilies").iter().filter_map(|name| Family::named(name.as_str()?)).collect();
    let addresses = list(spec, "clusterIPs").iter().filter_map(|address| address.as_str()?.parse().ok());
    for family in addresses.map(|address: IpAddr| Family::of(address)) {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let first = families.first().copied().or_else(|| known.first().copied()).unwrap_or(Family::V4);
    match text(spec, "ipFamilyPolicy") {
        "SingleStack" => vec![first],
        _ if open || known.contains(&first.other()) => vec![first, first.other()],
        _ => vec![first],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(mut spec: Value, networks: &[&str]) -> (Value, Vec<String>) {
        let networks = Networks::from_texts(networks);
        let mut errors = Errors::new();
        settle(&mut spec, &networks, &mut errors);
        (spec, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_service_has_one_address_of_the_first_family_unless_it_says_otherwise() {
        let (spec, errors) = settled(json!({"type": "ClusterIP"}), &["10.43.0.0/16", "fd43::/112"]);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!((&spec["ipFamilies"], &spec["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
        let both = json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"});
        assert_eq!(
            settled(both.clone(), &["fd43::/112", "10.43.0.0/16"]).0["ipFamilies"],
            json!(["IPv6", "IPv4"])
        );
        assert_eq!(settled(both, &["10.43.0.0/16"]).0["ipFamilies"], json!(["IPv4"]));
    }

    #[test]
    fn a_headless_service_without_selector_takes_both_families_anywhere() {
        let (spec, errors) = settled(json!({"type": "ClusterIP", "clusterIP": "None"}), &["10.43.0.0/16"]);
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(spec["ipFamilies"], json!(["IPv4", "IPv6"]));
        assert_eq!(spec["ipFamilyPolicy"], "RequireDualStack");
        assert_eq!(spec["clusterIPs"], json!(["None"]));
    }

    #[test]
    fn what_the_cluster_cannot_give_is_told() {
        let (_, errors) = settled(json!({"type": "ClusterIP", "ipFamilies": ["IPv6"]}), &["10.43.0.0/16"]);
        assert_eq!(errors, ["spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"]);
        let (_, errors) =
            settled(json!({"type": "ClusterIP", "ipFamilyPolicy": "RequireDualStack"}), &["10.43.0.0/16"]);
        assert_eq!(
            errors,
            [
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
            ]
        );
    }
}
