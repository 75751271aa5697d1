//! The table as a whole: where packets come in, and the maps by which each finds its Service.
//!
//! ```text
//! prerouting, output ─▶ services ─▶ map of address, protocol and port ─▶ chain of the Service ─▶ endpoint
//!                          └──────▶ own address? map of protocol and port ─▶ chain of the Service
//! prerouting, output ─▶ firewall: who may come by a load balancer's address
//! input, forward, output, behind the translation ─▶ refuse: nobody answers, or no such port
//! postrouting ─▶ masquerade: what was marked, and what a pod sent to itself
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::nft::{
    Base, Chain, Element, Expression as E, Family, Field, Hook, Key, Kind, Rule, Ruleset, Set, Stored, Type,
    Value, Verdict, priority,
};

use crate::chains::{self, Targets};
use crate::endpoint::{Endpoints, choose, endpoints};
use crate::service::{Port, TCP, ports};

/// Packets with this bit leave with the node's address.
pub(crate) const MASQUERADE: u32 = 0x4000;
const NEW: u32 = 8;
const TRANSLATED: u32 = 0x20;

/// What must be known of the node whose packets are routed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// Those at which node ports listen.
    pub addresses: Vec<IpAddr>,
    pub zone: Option<String>,
    /// From here come packets of pods: their addresses need no hiding.
    pub cluster_cidrs: Vec<IpNet>,
}

/// What the Services ask of the kernel, as one table of this name.
pub fn ruleset(
    table: &str,
    services: &[Arc<Service>],
    slices: &[Arc<EndpointSlice>],
    node: &Node,
) -> Ruleset {
    let all: Vec<Port> = services.iter().flat_map(|service| ports(service)).collect();
    table_of(table, &all, &endpoints(slices.iter().map(Arc::as_ref), node), node)
}

/// A place in a map of Services: the address, but for node ports, the protocol and the port.
pub(crate) type Place = (Option<IpAddr>, u8, u16);

/// What the Services together need; the first to claim a place has it, as two elements with one key would refuse all.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) sets: Vec<Set>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) services: BTreeMap<(Family, Place), Verdict>,
    pub(crate) refused: BTreeMap<(Family, Place), Verdict>,
    pub(crate) guarded: BTreeMap<(Family, Place), Verdict>,
    cluster_ips: BTreeSet<IpAddr>,
    /// Endpoints of this node: each may send to itself.
    loops: BTreeSet<IpAddr>,
}

pub(crate) fn table_of(table: &str, all: &[Port], endpoints: &Endpoints, node: &Node) -> Ruleset {
    let mut plan = Plan::default();
    for port in all {
        let known = endpoints.get(&port.name).map(Vec::as_slice).unwrap_or_default();
        let chosen = choose(known, port, node);
        plan.cluster_ips.insert(port.cluster_ip);
        let here = chosen.cluster.iter().chain(&chosen.local).filter(|endpoint| endpoint.local);
        plan.loops.extend(here.map(|endpoint| endpoint.address));
        let targets = Targets::of(port, &chosen);
        chains::add(&mut plan, port, &chosen, &targets, node);
    }
    plan.into_table(table, node)
}

impl Plan {
    pub(crate) fn claim(
        map: &mut BTreeMap<(Family, Place), Verdict>,
        family: Family,
        place: Place,
        verdict: Verdict,
    ) {
        map.entry((family, place)).or_insert(verdict);
    }

    fn into_table(mut self, table: &str, node: &Node) -> Ruleset {
        for family in Family::BOTH {
            let sets = self.maps(family, node);
            self.sets.extend(sets);
        }
        let mut chains = base_chains();
        chains.extend([
            services_chain(node),
            refuse_chain(),
            reject_chain(),
            firewall_chain(),
            masquerade_chain(),
        ]);
        chains.append(&mut self.chains);
        Ruleset { table: table.into(), sets: self.sets, chains }
    }

    fn maps(&self, family: Family, node: &Node) -> Vec<Set> {
        let address = family.address();
        let by_address = [address, Type::Protocol, Type::Port];
        let by_port = [Type::Protocol, Type::Port];
        let one = |it: IpAddr| Element::Member(Value::from(it).into());
        let itself = |it: IpAddr| Element::Member(Key::One(vec![it.into(), it.into()]));
        let own = |list: &mut dyn Iterator<Item = IpAddr>, element: &dyn Fn(IpAddr) -> Element| {
            list.filter(|it| Family::of(*it) == family).map(element).collect::<Vec<_>>()
        };
        let nodes: BTreeSet<IpAddr> = node.addresses.iter().copied().collect();
        let set = |name: &str, key: &[Type], stored, elements| Set {
            name: family.named(name),
            key: key.to_vec(),
            stored,
            intervals: false,
            memory: None,
            elements,
        };
        let map = |name: &str, key: &[Type], elements| set(name, key, Stored::Verdict, elements);
        vec![
            map("services", &by_address, elements(&self.services, family, true)),
            map("node-ports", &by_port, elements(&self.services, family, false)),
            map("refused", &by_address, elements(&self.refused, family, true)),
            map("refused-node-ports", &by_port, elements(&self.refused, family, false)),
            map("guarded", &by_address, elements(&self.guarded, family, true)),
            set("cluster-ips", &[address], Stored::Nothing, own(&mut self.cluster_ips.iter().copied(), &one)),
            set("node-ips", &[address], Stored::Nothing, own(&mut nodes.into_iter(), &one)),
            set("loops", &[address, address], Stored::Nothing, own(&mut self.loops.iter().copied(), &itself)),
        ]
    }
}

