//! A node with pods in the kernel, a machine outside, and connections to Services.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../network/tests/network/namespace.rs"]
#[expect(dead_code, reason = "shared with the tests of `network`, which need more of it")]
mod namespace;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::client::Body;
use namespace::{Namespace, cable};
use network::nft::{Nftables, Ruleset};
use network::{Backend, Overlay, OverlayConfig, PodNetwork, PodNetworkConfig};
use proxy::{Context, Node, ruleset, run};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

const TABLE: &str = "skiff-services";
const PORT: u16 = 8080;

/// A node at 192.0.2.1 with three pods, and a machine beside it at 192.0.2.2.
struct World {
    node: Namespace,
    outside: Namespace,
    pods: Vec<Namespace>,
    addresses: Vec<Vec<IpAddr>>,
    written: Option<Ruleset>,
}

impl World {
    fn new() -> Option<Self> {
        let (node, outside) = (Namespace::new()?, Namespace::new()?);
        let pods = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
        cable(&node, &outside, ["192.0.2.1/24", "192.0.2.2/24"]);
        let state = tempfile::tempdir().unwrap();
        let networks = |list: [&str; 2]| list.map(|network| network.parse().unwrap()).to_vec();
        let pod_cidrs = networks(["10.42.0.0/24", "fd42::/64"]);
        let addresses = node.block_on(async || {
            let config = OverlayConfig {
                backend: Backend::None,
                cluster_cidrs: networks(["10.42.0.0/16", "fd42::/48"]),
                service_cidrs: networks(["10.43.0.0/16", "fd43::/112"]),
                pod_cidrs: pod_cidrs.clone(),
                node_ip: None,
            };
            Overlay::open(config).await.unwrap();
            let config = PodNetworkConfig {
                state: state.path().to_owned(),
                pod_cidrs,
                cluster_cidrs: vec![],
                mtu: 1500,
            };
            let network = PodNetwork::open(config).await.unwrap();
            let mut addresses = Vec::new();
            for (number, pod) in pods.iter().enumerate() {
                addresses.push(network.attach(&number.to_string(), &pod.path()).await.unwrap());
            }
            addresses
        });
        Some(Self { node, outside, pods: pods.into(), addresses, written: None })
    }

    /// Routes this Service to these pods.
    fn route(&mut self, service: &Value, ready: &[usize]) {
        let service: Service = serde_json::from_value(service.clone()).unwrap();
        let slices = [0, 1].map(|family| Arc::new(self.slice(&service, family, ready)));
        let node = Node {
            name: "here".into(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            zone: None,
            cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap(), "fd42::/48".parse().unwrap()],
        };
        let next = ruleset(TABLE, &[Arc::new(service)], &slices, &node);
        let before = self.written.replace(next.clone());
        self.node.block_on(async || {
            let nftables = Nftables::open().unwrap();
            match before {
                Some(before) => nftables.update(&before, &next).await.unwrap(),
                None => nftables.apply(&next).await.unwrap(),
            }
        });
    }

    fn slice(&self, service: &Service, family: usize, ready: &[usize]) -> EndpointSlice {
        let kind = ["IPv4", "IPv6"][family];
        let endpoint = |pod: &usize| json!({"addresses": [self.addresses[*pod][family]], "nodeName": "here"});
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let ports = ports.map(|port| json!({"name": port.name, "protocol": port.protocol, "port": PORT}));
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": kind,
            "ports": ports.collect::<Vec<_>>(),
            "endpoints": ready.iter().map(endpoint).collect::<Vec<_>>(),
        }))
        .unwrap()
    }

    fn listeners(&self) -> Vec<TcpListener> {
        self.pods.iter().map(|pod| pod.run(|| TcpListener::bind(("::", PORT)).unwrap())).collect()
    }
}

