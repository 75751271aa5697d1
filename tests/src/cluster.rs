//! A cluster to look at: what `scripts/run` shows a newcomer.

use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::daemon::{Daemon, PATIENCE};
use crate::host::Host;
use crate::lab::Lab;
use crate::program;
use crate::shell::install_commands;

const KUBECTL: &str = "1.36";

/// Starts a server on a machine of its own, shows what it says, and how to reach it, until Ctrl-C.
pub fn cluster(arguments: &[&str]) -> Result<()> {
    // Before the server is there: a Ctrl-C that comes early must not leave it alone.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
    let lab = Lab::new()?;
    let host = lab.host("skiff")?;
    let commands = lab.directory().join("bin");
    install_commands(std::slice::from_ref(&host), &commands)?;
    let skiff = program::binary("skiff")?;
    let server = host.command(skiff.to_string_lossy()).args(["server", "--disable-agent"]);
    let server = server.args(arguments.iter().copied()).daemon("server")?;
    let status = thread::scope(|scope| {
        let shown = scope.spawn(|| server.show(|line| println!("{line}")));
        let reached = greet(&host, &server, &commands.join("skiff").to_string_lossy());
        if reached.is_ok() {
            signals.forever().next();
        }
        server.signal(Signal::TERM)?;
        let status = shown.join().map_err(|_| anyhow::anyhow!("the one who shows the log panicked"))??;
        reached.map(|()| status)
    })?;
    ensure!(status.success(), "the server ended with {status}");
    Ok(())
}

fn greet(host: &Host, server: &Daemon, way: &str) -> Result<()> {
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    let kubectl = crate::kubectl(host, KUBECTL)?;
    println!("\nkubectl get namespaces\n{}", kubectl.clone().args(["get", "namespaces"]).ok()?);
    println!("From another terminal:  {way} env {} get all -A", kubectl.line());
    println!("Ctrl-C ends it, and nothing stays.\n");
    Ok(())
}
