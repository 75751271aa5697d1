//! How Services are shown.

use serde_json::Value;

use crate::table::{AGE, Column, NAME, Table, age, joined, labels_or_none, name, or_none};
use crate::value::{at, int, list, text};

pub(in crate::kinds::core) static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Type"),
        Column::text("Cluster-IP"),
        Column::text("External-IP"),
        Column::text("Port(s)"),
        AGE,
        Column::text("Selector").wide(),
    ],
    cells: |service, now| {
        vec![
            name(service),
            text(service, "spec.type").into(),
            or_none(text(service, "spec.clusterIP")).into(),
            external(service).into(),
            or_none(&ports(service)).into(),
            age(service, now),
            labels_or_none(at(service, "spec.selector")).into(),
        ]
    },
};

fn external(service: &Value) -> String {
    let own = joined(list(service, "spec.externalIPs"));
    match text(service, "spec.type") {
        "ClusterIP" | "NodePort" => or_none(&own).to_owned(),
        "LoadBalancer" => match (load_balancer(service), own) {
            (assigned, own) if assigned.is_empty() && own.is_empty() => "<pending>".to_owned(),
            (assigned, own) if own.is_empty() => assigned,
            (assigned, own) if assigned.is_empty() => own,
            (assigned, own) => format!("{assigned},{own}"),
        },
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// The addresses a load balancer answers on, sorted.
pub(in crate::kinds) fn load_balancer(object: &Value) -> String {
    let mut addresses: Vec<&str> = list(object, "status.loadBalancer.ingress")
        .iter()
        .map(|ingress| match text(ingress, "ip") {
            "" => text(ingress, "hostname"),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.join(",")
}

fn ports(service: &Value) -> String {
    let shown = |port: &Value| {
        let (number, protocol) = (int(port, "port"), text(port, "protocol"));
        match int(port, "nodePort") {
            node_port if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    list(service, "spec.ports").iter().map(shown).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn shown(spec: Value, ingress: Value) -> [Value; 4] {
        let service = json!({"metadata": {"name": "s"}, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}});
        let cells = (TABLE.cells)(&service, Timestamp::UNIX_EPOCH);
        [1, 2, 3, 4].map(|cell| cells[cell].clone())
    }

    #[test]
    fn addresses_and_ports() {
        let ports =
            json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "nodePort": 30053, "protocol": "UDP"}]);
        assert_eq!(
            shown(json!({"type": "NodePort", "clusterIP": "10.0.0.1", "ports": ports}), json!(null)),
            ["NodePort", "10.0.0.1", "<none>", "80/TCP,53:30053/UDP"]
        );
        assert_eq!(
            shown(json!({"type": "LoadBalancer"}), json!([])),
            ["LoadBalancer", "<none>", "<pending>", "<none>"]
        );
        assert_eq!(shown(json!({"type": "LoadBalancer"}), json!([{"ip": "1.2.3.4"}]))[2], "1.2.3.4");
        assert_eq!(shown(json!({"type": "ExternalName", "externalName": "a.b"}), json!([]))[2], "a.b");
    }
}
