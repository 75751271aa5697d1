//! What a newcomer sees: a first start that says how to go on, and mistakes that name their remedy.

use std::os::unix::fs::MetadataExt;

use anyhow::{Result, ensure};
use lab::{Cluster, Command, Lab, PATIENCE};

#[test]
fn a_first_start_says_how_to_go_on() -> Result<()> {
    const TOKEN: &str = "/var/lib/skiff/server/node-token";
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 0)?;
    let server = &cluster.server;
    server.daemon.wait_line(|line| line.contains("the node is Ready"), PATIENCE)?;
    let hint = server.daemon.wait_line(|line| line.contains("try: kubectl "), PATIENCE)?;
    assert!(hint.ends_with("kubectl --kubeconfig /etc/skiff/kubeconfig.yaml get nodes"), "{hint}");
    let hint = server.daemon.wait_line(|line| line.contains("to add a machine, run there: "), PATIENCE)?;
    let command = format!("skiff agent --server https://{}:6443 --token-file FILE", server.host.ip());
    assert!(hint.contains(&format!("{command}, with a copy of {TOKEN} as FILE")), "{hint}");

    for folder in ["/var/lib/skiff/server", "/var/lib/skiff/agent", "/run/skiff/pods"] {
        let mode = std::fs::metadata(server.host.path(folder)?)?.mode();
        assert_eq!(mode & 0o077, 0, "{folder} is nobody else's to look into");
    }

    let host = lab.host("another")?;
    host.write("/srv/token", server.host.read(TOKEN)?)?;
    let mut words = command.split(' ').map(|word| if word == "FILE" { "/srv/token" } else { word });
    let program = words.next().unwrap_or_default();
    let agent = host.command(program).args(words).daemon("agent")?;
    agent.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    cluster.kubectl("wait --for=create node/another --timeout=60s")?;
    cluster.kubectl("wait --for=condition=Ready node/another --timeout=60s")?;
    Ok(())
}

/// Runs to its end, which is a failure for this reason.
fn fails(command: &Command, why: &str) -> Result<()> {
    let output = command.run()?;
    ensure!(!output.status.success() && output.stderr.contains(why), "{why:?} is expected: {output:?}");
    Ok(())
}

#[test]
fn mistakes_name_their_remedy() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 0)?;
    let (server, newcomer) = (&cluster.server.host, lab.host("newcomer")?);
    let skiff = |role: &str| newcomer.command("skiff").arg(role);
    let url = format!("https://{}:6443", server.ip());
    let join = |token: &str| skiff("agent").args(["--server", &url, "--token", token]);
    fails(&join("wrong"), "does not know this token; `skiff token` on the server prints the right one")?;
    let foreign = format!("K10{}::server:of-the-lab", "a".repeat(64));
    fails(&join(&foreign), "the token is of another cluster")?;
    fails(&skiff("agent").args(["--token", "of-the-lab"]), "--server is required")?;

    let nobody = format!("https://{}:1", server.ip());
    let waiting = skiff("agent").args(["--server", &nobody, "--token", "of-the-lab"]).daemon("waiting")?;
    waiting.wait_line(|line| line.contains("is the server up, and its port open"), PATIENCE)?;
    waiting.stop()?;

    let second = |option: &str, value: &str| server.command("skiff").args(["server", option, value]);
    fails(
        &second("--data-dir", "/srv/skiff"),
        "listen on port 6443; `skiff check-config` names who holds it",
    )?;
    fails(&second("--https-listen-port", "7443"), "is in use by another process")?;

    let user = "cp \"$(command -v skiff)\" /srv/program && exec setpriv --reuid=1000 --clear-groups /srv/program \"$@\"";
    let user =
        newcomer.command("sh").args(["-c", user, "sh", "agent", "--server", &url, "--token", "of-the-lab"]);
    fails(&user, "run it as root")
}

#[test]
fn without_dns_its_address_is_free_for_somebody_elses() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start_with(&lab, 0, &["--disable=coredns"])?;
    let services = cluster.kubectl("get services -A -o name")?;
    assert_eq!(services, "service/kubernetes\n");
    let own = "{apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system}, \
               spec: {clusterIP: 10.43.0.10, selector: {k8s-app: kube-dns}, ports: [{port: 53, protocol: UDP}]}}";
    cluster.apply(own)?;
    let addresses = cluster.server.host.command("ip").args(["address", "show", "lo"]).ok()?;
    assert!(!addresses.contains("10.43.0.10"), "{addresses}");
    cluster.server.daemon.restart()?;
    cluster.server.wait_ready()?;
    let kept = "-n kube-system get service kube-dns -o jsonpath={.spec.selector}";
    assert_eq!(cluster.kubectl(kept)?, "{\"k8s-app\":\"kube-dns\"}");
    Ok(())
}

/// A stop that was asked for is no failure, whichever part hears of it first.
#[test]
fn who_is_asked_to_stop_ends_well() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    for node in cluster.agents.iter().chain([&cluster.server]) {
        let status = node.daemon.stop()?;
        ensure!(status.success(), "{} ended with {status}:\n{}", node.host.name(), node.daemon.logs());
    }
    Ok(())
}
