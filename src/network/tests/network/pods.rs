//! Pods on one node: namespaces linked to another namespace, and connections between them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use network::{HostPort, PodNetwork, PodNetworkConfig};

use crate::namespace::{Namespace, cable, say};

/// For a connection that nobody accepts.
const PATIENCE: Duration = Duration::from_secs(2);

async fn open(state: &Path) -> PodNetwork {
    let pod_cidrs = vec!["10.42.3.0/24".parse().unwrap(), "fd42:3::/64".parse().unwrap()];
    PodNetwork::open(PodNetworkConfig {
        state: state.to_owned(),
        pod_cidrs,
        cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap()],
        mtu: 1400,
    })
    .await
    .unwrap()
}

#[test]
fn pods_reach_each_other_and_the_node_without_any_route_out() {
    let (Some(node), Some(a), Some(b)) = (Namespace::new(), Namespace::new(), Namespace::new()) else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    node.output("ip link set lo up");
    node.output("ip address add 192.168.9.9/32 dev lo");
    let [first, second] = node.block_on(async || {
        let network = open(state.path()).await;
        [network.attach("a", &a.path()).await.unwrap(), network.attach("b", &b.path()).await.unwrap()]
    });
    assert_eq!(first, ["10.42.3.2".parse::<IpAddr>().unwrap(), "fd42:3::2".parse().unwrap()]);
    for (mine, other) in first.iter().zip(&second) {
        assert_eq!(say(&a, &b, *other), *mine);
        say(&node, &a, *mine);
    }
    let node_ip = "192.168.9.9".parse().unwrap();
    assert_eq!(say(&a, &node, node_ip), first[0]);
    say(&a, &a, "127.0.0.1".parse().unwrap());
    assert!(a.output("ip link show eth0").contains("mtu 1400"));
    let asked = node.output("ip neigh show");
    assert!(asked.lines().all(|line| line.contains("PERMANENT")), "nobody was asked for an address: {asked}");
}

#[test]
fn a_restart_leaves_the_links_and_finishes_what_was_begun() {
    let (Some(node), Some(a)) = (Namespace::new(), Namespace::new()) else { return };
    let state = tempfile::tempdir().unwrap();
    let attach = || node.block_on(async || open(state.path()).await.attach("a", &a.path()).await.unwrap());
    node.output("ip link set lo up");
    let addresses = attach();
    let link = a.output("ip -o link show eth0");
    a.output("ip route del default");
    assert_eq!(attach(), addresses);
    assert_eq!(a.output("ip -o link show eth0"), link, "the same link as before");
    assert_eq!(say(&node, &a, addresses[0]), "10.42.3.0".parse::<IpAddr>().unwrap());
    assert_eq!(say(&node, &a, addresses[1]), "fd42:3::".parse::<IpAddr>().unwrap());
}

#[test]
fn a_new_namespace_of_the_same_pod_gets_the_address() {
    let (Some(node), Some(old), Some(new)) = (Namespace::new(), Namespace::new(), Namespace::new()) else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    node.block_on(async || {
        node.output("ip link set lo up");
        let network = open(state.path()).await;
        let addresses = network.attach("a", &old.path()).await.unwrap();
        assert_eq!(network.attach("a", &new.path()).await.unwrap(), addresses);
        say(&node, &new, addresses[0]);
    });
    assert!(!old.output("ip link").contains("eth0"));
}

#[test]
fn what_no_pod_has_goes() {
    let pods = [(); 3].map(|()| Namespace::new());
    let (Some(node), [Some(a), Some(b), Some(c)]) = (Namespace::new(), pods) else { return };
    let state = tempfile::tempdir().unwrap();
    node.output("ip link add pod-of-others type veth peer name podother");
    let links = || node.output("ip -o link show type veth").matches(": pod").count();
    node.block_on(async || {
        let network = open(state.path()).await;
        for (name, pod) in [("a", &a), ("b", &b), ("c", &c)] {
            network.attach(name, &pod.path()).await.unwrap();
        }
        assert_eq!(links(), 5);
        network.sweep(&BTreeSet::from(["b".to_owned(), "c".to_owned()])).await.unwrap();
        assert_eq!(links(), 4, "{}", node.output("ip -o link"));
        network.detach("b").await.unwrap();
        network.detach("b").await.unwrap();
        network.detach("nobody").await.unwrap();
        assert_eq!(links(), 3);
        assert_eq!(node.output("ip route show proto 115").lines().count(), 1);
    });
}

const WEB: u16 = 8099;

/// Says something to a port of the node, and tells whom the pod saw, which listens at 80.
fn call(from: &Namespace, pod: &Namespace, at: &str) -> Option<IpAddr> {
    let any: IpAddr = if at.contains(':') { "::".parse().unwrap() } else { "0.0.0.0".parse().unwrap() };
    let listener = pod.run(|| TcpListener::bind((any, 80)).unwrap());
    let at: IpAddr = at.parse().unwrap();
    let mut client = from.run(|| TcpStream::connect_timeout(&(at, WEB).into(), PATIENCE)).ok()?;
    client.write_all(b"skiff").unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    server.write_all(b"skiff").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    Some(peer.ip())
}

