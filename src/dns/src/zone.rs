//! The cluster's names, worked out from the caches at the moment they are asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use client::{Cache, Caches, Key};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::names::{Place, dashed, labels};
use crate::reverse;

/// Seconds an answer may be kept.
const TTL: u32 = 5;
const SCHEMA: &str = "1.1.0";
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// What the zone says of a name.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Found {
        answers: Vec<Record>,
        additionals: Vec<Record>,
    },
    /// The name is there, but has nothing of the kind.
    Empty {
        soa: Record,
    },
    Absent {
        soa: Record,
    },
    /// Another name's answers are its answers.
    Alias {
        record: Record,
        target: Name,
    },
    /// The caches are not filled yet.
    Unknown,
    /// The name is none of ours.
    Foreign,
}

#[derive(Debug)]
pub(crate) struct Zone {
    /// The labels of the cluster's domain.
    domain: Vec<String>,
    /// Networks whose addresses are the cluster's: nobody else can name them.
    networks: Vec<IpNet>,
    /// Where we can be asked.
    servers: Vec<IpAddr>,
    services: Cache<Service>,
    slices: Cache<EndpointSlice>,
    filled: AtomicBool,
    turn: AtomicUsize,
}

impl Zone {
    pub(crate) fn new(domain: &str, networks: Vec<IpNet>, servers: Vec<IpAddr>, caches: &Caches) -> Self {
        let domain = domain.split('.').filter(|label| !label.is_empty()).map(str::to_ascii_lowercase);
        Self {
            domain: domain.collect(),
            networks,
            servers,
            services: caches.of::<Service>(),
            slices: caches.of::<EndpointSlice>(),
            filled: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        }
    }

    /// Waits until the caches are filled: from then on an absent object is an absent name.
    pub(crate) async fn fill(&self) {
        self.services.synced().await;
        self.slices.synced().await;
        self.filled.store(true, Ordering::Release);
    }

    pub(crate) fn lookup(&self, name: &Name, kind: RecordType) -> Answer {
        let Some(labels) = labels(name) else { return Answer::Foreign };
        if let Some(network) = reverse::network(&labels) {
            return self.lookup_backwards(name, kind, network);
        }
        let Some(inside) = labels.strip_suffix(&self.domain[..]) else { return Answer::Foreign };
        if !self.filled.load(Ordering::Acquire) {
            return Answer::Unknown;
        }
        self.inside(name, inside, kind)
    }

    fn inside(&self, name: &Name, labels: &[String], kind: RecordType) -> Answer {
        let found = match Place::of(labels) {
            Place::Branch => Some(self.apex(labels, kind)),
            Place::Version => Some(self.of_kind(kind, [RData::TXT(TXT::new(vec![SCHEMA.to_string()]))])),
            Place::Server => Some(addresses(&self.servers, kind)),
            Place::PodNamespace => Some(Vec::new()),
            Place::Namespace(namespace) => (!self.services.list_in(namespace).is_empty()).then(Vec::new),
            Place::Pod(address) => Some(addresses(&[address], kind)),
            Place::Endpoint { namespace, service, host } => self.endpoint(namespace, service, host, kind),
            Place::Port { namespace, service, port, protocol } => {
                return self.ports(name, &Key::new(namespace, service), Some((port, protocol)), kind);
            }
            Place::Service { namespace, service } => {
                return self.service(name, &Key::new(namespace, service), kind);
            }
            Place::Nowhere => None,
        };
        self.answer(name, found)
    }

    /// `found` is none where there is no such name.
    fn answer(&self, name: &Name, found: Option<Vec<RData>>) -> Answer {
        match found {
            None => Answer::Absent { soa: self.soa(&self.domain) },
            Some(data) if data.is_empty() => Answer::Empty { soa: self.soa(&self.domain) },
            Some(data) => {
                Answer::Found { answers: records(name, self.turned(data)), additionals: Vec::new() }
            }
        }
    }

    fn apex(&self, labels: &[String], kind: RecordType) -> Vec<RData> {
        if !labels.is_empty() {
            return Vec::new();
        }
        let server = RData::NS(NS(self.name(&["ns", "dns"])));
        self.of_kind(kind, [server, self.soa(&self.domain).data])
    }

    fn of_kind(&self, kind: RecordType, data: impl IntoIterator<Item = RData>) -> Vec<RData> {
        data.into_iter().filter(|data| data.record_type() == kind).collect()
    }

