//! What a container left behind to explain its end: the file it was given for that, or the end of its log.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const MOST: u64 = 4096;
const LOG_LINES: usize = 80;
const LOG_BYTES: usize = 2048;
/// Log lines carry a time and a stream before what was said.
const LOG_READ: u64 = 32 << 10;

#[derive(Debug)]
pub(crate) struct Words<'a> {
    pub(crate) file: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) or_log: bool,
}

/// Empty when it left none.
pub(crate) fn read(words: &Words<'_>) -> String {
    let message = head(words.file).unwrap_or_default();
    if message.is_empty() && words.or_log { end_of_log(words.log).unwrap_or_default() } else { message }
}

fn head(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn end_of_log(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_READ)))?;
    let mut bytes = Vec::new();
    file.take(LOG_READ).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.split_inclusive('\n').filter_map(said).collect();
    let said = lines[lines.len().saturating_sub(LOG_LINES)..].concat();
    let mut start = said.len().saturating_sub(LOG_BYTES);
    while !said.is_char_boundary(start) {
        start += 1;
    }
    Ok(said[start..].to_owned())
}

/// What follows time, stream and tag; a partial line has no end of its own.
fn said(line: &str) -> Option<String> {
    let mut words = line.splitn(4, ' ');
    let (_time, _stream, tag, text) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(if tag == "P" { text.trim_end_matches('\n').to_owned() } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_before_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("message"), folder.path().join("0.log"));
        let read = |or_log| read(&Words { file: &file, log: &log, or_log });
        assert_eq!(read(true), "");
        std::fs::write(&log, "t stdout F one two\nt stderr P thr\nt stderr F ee\n").unwrap();
        assert_eq!((read(true).as_str(), read(false).as_str()), ("one two\nthree\n", ""));
        std::fs::write(&file, "so it went").unwrap();
        assert_eq!(read(true), "so it went");
        std::fs::write(&file, "x".repeat(5000)).unwrap();
        assert_eq!(read(false).len(), 4096);
    }

    #[test]
    fn of_a_long_log_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0.log");
        let lines: String = (0..500).map(|number| format!("t stdout F {number}\n")).collect();
        std::fs::write(&log, lines).unwrap();
        let words = Words { file: &folder.path().join("none"), log: &log, or_log: true };
        let said = read(&words);
        assert_eq!((said.lines().next(), said.lines().count()), (Some("420"), 80));
    }
}
