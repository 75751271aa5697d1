//! Prints what a cluster costs: `figures [SECONDS OF IDLENESS]`, from a directory that holds `skiff` and `lab` as well.
//!
//! The figures of BENCHMARKS.md are those of a release build: `cargo build --release --package skiff --package tests --bins`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::images::Image;
use lab::{Cluster, Lab, Node, Usage};

/// Between the last change and the beginning of what is called idle.
const SETTLING: Duration = Duration::from_secs(20);
const PODS: [u32; 3] = [1, 10, 50];

fn main() -> Result<()> {
    let idle = std::env::args().nth(1).map_or(Ok(300), |seconds| seconds.parse()).context("SECONDS")?;
    let begun = Instant::now();
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    println!("machines, registry, server and agent ready: {} ms", begun.elapsed().as_millis());
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    println!("both nodes Ready, as kubectl sees it: {} ms", begun.elapsed().as_millis());
    idleness(&cluster, Duration::from_secs(idle))?;
    pods(&cluster)
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
            "{}, idle: PSS {:.1} MB, RSS {:.1} MB; in {} s {} ms of CPU, {} wake-ups, {} bytes written",
            node.host.name(),
            megabytes(after.pss),
            megabytes(after.rss),
            spent.time.as_secs(),
            spent.cpu.as_millis(),
            spent.wakeups,
            spent.written,
        );
    }
    Ok(())
}

fn usage(node: &Node) -> Result<Usage> {
    Usage::of_tree(node.daemon.pid()?)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// What pods cost in time; what each costs in memory is measured with the shim, in `oci`.
fn pods(cluster: &Cluster) -> Result<()> {
    let guest = cluster.push(&Image::guest("guest", ["echo", "--http", "80"])?.build()?)?;
    cluster.kubectl(&format!("create deployment echo --image={guest} --replicas=2"))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    cluster.kubectl("scale deployment echo --replicas=0")?;
    cluster.kubectl("wait pods -l app=echo --for=delete --timeout=120s")?;
    for pods in PODS {
        let begun = Instant::now();
        cluster.kubectl(&format!("scale deployment echo --replicas={pods}"))?;
        cluster.kubectl("rollout status deployment/echo --timeout=180s")?;
        println!("{pods} pods, their image there, all ready after {} ms", begun.elapsed().as_millis());
    }
    Ok(())
}
