//! Pods on one node: namespaces linked to another namespace, and connections between them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod namespace;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use namespace::{Namespace, say};
use network::{PodNetwork, PodNetworkConfig};

async fn open(state: &Path) -> PodNetwork {
    let pod_cidrs = vec!["10.42.3.0/24".parse().unwrap(), "fd42:3::/64".parse().unwrap()];
    PodNetwork::open(PodNetworkConfig { state: state.to_owned(), pod_cidrs, mtu: 1400 }).await.unwrap()
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
