//! Ports of the node that lead into its pods (`hostPort`), for whoever comes from outside, from pods and from the node itself.
//!
//! ```text
//! prerouting, output ─▶ map of address, protocol and port ─▶ pod        a port at one address of the node
//!                    └▶ own address? map of protocol and port ─▶ pod    a port at every one
//! postrouting ─▶ masquerade: what the node says from 127.0.0.1, and what a pod says to itself
//! ```
//!
//! The table is this module's alone. It is there while a pod has such a port, also while skiff is not; a new start takes it over with
//! the first pod that says its ports again, or removes it when it is known that none will. Where somebody else removes it, it is put back.
//!
//! Programs of the node reach the ports at 127.0.0.1 too, as a kiosk's browser does. For that the pod's link must pass on packets from
//! there, and so would take packets of the pod *to* there: those are dropped before anything else sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use tokio::sync::Mutex;

use crate::nft::{
    self, Base, Chain, Element, Expression as E, Family, Field, Hook, Key, Kind, Nftables, Removals, Rule,
    Ruleset, Set, Stored, Target, Type, Value, Verdict, priority,
};

const TABLE: &str = "skiff-host-ports";
/// Behind Services, which were asked for by name.
const AFTER_SERVICES: i32 = priority::DESTINATION_NAT + 5;
/// Before connections are known: answers to 127.0.0.1 still have another address.
const BEFORE_ALL: i32 = -300;
const OWN: u32 = 2;
const TRANSLATED: u32 = 0x20;
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// A port of the node, and the pod's port that it leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The number of the protocol in an IP packet.
    pub protocol: u8,
    /// None: all addresses of the node.
    pub address: Option<IpAddr>,
    pub port: u16,
    pub pod_port: u16,
}

/// One way into a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    from: HostPort,
    to: IpAddr,
}

#[derive(Debug)]
pub(crate) struct HostPorts {
    nftables: Nftables,
    removals: Removals,
    /// Addresses of these are the cluster's, also those that the node answers at itself.
    cluster: Vec<IpNet>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pods: BTreeMap<String, Vec<Way>>,
    /// What is in the kernel, if we put it there.
    written: Option<Ruleset>,
}

impl HostPorts {
    pub(crate) fn new(cluster: Vec<IpNet>) -> Result<Self, nft::Error> {
        let nftables = Nftables::open()?;
        let removals = nftables.removals()?;
        Ok(Self { nftables, removals, cluster, state: Mutex::default() })
    }

    /// Waits until somebody else removes the table. Cancel safe.
    pub(crate) async fn removed(&self) -> Result<(), nft::Error> {
        self.removals.of(TABLE).await
    }

    /// Makes the table anew, whatever is there.
    pub(crate) async fn put_back(&self) -> Result<(), nft::Error> {
        let mut state = self.state.lock().await;
        // Without a port there was nothing of ours.
        if state.pods.is_empty() {
            return Ok(());
        }
        state.written = None;
        self.write(&mut state).await
    }

    /// Leads these ports to the pod, and no others.
    pub(crate) async fn lead(
        &self,
        pod: &str,
        addresses: &[IpAddr],
        ports: &[HostPort],
    ) -> Result<(), nft::Error> {
        let ways = ways(addresses, ports);
        let mut state = self.state.lock().await;
        if state.pods.get(pod).map_or(&[][..], Vec::as_slice) == ways {
            return Ok(());
        }
        let before = state.pods.remove(pod);
        if !ways.is_empty() {
            state.pods.insert(pod.to_owned(), ways);
        }
        let written = self.write(&mut state).await;
        if written.is_err() {
            // Asked again, we must not believe that it is there.
            state.pods.remove(pod);
            state.pods.extend(before.map(|before| (pod.to_owned(), before)));
        }
        written
    }

    /// Forgets the ports of all other pods, and what an earlier process led to them.
    pub(crate) async fn sweep(&self, alive: &BTreeSet<String>) -> Result<(), nft::Error> {
        let mut state = self.state.lock().await;
        let count = state.pods.len();
        state.pods.retain(|pod, _| alive.contains(pod));
        if state.written.is_some() && state.pods.len() == count {
            return Ok(());
        }
        self.write(&mut state).await
    }

    async fn write(&self, state: &mut State) -> Result<(), nft::Error> {
        // If this fails, nobody knows what is there.
        let written = state.written.take();
        if state.pods.is_empty() {
            return self.nftables.remove(TABLE).await;
        }
        let next = table(state.pods.values().flatten(), &self.cluster);
        match written {
            Some(written) => self.nftables.update(&written, &next).await?,
            None => self.nftables.apply(&next).await?,
        }
        state.written = Some(next);
        Ok(())
    }
}

/// A port leads to the pod's address of the same family.
fn ways(addresses: &[IpAddr], ports: &[HostPort]) -> Vec<Way> {
    let of_port = |port: &HostPort| {
        let mut to = addresses.to_vec();
        to.retain(|to| port.address.is_none_or(|at| at.is_ipv4() == to.is_ipv4()));
        let from = port.clone();
        to.into_iter().map(move |to| Way { from: from.clone(), to })
    };
    ports.iter().flat_map(of_port).collect()
}

