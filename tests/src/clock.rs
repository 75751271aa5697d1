//! A wrong clock, for one program and what it starts, by libfaketime.
//!
//! The kernel has one wall clock for all namespaces, so a program is lied to by a library that is loaded before the
//! C library: a static program does not load it. Only the wall clock is wrong; timers run as always.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

#[derive(Debug, Clone, Copy)]
pub enum Clock {
    Ahead(Duration),
    Behind(Duration),
    /// This time when the program starts; it goes on from there.
    At(SystemTime),
}

impl Clock {
    pub(crate) fn environment(self, program: &str, path: &str) -> Result<Vec<(&'static str, String)>> {
        ensure!(
            is_dynamic(&find(program, path)?)?,
            "{program} is linked statically, so libfaketime cannot lie to it"
        );
        let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
        ensure!(Path::new(&library).exists(), "{library} is not there: install libfaketime");
        Ok(vec![
            ("LD_PRELOAD", library),
            ("FAKETIME", self.offset()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ])
    }

    /// Seconds from the real time, signed, as libfaketime wants it.
    fn offset(self) -> String {
        match self {
            Self::Ahead(by) => format!("+{:.3}", by.as_secs_f64()),
            Self::Behind(by) => format!("-{:.3}", by.as_secs_f64()),
            Self::At(time) => match time.duration_since(SystemTime::now()) {
                Ok(by) => Self::Ahead(by).offset(),
                Err(past) => Self::Behind(past.duration()).offset(),
            },
        }
    }
}

fn find(program: &str, path: &str) -> Result<PathBuf> {
    if program.contains('/') {
        return Ok(program.into());
    }
    let candidates = path.split(':').map(|directory| Path::new(directory).join(program));
    candidates.into_iter().find(|path| path.is_file()).with_context(|| format!("{program} is not in {path}"))
}

fn is_dynamic(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(4096).read_to_end(&mut start).with_context(|| format!("reading {}", path.display()))?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = String::from_utf8_lossy(line);
        let interpreter = line.split_whitespace().next().context("a script without interpreter")?;
        return is_dynamic(Path::new(interpreter));
    }
    names_a_loader(&start).with_context(|| format!("{} is no program", path.display()))
}

/// Whether an ELF file asks to be loaded by another program, as dynamic ones do (a segment `PT_INTERP`).
fn names_a_loader(elf: &[u8]) -> Result<bool> {
    const INTERPRETER: u64 = 3;
    if !elf.starts_with(b"\x7fELF") {
        bail!("not an ELF file");
    }
    let wide = elf.get(4) == Some(&2);
    let number = |at: usize, size: usize| {
        let bytes = elf.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    let header = if wide { [(32, 8), (54, 2), (56, 2)] } else { [(28, 4), (42, 2), (44, 2)] };
    let [Some(table), Some(size), Some(count)] = header.map(|(at, size)| number(at, size)) else {
        bail!("it is cut off");
    };
    let segment = |index| number(usize::try_from(table + index * size).ok()?, 4);
    Ok((0..count).any(|index| segment(index) == Some(INTERPRETER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_and_static_programs_are_told_apart() {
        assert!(is_dynamic(Path::new("/usr/bin/env")).unwrap());
        assert!(!is_dynamic(Path::new("/bin/busybox")).unwrap());
        assert!(is_dynamic(Path::new("/etc/passwd")).is_err());
    }

    #[test]
    fn offsets_are_signed_seconds() {
        assert_eq!(Clock::Ahead(Duration::from_secs(90)).offset(), "+90.000");
        assert_eq!(Clock::Behind(Duration::from_millis(1500)).offset(), "-1.500");
    }
}
