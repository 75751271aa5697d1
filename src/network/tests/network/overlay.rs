//! Two nodes, a cable between them, and a pod on each.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::task::Poll;

use futures_util::FutureExt;
use network::{Backend, Overlay, OverlayConfig, Peer, PodNetwork, PodNetworkConfig};

use crate::namespace::{Namespace, cable, say};

struct Node {
    machine: Namespace,
    pod: Namespace,
    number: u8,
    backend: Backend,
}

impl Node {
    fn new(number: u8, backend: Backend) -> Option<Self> {
        Some(Self { machine: Namespace::new()?, pod: Namespace::new()?, number, backend })
    }

    fn config(&self) -> OverlayConfig {
        let networks = |list: &[&str]| list.iter().map(|network| network.parse().unwrap()).collect();
        OverlayConfig {
            backend: self.backend,
            cluster_cidrs: networks(&["10.42.0.0/16", "fd42::/32"]),
            service_cidrs: networks(&["10.43.0.0/16", "fd43::/112"]),
            pod_cidrs: self.pod_cidrs(),
            node_ip: None,
        }
    }

    async fn overlay(&self) -> Overlay {
        Overlay::open(self.config()).await.unwrap()
    }

    fn pod_cidrs(&self) -> Vec<ipnet::IpNet> {
        let number = self.number;
        vec![
            format!("10.42.{number}.0/24").parse().unwrap(),
            format!("fd42:0:0:{number}::/64").parse().unwrap(),
        ]
    }

    fn peer(&self) -> Peer {
        let mac = self.machine.block_on(async || self.overlay().await.mac());
        Peer {
            node_ip: format!("192.0.2.{}", self.number).parse().unwrap(),
            pod_cidrs: self.pod_cidrs(),
            mac,
        }
    }

    /// Joins the node to the other, and its pod to the node.
    fn start(&self, state: &Path, peers: &[Peer]) -> Vec<IpAddr> {
        self.machine.block_on(async || {
            let overlay = self.overlay().await;
            overlay.set_peers(peers).await.unwrap();
            let state = state.join(self.number.to_string());
            let config = PodNetworkConfig {
                cluster_cidrs: vec![],
                state,
                pod_cidrs: self.pod_cidrs(),
                mtu: overlay.mtu(),
            };
            let pods = PodNetwork::open(config).await.unwrap();
            pods.attach("pod", &self.pod.path()).await.unwrap()
        })
    }
}

/// Both nodes and the addresses of their pods.
fn two_nodes(backend: Backend) -> Option<[(Node, Vec<IpAddr>); 2]> {
    let (first, second) = (Node::new(1, backend)?, Node::new(2, backend)?);
    let state = tempfile::tempdir().unwrap();
    cable(&first.machine, &second.machine, ["192.0.2.1/24", "192.0.2.2/24"]);
    let (one, two) = (first.peer(), second.peer());
    let (a, b) = (first.start(state.path(), &[two]), second.start(state.path(), &[one]));
    Some([(first, a), (second, b)])
}

/// Counts these packets where they arrive from the cable.
fn count(machine: &Namespace, packets: &str) {
    machine.output("nft add table inet test");
    machine.output("nft add chain inet test arrive { type filter hook prerouting priority raw ; }");
    machine.output(&format!("nft add rule inet test arrive iifname uplink {packets} counter drop"));
}

fn counted(machine: &Namespace) -> bool {
    !machine.output("nft list table inet test").contains("packets 0 ")
}

#[test]
fn pods_of_two_nodes_speak_through_vxlan() {
    let Some([(first, a), (second, b)]) = two_nodes(Backend::default()) else { return };
    count(&second.machine, "ip saddr 10.42.0.0/16");
    for (mine, theirs) in a.iter().zip(&b) {
        assert_eq!(say(&first.pod, &second.pod, *theirs), *mine);
        assert_eq!(say(&second.pod, &first.pod, *mine), *theirs);
        say(&first.machine, &second.pod, *theirs);
    }
    assert!(!counted(&second.machine), "nothing of a pod came as it is");
    assert!(first.pod.output("ip link show eth0").contains("mtu 1450"));
    assert!(first.machine.output("ip -d link show skiff.1").contains("vxlan id 1 local 192.0.2.1 "));
}