    fn service(&self, name: &Name, key: &Key, kind: RecordType) -> Answer {
        let Some(service) = self.services.get(key) else { return self.answer(name, None) };
        if let Some(target) = external_name(&service) {
            let record = Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target.clone())));
            return Answer::Alias { record, target };
        }
        if kind == RecordType::SRV {
            return self.ports(name, key, None, kind);
        }
        let found = match cluster_addresses(&service) {
            Some(own) => Some(addresses(&own, kind)),
            // A headless Service with nobody behind it is no name.
            None => self.ready_addresses(key).map(|all| addresses(&all, kind)),
        };
        self.answer(name, found)
    }

    /// SRV records for the ports that match, and the addresses of those who serve them.
    fn ports(&self, name: &Name, key: &Key, wanted: Option<(&str, &str)>, kind: RecordType) -> Answer {
        let Some(service) = self.services.get(key) else { return self.answer(name, None) };
        let servers = match cluster_addresses(&service) {
            Some(own) => self.of_service(key, &service, &own),
            None => self.of_endpoints(key),
        };
        let matches = |port: &Port| {
            wanted.is_none_or(|(name, protocol)| {
                port.name == name && port.protocol.eq_ignore_ascii_case(protocol)
            })
        };
        let servers: Vec<(Port, Server)> = servers.into_iter().filter(|(port, _)| matches(port)).collect();
        match (servers.is_empty(), kind) {
            (true, _) => self.answer(name, None),
            (false, RecordType::SRV) => found_servers(name, &servers),
            (false, _) => self.answer(name, Some(Vec::new())),
        }
    }

    fn of_service(&self, key: &Key, service: &Service, own: &[IpAddr]) -> Vec<(Port, Server)> {
        let server = Server { name: self.service_name(key), addresses: own.to_vec() };
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let port = |port: &k8s_openapi::api::core::v1::ServicePort| {
            Port::new(port.name.as_deref(), port.protocol.as_deref(), port.port)
        };
        ports.filter_map(|one| Some((port(one)?, server.clone()))).collect()
    }

    fn of_endpoints(&self, key: &Key) -> Vec<(Port, Server)> {
        let mut servers = Vec::new();
        for slice in self.slices_of(key) {
            let ports: Vec<Port> = slice
                .ports
                .iter()
                .flatten()
                .filter_map(|port| Port::new(port.name.as_deref(), port.protocol.as_deref(), port.port?))
                .collect();
            for (host, address) in ready(&slice) {
                let name = self.name(&[&host, &key.name, &key.namespace, "svc"]);
                let server = Server { name, addresses: vec![address] };
                servers.extend(ports.iter().map(|port| (port.clone(), server.clone())));
            }
        }
        servers
    }

    fn endpoint(&self, namespace: &str, service: &str, host: &str, kind: RecordType) -> Option<Vec<RData>> {
        let slices = self.slices_of(&Key::new(namespace, service));
        let all = slices.iter().flat_map(|slice| ready(slice));
        let named: Vec<IpAddr> = all.filter(|(name, _)| name == host).map(|(_, address)| address).collect();
        (!named.is_empty()).then(|| addresses(&named, kind))
    }

    fn ready_addresses(&self, key: &Key) -> Option<Vec<IpAddr>> {
        let slices = self.slices_of(key);
        let all: BTreeSet<IpAddr> =
            slices.iter().flat_map(|slice| ready(slice)).map(|(_, address)| address).collect();
        (!all.is_empty()).then(|| all.into_iter().collect())
    }

    fn slices_of(&self, key: &Key) -> Vec<Arc<EndpointSlice>> {
        let mut slices = self.slices.list_in(&key.namespace);
        slices.retain(|slice| service_of(slice) == Some(&key.name) && slice.address_type != "FQDN");
        slices
    }

    fn lookup_backwards(&self, name: &Name, kind: RecordType, network: IpNet) -> Answer {
        let ours = self.networks.iter().any(|all| all.contains(&network));
        if !self.filled.load(Ordering::Acquire) {
            return if ours { Answer::Unknown } else { Answer::Foreign };
        }
        let names = if network.prefix_len() == network.max_prefix_len() {
            self.names_of(network.addr())
        } else {
            Vec::new()
        };
        let pointers: Vec<RData> = names.into_iter().map(|name| RData::PTR(PTR(name))).collect();
        match (pointers.is_empty(), ours) {
            (true, false) => Answer::Foreign,
            (true, true) => Answer::Absent { soa: self.soa(&reverse::zone(network)) },
            (false, _) if kind == RecordType::PTR => {
                Answer::Found { answers: records(name, pointers), additionals: Vec::new() }
            }
            (false, _) => Answer::Empty { soa: self.soa(&reverse::zone(network)) },
        }
    }

    /// Who has an address: a Service, or else endpoints of Services.
    fn names_of(&self, address: IpAddr) -> Vec<Name> {
        let has =
            |service: &&Arc<Service>| cluster_addresses(service).is_some_and(|own| own.contains(&address));
        if let Some(service) = self.services.list().iter().find(has) {
            return vec![self.service_name(&Key::of(&**service))];
        }
        let mut names = Vec::new();
        for slice in self.slices.list() {
            let Some(service) = service_of(&slice) else { continue };
            let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
            let here = ready(&slice).filter(|(_, one)| *one == address);
            names.extend(here.map(|(host, _)| self.name(&[&host, service, namespace, "svc"])));
        }
        names
    }

    fn service_name(&self, key: &Key) -> Name {
        self.name(&[&key.name, &key.namespace, "svc"])
    }

    /// A name below the domain.
    fn name(&self, labels: &[&str]) -> Name {
        let all = labels.iter().copied().chain(self.domain.iter().map(String::as_str));
        name(all)
    }

    fn soa(&self, zone: &[String]) -> Record {
        let (server, mail) = (self.name(&["ns", "dns"]), self.name(&["hostmaster"]));
        let soa = SOA::new(server, mail, 1, 7200, 1800, 86_400, TTL);
        Record::from_rdata(name(zone.iter().map(String::as_str)), TTL, RData::SOA(soa))
    }

    /// Each answer begins with another address: clients that take the first are spread.
    fn turned(&self, mut data: Vec<RData>) -> Vec<RData> {
        if data.len() > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % data.len();
            data.rotate_left(turn);
        }
        data
    }
}

