//! `skiff check-config` on this very machine, by its public face.
//!
//! What it finds here depends on the machine; that it finds something about every concern, in the shape that programs rely on, and
//! that the exit code agrees, does not.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

const NAMES: [&str; 25] = [
    "kernel-version",
    "kernel-features",
    "veth",
    "vxlan",
    "nftables",
    "overlayfs",
    "cgroup-version",
    "cgroup-controllers",
    "cgroup-memory",
    "seccomp",
    "user-namespaces",
    "pressure",
    "inotify",
    "file-descriptors",
    "swap",
    "clock",
    "data-dir",
    "disk-space",
    "ip-forward",
    "rp-filter",
    "firewall",
    "port-api",
    "port-vxlan",
    "port-dns-udp",
    "port-dns-tcp",
];

fn check_config(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skiff"));
    command.env_clear().arg("check-config").args(arguments).output().expect("skiff starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("check-config -o json prints JSON")
}

/// Outcome by name.
fn outcomes(document: &Value) -> BTreeMap<&str, &str> {
    let checks = document["checks"].as_array().expect("checks");
    checks.iter().map(|check| (text(&check["name"]), text(&check["outcome"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

#[test]
fn every_concern_is_checked_and_the_exit_code_agrees() {
    let output = check_config(&["-o", "json"]);
    let document = json(&output);
    let outcomes = outcomes(&document);
    // Without any control groups there is nothing more to say about them.
    let skipped = |name: &str| outcomes["cgroup-version"] == "fail" && name.starts_with("cgroup-");
    for name in NAMES.into_iter().filter(|name| !skipped(name)) {
        assert!(outcomes.contains_key(name), "no check {name} in {outcomes:?}");
    }
    let failed = outcomes.values().any(|outcome| *outcome == "fail");
    assert_eq!(output.status.code(), Some(i32::from(failed)));
    assert_eq!(document["outcome"] == "fail", failed);
}

#[test]
fn what_is_wrong_has_a_remedy_and_what_is_right_has_none() {
    let document = json(&check_config(&["-o", "json"]));
    for check in document["checks"].as_array().expect("checks") {
        assert!(!text(&check["finding"]).is_empty(), "{check}");
        let wrong = ["warn", "fail"].contains(&text(&check["outcome"]));
        assert_eq!(check["remedy"].is_string(), wrong, "{check}");
    }
}

#[test]
fn a_port_that_is_taken_fails_and_names_who_has_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port().to_string();
    let output = check_config(&["-o", "json", "--https-listen-port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    let checks = document["checks"].as_array().expect("checks");
    let api = checks.iter().find(|check| check["name"] == "port-api").expect("port-api");
    assert_eq!(api["outcome"], "fail");
    let pid = format!("(process {})", std::process::id());
    assert!(text(&api["finding"]).contains(&pid), "{api}");
}

#[test]
fn the_data_directory_is_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    check_config(&["--data-dir", folder.path().join("skiff").to_str().expect("UTF-8")]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn without_a_terminal_there_is_no_colour() {
    let output = check_config(&[]);
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(table.contains("kernel-version  "), "{table}");
    assert!(!table.contains('\x1b'), "{table}");
}