fn service(more: &Value) -> Value {
    let mut spec = json!({
        "type": "ClusterIP",
        "clusterIPs": ["10.43.0.10", "fd43::10"],
        "ports": [{"port": 80, "protocol": "TCP"}],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
}

/// Waits until one of these can be read.
fn first_readable<T: AsFd>(all: &[T]) -> usize {
    let mut asked: Vec<_> = all.iter().map(|one| PollFd::new(one, PollFlags::IN)).collect();
    poll(&mut asked, None).unwrap();
    asked.iter().position(|one| one.revents().contains(PollFlags::IN)).unwrap()
}

/// Connects, and tells which pod answered and whom it saw.
fn connect(from: &Namespace, listeners: &[TcpListener], to: &str) -> (usize, IpAddr) {
    let to: SocketAddr = to.parse().unwrap();
    let _client = from.run(|| TcpStream::connect(to).unwrap());
    let pod = first_readable(listeners);
    let (_, peer) = listeners[pod].accept().unwrap();
    (pod, peer.ip().to_canonical())
}

fn refused(from: &Namespace, to: &str) {
    let to: SocketAddr = to.parse().unwrap();
    let error = from.run(|| TcpStream::connect(to).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}: {error}");
}

#[test]
fn connections_are_spread_over_the_endpoints() {
    let Some(mut world) = World::new() else { return };
    let listeners = world.listeners();
    world.route(&service(&json!({})), &[0, 1]);
    for (family, address) in ["10.43.0.10:80", "[fd43::10]:80"].into_iter().enumerate() {
        let client = world.addresses[2][family];
        let mut answered = BTreeMap::new();
        for _ in 0..48 {
            let (pod, seen) = connect(&world.pods[2], &listeners, address);
            assert_eq!(seen, client, "a pod is seen as itself");
            *answered.entry(pod).or_insert(0) += 1;
        }
        assert_eq!(answered.keys().collect::<Vec<_>>(), [&0, &1], "{answered:?}");
        connect(&world.node, &listeners, address);
    }
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let Some(mut world) = World::new() else { return };
    let listeners = world.listeners();
    world.route(&service(&json!({})), &[0]);
    for (family, address) in ["10.43.0.10:80", "[fd43::10]:80"].into_iter().enumerate() {
        let (pod, seen) = connect(&world.pods[0], &listeners, address);
        assert_eq!(pod, 0);
        assert_ne!(seen, world.addresses[0][family], "its own answer would never leave it");
    }
}

#[test]
fn a_client_keeps_its_endpoint_while_that_is_there() {
    let Some(mut world) = World::new() else { return };
    let listeners = world.listeners();
    let sticky = service(&json!({"sessionAffinity": "ClientIP"}));
    for address in ["10.43.0.10:80", "[fd43::10]:80"] {
        world.route(&sticky, &[0, 1]);
        let (kept, _) = connect(&world.pods[2], &listeners, address);
        for _ in 0..24 {
            assert_eq!(connect(&world.pods[2], &listeners, address).0, kept);
        }
        let other = 1 - kept;
        world.route(&sticky, &[other]);
        assert_eq!(connect(&world.pods[2], &listeners, address).0, other);
        world.route(&sticky, &[0, 1]);
        for _ in 0..24 {
            assert_eq!(connect(&world.pods[2], &listeners, address).0, other, "the new choice is kept too");
        }
    }
}

#[test]
fn who_has_no_endpoint_or_no_such_port_is_refused_at_once() {
    let Some(mut world) = World::new() else { return };
    world.route(&service(&json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})), &[]);
    for place in [&world.pods[2], &world.node] {
        for address in ["10.43.0.10:80", "[fd43::10]:80", "10.43.0.10:81", "[fd43::10]:81"] {
            refused(place, address);
        }
    }
    for place in [&world.pods[2], &world.node, &world.outside] {
        refused(place, "192.0.2.1:30080");
    }
}

#[test]
fn from_outside_by_the_nodes_port() {
    let Some(mut world) = World::new() else { return };
    let listeners = world.listeners();
    let ports = json!([{"port": 80, "nodePort": 30080}]);
    world.route(&service(&json!({"type": "NodePort", "ports": ports})), &[0]);
    let client: IpAddr = "192.0.2.2".parse().unwrap();
    assert_ne!(connect(&world.outside, &listeners, "192.0.2.1:30080").1, client);
    connect(&world.node, &listeners, "192.0.2.1:30080");
    connect(&world.pods[2], &listeners, "192.0.2.1:30080");

    world.route(
        &service(&json!({"type": "NodePort", "ports": ports, "externalTrafficPolicy": "Local"})),
        &[0],
    );
    assert_eq!(connect(&world.outside, &listeners, "192.0.2.1:30080"), (0, client));
    connect(&world.node, &listeners, "192.0.2.1:30080");
    connect(&world.pods[2], &listeners, "192.0.2.1:30080");
}

#[test]
fn from_outside_by_an_address_of_the_service() {
    let Some(mut world) = World::new() else { return };
    let listeners = world.listeners();
    world.outside.output("ip route add 203.0.113.0/24 via 192.0.2.1");
    let mut balanced = service(&json!({
        "type": "LoadBalancer",
        "externalIPs": ["203.0.113.1"],
        "loadBalancerSourceRanges": ["192.0.2.0/25", "192.0.2.128/25"],
    }));
    balanced["status"] = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.2"}]}});
    world.route(&balanced, &[1]);
    count(&world.node, "ip daddr 203.0.113.2");
    for address in ["203.0.113.1:80", "203.0.113.2:80"] {
        assert_eq!(connect(&world.outside, &listeners, address).0, 1);
    }
    assert!(counted(&world.node));

    balanced["spec"]["loadBalancerSourceRanges"] = json!(["198.51.100.0/24"]);
    world.route(&balanced, &[1]);
    count(&world.node, "ip daddr 203.0.113.2");
    let dropped = "203.0.113.2:80".parse().unwrap();
    let _ = world.outside.run(|| TcpStream::connect_timeout(&dropped, Duration::from_millis(1)));
    // What was sent before has arrived now.
    assert_eq!(connect(&world.outside, &listeners, "203.0.113.1:80").0, 1, "the other address is open");
    assert!(!counted(&world.node), "who is not among those named comes no further than the firewall");
}