/// Names of the API fit into DNS; one that does not becomes the root, which nobody asks for.
fn name<'a>(labels: impl Iterator<Item = &'a str>) -> Name {
    let mut name = Name::from_labels(labels.map(str::as_bytes)).unwrap_or_default();
    name.set_fqdn(true);
    name
}

fn service_of(slice: &EndpointSlice) -> Option<&String> {
    slice.metadata.labels.as_ref()?.get(SERVICE_LABEL)
}

fn external_name(service: &Service) -> Option<Name> {
    let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("ExternalName"))?;
    let target = spec.external_name.as_deref()?.trim_end_matches('.');
    Some(name(target.split('.')))
}

/// None for a headless Service.
fn cluster_addresses(service: &Service) -> Option<Vec<IpAddr>> {
    let spec = service.spec.as_ref()?;
    let single = spec.cluster_ip.as_ref().filter(|_| spec.cluster_ips.as_ref().is_none_or(Vec::is_empty));
    let all: Vec<IpAddr> =
        spec.cluster_ips.iter().flatten().chain(single).filter_map(|address| address.parse().ok()).collect();
    (!all.is_empty()).then_some(all)
}

/// The names and addresses of the endpoints that take traffic.
fn ready(slice: &EndpointSlice) -> impl Iterator<Item = (String, IpAddr)> {
    slice.endpoints.iter().flatten().filter_map(named)
}

fn named(endpoint: &Endpoint) -> Option<(String, IpAddr)> {
    let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
    // Only the first address is used, by everybody.
    let address = endpoint.addresses.first().filter(|_| ready)?.parse().ok()?;
    let host = endpoint.hostname.clone().filter(|host| !host.is_empty());
    Some((host.map_or_else(|| dashed(address), |host| host.to_ascii_lowercase()), address))
}

/// A port that somebody serves.
#[derive(Clone, Debug)]
struct Port {
    name: String,
    protocol: String,
    number: u16,
}

impl Port {
    fn new(name: Option<&str>, protocol: Option<&str>, number: i32) -> Option<Self> {
        Some(Self {
            name: name.unwrap_or_default().to_ascii_lowercase(),
            protocol: protocol.unwrap_or("TCP").to_string(),
            number: u16::try_from(number).ok()?,
        })
    }
}

/// Who serves it.
#[derive(Clone, Debug)]
struct Server {
    name: Name,
    addresses: Vec<IpAddr>,
}

fn found_servers(name: &Name, servers: &[(Port, Server)]) -> Answer {
    let weight = u16::try_from(100 / servers.len().max(1)).unwrap_or_default().max(1);
    let answers = servers.iter().map(|(port, server)| {
        let data = SRV::new(0, weight, port.number, server.name.clone());
        Record::from_rdata(name.clone(), TTL, RData::SRV(data))
    });
    let mut additionals: Vec<Record> = Vec::new();
    for (_, server) in servers {
        for address in &server.addresses {
            let record = Record::from_rdata(server.name.clone(), TTL, data(*address));
            if !additionals.contains(&record) {
                additionals.push(record);
            }
        }
    }
    Answer::Found { answers: answers.collect(), additionals }
}

fn addresses(all: &[IpAddr], kind: RecordType) -> Vec<RData> {
    all.iter().map(|address| data(*address)).filter(|data| data.record_type() == kind).collect()
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

fn records(name: &Name, data: Vec<RData>) -> Vec<Record> {
    data.into_iter().map(|data| Record::from_rdata(name.clone(), TTL, data)).collect()
}
