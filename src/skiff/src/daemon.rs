//! `skiff server` and `skiff agent`: from what was typed to components that run.

use anyhow::{bail, ensure};
use serde::Serialize;

use crate::config::{AgentArgs, LogArgs, Membership, ServerArgs, ServerConfig};
use crate::exit::Exit;
use crate::lifecycle::{self, Component};
use crate::logs;
use crate::version::VERSION;
use crate::{address, check, control_plane, inheritance, node, private};

pub(crate) fn server(args: ServerArgs) -> anyhow::Result<Exit> {
    let logs = args.general.log.clone();
    let config = args.meaning(&host_name())?;
    begin("server", &logs, &config, &config.demands())?;
    if config.node.is_some() {
        must_be_root(", or the control plane alone with --disable-agent")?;
        private::folder(&config.data_dir.join(node::FOLDER))?;
    }
    private::folder(&config.data_dir.join(control_plane::FOLDER))?;
    Ok(lifecycle::run(async || server_components(&config).await)?)
}

pub(crate) fn agent(args: AgentArgs) -> anyhow::Result<Exit> {
    let logs = args.general.log.clone();
    let config = args.meaning(&host_name())?;
    begin("agent", &logs, &config, &config.demands())?;
    must_be_root("")?;
    private::folder(&config.data_dir.join(node::FOLDER))?;
    Ok(lifecycle::run(async || Ok(vec![node::component(config)]))?)
}

/// The first lines of a log say which build runs with which configuration on what kind of machine.
fn begin(
    role: &str,
    logs: &LogArgs,
    config: &impl Serialize,
    demands: &check::Settings,
) -> anyhow::Result<()> {
    logs::start(logs);
    inheritance::settle();
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

async fn server_components(config: &ServerConfig) -> anyhow::Result<Vec<Component>> {
    if let Membership::Join(_) = &config.membership {
        bail!("--server is not built yet: this version runs one server, which founds its cluster")
    }
    let given = config.node.as_ref().map_or(&[][..], |node| &node.addresses);
    let ipv6 = config.network.cluster_cidr.first().is_some_and(|network| network.addr().is_ipv6());
    let address = address::find(given, &config.data_dir, ipv6).await?;
    let (plane, access) = control_plane::component(config, address.ip)?;
    let node = config.node.as_ref().map(|node| node::of_server(config, node, address.ip, &access));
    Ok([Some(plane), node, Some(address.component())].into_iter().flatten().collect())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
