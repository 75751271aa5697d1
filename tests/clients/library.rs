//! The libraries that controllers, operators and installers are written with. Their programs check for themselves, and
//! end with an error where something is not as their users know it.

use anyhow::{Context, Result, ensure};
use lab::{Command, Host, KUBECONFIG, binary, node_folder, python};

use super::Server;

const PYTHON: &str = include_str!("python.py");
const NODE: &str = include_str!("node.mjs");
const HELM: &str = include_str!("helm.py");

const CHART: [(&str, &str); 3] = [
    ("Chart.yaml", "apiVersion: v2\nname: site\nversion: 0.1.0\n"),
    ("values.yaml", "replicas: 1\n"),
    (
        "templates/all.yaml",
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: site}}
  template:
    metadata: {labels: {app: site}}
    spec: {containers: [{name: site, image: i}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {kubernetes: {{ .Capabilities.KubeVersion.Version }}}
"#,
    ),
];

fn succeeds(command: Command) -> Result<()> {
    let output = command.env("KUBECONFIG", KUBECONFIG).run()?;
    ensure!(output.status.success(), "{}\n{}", output.stdout, output.stderr);
    Ok(())
}

fn script(host: &Host, interpreter: &std::path::Path, source: &str) -> Command {
    host.command(interpreter.to_string_lossy()).arg("-").stdin(source)
}

#[test]
fn the_python_client() -> Result<()> {
    let server = Server::start()?;
    succeeds(script(&server.host, &python()?, PYTHON))
}

#[test]
fn the_node_client() -> Result<()> {
    let server = Server::start()?;
    // Node looks for libraries where a program from standard input is run.
    let node = server.host.command("node").args(["--input-type=module", "-"]).cwd(node_folder()?).stdin(NODE);
    succeeds(node)
}

#[test]
fn helm_installs_upgrades_and_goes_back() -> Result<()> {
    let server = Server::start()?;
    for (name, content) in CHART {
        server.host.write(format!("/tmp/site/{name}"), content).context("writing the chart")?;
    }
    succeeds(script(&server.host, &python()?, HELM))
}

#[test]
fn kube_rs() -> Result<()> {
    let server = Server::start()?;
    succeeds(server.host.command(binary("kube_rs")?.to_string_lossy()))
}
