//! Prints how the API does under load: `load [SECONDS PER WORKLOAD]`, from a directory that holds `skiff` and `lab` as well.
//!
//! ```text
//! load ─▶ a machine of the lab: `skiff server --disable-agent`, its data on ext4
//!    └──▶ on the same machine, one after the other: `load drive WORKLOAD …`, the clients, over TLS as the administrator
//! ```
//!
//! The figures of BENCHMARKS.md are those of a release build: `cargo build --release --package skiff --package tests --bins`.
//! Clients and server share the processors of the machine that this runs on.

mod drive;
mod measured;
mod server;

use std::time::Duration;

use anyhow::{Context, Result};
use lab::Lab;

use crate::measured::Measured;
use crate::server::Server;

/// What a board has, what a busy cluster has, and what nobody should have.
const FEW: usize = 1_000;
const MANY: usize = 10_000;
const MOST: usize = 50_000;
const WATCHERS: usize = 1_000;
const CHANGES_PER_SECOND: u32 = 500;
const LISTS: usize = 50;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["drive", ref workload @ ..] => drive::drive(workload),
        [] => measure(10),
        [seconds] => measure(seconds.parse().context("SECONDS")?),
        _ => anyhow::bail!("usage: load [SECONDS PER WORKLOAD]"),
    }
}

fn measure(seconds: u64) -> Result<()> {
    let lab = Lab::new()?;
    let server = Server::start(&lab)?;
    server.tell("empty")?;
    println!("\n{}", Measured::HEAD);
    server.load(&format!("create 0 {FEW}"))?;
    server.load(&format!("get {FEW} {seconds}"))?;
    server.load(&format!("patch {FEW} {seconds}"))?;
    server.load(&format!("create {FEW} {MANY}"))?;
    server.load(&format!("list {LISTS}"))?;
    server.load(&format!("watch {WATCHERS} {CHANGES_PER_SECOND} {seconds}"))?;
    server.load(&format!("create {MANY} {MOST}"))?;
    server.load(&format!("get {MOST} {seconds}"))?;
    println!();
    server.tell(&format!("{MOST} objects, after all that"))?;
    server.restart()?;
    server.tell(&format!("{MOST} objects, started again"))?;
    server.load(&format!("delete {FEW} {MOST}"))?;
    server.restart()?;
    server.tell(&format!("{FEW} objects, started again"))?;
    server.idle(Duration::from_secs(60))
}
