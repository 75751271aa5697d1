//! The search path of pods, through the resolver of the C library.

use std::path::Path;
use std::process::Command;

use rustix::mount::mount_bind;
use serde_json::json;

use crate::cluster::{Cluster, DNS};
use crate::machine::on_a_machine;

/// What the system's own resolver makes of a name. On a thread that this one starts: it is on the same machine.
async fn getent(name: &'static str) -> Vec<String> {
    let command = move || Command::new("getent").args(["ahostsv4", name]).output().unwrap();
    let output = tokio::task::spawn_blocking(command).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<String> =
        text.lines().filter_map(|line| line.split_whitespace().next().map(str::to_string)).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn the_c_library_of_a_pod_finds_services_by_their_short_names() {
    on_a_machine(&[DNS], async || {
        let cluster = Cluster::start("").await;
        cluster.service("web", json!({"clusterIP": "10.43.0.80", "ports": [{"port": 80}]})).await;
        let folder = tempfile::tempdir().unwrap();
        let pod = folder.path().join("resolv.conf");
        let text = format!(
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver {DNS}\noptions ndots:5\n"
        );
        std::fs::write(&pod, text).unwrap();
        mount_bind(&pod, "/etc/resolv.conf").unwrap();
        // Not of a service of this machine, whose socket is reached from every network.
        let switch = folder.path().join("nsswitch.conf");
        std::fs::write(&switch, "hosts: files dns\n").unwrap();
        if Path::new("/etc/nsswitch.conf").exists() {
            mount_bind(&switch, "/etc/nsswitch.conf").unwrap();
        }
        for name in ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"] {
            assert_eq!(getent(name).await, ["10.43.0.80"], "{name}");
        }
        assert!(getent("nothing").await.is_empty());
    });
}
