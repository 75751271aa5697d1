//! Who answers for a Service's port, and who of them answers here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use client::Key;
use k8s_openapi::api::discovery::v1::{self as discovery, EndpointSlice};
use network::nft::Family;

use crate::Node;
use crate::service::{Port, PortName, protocol};

const SERVICE: &str = "kubernetes.io/service-name";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) ready: bool,
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    /// On this node.
    pub(crate) local: bool,
    /// For whom it is meant; empty: for everybody.
    zones: Vec<String>,
    nodes: Vec<String>,
}

/// All endpoints, each once per port.
pub(crate) type Endpoints = BTreeMap<PortName, Vec<Endpoint>>;

pub(crate) fn endpoints<'a>(slices: impl Iterator<Item = &'a EndpointSlice>, node: &Node) -> Endpoints {
    let mut found: BTreeMap<PortName, BTreeMap<(IpAddr, u16), Endpoint>> = BTreeMap::new();
    for slice in slices {
        let labels = slice.metadata.labels.as_ref();
        let Some(service) = labels.and_then(|labels| labels.get(SERVICE)) else { continue };
        let family = match slice.address_type.as_str() {
            "IPv4" => Family::Four,
            "IPv6" => Family::Six,
            _ => continue,
        };
        let service = Key::new(slice.metadata.namespace.clone().unwrap_or_default(), service);
        for port in slice.ports.iter().flatten() {
            let number =
                port.port.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0);
            let (Some(number), Some(protocol)) = (number, protocol(port.protocol.as_deref())) else {
                continue;
            };
            let name = port.name.clone().unwrap_or_default();
            let all =
                found.entry(PortName { service: service.clone(), port: name, protocol, family }).or_default();
            let here = slice.endpoints.iter().flatten();
            for endpoint in here.filter_map(|endpoint| meaning(endpoint, number, node)) {
                if Family::of(endpoint.address) == family {
                    all.insert((endpoint.address, endpoint.port), endpoint);
                }
            }
        }
    }
    found.into_iter().map(|(name, all)| (name, all.into_values().collect())).collect()
}

fn meaning(endpoint: &discovery::Endpoint, port: u16, node: &Node) -> Option<Endpoint> {
    let conditions = endpoint.conditions.as_ref();
    let is = |condition: Option<Option<bool>>, unsaid| condition.flatten().unwrap_or(unsaid);
    let hints = endpoint.hints.as_ref();
    let zones = hints.and_then(|hints| hints.for_zones.as_ref()).into_iter().flatten();
    let nodes = hints.and_then(|hints| hints.for_nodes.as_ref()).into_iter().flatten();
    Some(Endpoint {
        address: endpoint.addresses.first()?.parse().ok()?,
        port,
        ready: is(conditions.map(|it| it.ready), true),
        serving: is(conditions.map(|it| it.serving), true),
        terminating: is(conditions.map(|it| it.terminating), false),
        local: endpoint.node_name.as_deref() == Some(&node.name),
        zones: zones.map(|zone| zone.name.clone()).collect(),
        nodes: nodes.map(|node| node.name.clone()).collect(),
    })
}

/// The endpoints to which this node sends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen<'a> {
    /// For traffic that may go anywhere.
    pub(crate) cluster: Vec<&'a Endpoint>,
    /// For traffic that stays here.
    pub(crate) local: Vec<&'a Endpoint>,
    /// Whether anybody answers at all, on whatever node.
    pub(crate) any: bool,
}

/// Those that are ready; where none is, those that are going but still serve.
pub(crate) fn choose<'a>(all: &'a [Endpoint], port: &Port, node: &Node) -> Chosen<'a> {
    let hinted = hints(all, node);
    let cluster = ready_or_serving(all, |endpoint| hinted.is_meant(endpoint, node));
    let any = all.iter().any(|endpoint| endpoint.ready || still_serves(endpoint));
    let external_local = port.external_local && port.is_external();
    let stays = external_local || port.internal_local;
    let roams = !port.internal_local || port.is_external();
    Chosen {
        cluster: if roams { cluster } else { Vec::new() },
        local: if stays { ready_or_serving_here(all) } else { Vec::new() },
        any,
    }
}

fn still_serves(endpoint: &Endpoint) -> bool {
    endpoint.serving && endpoint.terminating
}

fn ready_or_serving(all: &[Endpoint], meant: impl Fn(&Endpoint) -> bool) -> Vec<&Endpoint> {
    let ready: Vec<_> = all.iter().filter(|endpoint| endpoint.ready && meant(endpoint)).collect();
    if ready.is_empty() { all.iter().filter(|endpoint| still_serves(endpoint)).collect() } else { ready }
}

fn ready_or_serving_here(all: &[Endpoint]) -> Vec<&Endpoint> {
    let here = || all.iter().filter(|endpoint| endpoint.local);
    let ready: Vec<_> = here().filter(|endpoint| endpoint.ready).collect();
    if ready.is_empty() { here().filter(|endpoint| still_serves(endpoint)).collect() } else { ready }
}

/// What endpoints are distributed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hints {
    None,
    Node,
    Zone,
}

