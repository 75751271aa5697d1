//! The chains and maps of one Service's port.
//!
//! A packet is sent to an endpoint by one draw and one look into a map, however many endpoints there are. A client that keeps its
//! endpoint is looked up first, in a memory that the kernel fills and empties by itself; what it holds counts only while
//! the endpoint is among those that are there.

use ipnet::IpNet;
use network::nft::{
    Chain, Element, Expression as E, Field, Key, Rule, Set, Stored, Target, Type, Value, Verdict,
};

use crate::endpoint::{Chosen, Endpoint};
use crate::ruleset::{MASQUERADE, Node, Plan, reject};
use crate::service::Port;

/// The routing type of an address of this machine.
const OWN: u32 = 2;

/// Where traffic of each origin goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Targets {
    /// From pods and nodes, to the cluster address.
    internal: Aim,
    /// From anywhere, to all other addresses.
    external: Aim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    Cluster,
    Local,
    /// Somebody answers, but nobody here: another node may be tried.
    Drop,
    /// Nobody answers.
    Reject,
}

impl Targets {
    pub(crate) fn of(port: &Port, chosen: &Chosen<'_>) -> Self {
        let aim = |local: bool| match (chosen.any, local) {
            (false, _) => Aim::Reject,
            (true, false) => Aim::Cluster,
            (true, true) if chosen.local.is_empty() => Aim::Drop,
            (true, true) => Aim::Local,
        };
        Self { internal: aim(port.internal_local), external: aim(port.external_local) }
    }
}

impl Aim {
    fn chain(self, port: &Port) -> Option<String> {
        match self {
            Self::Cluster => Some(named("cluster", port)),
            Self::Local => Some(named("local", port)),
            Self::Drop | Self::Reject => None,
        }
    }

    fn refusal(self) -> Option<Verdict> {
        match self {
            Self::Cluster | Self::Local => None,
            Self::Drop => Some(Verdict::Drop),
            Self::Reject => Some(reject()),
        }
    }
}

fn named(what: &str, port: &Port) -> String {
    format!("{what}{}/{}", port.name.family.digit(), port.words())
}

pub(crate) fn add(plan: &mut Plan, port: &Port, chosen: &Chosen<'_>, targets: &Targets, node: &Node) {
    for (policy, endpoints) in [("cluster", &chosen.cluster), ("local", &chosen.local)] {
        if !endpoints.is_empty() {
            add_endpoints(plan, port, policy, endpoints);
        }
    }
    if let Some(lifetime) = port.affinity.filter(|_| chosen.any) {
        let address = port.name.family.address();
        let stored = Stored::Data(vec![address, Type::Port]);
        plan.sets.push(Set {
            memory: Some(lifetime),
            ..set(named("memory", port), vec![address], stored, vec![])
        });
    }
    let (family, protocol) = (port.name.family, port.name.protocol);
    let cluster = (Some(port.cluster_ip), protocol, port.number);
    if let Some(chain) = targets.internal.chain(port) {
        Plan::claim(&mut plan.services, family, cluster, Verdict::Goto(chain));
    }
    if let Some(refusal) = targets.internal.refusal() {
        Plan::claim(&mut plan.refused, family, cluster, refusal);
    }
    if port.is_external() {
        add_external(plan, port, chosen, targets.external, node);
    }
}

fn add_external(plan: &mut Plan, port: &Port, chosen: &Chosen<'_>, aim: Aim, node: &Node) {
    let (family, protocol) = (port.name.family, port.name.protocol);
    let public = port.public_ips().map(|address| (Some(address), protocol, port.number));
    let places: Vec<_> = public.chain(port.node_port.map(|number| (None, protocol, number))).collect();
    let enters = named("external", port);
    for place in places {
        if chosen.any {
            Plan::claim(&mut plan.services, family, place, Verdict::Goto(enters.clone()));
        }
        if let Some(refusal) = aim.refusal() {
            Plan::claim(&mut plan.refused, family, place, refusal);
        }
    }
    if chosen.any {
        plan.chains.push(Chain { name: enters, base: None, rules: enter(port, aim, node) });
    }
    if !port.source_ranges.is_empty() {
        add_guard(plan, port, node);
    }
}

