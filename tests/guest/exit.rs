//! `exit CODE`.

use std::process::ExitCode;

use crate::Outcome;
use crate::arguments::Arguments;

pub fn run(mut args: Arguments) -> Outcome {
    let code: u8 = args.positional("CODE")?;
    args.end()?;
    Ok(ExitCode::from(code))
}
