//! `write FILE [--lines N] [--every MILLISECONDS]`: appends numbered lines and says of each when it is durable.
//!
//! Started again, it goes on where the file ends; half a line, left by a power cut, is removed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::arguments::Arguments;

pub fn run(mut args: Arguments) -> Outcome {
    let path: PathBuf = args.positional("FILE")?;
    let lines: u64 = args.option("--lines")?.unwrap_or(u64::MAX);
    let pause = Duration::from_millis(args.option("--every")?.unwrap_or(0));
    args.end()?;
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let written = keep_whole_lines(&mut file)?;
    for number in (written + 1..).take(lines.try_into().unwrap_or(usize::MAX)) {
        writeln!(file, "{number}")?;
        file.sync_all()?;
        println!("synced {number}");
        thread::sleep(pause);
    }
    Ok(ExitCode::SUCCESS)
}

/// Cuts off what follows the last line end. Returns how many lines there are.
fn keep_whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    file.set_len(whole as u64)?;
    Ok(bytes[..whole].iter().filter(|byte| **byte == b'\n').count() as u64)
}
