//! What people do by hand: a shell in a pod, more and fewer replicas, a look at everything.

use anyhow::{Context, Result, ensure};
use lab::images::Image;
use lab::{Cluster, Lab};

use super::{echo, eventually, shell};

/// A pod with a shell on a node of one's choice.
fn client_on(node: &str, image: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: on-{node}}}, spec: {{nodeName: {node}, terminationGracePeriodSeconds: 1, \
         containers: [{{name: client, image: {image}, command: [sleep, infinity]}}]}}}}"
    )
}

#[test]
fn a_shell_in_a_pod_has_a_terminal() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let shell = cluster.push(&shell()?)?;
    for node in ["server", "agent-1"] {
        cluster.apply(&client_on(node, &shell))?;
        cluster.kubectl(&format!("wait --for=condition=Ready pod/on-{node} --timeout=120s"))?;
        use_a_shell(&cluster, &format!("on-{node}")).with_context(|| cluster.account())?;
    }
    Ok(())
}

/// Words are torn apart where they are typed: what is typed is shown, too.
fn use_a_shell(cluster: &Cluster, pod: &str) -> Result<()> {
    let mut terminal = cluster.command(["exec", "-it", pod, "--", "sh"])?.on_terminal(33, 101)?;
    terminal.wait_for("# ")?;
    terminal.enter("tty; stty size\r")?;
    terminal.wait_for("/dev/pts/0")?;
    terminal.wait_for("33 101")?;
    terminal.resize(40, 120)?;
    terminal.enter("until stty size | grep '40 1''20'; do sleep 0.1; done\r")?;
    terminal.wait_for("40 120")?;
    // Said by the program itself: what the shell says before is no sign that keys reach the program.
    terminal.enter("sh -c \"echo st''arted; exec sleep 1000\"\r")?;
    terminal.wait_for("started")?;
    terminal.enter("\x03")?;
    terminal.wait_for("# ")?;
    terminal.enter("echo code $?\r")?;
    terminal.wait_for("code 130")?;
    terminal.enter("exit 7\r")?;
    let (status, shown) = terminal.wait_exit()?;
    ensure!(status.code() == Some(7), "{status}: {shown}");
    ensure!(shown.contains("command terminated with exit code 7"), "{shown}");
    Ok(())
}

#[test]
fn a_deployment_is_scaled_updated_and_looked_at() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 0)?;
    let push = |tag| cluster.push(&Image::guest("guest", ["echo", "--http", "80"])?.tag(tag).build()?);
    let (first, second) = (push("1")?, push("2")?);
    cluster.apply(&echo(&first, 3, "terminationGracePeriodSeconds: 1", ""))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    for replicas in [5, 1] {
        cluster.kubectl(&format!("scale deployment/echo --replicas={replicas}"))?;
        eventually(|| has_pods(&cluster, replicas))?;
    }

    cluster.kubectl(&format!("set image deployment/echo echo={second}"))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    cluster.kubectl("rollout undo deployment/echo")?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    eventually(|| has_pods(&cluster, 1))?;
    let image = "get deployment echo -o jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(cluster.kubectl(image)?, first);
    let history = cluster.kubectl("rollout history deployment/echo")?;
    let revisions: Vec<&str> =
        history.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(revisions, ["2", "3"], "{history}");

    eventually(|| told_of(&cluster, &first))?;
    describes(&cluster, "deployment/echo", &DEPLOYMENT)?;
    describes(&cluster, "pod", &POD)?;
    describes(&cluster, "node/server", &NODE)
}

fn has_pods(cluster: &Cluster, wanted: usize) -> Result<()> {
    let pods = cluster.kubectl("get pods -l app=echo --no-headers")?;
    let running = pods.lines().filter(|line| line.contains("Running")).count();
    ensure!((running, pods.lines().count()) == (wanted, wanted), "{wanted} pods are wanted: {pods}");
    Ok(())
}

/// What happened, in the words that people look for.
fn told_of(cluster: &Cluster, image: &str) -> Result<()> {
    let events = cluster.kubectl("get events -o custom-columns=:.involvedObject.kind,:.reason,:.message")?;
    let events: Vec<String> = events.lines().map(single_spaced).collect();
    let kubectl_events = cluster.kubectl("events --for deployment/echo")?;
    ensure!(kubectl_events.contains("ScalingReplicaSet"), "{kubectl_events}");
    let pulling = format!("Pod Pulling Pulling image \"{image}\"");
    let pulled = format!("Pod Pulled Successfully pulled image \"{image}\" in ");
    let present = format!("Pod Pulled Container image \"{image}\" already present on machine");
    let wanted: [(&str, &str); 12] = [
        ("Deployment ScalingReplicaSet Scaled up replica set echo-", " from 0 to 3"),
        ("Deployment ScalingReplicaSet Scaled up replica set echo-", " from 3 to 5"),
        ("Deployment ScalingReplicaSet Scaled down replica set echo-", " from 5 to 1"),
        ("ReplicaSet SuccessfulCreate Created pod: echo-", ""),
        ("ReplicaSet SuccessfulDelete Deleted pod: echo-", ""),
        ("Pod Scheduled Successfully assigned default/echo-", " to server"),
        (&pulling, ""),
        (&pulled, " bytes."),
        (&present, ""),
        ("Pod Created Container created", ""),
        ("Pod Started Container started", ""),
        ("Pod Killing Stopping container echo", ""),
    ];
    for (begin, end) in wanted {
        let found = events.iter().any(|event| event.starts_with(begin) && event.ends_with(end));
        ensure!(found, "no event {begin}…{end}: {events:#?}");
    }
    Ok(())
}

const DEPLOYMENT: [&str; 7] = [
    "Name: echo",
    "Selector: app=echo",
    "Replicas: 1 desired | 1 updated | 1 total | 1 available | 0 unavailable",
    "StrategyType: RollingUpdate",
    "Available True MinimumReplicasAvailable",
    "Progressing True NewReplicaSetAvailable",
    "(1/1 replicas created)",
];

const POD: [&str; 13] = [
    "Node: server/",
    "Labels: app=echo",
    "Status: Running",
    "IP: 10.42.0.",
    "Controlled By: ReplicaSet/echo-",
    "Container ID: ",
    "@sha256:",
    "State: Running",
    "Ready: True",
    "Restart Count: 0",
    "PodScheduled True",
    "ContainersReady True",
    "QoS Class: BestEffort",
];

const NODE: [&str; 14] = [
    "Name: server",
    "kubernetes.io/hostname=server",
    "Taints: <none>",
    "MemoryPressure False",
    "DiskPressure False",
    "PIDPressure False",
    "Ready True",
    "InternalIP: ",
    "Hostname: server",
    "Capacity:",
    "Kubelet Version: v1.37.0+skiff",
    "PodCIDR: 10.42.0.0/24",
    "Non-terminated Pods: (1 in total)",
    "Allocated resources:",
];

fn describes(cluster: &Cluster, what: &str, wanted: &[&str]) -> Result<()> {
    let described = cluster.kubectl(&format!("describe {what}"))?;
    let lines: Vec<String> = described.lines().map(single_spaced).collect();
    for words in wanted {
        ensure!(lines.iter().any(|line| line.contains(words)), "{words} is missing: {described}");
    }
    Ok(())
}

fn single_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
