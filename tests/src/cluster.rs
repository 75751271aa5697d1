//! A cluster of skiff on machines of the lab: a server that is a node too, agents that joined it, and a registry.
//!
//! The story test tells what it does; [`show`] is what `scripts/run` shows a newcomer.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::command::Command;
use crate::daemon::{Daemon, PATIENCE};
use crate::host::Host;
use crate::images::Layout;
use crate::lab::Lab;
use crate::program;
use crate::registry::Registry;
use crate::shell::install_commands;

const KUBECTL: &str = "1.36";
/// What the machines join with.
const TOKEN: &str = "of-the-lab";
/// How much of each log is shown when something failed.
const LAST_LINES: usize = 25;
/// Until a program of skiff says that it is ready.
const START: Duration = Duration::from_secs(60);

/// A machine with skiff on it.
#[derive(Debug)]
pub struct Node {
    pub host: Host,
    pub daemon: Daemon,
}

#[derive(Debug)]
pub struct Cluster {
    pub server: Node,
    pub agents: Vec<Node>,
    registry: Registry,
}

impl Cluster {
    /// Machines `server`, `agent-1`, `agent-2`, … and `registry`; all of them run when this returns.
    pub fn start(lab: &Lab, agents: usize) -> Result<Self> {
        Self::start_with(lab, agents, &[])
    }

    /// The same, with more arguments for the server.
    pub fn start_with(lab: &Lab, agents: usize, arguments: &[&str]) -> Result<Self> {
        Self::start_from(|_| skiff(), lab, agents, arguments)
    }

    /// The same, with a copy of the program on each machine's disk, as boards have it: who measures memory must not have
    /// machines share the program's pages.
    pub fn start_installed(lab: &Lab, agents: usize) -> Result<Self> {
        let content = std::fs::read(skiff()?).context("reading skiff")?;
        Self::start_from(|host| install(host, &content), lab, agents, &[])
    }

    fn start_from(
        program: impl Fn(&Host) -> Result<String>,
        lab: &Lab,
        agents: usize,
        arguments: &[&str],
    ) -> Result<Self> {
        let registry = Registry::start(&lab.host("registry")?)?;
        let host = lab.host("server")?;
        trust(&host, &registry)?;
        let server = host.command(program(&host)?).args(["server", "--token", TOKEN]);
        let server = server.args(arguments.iter().copied());
        let server = Node { daemon: server.daemon("server")?, host };
        server.wait_ready()?;
        let mut cluster = Self { server, agents: Vec::new(), registry };
        for number in 1..=agents {
            let host = lab.host(&format!("agent-{number}"))?;
            trust(&host, &cluster.registry)?;
            let url = format!("https://{}:6443", cluster.server.host.ip());
            let agent = host.command(program(&host)?).args(["agent", "--server", &url, "--token", TOKEN]);
            cluster.agents.push(Node { daemon: agent.daemon("agent")?, host });
        }
        for agent in &cluster.agents {
            agent.wait_ready()?;
        }
        Ok(cluster)
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.server).chain(&self.agents)
    }

    /// kubectl, as the administrator, on the server's machine.
    pub fn command<A: Into<String>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Command> {
        Ok(crate::kubectl(&self.server.host, KUBECTL)?.args(arguments))
    }

    /// What kubectl says to these words; a failure tells what the machines said meanwhile.
    pub fn kubectl(&self, words: &str) -> Result<String> {
        self.command(words.split_whitespace())?.ok().with_context(|| self.account())
    }

    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.command(["apply", "-f", "-"])?.stdin(manifest).ok().with_context(|| self.account())
    }

    /// What there is and what was said, for whoever reads why a test failed.
    pub fn account(&self) -> String {
        let mut account = String::new();
        for words in ["get nodes,pods,services -A -o wide", "get events -A"] {
            let said = self.command(words.split_whitespace()).and_then(|command| command.ok());
            account
                .push_str(&format!("--- {words}\n{}\n", said.unwrap_or_else(|error| format!("{error:#}"))));
        }
        for node in self.nodes() {
            let logs = node.daemon.logs();
            let lines: Vec<&str> = logs.lines().collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
            account.push_str(&format!("--- {}\n{last}\n", node.host.name()));
        }
        account
    }

    /// Puts an image where the nodes pull it from; returns its reference.
    pub fn push(&self, image: &Layout) -> Result<String> {
        self.registry.push(image)
    }
}

impl Node {
    pub fn wait_ready(&self) -> Result<()> {
        self.daemon.wait_line(|line| line.ends_with(" ready"), START).map(drop)
    }
}

fn skiff() -> Result<String> {
    Ok(program::binary("skiff")?.to_string_lossy().into_owned())
}

fn install(host: &Host, content: &[u8]) -> Result<String> {
    let path = "/usr/local/bin/skiff";
    host.write(path, content)?;
    host.command("chmod").args(["755", path]).ok()?;
    Ok(path.to_owned())
}

/// The registry of the lab speaks plain HTTP.
fn trust(host: &Host, registry: &Registry) -> Result<()> {
    let address = registry.address();
    let mirrors = format!("mirrors:\n  \"{address}\":\n    endpoint: [\"http://{address}\"]\n");
    host.write("/etc/skiff/registries.yaml", mirrors)
}

/// Starts a server on a machine of its own, shows what it says, and how to reach it, until Ctrl-C.
pub fn show(arguments: &[&str]) -> Result<()> {
    // Before the server is there: a Ctrl-C that comes early must not leave it alone.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
    let lab = Lab::new()?;
    let host = lab.host("skiff")?;
    let commands = lab.directory().join("bin");
    install_commands(std::slice::from_ref(&host), &commands)?;
    let server = host.command(skiff()?).arg("server");
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
    let wait = ["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"];
    kubectl.clone().args(wait).ok()?;
    println!("\nkubectl get nodes\n{}", kubectl.clone().args(["get", "nodes", "-o", "wide"]).ok()?);
    println!("From another terminal:  {way} env {} get all -A", kubectl.line());
    println!("Ctrl-C ends it, and nothing stays.\n");
    Ok(())
}
