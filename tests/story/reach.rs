//! What kubectl does through the API server and the nodes' tunnels: ports, files, terminals of what runs already.

use anyhow::{Result, ensure};
use lab::{Cluster, Host, Lab, PATIENCE};

use super::{eventually, shell};

/// A little web server on either node, behind one Service.
fn page(image: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: page}}
spec:
  selector: {{matchLabels: {{app: page}}}}
  template:
    metadata: {{labels: {{app: page}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: page
        image: {image}
        command: [sh, -c, "mkdir /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www"]
        ports: [{{containerPort: 80, hostPort: 8088}}]
---
apiVersion: v1
kind: Service
metadata: {{name: page}}
spec: {{selector: {{app: page}}, ports: [{{port: 80}}]}}
"#
    )
}

#[test]
fn pods_are_within_reach_wherever_they_run() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let image = cluster.push(&shell()?)?;
    cluster.apply(&page(&image))?;
    cluster.kubectl("rollout status daemonset/page --timeout=120s")?;
    let pods = cluster.kubectl("get pods -l app=page -o jsonpath={.items[*].metadata.name}")?;
    for pod in pods.split_whitespace() {
        forward(&cluster, &format!("pod/{pod}"), pod)?;
        copy(&cluster, pod)?;
    }
    forward(&cluster, "service/page", "page-")?;
    ports_of_nodes(&cluster)?;
    run_and_watch(&cluster, &image)?;
    debug(&cluster, &image, pods.split_whitespace().next().unwrap_or_default())?;
    drain(&cluster)
}

/// Several connections, one after another: each is two streams of one connection to the node.
fn forward(cluster: &Cluster, to: &str, answer: &str) -> Result<()> {
    let forward = cluster.command(["port-forward", to, "8080:80"])?.daemon("port-forward")?;
    forward.wait_line(|line| line.starts_with("Forwarding from 127.0.0.1:8080"), PATIENCE)?;
    for _ in 0..3 {
        let page =
            cluster.server.host.command("busybox").args(["wget", "-qO-", "http://127.0.0.1:8080"]).ok()?;
        ensure!(page.starts_with(answer), "{to} answered {page}: {}", forward.logs());
    }
    forward.kill().map(drop)
}

/// From the node itself, and from the other one; the ports outlive the agent that opened them, and a firewall that is loaded anew.
fn ports_of_nodes(cluster: &Cluster) -> Result<()> {
    let (agent, server) = (&cluster.agents[0], &cluster.server);
    let answers = |from: &Host, at: String| {
        let page = from.command("busybox").args(["wget", "-qO-", &format!("http://{at}:8088")]).ok()?;
        ensure!(page.starts_with("page-"), "{at} answered {page}");
        Ok(())
    };
    agent.daemon.kill()?;
    answers(&agent.host, "127.0.0.1".to_owned())?;
    answers(&agent.host, agent.host.ip().to_string())?;
    answers(&server.host, agent.host.ip().to_string())?;
    agent.daemon.restart()?;
    agent.wait_ready()?;
    server.host.command("nft").args(["flush", "ruleset"]).ok()?;
    eventually(|| answers(&agent.host, server.host.ip().to_string()))
}

fn copy(cluster: &Cluster, pod: &str) -> Result<()> {
    let content = "through tar and back\n".repeat(10_000);
    cluster.server.host.write("/srv/there", content.clone())?;
    cluster.kubectl(&format!("cp /srv/there {pod}:/srv-copy"))?;
    cluster.kubectl(&format!("cp {pod}:/srv-copy /srv/back"))?;
    ensure!(cluster.server.host.read("/srv/back")? == content, "{pod} gave back something else");
    Ok(())
}

/// `kubectl run -i` attaches to a container that reads what is typed; its pod goes when it ends.
fn run_and_watch(cluster: &Cluster, image: &str) -> Result<()> {
    let words = format!("run asker --image={image} --restart=Never --rm -i --quiet -- sh -c");
    let words = words.split(' ').map(str::to_owned).chain(["read word; echo heard $word".to_owned()]);
    let said = cluster.command(words)?.stdin("something\n").ok()?;
    ensure!(said.contains("heard something"), "{said}");
    eventually(|| {
        let left = cluster.kubectl("get pods asker --ignore-not-found")?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

/// A container beside those that run, added later, which sees their processes.
fn debug(cluster: &Cluster, image: &str, pod: &str) -> Result<()> {
    cluster.kubectl(&format!(
        "debug {pod} --image={image} --profile=general --container=looker --target=page -- ps"
    ))?;
    eventually(|| {
        let seen = cluster.kubectl(&format!("logs {pod} -c looker"))?;
        ensure!(seen.contains("httpd -f"), "{seen}");
        Ok(())
    })
}

/// An emptied node gets nothing new until it is wanted again.
fn drain(cluster: &Cluster) -> Result<()> {
    cluster.kubectl("create deployment idle --image=none.invalid/none --replicas=4")?;
    let on_agent = "get pods -l app=idle --field-selector=spec.nodeName=agent-1 -o name";
    eventually(|| {
        ensure!(!cluster.kubectl(on_agent)?.is_empty(), "no pod is on the agent yet");
        Ok(())
    })?;
    let drained = cluster.kubectl("drain agent-1 --ignore-daemonsets --timeout=60s")?;
    ensure!(drained.contains("node/agent-1 drained"), "{drained}");
    ensure!(cluster.kubectl(on_agent)?.is_empty(), "pods came back");
    ensure!(cluster.kubectl("get node agent-1")?.contains("SchedulingDisabled"));
    cluster.kubectl("uncordon agent-1")?;
    cluster.kubectl("scale deployment idle --replicas=8")?;
    eventually(|| {
        ensure!(!cluster.kubectl(on_agent)?.is_empty(), "no pod is on the agent again");
        Ok(())
    })
}
