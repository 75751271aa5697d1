//! What is killed in the middle of its work: the process that holds a pod, the server that is being written to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use lab::{Cluster, Daemon, Host, Lab, PATIENCE};

use super::{client, eventually, shell};

/// Everything of pods that a machine could be left with, a line each.
const TRACES: &str = "
    find /sys/fs/cgroup -type d -path '*kubepods*/*'
    grep -E '/run/skiff|/var/lib/skiff/agent|nsfs' /proc/self/mounts
    ip -o link | cut -d: -f2
    find /run/skiff/pods /run/skiff/kubelet /var/lib/skiff/agent/pods /var/log/pods -mindepth 1 -maxdepth 1
    readlink /proc/[0-9]*/ns/net | sort -u | wc -l
    pgrep -f '[s]him serve'; true";

fn traces(host: &Host) -> Result<String> {
    host.command("sh").args(["-c", TRACES]).ok()
}

/// The one process whose command line is this.
fn process(host: &Host, line: &str) -> Result<String> {
    let found = host.command("pgrep").args(["-f", line]).ok()?;
    ensure!(found.lines().count() == 1, "one process {line}: {found}");
    Ok(found.trim().to_owned())
}

fn kill(host: &Host, processes: &[&str]) -> Result<()> {
    host.command("kill").arg("-9").args(processes.iter().copied()).ok().map(drop)
}

const RESTARTS: &str = "get pod client -o jsonpath={.status.containerStatuses[0].restartCount}";
const STARTED: &str = "get pod client -o jsonpath={.status.containerStatuses[0].state.running.startedAt}";
const LAST: &str = "get pod client -o jsonpath={.status.containerStatuses[0].lastState.terminated}";

#[test]
fn a_killed_shim_takes_no_container_along_and_leaves_nothing() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 0)?;
    let shell = cluster.push(&shell()?)?;
    let host = &cluster.server.host;
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    let before = traces(host)?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;
    let uid = cluster.kubectl("get pod client -o jsonpath={.metadata.uid}")?;
    let shim_line = format!("shim serve /run/skiff/pods/{uid}");
    let (shim, started) = (process(host, &shim_line)?, cluster.kubectl(STARTED)?);

    kill(host, &[&shim])?;
    let replaced = || {
        let now = process(host, &shim_line)?;
        ensure!(now != shim, "another shim holds the pod");
        cluster.kubectl("exec client -- true")?;
        Ok(now)
    };
    let shim = eventually(replaced)?;
    assert_eq!(cluster.kubectl(STARTED)?, started, "the container runs on");
    assert_eq!(cluster.kubectl(RESTARTS)?, "0");

    // Nobody sees the end of a container that ends together with its shim.
    kill(host, &[&shim, &process(host, "^sleep infinity")?])?;
    eventually(|| restarted(&cluster, 1))?;
    let last: serde_json::Value = serde_json::from_str(&cluster.kubectl(LAST)?)?;
    assert_eq!((&last["exitCode"], &last["reason"]), (&255.into(), &"Unknown".into()), "{last}");

    kill(host, &[&process(host, "^sleep infinity")?])?;
    eventually(|| restarted(&cluster, 2))?;
    let last: serde_json::Value = serde_json::from_str(&cluster.kubectl(LAST)?)?;
    assert_eq!((&last["exitCode"], &last["reason"]), (&137.into(), &"Error".into()), "{last}");

    cluster.kubectl("delete pod client --timeout=60s")?;
    eventually(|| {
        let after = traces(host)?;
        ensure!(after == before, "before: {before}\nafter: {after}");
        Ok(())
    })
}

fn restarted(cluster: &Cluster, times: u32) -> Result<()> {
    let restarts = cluster.kubectl(RESTARTS)?;
    ensure!(restarts == times.to_string(), "restarts: {restarts}");
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=5s").map(drop)
}

/// What was acknowledged: object and version, in the order of the answers.
struct Writers {
    creating: Daemon,
    updating: Daemon,
}

/// Far more than are made before the server is killed.
const MANY: u32 = 3000;
const NAME_AND_VERSION: &str = r#"jsonpath={.metadata.name} {.metadata.resourceVersion}{"\n"}"#;
const COUNT_AND_VERSION: &str = r#"jsonpath={.metadata.annotations.count} {.metadata.resourceVersion}{"\n"}"#;

