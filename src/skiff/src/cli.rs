//! The command line: which commands there are, and how one is chosen.
//!
//! skiff is one file that answers to several names: called through a symlink named `kubectl` or `ctr` it is that tool,
//! so scripts written for them work unchanged.

use std::ffi::OsString;
use std::path::Path;

use clap::{Parser, Subcommand};

use crate::{check, completion, version};

/// Kubernetes for small boards in one binary
#[derive(Debug, Parser)]
#[command(name = "skiff", version = concat!("v", env!("CARGO_PKG_VERSION")), arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the control plane and, unless --disable-agent, this machine's node agent
    Server(Unbuilt),
    /// Run the node agent alone
    Agent(Unbuilt),
    /// Control the cluster, with kubectl's verbs and flags
    #[command(disable_help_flag = true)]
    Kubectl(Unbuilt),
    /// Inspect images and containers on this node
    #[command(disable_help_flag = true)]
    Ctr(Unbuilt),
    /// Manage the tokens that nodes join with
    #[command(disable_help_flag = true)]
    Token(Unbuilt),
    /// Inspect and rotate the cluster's certificates
    #[command(disable_help_flag = true)]
    Certificate(Unbuilt),
    /// Tell whether this machine can run skiff, and what to do where it cannot
    CheckConfig(check::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
    /// Print which build this is
    Version(version::Args),
    /// Hold one pod's namespaces and containers; started by the node agent
    #[command(hide = true, disable_help_flag = true)]
    Shim(Unbuilt),
}

/// A command that has its place but no code yet takes any arguments, so that the answer is not about them.
#[derive(Debug, clap::Args)]
pub(crate) struct Unbuilt {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}

/// The names that are commands by themselves when skiff is called through them.
const TOOLS: [&str; 2] = ["kubectl", "ctr"];

/// The command line as if skiff had been called by its own name.
pub(crate) fn arguments(mut given: Vec<OsString>) -> Vec<OsString> {
    let name = given.first().and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    if let Some(tool) = TOOLS.into_iter().find(|tool| Some(*tool) == name) {
        given.splice(..1, ["skiff".into(), tool.into()]);
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(given: &[&str]) -> Vec<String> {
        let arguments = arguments(given.iter().map(OsString::from).collect());
        arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn a_tool_s_name_is_its_command() {
        assert_eq!(by_name(&["/usr/bin/kubectl", "get", "pods"]), ["skiff", "kubectl", "get", "pods"]);
        assert_eq!(by_name(&["ctr"]), ["skiff", "ctr"]);
    }

    #[test]
    fn any_other_name_is_skiff() {
        assert_eq!(by_name(&["./skiff-arm64", "version"]), ["./skiff-arm64", "version"]);
        assert_eq!(by_name(&["/opt/kubectl/skiff", "ctr"]), ["/opt/kubectl/skiff", "ctr"]);
        assert_eq!(by_name(&[]), [""; 0]);
    }

    #[test]
    fn the_declaration_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
