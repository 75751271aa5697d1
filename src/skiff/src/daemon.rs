//! `skiff server` and `skiff agent`: from what was typed to components that run.

use anyhow::{bail, ensure};
use serde::Serialize;

use crate::config::{AgentArgs, LogArgs, Membership, ServerArgs, ServerConfig};
use crate::exit::Exit;
use crate::lifecycle::{self, Component};
use crate::logs;
use crate::version::VERSION;
use crate::{address, check, control_plane, node};

pub(crate) fn server(args: ServerArgs) -> anyhow::Result<Exit> {
    let logs = args.general.log.clone();
    let config = args.meaning(&host_name())?;
    begin("server", &logs, &config, &config.demands())?;
    if config.node.is_some() {
        must_be_root(", or the control plane alone with --disable-agent")?;
    }
    Ok(lifecycle::run(|| server_components(&config))?)
}

pub(crate) fn agent(args: AgentArgs) -> anyhow::Result<Exit> {
    let logs = args.general.log.clone();
    let config = args.meaning(&host_name())?;
    begin("agent", &logs, &config, &config.demands())?;
    must_be_root("")?;
    Ok(lifecycle::run(|| Ok(vec![node::component(config)]))?)
}

/// The first lines of a log say which build runs with which configuration on what kind of machine.
fn begin(
    role: &str,
    logs: &LogArgs,
    config: &impl Serialize,
    demands: &check::Settings,
) -> anyhow::Result<()> {
    logs::start(logs);
    let config = serde_json::to_string(config)?;
    tracing::info!(role, version = VERSION.version, commit = VERSION.git_commit, %config, "skiff starts");
    check::brief(demands);
    Ok(())
}

fn must_be_root(unless: &str) -> anyhow::Result<()> {
    let user = rustix::process::geteuid();
    ensure!(
        user.is_root(),
        "user {} cannot make namespaces, mounts and control groups: run it as root{unless}",
        user.as_raw()
    );
    Ok(())
}

fn server_components(config: &ServerConfig) -> anyhow::Result<Vec<Component>> {
    if let Membership::Join(_) = &config.membership {
        bail!("--server is not built yet: this version runs one server, which founds its cluster")
    }
    let address = config.node.as_ref().map_or_else(address::own, node::own_address)?;
    let (plane, access) = control_plane::component(config, address)?;
    let node = config.node.as_ref().map(|node| node::of_server(config, node, address, &access));
    Ok([Some(plane), node].into_iter().flatten().collect())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