impl Hints {
    fn is_meant(self, endpoint: &Endpoint, node: &Node) -> bool {
        match self {
            Self::None => true,
            Self::Node => endpoint.nodes.contains(&node.name),
            Self::Zone => node.zone.as_ref().is_some_and(|zone| endpoint.zones.contains(zone)),
        }
    }
}

/// Hints count if every ready endpoint has one and one of them is for us: else some would get nothing.
fn hints(all: &[Endpoint], node: &Node) -> Hints {
    let ready = || all.iter().filter(|endpoint| endpoint.ready);
    let holds = |hints: Hints, has: fn(&Endpoint) -> bool| {
        ready().all(has) && ready().any(|endpoint| hints.is_meant(endpoint, node))
    };
    if holds(Hints::Node, |endpoint| !endpoint.nodes.is_empty()) {
        Hints::Node
    } else if holds(Hints::Zone, |endpoint| !endpoint.zones.is_empty()) {
        Hints::Zone
    } else {
        Hints::None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::service::ports;

    fn node() -> Node {
        Node { name: "here".into(), zone: Some("east".into()), ..Node::default() }
    }

    fn known(endpoints: &Value) -> Vec<Endpoint> {
        let slice = |name: &str| {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "shop", "labels": {SERVICE: "web"}},
                "addressType": "IPv4",
                "ports": [{"name": "", "port": 8080, "protocol": "TCP"}, {"name": "any"}],
                "endpoints": endpoints,
            }))
            .unwrap()
        };
        // While endpoints move from one slice to another they are in both.
        let slices: [EndpointSlice; 2] = [slice("a"), slice("b")];
        super::endpoints(slices.iter(), &node()).into_values().next().unwrap_or_default()
    }

    /// The last numbers of the addresses chosen for the cluster, for here, and whether anybody answers.
    fn chosen(spec: &Value, endpoints: &Value) -> (Vec<u8>, Vec<u8>, bool) {
        let mut service =
            json!({"spec": {"clusterIP": "10.43.0.1", "ports": [{"port": 80, "nodePort": 30080}]}});
        service["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let port = ports(&serde_json::from_value(service).unwrap()).remove(0);
        let all = known(endpoints);
        let chosen = choose(&all, &port, &node());
        let last = |list: &[&Endpoint]| {
            list.iter().filter_map(|it| it.address.to_string().rsplit('.').next()?.parse().ok()).collect()
        };
        (last(&chosen.cluster), last(&chosen.local), chosen.any)
    }

    fn endpoint(last: u8, more: &Value) -> Value {
        let mut endpoint = json!({"addresses": [format!("10.42.0.{last}")], "nodeName": "there"});
        endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        endpoint
    }

    fn going(last: u8) -> Value {
        let conditions = json!({"ready": false, "serving": true, "terminating": true});
        endpoint(last, &json!({"conditions": conditions}))
    }

    #[test]
    fn those_that_are_ready_and_only_without_them_those_that_still_serve() {
        let unready = endpoint(4, &json!({"conditions": {"ready": false}}));
        let ready = endpoint(2, &json!({}));
        assert_eq!(chosen(&json!({}), &json!([ready, going(3), unready])), (vec![2], vec![], true));
        assert_eq!(chosen(&json!({}), &json!([going(3), unready])), (vec![3], vec![], true));
        assert_eq!(chosen(&json!({}), &json!([unready])), (vec![], vec![], false));
        assert_eq!(chosen(&json!({}), &json!([])), (vec![], vec![], false));
    }

    #[test]
    fn traffic_that_stays_here() {
        let here = |last| endpoint(last, &json!({"nodeName": "here"}));
        let all = json!([endpoint(2, &json!({})), here(3)]);
        let outside = json!({"type": "NodePort", "externalTrafficPolicy": "Local"});
        assert_eq!(chosen(&outside, &all), (vec![2, 3], vec![3], true));
        let inside = json!({"internalTrafficPolicy": "Local", "ports": [{"port": 80}]});
        assert_eq!(chosen(&inside, &all), (vec![], vec![3], true));
        assert_eq!(chosen(&inside, &json!([endpoint(2, &json!({}))])), (vec![], vec![], true));
    }

    #[test]
    fn hints_count_if_all_have_one_and_one_is_for_us() {
        let hinted = |last, hints| endpoint(last, &json!({"hints": hints}));
        let zone = |last, zone: &str| hinted(last, json!({"forZones": [{"name": zone}]}));
        let near = |last, node: &str| {
            hinted(last, json!({"forZones": [{"name": "east"}], "forNodes": [{"name": node}]}))
        };
        let plain = endpoint(4, &json!({}));
        let cluster = |endpoints: &Value| chosen(&json!({}), endpoints).0;
        assert_eq!(cluster(&json!([zone(2, "east"), zone(3, "west")])), [2]);
        assert_eq!(cluster(&json!([zone(2, "east"), zone(3, "west"), plain])), [2, 3, 4]);
        assert_eq!(cluster(&json!([zone(2, "south"), zone(3, "west")])), [2, 3]);
        assert_eq!(cluster(&json!([near(2, "here"), near(3, "there")])), [2]);
        assert_eq!(cluster(&json!([near(2, "yonder"), near(3, "there")])), [2, 3], "all are of our zone");
    }
}