fn elements(map: &BTreeMap<(Family, Place), Verdict>, wanted: Family, addressed: bool) -> Vec<Element> {
    let mine = map.iter().filter(|((family, place), _)| *family == wanted && place.0.is_some() == addressed);
    mine.map(|((_, (address, protocol, port)), verdict)| {
        let address = address.map(Value::from).into_iter();
        let key = address.chain([Value::protocol(*protocol), Value::port(*port)]).collect();
        Element::Verdict(Key::One(key), verdict.clone())
    })
    .collect()
}

fn base_chains() -> Vec<Chain> {
    let chain = |name: &str, kind, hook, priority, rule: Vec<E>| Chain {
        name: name.into(),
        base: Some(Base { kind, hook, priority }),
        rules: vec![Rule(rule)],
    };
    let to = |name: &str| vec![E::Verdict(Verdict::Jump(name.into()))];
    let first =
        |name: &str| [E::Bits(Field::ConnectionState, NEW)].into_iter().chain(to(name)).collect::<Vec<E>>();
    let before = priority::DESTINATION_NAT - 10;
    vec![
        chain("nat-prerouting", Kind::Nat, Hook::Prerouting, priority::DESTINATION_NAT, to("services")),
        chain("nat-output", Kind::Nat, Hook::Output, priority::DESTINATION_NAT, to("services")),
        chain("nat-postrouting", Kind::Nat, Hook::Postrouting, priority::SOURCE_NAT, to("masquerade")),
        chain("guard-prerouting", Kind::Filter, Hook::Prerouting, before, first("firewall")),
        chain("guard-output", Kind::Filter, Hook::Output, before, first("firewall")),
        chain("refuse-input", Kind::Filter, Hook::Input, priority::FILTER, first("refuse")),
        chain("refuse-forward", Kind::Filter, Hook::Forward, priority::FILTER, first("refuse")),
        chain("refuse-output", Kind::Filter, Hook::Output, priority::FILTER, first("refuse")),
    ]
}

fn in_set(key: Vec<Field>, name: &str, family: Family) -> E {
    E::Lookup { key, set: family.named(name), inside: true }
}

fn by_address(map: &str, family: Family) -> Rule {
    let key = vec![family.destination(), Field::Protocol, Field::DestinationPort];
    Rule(vec![E::Dispatch { key, map: family.named(map) }])
}

fn by_node_port(map: &str, family: Family) -> Rule {
    let key = vec![Field::Protocol, Field::DestinationPort];
    let ours = in_set(vec![family.destination()], "node-ips", family);
    Rule(vec![ours, E::Dispatch { key, map: family.named(map) }])
}

/// Whoever is no pod gets the answer by way of this node: the endpoint may not know another way back.
fn services_chain(node: &Node) -> Chain {
    let mut rules = Vec::new();
    for family in Family::BOTH {
        let pods: Vec<_> = node.cluster_cidrs.iter().filter(|it| Family::of(it.addr()) == family).collect();
        if !pods.is_empty() {
            let outside = pods.iter().map(|network| E::Network {
                field: family.source(),
                network: network.trunc(),
                inside: false,
            });
            let to_service = in_set(vec![family.destination()], "cluster-ips", family);
            rules.push(Rule([to_service].into_iter().chain(outside).chain([E::Mark(MASQUERADE)]).collect()));
        }
        rules.push(by_address("services", family));
        rules.push(by_node_port("node-ports", family));
    }
    Chain { name: "services".into(), base: None, rules }
}

/// What comes here was not translated: nobody answers for it, or it asks for a port that a Service does not have.
fn refuse_chain() -> Chain {
    let rules = Family::BOTH.into_iter().flat_map(|family| {
        let unknown = in_set(vec![family.destination()], "cluster-ips", family);
        [
            by_address("refused", family),
            by_node_port("refused-node-ports", family),
            Rule(vec![unknown, E::Verdict(reject())]),
        ]
    });
    Chain { name: "refuse".into(), base: None, rules: rules.collect() }
}

pub(crate) fn reject() -> Verdict {
    Verdict::Goto("reject".into())
}

