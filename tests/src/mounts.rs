//! What is mounted where, as the kernel tells the calling thread (each machine of a lab has mounts of its own).

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
}

/// In the order of mounting: what lies below another comes after it.
pub(crate) fn of_this_thread() -> Result<Vec<Mount>> {
    let table = fs::read_to_string("/proc/thread-self/mountinfo").context("reading the table of mounts")?;
    Ok(table.lines().filter_map(parse).collect())
}

/// `36 35 98:0 /root /point options tags… - kind source super-options`, see proc_pid_mountinfo(5).
fn parse(line: &str) -> Option<Mount> {
    let (place, what) = line.split_once(" - ")?;
    let point = place.split(' ').nth(4)?;
    Some(Mount { point: unescape(point), kind: what.split(' ').next()?.to_string() })
}

/// Blanks are written as `\040` and the like.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_understood() {
        let line = r"41 31 0:38 / /mnt/a\040b\134 rw,relatime shared:4 - cgroup2 cgroup2 rw";
        let expected = Mount { point: PathBuf::from(r"/mnt/a b\"), kind: "cgroup2".into() };
        assert_eq!(parse(line), Some(expected));
    }
}