/// Counts these packets between the firewall and the translation.
fn count(node: &Namespace, packets: &str) {
    node.output("nft add table inet test");
    node.output("nft delete table inet test");
    node.output("nft add table inet test");
    node.output("nft add chain inet test arrive { type filter hook prerouting priority -105 ; }");
    node.output(&format!("nft add rule inet test arrive {packets} counter"));
}

fn counted(node: &Namespace) -> bool {
    !node.output("nft list table inet test").contains("packets 0 ")
}

#[test]
fn datagrams_and_their_answers() {
    let Some(mut world) = World::new() else { return };
    let sockets: Vec<_> =
        world.pods.iter().map(|pod| pod.run(|| UdpSocket::bind(("::", PORT)).unwrap())).collect();
    world.route(&service(&json!({"ports": [{"port": 53, "protocol": "UDP"}]})), &[0, 1]);
    for (any, address) in [("0.0.0.0:0", "10.43.0.10:53"), ("[::]:0", "[fd43::10]:53")] {
        let client = world.pods[2].run(|| UdpSocket::bind(any).unwrap());
        client.connect(address.parse::<SocketAddr>().unwrap()).unwrap();
        client.send(b"who?").unwrap();
        let pod = first_readable(&sockets);
        let mut heard = [0; 16];
        let (_, peer) = sockets[pod].recv_from(&mut heard).unwrap();
        sockets[pod].send_to(b"me", peer).unwrap();
        // A connected socket hears only him to whom it is connected: the Service's address.
        assert_eq!(client.recv(&mut heard).unwrap(), 2);
    }
}

/// An API server that has these objects, and tells of changes to the slice as the test does.
fn api(service: &Value, slice: &EndpointSlice, told: mpsc::Receiver<EndpointSlice>) -> kube::Client {
    let (service, slice) = (service.to_string(), serde_json::to_string(slice).unwrap());
    let told = Arc::new(Mutex::new(told));
    let answer = move |request: Request<Body>| {
        let slices = request.uri().path().ends_with("/endpointslices");
        let services = request.uri().path().ends_with("/services");
        let watch = request.uri().query().is_some_and(|query| query.contains("watch="));
        let item = if slices { slice.clone() } else { service.clone() };
        let (list, told) = (if slices || services { item } else { String::new() }, told.clone());
        async move {
            let body = match (watch, slices) {
                (false, _) => format!(r#"{{"metadata":{{"resourceVersion":"1"}},"items":[{list}]}}"#),
                (true, false) => std::future::pending().await,
                (true, true) => {
                    let Some(change) = told.lock().await.recv().await else { std::future::pending().await };
                    json!({"type": "MODIFIED", "object": change}).to_string() + "\n"
                }
            };
            Ok::<_, Infallible>(Response::new(Body::from(body.into_bytes())))
        }
    };
    kube::Client::new(tower::service_fn(answer), "default")
}

#[test]
fn the_kernel_follows_the_cluster_and_forgets_flows_to_nobody() {
    let Some(world) = World::new() else { return };
    let service = service(&json!({"ports": [{"port": 53, "protocol": "UDP"}]}));
    let slice = |pod: usize, revision: &str| {
        let mut slice = world.slice(&serde_json::from_value(service.clone()).unwrap(), 0, &[pod]);
        slice.metadata.resource_version = Some(revision.into());
        slice
    };
    let sockets: Vec<_> =
        world.pods.iter().map(|pod| pod.run(|| UdpSocket::bind(("::", PORT)).unwrap())).collect();
    let client = world.pods[2].run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    // A flow stays with its endpoint for as long as it is remembered: only a forgotten one comes to another.
    let ask = || {
        client.send_to(b"who?", "10.43.0.10:53").unwrap();
        let pod = first_readable(&sockets);
        sockets[pod].recv_from(&mut [0; 16]).unwrap();
        pod
    };
    let (tell, told) = mpsc::channel(1);
    world.node.block_on(async || {
        let (signal, mut ready) = task::readiness();
        let context = Context {
            caches: client::Caches::new(api(&service, &slice(0, "1"), told).into()),
            table: TABLE.into(),
            node_name: "here".into(),
            node_ips: vec![],
            cluster_cidrs: vec![],
            ready: signal,
        };
        let story = async {
            ready.wait().await.unwrap();
            assert_eq!(ask(), 0);
            tell.send(slice(1, "2")).await.unwrap();
            while ask() == 0 {
                tokio::task::yield_now().await;
            }
            world.node.output("nft flush ruleset");
            while world.node.output("nft list tables").is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = run(context) => panic!("{ended:?}"),
            () = story => {}
        }
    });
}