#[test]
fn ports_of_the_node_lead_to_its_pods() {
    let pods = [(); 2].map(|()| Namespace::new());
    let (Some(node), Some(outside), [Some(a), Some(b)]) = (Namespace::new(), Namespace::new(), pods) else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    cable(&node, &outside, ["192.0.2.1/24", "192.0.2.9/24"]);
    node.output("ip address add 192.0.2.2/24 dev uplink");
    node.output("ip address add fd00::1/64 dev uplink nodad");
    outside.output("ip address add fd00::9/64 dev uplink nodad");
    outside.output("ip route add 10.42.0.0/16 via 192.0.2.1");
    let port = |address: Option<&str>| HostPort {
        protocol: 6,
        address: address.map(|address| address.parse().unwrap()),
        port: WEB,
        pod_port: 80,
    };
    let seen = |from: &Namespace, at: &str| call(from, &a, at).map(|ip| ip.to_string());
    node.block_on(async || {
        let network = open(state.path()).await;
        // Where the node answers for the cluster.
        node.output("ip address add 10.42.9.9/32 dev lo");
        let ips = network.attach("a", &a.path()).await.unwrap();
        network.attach("b", &b.path()).await.unwrap();
        network.lead("a", &ips, &[port(None)]).await.unwrap();
        assert_eq!(seen(&outside, "192.0.2.1").as_deref(), Some("192.0.2.9"), "the client is not hidden");
        assert_eq!(seen(&outside, "fd00::1").as_deref(), Some("fd00::9"));
        assert_eq!(seen(&node, "192.0.2.2").as_deref(), Some("192.0.2.1"));
        assert_eq!(seen(&node, "127.0.0.1").as_deref(), Some("10.42.3.0"));
        assert_eq!(seen(&b, "192.0.2.1").as_deref(), Some("10.42.3.3"));
        assert_eq!(seen(&a, "192.0.2.1").as_deref(), Some("10.42.3.0"), "a pod that calls itself");
        assert_eq!(seen(&node, "10.42.9.9"), None, "an address of the cluster is none of the node");
        assert_eq!(seen(&outside, "10.42.9.9"), None);

        network.lead("a", &ips, &[port(Some("192.0.2.2"))]).await.unwrap();
        assert_eq!(seen(&outside, "192.0.2.2").as_deref(), Some("192.0.2.9"));
        assert_eq!(seen(&outside, "192.0.2.1"), None);

        // A new process does not know what the one before had written.
        let network = open(state.path()).await;
        network.sweep(&BTreeSet::from(["a".to_owned(), "b".to_owned()])).await.unwrap();
        assert_eq!(seen(&outside, "192.0.2.2"), None);
        network.lead("a", &ips, &[port(None)]).await.unwrap();
        network.detach("a").await.unwrap();
    });
    assert_eq!(node.output("nft list tables"), "");
}

#[test]
fn ports_that_a_firewall_flushed_are_put_back() {
    let (Some(node), Some(outside), Some(a)) = (Namespace::new(), Namespace::new(), Namespace::new()) else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    cable(&node, &outside, ["192.0.2.1/24", "192.0.2.9/24"]);
    node.block_on(async || {
        let network = open(state.path()).await;
        let ips = network.attach("a", &a.path()).await.unwrap();
        let port = HostPort { protocol: 6, address: None, port: WEB, pod_port: 80 };
        network.lead("a", &ips, &[port]).await.unwrap();
        node.output("nft flush ruleset");
        network.ports_removed().await.unwrap();
        network.put_ports_back().await.unwrap();
        assert!(call(&outside, &a, "192.0.2.1").is_some());

        network.detach("a").await.unwrap();
        network.put_ports_back().await.unwrap();
    });
    assert_eq!(node.output("nft list tables"), "", "without a port there is nothing to put back");
}

/// The link passes on what the node says from 127.0.0.1: a pod must not use it the other way.
#[test]
fn a_pod_with_a_port_does_not_reach_into_the_node() {
    let (Some(node), Some(a)) = (Namespace::new(), Namespace::new()) else { return };
    let state = tempfile::tempdir().unwrap();
    node.output("ip link set lo up");
    let secret = node.run(|| TcpListener::bind(("127.0.0.1", WEB)).unwrap());
    // Inside the pod, on the wire only: 192.0.2.7 is 127.0.0.1.
    a.output("nft add table ip t");
    a.output("nft add chain ip t out { type filter hook postrouting priority 0 ; }");
    a.output("nft add chain ip t in { type filter hook prerouting priority -400 ; }");
    a.output("nft add rule ip t out ip daddr 192.0.2.7 ip daddr set 127.0.0.1");
    a.output("nft add rule ip t in ip saddr 127.0.0.1 ip saddr set 192.0.2.7");
    let reaches = || a.run(|| TcpStream::connect_timeout(&([192, 0, 2, 7], WEB).into(), PATIENCE)).is_ok();
    node.block_on(async || {
        let network = open(state.path()).await;
        let ips = network.attach("a", &a.path()).await.unwrap();
        let port = HostPort { protocol: 6, address: None, port: WEB, pod_port: 80 };
        network.lead("a", &ips, &[port]).await.unwrap();
        assert!(!reaches());
        node.output("nft delete table inet skiff-host-ports");
        assert!(reaches(), "without the table it does: the test would see it");
    });
    drop(secret);
}