/// The kernel refuses to read a table to a socket that has not heard all of another.
#[test]
fn ways_can_be_set_after_a_look_that_was_given_up() {
    let Some(node) = Node::new(1, Backend::default()) else { return };
    let Some(other) = Namespace::new() else { return };
    cable(&node.machine, &other, ["192.0.2.1/24", "192.0.2.2/24"]);
    more_routes_than_are_told_at_once(&node.machine);
    node.machine.block_on(async || {
        let overlay = node.overlay().await;
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            let given_up = Box::pin(overlay.set_peers(&[]));
            begin(given_up).await;
            overlay.set_peers(&[]).await.unwrap();
        });
        task.join_next().await.unwrap().unwrap();
    });
}

fn more_routes_than_are_told_at_once(machine: &Namespace) {
    let folder = tempfile::tempdir().unwrap();
    let batch = folder.path().join("routes");
    let routes = (0..2000).map(|n| format!("route add unreachable 198.18.{}.{}\n", n / 250, n % 250));
    std::fs::write(&batch, routes.collect::<String>()).unwrap();
    machine.output(&format!("ip -batch {}", batch.display()));
}

/// Until other tasks have had their turn, but not the runtime its look at what the sockets have heard.
async fn begin(mut work: impl Future + Unpin) {
    let mut turns = 0;
    poll_fn(|cx| {
        let _pending = work.poll_unpin(cx);
        turns += 1;
        cx.waker().wake_by_ref();
        if turns < 2 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

#[test]
fn nodes_on_one_link_need_no_tunnel() {
    let Some([(first, a), (second, b)]) = two_nodes(Backend::HostGw) else { return };
    assert_eq!(say(&first.pod, &second.pod, b[0]), a[0]);
    assert!(!first.machine.output("ip link").contains("skiff.1"));
    assert!(second.pod.output("ip link show eth0").contains("mtu 1500"));
}

#[test]
fn out_of_the_cluster_a_pod_has_its_nodes_address() {
    let Some([(first, _), (second, _)]) = two_nodes(Backend::default()) else { return };
    let node: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
    assert_eq!(say(&first.pod, &second.machine, node[1]), node[0]);
}

#[test]
fn addresses_of_the_cluster_do_not_leave_by_the_uplink() {
    for backend in [Backend::default(), Backend::HostGw] {
        let Some([(first, _), (second, _)]) = two_nodes(backend) else { return };
        first.machine.output("ip route add default via 192.0.2.2");
        // Out there somebody says that he is the Service.
        second.machine.output("ip address add 10.43.0.99/32 dev uplink");
        count(&second.machine, "ip daddr { 10.42.0.0/16, 10.43.0.0/16 }");
        for place in [&first.pod, &first.machine] {
            let error = place.run(|| TcpStream::connect("10.42.99.1:80")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HostUnreachable, "{error}");
            // Dropped on the way; a program of the node is told so.
            let _ = place.run(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", "10.43.0.99:80"));
        }
        // Whatever was sent before has arrived now.
        say(&first.machine, &second.machine, "192.0.2.2".parse().unwrap());
        assert!(!counted(&second.machine), "{}", second.machine.output("nft list table inet test"));
    }
}

#[test]
fn a_node_may_answer_at_an_address_of_a_service_itself() {
    let Some([(first, _), (_second, _)]) = two_nodes(Backend::default()) else { return };
    let own: IpAddr = "10.43.0.53".parse().unwrap();
    first.machine.block_on(async || network::local::answer_at(&[own]).await.unwrap());
    say(&first.pod, &first.machine, own);
    say(&first.machine, &first.machine, own);
}

#[test]
fn a_restart_keeps_the_device_and_peers_come_and_go() {
    let Some([(first, _), (second, _)]) = two_nodes(Backend::default()) else { return };
    let told = |machine: &Namespace| {
        let commands = [
            "ip route show proto 115",
            "ip -6 route show proto 115",
            "ip neigh show dev skiff.1",
            "ip -6 neigh show dev skiff.1",
        ];
        let entries = commands.map(|command| machine.output(command)).concat();
        entries + &machine.output("bridge fdb show dev skiff.1")
    };
    let before = (first.machine.output("ip -d link show skiff.1"), told(&first.machine));
    assert_eq!(before.1.matches("10.42.2.0").count(), 3, "{}", before.1);
    let peer = second.peer();
    first.machine.block_on(async || first.overlay().await.set_peers(&[peer]).await.unwrap());
    assert_eq!((first.machine.output("ip -d link show skiff.1"), told(&first.machine)), before);

    first.machine.block_on(async || first.overlay().await.set_peers(&[]).await.unwrap());
    let left = told(&first.machine);
    assert!(
        !left.contains("10.42.2.0") && !left.contains("192.0.2.2") && !left.contains("fd42:0:0:2"),
        "{left}"
    );
    assert!(left.contains("unreachable 10.42.0.0/16"), "{left}");
}

#[test]
fn another_backend_leaves_nothing_of_the_first() {
    let Some([(first, _), (second, _)]) = two_nodes(Backend::default()) else { return };
    let other = Node { backend: Backend::HostGw, ..first };
    let peer = second.peer();
    other.machine.block_on(async || other.overlay().await.set_peers(&[peer]).await.unwrap());
    assert!(!other.machine.output("ip link").contains("skiff.1"));
    assert!(other.machine.output("ip route").contains("10.42.2.0/24 via 192.0.2.2 dev uplink"));
}

#[test]
fn who_waits_for_the_uplink_learns_of_another_size_and_of_its_return() {
    let Some([(first, _), (second, b)]) = two_nodes(Backend::HostGw) else { return };
    let peer = second.peer();
    first.machine.block_on(async || {
        let overlay = first.overlay().await;
        let ((), changed) = tokio::join!(
            async { drop(first.machine.output("ip link set uplink mtu 1400")) },
            overlay.changed()
        );
        changed.unwrap();
        let overlay = first.overlay().await;
        assert_eq!(overlay.mtu(), 1400);

        // The wait comes first here: a link that went and is back looks as before.
        let (changed, ()) = tokio::join!(overlay.changed(), async {
            first.machine.output("ip link set uplink down");
            first.machine.output("ip link set uplink up");
        });
        changed.unwrap();
        assert!(!first.machine.output("ip route").contains("10.42.2.0"));
        first.overlay().await.set_peers(&[peer]).await.unwrap();
    });
    say(&first.pod, &second.pod, b[0]);
}

#[test]
fn before_a_node_has_its_address_its_pods_do_not_leak_and_it_is_waited_for() {
    let (Some(node), Some(other)) = (Node::new(1, Backend::default()), Namespace::new()) else { return };
    cable(&node.machine, &other, ["198.51.100.1/24", "198.51.100.2/24"]);
    node.machine.output("ip route add default via 198.51.100.2");
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    node.machine.block_on(async || {
        let config = OverlayConfig { node_ip: Some(address), ..node.config() };
        assert!(matches!(
            Overlay::open(config.clone()).await,
            Err(network::overlay::Error::NoSuchAddress { .. })
        ));
        Overlay::guard(&config).await.unwrap();
        let error = TcpStream::connect("10.42.99.1:80").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostUnreachable, "{error}");
        let (possible, ()) = tokio::join!(Overlay::possible(address), async {
            node.machine.output("ip address add 192.0.2.1/24 dev uplink");
        });
        possible.unwrap();
        Overlay::open(config).await.unwrap();
    });
    assert!(node.machine.output("ip route").contains("unreachable 10.42.0.0/16"));
}

#[test]
fn who_waits_learns_that_the_rules_were_flushed() {
    let Some([(first, _), _second]) = two_nodes(Backend::default()) else { return };
    first.machine.block_on(async || {
        let overlay = first.overlay().await;
        first.machine.output("nft flush ruleset");
        overlay.changed().await.unwrap();
        first.overlay().await;
    });
    assert!(first.machine.output("nft list tables").contains("skiff-overlay"));
}
