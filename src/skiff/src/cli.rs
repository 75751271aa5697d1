//! The command line: which commands there are, and how one is chosen.
//!
//! skiff is one file that answers to several names: called through a symlink named `kubectl` or `ctr` it is that tool,
//! so scripts written for them work unchanged.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, AgentArgs, Environment, ServerArgs};
use crate::{check, completion, token, version};

/// Kubernetes for small boards in one binary
#[derive(Debug, Parser)]
#[command(name = "skiff", version = concat!("v", env!("CARGO_PKG_VERSION")), arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Server(Box<ServerArgs>),
    Agent(Box<AgentArgs>),
    /// Control the cluster, with kubectl's verbs and flags
    #[command(disable_help_flag = true)]
    Kubectl(Unbuilt),
    /// Inspect images and containers on this node
    #[command(disable_help_flag = true)]
    Ctr(Unbuilt),
    /// Print the token that machines join this server's cluster with
    Token(token::Args),
    /// Inspect and rotate the cluster's certificates
    #[command(disable_help_flag = true)]
    Certificate(Unbuilt),
    /// Tell whether this machine can run skiff, and what to do where it cannot
    CheckConfig(check::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
    /// Print which build this is
    Version(version::Args),
}

/// A command that has its place but no code yet takes any arguments, so that the answer is not about them.
#[derive(Debug, clap::Args)]
pub(crate) struct Unbuilt {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}

#[derive(Debug)]
pub(crate) enum Error {
    /// clap's, which also carries the texts of `--help` and `--version`.
    Usage(clap::Error),
    Config(config::Error),
}

/// The command with all its options, from every layer of configuration.
pub(crate) fn parse(given: Vec<OsString>, environment: &Environment) -> Result<Cli, Error> {
    let program = command();
    let arguments = under_own_name(given);
    let typed = program.clone().try_get_matches_from(&arguments).map_err(explain)?;
    let arguments = config::complete(&program, &typed, arguments, environment).map_err(Error::Config)?;
    let complete = program.try_get_matches_from(arguments).map_err(Error::Usage)?;
    Cli::from_arg_matches(&complete).map_err(Error::Usage)
}

/// The declaration of everything, with the variable of each option in its help.
pub(crate) fn command() -> clap::Command {
    config::describe_variables(Cli::command())
}

/// The names that are commands by themselves when skiff is called through them.
const TOOLS: [&str; 2] = ["kubectl", "ctr"];

/// The command line as if skiff had been called by its own name.
fn under_own_name(mut given: Vec<OsString>) -> Vec<OsString> {
    let name = given.first().and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    if let Some(tool) = TOOLS.into_iter().find(|tool| Some(*tool) == name) {
        given.splice(..1, ["skiff".into(), tool.into()]);
    }
    given
}

/// An option of k3s that skiff does not have is answered with what takes its place.
fn explain(error: clap::Error) -> Error {
    let replacement = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) => {
            config::replacement(flag.trim_start_matches('-'))
                .map(|instead| format!("there is no {flag} in skiff: {instead}\n"))
        }
        _ => None,
    };
    Error::Usage(replacement.map_or(error, |text| command().error(ErrorKind::UnknownArgument, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(given: &[&str]) -> Vec<String> {
        let arguments = under_own_name(given.iter().map(OsString::from).collect());
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
        command().debug_assert();
    }
}
