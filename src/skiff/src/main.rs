//! The binary: arguments, configuration, wiring.
//!
//! Tools and the shim are dispatched before tokio starts: they are short-lived or single-threaded, and a pod's shim must
//! not pay for a runtime.

mod check;
mod cli;
mod completion;
mod exit;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(cli::arguments(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(usage) => usage.exit(),
    };
    let done = match cli.command {
        Command::CheckConfig(args) => return check::run(&args),
        Command::Version(args) => args.run(),
        Command::Completion(args) => args.run(&mut Cli::command()),
        Command::Server(_) => Err(not_built("server", "the control plane")),
        Command::Agent(_) => Err(not_built("agent", "the node agent")),
        Command::Kubectl(_) => Err(not_built("kubectl", "the Kubernetes command line")),
        Command::Ctr(_) => Err(not_built("ctr", "the tool for images and containers")),
        Command::Token(_) => Err(not_built("token", "the tool for join tokens")),
        Command::Certificate(_) => Err(not_built("certificate", "the tool for certificates")),
        Command::Shim(_) => Err(not_built("shim", "the holder of a pod's containers")),
    };
    match done {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            eprintln!("skiff: {error:#}");
            Exit::Failed.into()
        }
    }
}

fn not_built(command: &str, what: &str) -> anyhow::Error {
    anyhow::anyhow!("`skiff {command}` is not built yet: {what} is not part of this version")
}