impl Writers {
    fn start(cluster: &Cluster, round: u32) -> Result<Self> {
        let made = |number| serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("made-{round}-{number}")}});
        let items: Vec<serde_json::Value> = (0..MANY).map(made).collect();
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        let create = cluster.command(["create", "-f", "-", "-o", NAME_AND_VERSION])?.stdin(list);
        let counted =
            cluster.command(["annotate", "configmap", "counter", "--overwrite", "-o", COUNT_AND_VERSION])?;
        let count = format!("n={round}000000; while \"$@\" count=$n; do n=$((n + 1)); done");
        let update = counted.in_shell(&count);
        Ok(Self { creating: create.daemon("creating")?, updating: update.daemon("updating")? })
    }

    fn wait(&self, round: u32, count: u32) -> Result<()> {
        let (made, counted) = (format!("made-{round}-{count} "), format!("{round}000003 "));
        self.creating.wait_line(|line| line.starts_with(&made), PATIENCE)?;
        self.updating.wait_line(|line| line.starts_with(&counted), PATIENCE).map(drop)
    }

    /// Both end when nobody answers them any more.
    fn acknowledged(&self) -> Result<Acknowledged> {
        self.creating.wait_exit(PATIENCE)?;
        self.updating.wait_exit(PATIENCE)?;
        let created = pairs(&self.creating.logs());
        let updated = pairs(&self.updating.logs()).into_iter().max().context("no update was acknowledged")?;
        let created = created.into_iter().collect();
        Ok(Acknowledged { created, updated: (updated.0.parse()?, updated.1) })
    }
}

#[derive(Debug)]
struct Acknowledged {
    created: BTreeMap<String, u64>,
    /// The last count and its version.
    updated: (u64, u64),
}

/// Lines of a word and a version; what else was said is left out.
fn pairs(text: &str) -> Vec<(String, u64)> {
    let pair = |line: &str| {
        let (word, version) = line.split_once(' ')?;
        Some((word.to_owned(), version.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

impl Acknowledged {
    /// That all of it is there, and that versions go on where they were.
    fn check(&self, cluster: &Cluster) -> Result<()> {
        let all = r#"jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}"#;
        let all = cluster.command(["get", "configmaps", "-o", all])?.ok()?;
        let found: BTreeMap<String, u64> = pairs(&all).into_iter().collect();
        for (name, version) in &self.created {
            ensure!(
                found.get(name) == Some(version),
                "{name} {version} was acknowledged, and is {:?}",
                found.get(name)
            );
        }
        let counter = cluster.command(["get", "configmap", "counter", "-o", COUNT_AND_VERSION])?.ok()?;
        let counter = pairs(&counter).pop().context("the counter")?;
        let counter = (counter.0.parse::<u64>()?, counter.1);
        ensure!(counter >= self.updated, "{:?} was acknowledged, and is {counter:?}", self.updated);
        let newest = found.values().chain([&self.updated.1]).max().copied().unwrap_or_default();
        cluster.kubectl("delete configmap next --ignore-not-found")?;
        let next = cluster.command(["create", "configmap", "next", "-o", NAME_AND_VERSION])?.ok()?;
        let next = pairs(&next).pop().context("the next one")?.1;
        ensure!(next > newest, "a version after {newest} is {next}");
        Ok(())
    }
}

/// A server with a pod that runs, and a counter to count in.
fn server(lab: &Lab) -> Result<Cluster> {
    let cluster = Cluster::start(lab, 0)?;
    let shell = cluster.push(&shell()?)?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;
    cluster.kubectl("create configmap counter")?;
    Ok(cluster)
}

/// Has the server fall while it is written to, and looks at what it acknowledged when it is up again.
fn fall(cluster: &Cluster, round: u32, many: u32, fall: impl FnOnce() -> Result<()>) -> Result<()> {
    let writers = Writers::start(cluster, round)?;
    writers.wait(round, many * round)?;
    fall()?;
    let acknowledged = writers.acknowledged()?;
    if !cluster.server.host.has_power() {
        cluster.server.host.boot()?;
    }
    cluster.server.daemon.restart()?;
    cluster.server.wait_ready()?;
    acknowledged.check(cluster)?;
    eventually(|| cluster.kubectl("exec client -- true")).map(drop)
}

#[test]
fn a_server_that_is_killed_while_it_writes_keeps_what_it_acknowledged() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = server(&lab)?;
    let started = cluster.kubectl(STARTED)?;
    for round in 1..=3 {
        fall(&cluster, round, 100, || cluster.server.daemon.kill().map(drop))?;
    }
    assert_eq!((cluster.kubectl(STARTED)?, cluster.kubectl(RESTARTS)?), (started, "0".to_owned()));
    Ok(())
}

#[test]
fn a_server_whose_plug_is_pulled_keeps_what_it_acknowledged() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = server(&lab)?;
    for round in 1..=2 {
        fall(&cluster, round, 150, || cluster.server.host.pull_plug())?;
    }
    Ok(())
}
