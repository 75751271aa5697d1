//! `skiff server --disable-agent` as its users meet it: real kubectl, a real listener, a real disk.

use anyhow::{Context, Result};
use lab::{Command, Daemon, Host, Lab, PATIENCE, binary};

const VERSION: &str = "1.36";

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
"#;

pub(crate) fn server(host: &Host) -> Result<Daemon> {
    let skiff = binary("skiff")?;
    let server =
        host.command(skiff.to_string_lossy()).args(["server", "--disable-agent"]).daemon("server")?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    Ok(server)
}

pub(crate) fn kubectl<const N: usize>(host: &Host, arguments: [&str; N]) -> Result<Command> {
    Ok(lab::kubectl(host, VERSION)?.args(arguments))
}

/// A ConfigMap with these entries.
pub(crate) fn make(host: &Host, name: &str, entries: &[&str]) -> Result<String> {
    let entries = entries.iter().map(|entry| format!("--from-literal={entry}"));
    kubectl(host, ["create", "configmap", name])?.args(entries).ok()
}

#[test]
fn kubectl_finds_a_kubernetes() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    let version = kubectl(&host, ["version", "-o", "json"])?.ok()?;
    assert!(version.contains("\"minor\": \"37\""), "{version}");
    let namespaces = kubectl(&host, ["get", "namespaces", "-o", "name"])?.ok()?;
    let expected = ["default", "kube-node-lease", "kube-public", "kube-system"];
    assert_eq!(namespaces.lines().collect::<Vec<_>>(), expected.map(|name| format!("namespace/{name}")));
    let resources = kubectl(&host, ["api-resources", "--no-headers", "-o", "name"])?.ok()?;
    for resource in ["pods", "deployments.apps", "networkpolicies.networking.k8s.io"] {
        assert!(resources.lines().any(|line| line == resource), "{resource} is missing in {resources}");
    }
    let explained = kubectl(&host, ["explain", "deployment.spec.replicas"])?.ok()?;
    assert!(explained.contains("FIELD: replicas <integer>"), "{explained}");
    assert_eq!(kubectl(&host, ["get", "--raw", "/readyz"])?.ok()?, "ok");
    assert!(!server.logs().contains("forbidden"), "its own parts are let in at once: {}", server.logs());
    Ok(())
}

