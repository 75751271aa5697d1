//! From what changes in the caches to the kernel.
//!
//! One task. Changes that come while a table is written are folded into the next one, so a burst costs two writes; and the pause
//! after each is three times what it took, so that a cluster in turmoil costs a quarter of a core at most. A table that somebody else
//! removes is put back. When skiff ends, the table stays: Services work on while it is upgraded.

use std::net::IpAddr;
use std::time::Duration;

use client::{Caches, Change, Key};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node as ApiNode, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::conntrack::{self, Conntrack};
use network::nft::{self, Nftables, Ruleset};
use task::{Backoff, ReadySignal, causes};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::endpoint::endpoints;
use crate::ruleset::{Node, table_of};
use crate::service::{Port, ports};
use crate::stale::Answers;

const ZONE: &str = "topology.kubernetes.io/zone";
const PAUSE: u32 = 3;
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Context {
    pub caches: Caches,
    /// The name of the table, which is ours alone.
    pub table: String,
    pub node_name: String,
    /// The addresses at which node ports listen.
    pub node_ips: Vec<IpAddr>,
    pub cluster_cidrs: Vec<IpNet>,
    /// Said when the first table is in the kernel.
    pub ready: ReadySignal,
}

/// Why routing cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rules(#[from] nft::Error),
    #[error(transparent)]
    Flows(#[from] conntrack::Error),
}

/// Routes the packets of this network namespace to Services, for ever. Ends only if the kernel has no socket for it.
pub async fn run(context: Context) -> Result<(), Error> {
    let nftables = Nftables::open()?;
    let removals = nftables.removals()?;
    let conntrack = Conntrack::open()?;
    let Context { caches, table, node_name, node_ips, cluster_cidrs, ready } = context;
    let node = Node { name: node_name, addresses: node_ips, zone: None, cluster_cidrs };
    let mut feed = Feed::new(&caches, &node.name).await;
    let mut proxy =
        Proxy { caches, nftables, conntrack, table, node, written: None, answers: Answers::default() };
    let mut ready = Some(ready);
    let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
    loop {
        let begun = Instant::now();
        match proxy.write().await {
            Ok(()) => {
                backoff.reset();
                if let Some(ready) = ready.take() {
                    ready.set();
                }
                tokio::time::sleep(begun.elapsed() * PAUSE).await;
                tokio::select! {
                    () = feed.changed() => {}
                    removed = removals.of(&proxy.table) => {
                        removed?;
                        warn!(table = proxy.table, "somebody removed our table, putting it back");
                        proxy.written = None;
                    }
                }
            }
            Err(error) => {
                warn!(error = %causes(&error), "cannot route Services, trying again");
                backoff.wait().await;
            }
        }
    }
}

/// What the table is made of.
struct Feed {
    services: client::Changes<Service>,
    slices: client::Changes<EndpointSlice>,
    nodes: client::Changes<ApiNode>,
    node_name: String,
}

impl Feed {
    /// Once all is known: before that, absence means nothing.
    async fn new(caches: &Caches, node_name: &str) -> Self {
        let mut feed = Self {
            services: caches.of().changes(),
            slices: caches.of().changes(),
            nodes: caches.of().changes(),
            node_name: node_name.to_owned(),
        };
        feed.services.next().await;
        feed.slices.next().await;
        feed.nodes.next().await;
        feed
    }

    /// Waits for a change, and takes all that came with it.
    async fn changed(&mut self) {
        while !self.next().await {}
        loop {
            tokio::select! {
                biased;
                _ = self.next() => {}
                () = std::future::ready(()) => return,
            }
        }
    }

    /// Whether the next change concerns us. Cancel safe.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.services.next() => true,
            _ = self.slices.next() => true,
            change = self.nodes.next() => is_about(&change, &self.node_name),
        }
    }
}

fn is_about(change: &Change<ApiNode>, node: &str) -> bool {
    let mut names = change.objects().map(|object| object.metadata.name.as_deref());
    matches!(change, Change::Resync) || names.any(|name| name == Some(node))
}

struct Proxy {
    caches: Caches,
    nftables: Nftables,
    conntrack: Conntrack,
    table: String,
    node: Node,
    /// What is in the kernel, if we put it there.
    written: Option<Ruleset>,
    answers: Answers,
}

impl Proxy {
    async fn write(&mut self) -> Result<(), nft::Error> {
        self.node.zone = self.zone();
        let services = self.caches.of::<Service>().list();
        let all: Vec<Port> = services.iter().flat_map(|service| ports(service)).collect();
        let slices = self.caches.of::<EndpointSlice>().list();
        let endpoints = endpoints(slices.iter().map(AsRef::as_ref), &self.node);
        let next = table_of(&self.table, &all, &endpoints, &self.node);
        self.put(next).await?;
        // Without the kernel's help here a client of UDP may send to nobody for a while; Services work all the same.
        if let Err(error) = self.forget_stale(Answers::of(&all, &endpoints)).await {
            warn!(error = %causes(&error), "cannot forget UDP flows without endpoint, trying again with the next change");
        }
        Ok(())
    }

    async fn put(&mut self, next: Ruleset) -> Result<(), nft::Error> {
        // If this fails, nobody knows what is there.
        match self.written.take() {
            Some(written) => self.nftables.update(&written, &next).await?,
            None => self.nftables.apply(&next).await?,
        }
        debug!(chains = next.chains.len(), "Services are routed");
        self.written = Some(next);
        Ok(())
    }

    /// After the table: a flow that is forgotten earlier would find the old endpoint again.
    async fn forget_stale(&mut self, answers: Answers) -> Result<(), conntrack::Error> {
        if answers == self.answers {
            return Ok(());
        }
        let wanted = answers.clone().after(&self.answers);
        let own = self.node.addresses.clone();
        let forgotten = self.conntrack.forget(move |flow| wanted.miss(flow, &own)).await?;
        debug!(forgotten, "UDP flows without endpoint");
        self.answers = answers;
        Ok(())
    }

    fn zone(&self) -> Option<String> {
        let node = self.caches.of::<ApiNode>().get(&Key::new("", self.node.name.clone()))?;
        node.metadata.labels.as_ref()?.get(ZONE).cloned()
    }
}
