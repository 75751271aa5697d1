//! `signals`: prints each signal it gets. TERM and INT end it with `--exit CODE` (0) unless ignored.

use std::process::ExitCode;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::signal::{Signal, Signals};

pub fn run(mut args: Arguments, signals: &Signals) -> Outcome {
    let code: u8 = args.option("--exit")?.unwrap_or(0);
    let mut ignored: Vec<Signal> = Vec::new();
    while let Some(signal) = args.option("--ignore")? {
        ignored.push(signal);
    }
    args.end()?;
    println!("ready");
    loop {
        let signal = signals.next();
        println!("{signal}");
        if matches!(signal, Signal::TERM | Signal::INT) && !ignored.contains(&signal) {
            return Ok(ExitCode::from(code));
        }
    }
}