#[test]
fn objects_are_made_changed_and_deleted_by_kubectl() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let _server = server(&host)?;
    make(&host, "page", &["index.html=hello"])?;
    let page = kubectl(&host, ["get", "configmap", "page", "-o", "jsonpath={.data.index\\.html}"])?.ok()?;
    assert_eq!(page, "hello");
    assert!(kubectl(&host, ["apply", "-f", "-"])?.stdin(WEB).ok()?.contains("web created"));
    assert!(kubectl(&host, ["apply", "-f", "-"])?.stdin(WEB).ok()?.contains("web unchanged"));
    let more = WEB.replace("replicas: 2", "replicas: 3");
    assert!(kubectl(&host, ["apply", "-f", "-"])?.stdin(more.as_str()).ok()?.contains("web configured"));
    let replicas = kubectl(&host, ["get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"])?.ok()?;
    assert_eq!(replicas, "3");
    let server_side =
        kubectl(&host, ["apply", "--server-side", "-f", "-"])?.stdin(WEB.replace("web", "other"));
    assert!(server_side.ok()?.contains("serverside-applied"));
    kubectl(&host, ["label", "configmap", "page", "tier=front"])?.ok()?;
    kubectl(&host, ["patch", "configmap", "page", "-p", r#"{"data":{"x":"y"}}"#])?.ok()?;
    let labelled = kubectl(&host, ["get", "configmaps", "-l", "tier=front", "-o", "name"])?.ok()?;
    assert_eq!(labelled, "configmap/page\n");
    kubectl(&host, ["delete", "configmap", "page"])?.ok()?;
    let missing = kubectl(&host, ["get", "configmap", "page"])?.run()?;
    assert!(missing.stderr.contains(r#"configmaps "page" not found"#), "{missing:?}");
    let wrong = kubectl(&host, ["apply", "-f", "-"])?
        .stdin(WEB.replace("name: web, image", "nme: web, image"))
        .run()?;
    assert!(!wrong.status.success(), "{wrong:?}");
    Ok(())
}

#[test]
fn a_deployment_becomes_pods_and_a_new_template_a_new_revision() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    kubectl(&host, ["apply", "-f", "-"])?.stdin(WEB).ok()?;
    let observed = ["wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=60s"];
    kubectl(&host, observed)?.ok()?;
    let pods = || kubectl(&host, ["get", "pods", "-l", "app=web", "-o", "name"])?.ok();
    assert_eq!(pods()?.lines().count(), 2);
    kubectl(&host, ["scale", "deployment", "web", "--replicas=4"])?.ok()?;
    kubectl(&host, ["wait", "deployment/web", "--for=jsonpath={.status.replicas}=4", "--timeout=60s"])?
        .ok()?;
    kubectl(&host, ["apply", "-f", "-"])?.stdin(WEB.replace("nginx:1", "nginx:2")).ok()?;
    let updated = "--for=jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}=2";
    kubectl(&host, ["wait", "deployment/web", updated, "--timeout=60s"])?.ok()?;
    let sets = kubectl(&host, ["get", "replicasets", "-o", "name"])?.ok()?;
    assert_eq!(sets.lines().count(), 2, "one per template: {sets}");
    let events = kubectl(&host, ["get", "events", "-o", "custom-columns=R:.reason"])?.ok()?;
    assert!(events.contains("ScalingReplicaSet") && events.contains("SuccessfulCreate"), "{events}");
    // A restart in the middle goes on from what the API holds.
    server.kill()?;
    server.restart()?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    kubectl(&host, ["scale", "deployment", "web", "--replicas=0"])?.ok()?;
    kubectl(&host, ["wait", "pods", "-l", "app=web", "--for=delete", "--timeout=60s"])?.ok()?;
    assert_eq!(pods()?, "");
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_after_kill_and_power_cut() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    make(&host, "before-kill", &[])?;
    server.kill()?;
    server.restart()?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    make(&host, "before-cut", &[])?;
    host.pull_plug()?;
    host.boot()?;
    server.restart()?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    let names = kubectl(&host, ["get", "configmaps", "-o", "name"])?.ok()?;
    let ours: Vec<&str> = names.lines().filter(|name| *name != "configmap/kube-root-ca.crt").collect();
    assert_eq!(ours, ["configmap/before-cut", "configmap/before-kill"]);
    Ok(())
}

/// Says hello in HTTP/2, and never again, whatever it is asked.
const STRANGER: &str = r#"
import socket, ssl
context = ssl._create_unverified_context()
context.set_alpn_protocols(["h2"])
stream = context.wrap_socket(socket.create_connection(("127.0.0.1", 6443)))
stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
stream.recv(9)
print("heard", flush=True)
while stream.recv(4096):
    pass
"#;

#[test]
fn a_stranger_who_does_not_let_go_costs_nothing_at_a_stop() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    // In memory until the server stops.
    let lease = "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: ours}, spec: {}}";
    kubectl(&host, ["create", "-f", "-"])?.stdin(lease).ok()?;
    let stranger =
        host.command(lab::python()?.to_string_lossy()).args(["-c", STRANGER]).daemon("stranger")?;
    stranger.wait_line(|line| line == "heard", PATIENCE)?;
    assert_eq!(server.stop()?.code().context("ended by a signal")?, 0, "{}", server.logs());
    stranger.wait_exit(PATIENCE)?;
    server.restart()?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    assert_eq!(kubectl(&host, ["get", "lease", "-o", "name"])?.ok()?, "lease.coordination.k8s.io/ours\n");
    Ok(())
}

#[test]
fn a_server_ends_when_it_is_told_and_says_what_is_missing() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    assert_eq!(server.stop()?.code().context("ended by a signal")?, 0, "{}", server.logs());
    let token = host.command(binary("skiff")?.to_string_lossy()).arg("token").ok()?;
    assert!(token.starts_with("K10") && token.contains("::server:"), "{token}");
    let joining = ["server", "--disable-agent", "--server", "https://10.10.0.9:6443", "--token", "secret"];
    let joining = host.command(binary("skiff")?.to_string_lossy()).args(joining).run()?;
    assert!(joining.stderr.contains("--server is not built yet"), "{joining:?}");
    Ok(())
}

#[test]
fn a_stop_waits_for_no_watcher_and_the_audit_log_tells_what_was_asked() -> Result<()> {
    const LOG: &str = "/var/log/skiff/audit.log";
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let skiff = host.command(binary("skiff")?.to_string_lossy());
    let server = skiff.args(["server", "--disable-agent", "--audit-log-path", LOG]).daemon("server")?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    let watcher = kubectl(&host, ["get", "namespaces", "--watch", "-o", "name"])?.daemon("watcher")?;
    watcher.wait_line(|line| line == "namespace/default", PATIENCE)?;
    make(&host, "page", &[])?;
    // A drain that waits for the watcher takes as long as there is, and ends with another code.
    assert_eq!(server.stop()?.code().context("ended by a signal")?, 0, "{}", server.logs());
    watcher.stop()?;
    let log = host.command("cat").arg(LOG).ok()?;
    let of_admin: Vec<&str> =
        log.lines().filter(|line| line.contains(r#""username":"system:admin""#)).collect();
    let told = |words: &[&str]| of_admin.iter().any(|line| words.iter().all(|word| line.contains(word)));
    let watched = r#""verb":"watch""#;
    assert!(told(&[watched, "ResponseStarted", "/api/v1/namespaces?"]), "{log}");
    assert!(told(&[watched, "ResponseComplete"]), "the end of the watch is in the log");
    assert!(
        told(&[r#""verb":"create""#, r#""resource":"configmaps""#, r#""name":"page""#, r#""code":201"#]),
        "{log}"
    );
    Ok(())
}
