//! `skiff server` and `skiff agent`: from what was typed to components that run.

use anyhow::bail;
use serde::Serialize;

use crate::config::{AgentArgs, AgentConfig, LogArgs, Membership, ServerArgs, ServerConfig};
use crate::exit::Exit;
use crate::lifecycle::{self, Component};
use crate::logs;
use crate::version::VERSION;
use crate::{check, control_plane};

pub(crate) fn server(args: ServerArgs) -> anyhow::Result<Exit> {
    let logs = args.general.log.clone();
    let config = args.meaning(&host_name())?;
    begin("server", &logs, &config, &config.demands())?;
    Ok(lifecycle::run(|| server_components(&config))?)
}

pub(crate) fn agent(args: AgentArgs) -> anyhow::Result<Exit> {
    let logs = args.general.log.clone();
    let config = args.meaning(&host_name())?;
    begin("agent", &logs, &config, &config.demands())?;
    Ok(lifecycle::run(|| agent_components(config))?)
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

fn server_components(config: &ServerConfig) -> anyhow::Result<Vec<Component>> {
    if config.node.is_some() {
        bail!(
            "the node agent is not built yet: this version runs the control plane alone, with --disable-agent"
        )
    }
    // What cannot be done yet is refused: a server that came up without it would look as if it were.
    match &config.membership {
        Membership::Found { token: None } => Ok(vec![control_plane::component(config)?]),
        Membership::Found { token: Some(_) } => {
            bail!("--token is not built yet: nodes cannot join, and the server makes a token of its own")
        }
        Membership::Join(_) => {
            bail!("--server is not built yet: this version runs one server, which founds its cluster")
        }
    }
}

fn agent_components(_config: AgentConfig) -> anyhow::Result<Vec<Component>> {
    bail!("`skiff agent` is not built yet: this version has no node agent to run")
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
