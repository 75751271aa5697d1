//! The binary: arguments, configuration, wiring.
//!
//! Tools and the shim are dispatched before tokio starts: they are short-lived or single-threaded, and a pod's shim must
//! not pay for a runtime.

mod address;
mod allocator;
mod check;
mod cli;
mod clock;
mod cluster;
mod completion;
mod config;
mod control_plane;
mod daemon;
mod exit;
mod inheritance;
mod lifecycle;
mod logs;
mod node;
mod output;
mod panics;
mod private;
mod text;
mod token;
mod version;

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use cli::Command;
use exit::Exit;

fn main() -> ExitCode {
    // Before anything else: there is one for each pod, and none may pay for more than it uses.
    if let Some(arguments) = shim_arguments() {
        return oci::shim::main(arguments);
    }
    allocator::return_memory_at_once();
    panics::handle();
    let cli = match cli::parse(env::args_os().collect(), &env::vars_os().collect()) {
        Ok(cli) => cli,
        Err(cli::Error::Usage(usage)) => usage.exit(),
        Err(cli::Error::Config(error)) => return failed(&error.into()).into(),
    };
    run(cli.command).unwrap_or_else(|error| failed(&error).into())
}

/// What follows `skiff shim`, which the node agent starts, and shims themselves.
fn shim_arguments() -> Option<impl Iterator<Item = OsString>> {
    let mut arguments = env::args_os().skip(1);
    arguments.next().is_some_and(|command| command == "shim").then_some(arguments)
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Server(args) => return Ok(daemon::server(*args)?.into()),
        Command::Agent(args) => return Ok(daemon::agent(*args)?.into()),
        Command::CheckConfig(args) => return Ok(check::run(&args)),
        Command::Token(args) => args.run(),
        Command::Version(args) => args.run(),
        Command::Completion(args) => args.run(&cli::command()),
        Command::Kubectl(_) => Err(not_built("kubectl", "the Kubernetes command line")),
        Command::Ctr(_) => Err(not_built("ctr", "the tool for images and containers")),
        Command::Certificate(_) => Err(not_built("certificate", "the tool for certificates")),
    };
    done.map(|()| Exit::Success.into())
}

fn not_built(command: &str, what: &str) -> anyhow::Error {
    anyhow::anyhow!("`skiff {command}` is not built yet: {what} is not part of this version")
}

/// Says why, once: in the log where there is one.
fn failed(error: &anyhow::Error) -> Exit {
    // The reader of a pipe went away; it has what it wanted.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Success;
    }
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{error:#}");
    } else {
        eprintln!("skiff: {error:#}");
    }
    if error.is::<config::Error>() || error.is::<config::Contradiction>() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}
