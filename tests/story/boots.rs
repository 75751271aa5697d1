//! Machines that start before their network does, or where no way leads out of it.

use anyhow::{Result, ensure};
use lab::images::Image;
use lab::{Cluster, Host, Lab, Node, PATIENCE};

use super::{client, eventually};

const ADDRESSES: &str =
    "get nodes -o jsonpath={.items[*].status.addresses[?(@.type==\"InternalIP\")].address}";
const OPEN: &str = "the network of the pods is open";

fn wait_for(node: &Node, words: &str) -> Result<()> {
    node.daemon.wait_line(|line| line.contains(words), PATIENCE).map(drop)
}

#[test]
fn without_a_default_route_a_restart_finds_the_address_of_the_card() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    let before = cluster.kubectl(ADDRESSES)?;
    for node in cluster.nodes() {
        wait_for(node, OPEN)?;
        node.host.remove_default_route()?;
        // Nor does it know what it was.
        node.host.command("rm").arg("/var/lib/skiff/address").ok()?;
        node.daemon.restart()?;
        node.wait_ready()?;
        wait_for(node, OPEN)?;
        let found = node.host.read("/var/lib/skiff/address")?;
        assert_eq!(found.trim(), node.host.ip().to_string());
    }
    assert_eq!(cluster.kubectl(ADDRESSES)?, before);
    Ok(())
}

#[test]
fn a_first_start_waits_for_an_address() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("server")?;
    host.take_address()?;
    let skiff = lab::binary("skiff")?.to_string_lossy().into_owned();
    let daemon = host.command(skiff).arg("server").daemon("server")?;
    let node = Node { host, daemon };
    wait_for(&node, "no address that others could reach it by: waiting for one")?;
    node.host.set_address(node.host.ip())?;
    node.wait_ready()
}

fn is_joined(host: &Host) -> Result<()> {
    host.command("ip").args(["link", "show", "skiff.1"]).ok().map(drop)
}

#[test]
fn a_server_that_boots_without_an_address_starts_its_pods() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 0)?;
    // Not the latest: that would be looked for.
    let shell = cluster.push(&Image::new("shell").tag("1").base_busybox()?.build()?)?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;
    let server = &cluster.server;
    let boot_without_address = |times: u32| {
        server.host.reboot()?;
        server.host.take_address()?;
        server.daemon.restart()?;
        server.wait_ready()?;
        eventually(|| {
            let restarts = "get pod client -o jsonpath={.status.containerStatuses[0].restartCount}";
            let restarts = cluster.kubectl(restarts)?;
            ensure!(restarts == times.to_string(), "restarts: {restarts}");
            cluster.kubectl("exec client -- true")
        })?;
        ensure!(is_joined(&server.host).is_err(), "there is no way to other nodes yet");
        anyhow::Ok(())
    };

    boot_without_address(1)?;
    server.host.set_address(server.host.ip())?;
    wait_for(server, "has its address")?;
    eventually(|| is_joined(&server.host))?;

    boot_without_address(2)?;
    let other = [10, 10, 7, 7].into();
    server.host.set_address(other)?;
    assert!(!server.daemon.wait_exit(PATIENCE)?.success());
    // As the service manager does.
    server.daemon.restart()?;
    server.wait_ready()?;
    eventually(|| {
        let address = cluster.kubectl(ADDRESSES)?;
        ensure!(address == other.to_string(), "{address}");
        is_joined(&server.host)
    })?;
    cluster.kubectl("exec client -- true").map(drop)
}
