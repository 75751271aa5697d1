//! The program by its public face: what it prints, where, and how it exits.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SKIFF: &str = env!("CARGO_BIN_EXE_skiff");

/// Runs skiff as on a machine without configuration.
fn skiff(arguments: &[&str]) -> Output {
    Command::new(SKIFF).env_clear().args(arguments).output().expect("skiff starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("skiff prints UTF-8")
}

#[test]
fn version_names_the_build() {
    let output = skiff(&["version"]);
    assert!(output.status.success());
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    let [skiff, "kubernetes version v1.37", target, rustc] = lines[..] else { panic!("{lines:?}") };
    assert!(skiff.starts_with(concat!("skiff version v", env!("CARGO_PKG_VERSION"), " (")), "{skiff}");
    assert!(target.starts_with("target ") && target.contains("-linux-"), "{target}");
    assert!(rustc.starts_with("rustc version 1."), "{rustc}");
}

#[test]
fn version_speaks_json() {
    let output = skiff(&["version", "-o", "json"]);
    let version: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(version["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    assert_eq!(version["kubernetesVersion"], "v1.37");
    for key in ["gitCommit", "target", "rustc"] {
        assert!(version[key].as_str().is_some_and(|value| !value.is_empty()), "{key}: {version}");
    }
}

#[test]
fn every_shell_gets_its_completion() {
    for (shell, expected) in
        [("bash", "complete -F _skiff"), ("zsh", "#compdef skiff"), ("fish", "complete -c skiff")]
    {
        let output = skiff(&["completion", shell]);
        assert!(output.status.success(), "{shell}: {output:?}");
        let script = text(&output.stdout);
        assert!(script.contains(expected) && script.contains("network-backend"), "{shell}: {script}");
        assert!(!script.contains("shim"), "{shell} completes a hidden command");
    }
    assert_eq!(skiff(&["completion", "tcsh"]).status.code(), Some(2));
}

#[test]
fn what_is_not_built_says_so() {
    for command in ["kubectl", "ctr", "certificate"] {
        let output = skiff(&[command, "--any", "thing", "--help"]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let expected = format!("skiff: `skiff {command}` is not built yet: ");
        assert!(text(&output.stderr).starts_with(&expected), "{command}: {output:?}");
        assert!(output.stdout.is_empty(), "{command}: {output:?}");
    }
}

#[test]
fn a_token_is_printed_where_there_is_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let missing = skiff(&["token", "--data-dir", path]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("`skiff server` makes it at its first start"), "{missing:?}");
    std::fs::create_dir(folder.path().join("server")).unwrap();
    let token = format!("K10{}::server:secret", "a".repeat(64));
    std::fs::write(folder.path().join("server/node-token"), format!("{token}\n")).unwrap();
    assert_eq!(text(&skiff(&["token", "--data-dir", path]).stdout), format!("{token}\n"));
}

#[test]
fn a_symlink_is_the_tool_it_is_named_after() {
    let folder = tempfile::tempdir().unwrap();
    for tool in ["kubectl", "ctr"] {
        let link = folder.path().join(tool);
        symlink(SKIFF, &link).unwrap();
        let output = Command::new(link).args(["version", "--client"]).output().unwrap();
        let expected = format!("skiff: `skiff {tool}` is not built yet: ");
        assert!(text(&output.stderr).starts_with(&expected), "{output:?}");
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &[] as &[&str],
        &["fly"],
        &["server", "--fly"],
        &["version", "-o", "xml"],
        &["server", "--kubelet-arg=a"],
    ] {
        let output = skiff(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn configuration_errors_exit_with_2_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    fs::write(&config, "node-name: a\nclutser-cidr: 10.0.0.0/8\n").unwrap();
    let config = config.to_str().unwrap();
    let unknown =
        format!("skiff: {config}:2: unknown option `clutser-cidr`; the nearest is `cluster-cidr`\n");
    let cases: [(&[&str], &str); 3] = [
        (&["server", "--config", config], &unknown),
        (
            &["server", "--cluster-dns=10.44.0.10"],
            "skiff: --cluster-dns 10.44.0.10 is not in --service-cidr 10.43.0.0/16\n",
        ),
        (
            &["server", "--token-file=/nowhere"],
            "skiff: read --token-file /nowhere: No such file or directory (os error 2)\n",
        ),
    ];
    for (arguments, expected) in cases {
        let output = skiff(arguments);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), expected), "{arguments:?}");
    }
}

#[test]
fn help_shows_the_three_ways_to_set_an_option() {
    let output = skiff(&["server", "--help"]);
    assert!(output.status.success());
    let help = text(&output.stdout);
    for expected in
        ["--cluster-cidr <CIDR>", "[env: SKIFF_CLUSTER_CIDR]", "[env: SKIFF_LOG]", "/etc/skiff/config.yaml"]
    {
        assert!(help.contains(expected), "{expected}: {help}");
    }
    assert!(!text(&skiff(&["--help"]).stdout).contains("shim"), "the shim is for the node agent only");
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_not() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(SKIFF).arg("version").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("skiff: No space left"), "{output:?}");

    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut child = Command::new(SKIFF).arg("version").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));
}