fn reject_chain() -> Chain {
    let tcp = E::Equal(Field::Protocol, Value::protocol(TCP));
    Chain { name: "reject".into(), base: None, rules: vec![Rule(vec![tcp, E::Reset]), Rule(vec![E::Reject])] }
}

fn firewall_chain() -> Chain {
    let rules = Family::BOTH.into_iter().map(|family| by_address("guarded", family));
    Chain { name: "firewall".into(), base: None, rules: rules.collect() }
}

/// The mark goes: a tunnel's outer packet would carry it on.
fn masquerade_chain() -> Chain {
    let marked = Rule(vec![E::Bits(Field::Mark, MASQUERADE), E::Unmark(MASQUERADE), E::Masquerade]);
    let to_itself = Family::BOTH.into_iter().map(|family| {
        let key = vec![family.source(), family.destination()];
        Rule(vec![E::Bits(Field::ConnectionStatus, TRANSLATED), in_set(key, "loops", family), E::Masquerade])
    });
    Chain { name: "masquerade".into(), base: None, rules: [marked].into_iter().chain(to_itself).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn table(services: &[Json], slices: &[Json]) -> Ruleset {
        let node = Node {
            name: "here".into(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            zone: None,
            cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap()],
        };
        let services: Vec<_> =
            services.iter().map(|it| Arc::new(serde_json::from_value(it.clone()).unwrap())).collect();
        let slices: Vec<_> =
            slices.iter().map(|it| Arc::new(serde_json::from_value(it.clone()).unwrap())).collect();
        ruleset("services", &services, &slices, &node)
    }

    fn service(name: &str, address: &str, more: &Json) -> Json {
        let mut spec = json!({"clusterIP": address, "ports": [{"port": 80}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    }

    fn slice(service: &str, node: &str) -> Json {
        json!({
            "metadata": {"name": service, "namespace": "shop", "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}],
            "endpoints": [{"addresses": ["10.42.0.7"], "nodeName": node}],
        })
    }

    fn verdicts<'a>(table: &'a Ruleset, map: &str) -> Vec<&'a Verdict> {
        let set = table.sets.iter().find(|set| set.name == map).unwrap();
        set.elements
            .iter()
            .filter_map(|it| if let Element::Verdict(_, to) = it { Some(to) } else { None })
            .collect()
    }

    fn names<'a>(table: &'a Ruleset, what: &str) -> Vec<&'a str> {
        table.chains.iter().map(|chain| chain.name.as_str()).filter(|name| name.starts_with(what)).collect()
    }

    #[test]
    fn a_service_with_an_endpoint_is_a_way_and_one_without_a_refusal() {
        let both = [service("web", "10.43.0.1", &json!({})), service("idle", "10.43.0.2", &json!({}))];
        let table = table(&both, &[slice("web", "there")]);
        assert_eq!(verdicts(&table, "services4"), [&Verdict::Goto("cluster4/shop/web/80".into())]);
        assert_eq!(verdicts(&table, "refused4"), [&reject()]);
        assert_eq!(names(&table, "external"), [""; 0]);
    }

    #[test]
    fn who_must_stay_here_and_finds_nobody_is_dropped() {
        let spec = json!({
            "type": "NodePort",
            "externalTrafficPolicy": "Local",
            "internalTrafficPolicy": "Local",
            "ports": [{"port": 80, "nodePort": 30080}],
        });
        let one = [service("web", "10.43.0.1", &spec)];
        let elsewhere = table(&one, &[slice("web", "there")]);
        assert_eq!(verdicts(&elsewhere, "services4"), [&Verdict::Drop; 0]);
        assert_eq!(verdicts(&elsewhere, "refused4"), [&Verdict::Drop]);
        assert_eq!(verdicts(&elsewhere, "refused-node-ports4"), [&Verdict::Drop]);
        // Pods and the node itself may go further: they would come back from the load balancer.
        assert_eq!(verdicts(&elsewhere, "node-ports4"), [&Verdict::Goto("external4/shop/web/80".into())]);
        assert_eq!(names(&elsewhere, "local4"), [""; 0]);

        let here = table(&one, &[slice("web", "here")]);
        assert_eq!(verdicts(&here, "services4"), [&Verdict::Goto("local4/shop/web/80".into())]);
        assert_eq!(verdicts(&here, "refused-node-ports4"), [&Verdict::Drop; 0]);
    }

    #[test]
    fn two_claims_to_one_address_do_not_spoil_the_table() {
        let claim = json!({"externalIPs": ["203.0.113.1"]});
        let both = [service("a", "10.43.0.1", &claim), service("b", "10.43.0.2", &claim)];
        let table = table(&both, &[slice("a", "there"), slice("b", "there")]);
        let public = Verdict::Goto("external4/shop/a/80".into());
        assert_eq!(
            verdicts(&table, "services4").into_iter().filter(|verdict| **verdict == public).count(),
            1
        );
        assert_eq!(verdicts(&table, "services4").len(), 3);
    }
}
