//! Prints what a cluster costs: `figures [SECONDS OF IDLENESS]`, from a directory that holds `skiff` and `lab` as well.
//!
//! The figures of BENCHMARKS.md are those of a release build: `cargo build --release --package skiff --package tests --bins`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use lab::images::Image;
use lab::{Cluster, Daemon, Lab, Node, Usage};

/// Between the last change and the beginning of what is called idle.
const SETTLING: Duration = Duration::from_secs(20);
const PODS: [u32; 3] = [1, 10, 50];
/// Pods made one after another.
const SINGLE: usize = 50;
/// With one pod.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let idle = std::env::args().nth(1).map_or(Ok(300), |seconds| seconds.parse()).context("SECONDS")?;
    let begun = Instant::now();
    let lab = Lab::new()?;
    let cluster = Cluster::start_installed(&lab, 1)?;
    println!("machines, registry, server and agent ready: {} ms", begun.elapsed().as_millis());
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    println!("both nodes Ready, as kubectl sees it: {} ms", begun.elapsed().as_millis());
    idleness(&cluster, Duration::from_secs(idle))?;
    let image = cluster.push(&Image::guest("guest", ["echo", "--http", "80"])?.build()?)?;
    at_once(&cluster, &image)?;
    one_by_one(&cluster, &image)
}

#[expect(clippy::disallowed_methods, reason = "what is measured is that nothing happens for a while")]
fn idleness(cluster: &Cluster, idle: Duration) -> Result<()> {
    std::thread::sleep(SETTLING);
    let before = cluster.nodes().map(usage).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(idle);
    for (node, before) in cluster.nodes().zip(before) {
        let after = usage(node)?;
        let spent = after - before;
        println!(
            "{}, idle: PSS {:.1} MB, of which {:.1} MB are the program's file; in {} s {} ms of CPU, {} wake-ups, {} bytes written",
            node.host.name(),
            megabytes(after.pss),
            megabytes(after.pss_of_files),
            spent.time.as_secs(),
            spent.cpu.as_millis(),
            spent.wakeups,
            spent.written,
        );
    }
    Ok(())
}

/// Of skiff and its shims, without the containers.
fn usage(node: &Node) -> Result<Usage> {
    Usage::of_program(&[node.daemon.pid()?, node.host.pid()?])
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// What pods cost in time and in memory.
fn at_once(cluster: &Cluster, image: &str) -> Result<()> {
    cluster.kubectl(&format!("create deployment echo --image={image} --replicas=2"))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    none_left(cluster)?;
    let without = all(cluster)?;
    for pods in PODS {
        let begun = Instant::now();
        cluster.kubectl(&format!("scale deployment echo --replicas={pods}"))?;
        cluster.kubectl("rollout status deployment/echo --timeout=180s")?;
        let ready = begun.elapsed().as_millis();
        let each = megabytes(all(cluster)?.saturating_sub(without)) / f64::from(pods);
        println!(
            "{pods} pods, their image there, all ready after {ready} ms: {each:.2} MB of PSS each, without their containers"
        );
    }
    none_left(cluster)
}

fn none_left(cluster: &Cluster) -> Result<()> {
    cluster.kubectl("scale deployment echo --replicas=0")?;
    cluster.kubectl("wait pods -l app=echo --for=delete --timeout=120s").map(drop)
}

fn all(cluster: &Cluster) -> Result<u64> {
    cluster.nodes().map(|node| Ok(usage(node)?.pss)).sum()
}

/// From a pod's creation until it was Running and until it was Ready, as somebody who watches learns it. (The times in objects are
/// whole seconds.)
fn one_by_one(cluster: &Cluster, image: &str) -> Result<()> {
    let template =
        r#"jsonpath={.metadata.name} {.status.phase} {.status.conditions[?(@.type=="Ready")].status}{"\n"}"#;
    let watcher = cluster.command(["get", "pods", "--watch", "-o", template])?.daemon("watcher")?;
    let seen = std::thread::scope(|scope| {
        let seen = scope.spawn(|| lines_with_times(&watcher));
        for number in 0..SINGLE {
            cluster.kubectl(&format!("run single-{number} --image={image} --restart=Never"))?;
            watcher.wait_line(|line| line == format!("single-{number} Running True"), PATIENCE)?;
            cluster.kubectl(&format!("delete pod single-{number} --now --wait=false"))?;
        }
        watcher.kill()?;
        seen.join().map_err(|_| anyhow!("the one who takes the times panicked"))?
    })?;
    for (what, state) in [("Running", " Running "), ("Ready", " Running True")] {
        let mut times = (0..SINGLE).map(|number| until(&seen, number, state)).collect::<Result<Vec<_>>>()?;
        times.sort();
        let of = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
        println!("{SINGLE} single pods, from created to {what}: p50 {} ms, p99 {} ms", of(50), of(99));
    }
    Ok(())
}

fn lines_with_times(watcher: &Daemon) -> Result<Vec<(Instant, String)>> {
    let mut seen = Vec::new();
    watcher.show(|line| seen.push((Instant::now(), line.to_owned())))?;
    Ok(seen)
}

fn until(seen: &[(Instant, String)], number: usize, state: &str) -> Result<Duration> {
    let name = format!("single-{number} ");
    let mut of_pod = seen.iter().filter(|(_, line)| line.starts_with(&name));
    let (created, _) = of_pod.clone().next().context("never seen")?;
    let (reached, _) = of_pod.find(|(_, line)| line.contains(state)).context("never reached")?;
    Ok(*reached - *created)
}