fn table<'a>(ways: impl Iterator<Item = &'a Way>, cluster: &[IpNet]) -> Ruleset {
    let ways: Vec<&Way> = ways.collect();
    let nat = |hook, priority| Some(Base { kind: Kind::Nat, hook, priority });
    let guard = Some(Base { kind: Kind::Filter, hook: Hook::Prerouting, priority: BEFORE_ALL });
    let leading: Vec<Rule> = Family::BOTH.into_iter().flat_map(|family| lead(family, cluster)).collect();
    let chain = |name: &str, base, rules| Chain { name: name.into(), base, rules };
    Ruleset {
        table: TABLE.into(),
        sets: Family::BOTH.into_iter().flat_map(|family| sets(family, &ways)).collect(),
        chains: vec![
            chain("guard", guard, vec![only_the_node_itself()]),
            chain("prerouting", nat(Hook::Prerouting, AFTER_SERVICES), leading.clone()),
            chain("output", nat(Hook::Output, AFTER_SERVICES), leading),
            chain("postrouting", nat(Hook::Postrouting, priority::SOURCE_NAT), hide()),
        ],
    }
}

fn lead(family: Family, cluster: &[IpNet]) -> [Rule; 2] {
    let to = |key, map: &str| {
        E::Destination(Target::Map { key, map: family.named(map), six: family == Family::Six, port: true })
    };
    let at_one = vec![family.destination(), Field::Protocol, Field::DestinationPort];
    let at_every = vec![Field::Protocol, Field::DestinationPort];
    let of_node = [family.only(), E::Equal(Field::DestinationType, Value::number(OWN))];
    let not_the_clusters = cluster
        .iter()
        .filter(|network| Family::of(network.addr()) == family)
        .map(|network| E::Network { field: family.destination(), network: network.trunc(), inside: false });
    let at_every = of_node.into_iter().chain(not_the_clusters).chain([to(at_every, "every")]).collect();
    [Rule(vec![to(at_one, "one")]), Rule(at_every)]
}

fn sets(family: Family, ways: &[&Way]) -> [Set; 3] {
    let ways: Vec<&&Way> = ways.iter().filter(|way| Family::of(way.to) == family).collect();
    let set = |name: &str, key: &[Type], stored, elements: BTreeMap<Vec<u8>, Element>| Set {
        name: family.named(name),
        key: key.to_vec(),
        stored,
        intervals: false,
        memory: None,
        elements: elements.into_values().collect(),
    };
    let place = || Stored::Data(vec![family.address(), Type::Port]);
    let target = |way: &Way| vec![Value::from(way.to), Value::port(way.from.pod_port)];
    let port = |way: &Way| [Value::protocol(way.from.protocol), Value::port(way.from.port)];
    // The scheduler lets nobody have a port twice; if somebody has, the first one keeps it: two elements of one key would refuse all.
    let of = |at_one: bool| {
        let mut elements = BTreeMap::new();
        for way in ways.iter().filter(|way| way.from.address.is_some() == at_one) {
            let address = way.from.address.map(Value::from);
            let key: Vec<Value> = address.into_iter().chain(port(way)).collect();
            let element = Element::Data(Key::One(key), target(way));
            elements.entry(order(way)).or_insert(element);
        }
        elements
    };
    let itself = ways.iter().map(|way| {
        let both = vec![Value::from(way.to), Value::from(way.to)];
        (way.to.to_string().into_bytes(), Element::Member(Key::One(both)))
    });
    [
        set("one", &[family.address(), Type::Protocol, Type::Port], place(), of(true)),
        set("every", &[Type::Protocol, Type::Port], place(), of(false)),
        set("itself", &[family.address(); 2], Stored::Nothing, itself.collect()),
    ]
}

/// Tells keys apart.
fn order(way: &Way) -> Vec<u8> {
    let HostPort { protocol, address, port, .. } = &way.from;
    format!("{address:?} {protocol} {port}").into_bytes()
}

fn hide() -> Vec<Rule> {
    let translated = || E::Bits(Field::ConnectionStatus, TRANSLATED);
    let from_loopback = E::Network { field: Field::Ip4Source, network: IpNet::V4(LOOPBACK), inside: true };
    let to_itself = Family::BOTH.into_iter().map(|family| {
        let key = vec![family.source(), family.destination()];
        let itself = E::Lookup { key, set: family.named("itself"), inside: true };
        Rule(vec![translated(), itself, E::Masquerade])
    });
    to_itself.chain([Rule(vec![translated(), from_loopback, E::Masquerade])]).collect()
}

fn only_the_node_itself() -> Rule {
    let to_loopback = E::Network { field: Field::Ip4Destination, network: IpNet::V4(LOOPBACK), inside: true };
    Rule(vec![
        E::Unequal(Field::InputInterface, Value::interface("lo")),
        to_loopback,
        E::Verdict(Verdict::Drop),
    ])
}