/// Traffic that may go to another node must come back through this one. What stays here keeps its source, and what
/// begins here is spared the way out to the load balancer and back: it may go to every endpoint.
fn enter(port: &Port, aim: Aim, node: &Node) -> Vec<Rule> {
    let family = port.name.family;
    let anywhere = || E::Verdict(Verdict::Goto(named("cluster", port)));
    if !port.external_local {
        return vec![Rule(vec![E::Mark(MASQUERADE), anywhere()])];
    }
    let pods =
        node.cluster_cidrs.iter().filter(|network| network.addr().is_ipv4() == port.cluster_ip.is_ipv4());
    let from_pods = pods.map(|network| {
        let inside = E::Network { field: family.source(), network: network.trunc(), inside: true };
        Rule(vec![inside, anywhere()])
    });
    let own = E::Equal(Field::SourceType, Value::number(OWN));
    let from_here = Rule(vec![own, E::Mark(MASQUERADE), anywhere()]);
    let others = aim.chain(port).map(|chain| Rule(vec![E::Verdict(Verdict::Goto(chain))]));
    from_pods.chain([from_here]).chain(others).collect()
}

fn add_endpoints(plan: &mut Plan, port: &Port, policy: &str, endpoints: &[&Endpoint]) {
    let address = port.name.family.address();
    let name = named(policy, port);
    let place = |endpoint: &Endpoint| vec![endpoint.address.into(), Value::port(endpoint.port)];
    let drawn = (0..).zip(endpoints);
    let elements = drawn
        .map(|(number, endpoint)| Element::Data(Value::number(number).into(), place(endpoint)))
        .collect();
    let stored = Stored::Data(vec![address, Type::Port]);
    plan.sets.push(set(name.clone(), vec![Type::Number], stored, elements));
    let draw = Field::Random(u32::try_from(endpoints.len()).unwrap_or(u32::MAX));
    let rules = match port.affinity {
        None => {
            let six = port.cluster_ip.is_ipv6();
            let target = Target::Map { key: vec![draw], map: name.clone(), six, port: true };
            vec![Rule(vec![E::Destination(target)])]
        }
        Some(_) => {
            let (client, memory) = (port.name.family.source(), named("memory", port));
            let places = named(&format!("{policy}-places"), port);
            let members =
                endpoints.iter().map(|endpoint| Element::Member(Key::One(place(endpoint)))).collect();
            plan.sets.push(set(places.clone(), vec![address, Type::Port], Stored::Nothing, members));
            let recalled = Target::Recalled { client, memory: memory.clone(), places };
            let remembered = Target::Remembered { client, memory, key: draw, map: name.clone() };
            vec![Rule(vec![E::Destination(recalled)]), Rule(vec![E::Destination(remembered)])]
        }
    };
    plan.chains.push(Chain { name, base: None, rules });
}

/// Lets in whom the Service names. A node among them may have the balancer's own address as its source.
fn add_guard(plan: &mut Plan, port: &Port, node: &Node) {
    let mut ranges = port.source_ranges.clone();
    let has_node = node.addresses.iter().any(|address| ranges.iter().any(|range| range.contains(address)));
    if has_node {
        ranges.extend(port.balancer_ips.iter().map(|address| IpNet::from(*address)));
    }
    let members = IpNet::aggregate(&ranges).into_iter().map(|range| {
        let last = match range {
            IpNet::V4(range) => Value::from(range.broadcast()),
            IpNet::V6(range) => Value::from(range.broadcast()),
        };
        Element::Member(Key::Range(vec![range.network().into()], vec![last]))
    });
    let allowed = named("allowed", port);
    let key = vec![port.name.family.address()];
    plan.sets.push(Set { intervals: true, ..set(allowed.clone(), key, Stored::Nothing, members.collect()) });
    let others = E::Lookup { key: vec![port.name.family.source()], set: allowed, inside: false };
    let guard = named("guard", port);
    plan.chains.push(Chain {
        name: guard.clone(),
        base: None,
        rules: vec![Rule(vec![others, E::Verdict(Verdict::Drop)])],
    });
    for address in &port.balancer_ips {
        let place = (Some(*address), port.name.protocol, port.number);
        Plan::claim(&mut plan.guarded, port.name.family, place, Verdict::Goto(guard.clone()));
    }
}

fn set(name: String, key: Vec<Type>, stored: Stored, elements: Vec<Element>) -> Set {
    Set { name, key, stored, intervals: false, memory: None, elements }
}
