//! UDP flows that lead to nobody.
//!
//! The kernel keeps a flow's endpoint for as long as packets come. When a Service's endpoints change, flows to those it no longer has
//! are forgotten, and the next packet is routed anew. Those to endpoints that still serve stay, whatever policy would
//! choose now: as with a connection, a choice is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use network::conntrack::Flow;

use crate::endpoint::Endpoints;
use crate::service::{Port, UDP};

/// Where UDP is sent to. A node port has no address.
type Place = (Option<IpAddr>, u16);

/// Who may answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answers(BTreeMap<Place, BTreeSet<(IpAddr, u16)>>);

impl Answers {
    pub(crate) fn of(ports: &[Port], endpoints: &Endpoints) -> Self {
        let mut answers = Self::default();
        for port in ports.iter().filter(|port| port.name.protocol == UDP) {
            let known = endpoints.get(&port.name).into_iter().flatten();
            let serving: Vec<_> =
                known.filter(|it| it.serving).map(|endpoint| (endpoint.address, endpoint.port)).collect();
            let addresses = port.public_ips().chain([port.cluster_ip]);
            let places = addresses.map(|address| (Some(address), port.number));
            for place in places.chain(port.node_port.map(|number| (None, number))) {
                answers.0.entry(place).or_default().extend(&serving);
            }
        }
        answers
    }

    /// With the places that were there before and are gone: nobody answers there.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        for place in before.0.keys() {
            self.0.entry(*place).or_default();
        }
        self
    }

    /// Whether the flow leads to one who no longer answers. `own` are the addresses of this node's ports.
    pub(crate) fn miss(&self, flow: &Flow, own: &[IpAddr]) -> bool {
        if flow.protocol != UDP {
            return false;
        }
        let (address, port) = flow.to;
        let by_address = self.0.get(&(Some(address), port));
        let by_port = || self.0.get(&(None, port)).filter(|_| own.contains(&address));
        by_address.or_else(by_port).is_some_and(|answers| !answers.contains(&flow.answered_by))
    }
}
