//! The lab's own processes, and a lab to play with.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lab::role;

const USAGE: &str = "usage: lab shell NODES | lab cluster [ARGUMENT OF skiff server]...";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["shell", nodes] => {
            let status = role::shell(nodes.parse().context(USAGE)?)?;
            return Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from));
        }
        ["cluster", ref server @ ..] => role::show(server)?,
        // What follows is for the lab itself and its tests.
        ["init"] => role::init()?,
        ["guard", directory] => role::guard(directory.as_ref())?,
        ["hold"] => role::hold()?,
        _ => bail!(USAGE),
    }
    Ok(ExitCode::SUCCESS)
}
