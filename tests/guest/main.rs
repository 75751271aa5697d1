//! The programs that run in the lab's containers, in one static file with nothing but std.
//!
//! Called as `guest PROGRAM ARG...`, or through a link that has the program's name. All but `signals` end with 0 on
//! TERM or INT, as PID 1 too, where the kernel would otherwise drop both.
//! `build.rs` compiles this; cargo does not know it.

mod arguments;
mod cpu;
mod echo;
mod exit;
mod fail_until;
mod health;
mod http;
mod memory;
mod signal;
mod signals;
mod write;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use arguments::Arguments;
use signal::Signals;

type Outcome = Result<ExitCode, Box<dyn Error>>;

const PROGRAMS: &str = "\
usage: guest cpu [--threads N]
       guest echo [--http PORT] [--tcp PORT] [--fail-first N]
       guest exit CODE
       guest fail-until FILE COUNT
       guest memory MIB
       guest signals [--ignore SIGNAL]... [--exit CODE]
       guest write FILE [--lines N] [--every MILLISECONDS]";

fn main() -> ExitCode {
    // First of all, while there is one thread: threads inherit what is blocked.
    let signals = Signals::block();
    run(signals).unwrap_or_else(|error| {
        eprintln!("guest: {error}\n{PROGRAMS}");
        ExitCode::from(2)
    })
}

fn run(signals: Signals) -> Outcome {
    let mut args = Arguments::new(std::env::args());
    let called: String = args.positional("its own name")?;
    let name = Path::new(&called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let program = if name == "guest" { args.positional("PROGRAM")? } else { name.to_string() };
    if program == "signals" {
        return signals::run(args, &signals);
    }
    signals.end_on_term();
    match program.as_str() {
        "cpu" => cpu::run(args),
        "echo" => echo::run(args),
        "exit" => exit::run(args),
        "fail-until" => fail_until::run(args),
        "memory" => memory::run(args),
        "write" => write::run(args),
        unknown => Err(format!("no program called '{unknown}'").into()),
    }
}
