//! `fail-until FILE COUNT`: fails the first COUNT times and then succeeds. FILE remembers one byte per failure.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Outcome;
use crate::arguments::Arguments;

pub fn run(mut args: Arguments) -> Outcome {
    let path: PathBuf = args.positional("FILE")?;
    let count: u64 = args.positional("COUNT")?;
    args.end()?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let failed = file.metadata()?.len();
    if failed >= count {
        println!("success after {failed} failures");
        return Ok(ExitCode::SUCCESS);
    }
    file.write_all(b"x")?;
    file.sync_all()?;
    println!("failure {} of {count}", failed + 1);
    Ok(ExitCode::FAILURE)
}
