//! A container's log, line by line as `TIME STREAM TAG TEXT`, the format of the container runtime interface.
//!
//! `TAG` is `F` for a line's end and `P` for a part of it: a line is cut every 16 KiB, and output that ends without a newline
//! ends with a part. A log that cannot be written loses lines and holds up nobody: a full disk must not stop a container. When
//! there is room again it goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::spec::Log;

/// Where kubelet and container runtimes have always cut.
const LONGEST: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The beginning of a line that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Appends to `log` what `output` completes.
    pub(super) fn take(&mut self, stream: Stream, mut output: &[u8], now: SystemTime, log: &mut Vec<u8>) {
        let time = timestamp(now);
        while let Some(end) = output.iter().position(|byte| *byte == b'\n') {
            self.grow(&output[..end], &time, stream, log);
            self.write(&time, stream, 'F', log);
            output = &output[end + 1..];
        }
        self.grow(output, &time, stream, log);
    }

    /// The output is over.
    pub(super) fn finish(&mut self, stream: Stream, now: SystemTime, log: &mut Vec<u8>) {
        if !self.begun.is_empty() {
            self.write(&timestamp(now), stream, 'P', log);
        }
    }

    fn grow(&mut self, mut text: &[u8], time: &str, stream: Stream, log: &mut Vec<u8>) {
        while self.begun.len() + text.len() > LONGEST {
            let (fits, rest) = text.split_at(LONGEST - self.begun.len());
            self.begun.extend_from_slice(fits);
            self.write(time, stream, 'P', log);
            text = rest;
        }
        self.begun.extend_from_slice(text);
    }

    fn write(&mut self, time: &str, stream: Stream, tag: char, log: &mut Vec<u8>) {
        log.extend_from_slice(format!("{time} {} {tag} ", stream.name()).as_bytes());
        // Taken whole: a silent container holds no buffer.
        log.append(&mut std::mem::take(&mut self.begun));
        log.push(b'\n');
    }
}

/// So long a log that could not be opened or set aside is left as it is: a container may write thousands of lines a second.
const RETRY: Duration = Duration::from_secs(5);

/// The file, renamed when it grows too large.
pub(super) struct LogFile {
    log: Log,
    file: Option<File>,
    size: u64,
    /// After a failure: nothing is tried before.
    retry: Option<Instant>,
}

impl LogFile {
    pub(super) fn open(log: Log) -> Self {
        let mut new = Self { log, file: None, size: 0, retry: None };
        new.ready(0, Instant::now());
        new
    }

    pub(super) fn append(&mut self, lines: &[u8]) {
        self.ready(lines.len() as u64, Instant::now());
        if self.file.as_mut().is_some_and(|file| file.write_all(lines).is_ok()) {
            self.size += lines.len() as u64;
        }
    }

    /// Sees to it that there is a file with room for so much more, as far as that can be had.
    fn ready(&mut self, more: u64, now: Instant) {
        let full = self.log.max_size > 0 && self.size > 0 && self.size + more > self.log.max_size;
        if (self.file.is_some() && !full) || self.retry.is_some_and(|retry| now < retry) {
            return;
        }
        let renewed = self.renew(full);
        self.retry = renewed.is_err().then(|| now + RETRY);
        if let Err(error) = renewed {
            eprintln!("shim: cannot start log {}: {error}", self.log.path.display());
        }
    }

    fn renew(&mut self, full: bool) -> io::Result<()> {
        if full {
            set_aside(&self.log, SystemTime::now())?;
            (self.file, self.size) = (None, 0);
        }
        let (file, size) = append_to(&self.log.path)?;
        (self.file, self.size) = (Some(file), size);
        Ok(())
    }
}

/// The file and its size.
fn append_to(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // As with other runtimes, others than root and its group need not read what a program tells of itself.
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Names old files as the kubelet does, so that whoever reads or removes pod logs finds them.
fn set_aside(log: &Log, now: SystemTime) -> io::Result<()> {
    let (Some(folder), Some(name)) = (log.path.parent(), log.path.file_name().and_then(|name| name.to_str()))
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut old = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let prefixed = entry.file_name().to_str().is_some_and(|other| other.starts_with(&format!("{name}.")));
        old.extend(prefixed.then(|| entry.path()));
    }
    // The names sort by time.
    old.sort();
    let kept = log.max_files.saturating_sub(2);
    for path in &old[..old.len().saturating_sub(kept)] {
        fs::remove_file(path)?;
    }
    let digits: String = timestamp(now).chars().filter(char::is_ascii_digit).collect();
    // To the nanosecond where the kubelet stops at seconds: a busy container may fill two files in one.
    match fs::rename(&log.path, folder.join(format!("{name}.{}-{}", &digits[..8], &digits[8..]))) {
        // Somebody took it away.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// `2026-11-21T09:00:00.000000000Z`.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", since.subsec_nanos())
}

/// The Gregorian date so many days after 1970-01-01, by counting from a March: then leap days come last.
fn date(days: u64) -> (u64, u64, u64) {
    let from_march_0000 = days + 719_468;
    let (era, day_of_era) = (from_march_0000 / 146_097, from_march_0000 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, nanoseconds: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(timestamp(at(0, 0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(timestamp(at(951_782_399, 1)), "2000-02-28T23:59:59.000000001Z");
        assert_eq!(timestamp(at(951_782_400, 0)), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(timestamp(at(1_795_251_600, 120_000_000)), "2026-11-21T09:00:00.120000000Z");
        assert_eq!(timestamp(at(4_107_542_400, 0)), "2100-03-01T00:00:00.000000000Z");
    }

    fn lines(chunks: &[&[u8]]) -> Vec<(char, usize)> {
        let (mut lines, mut log) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.take(Stream::Stdout, chunk, at(0, 0), &mut log);
        }
        lines.finish(Stream::Stdout, at(0, 0), &mut log);
        let text = String::from_utf8(log).unwrap();
        text.lines()
            .map(|line| {
                let rest = line.strip_prefix("1970-01-01T00:00:00.000000000Z stdout ").unwrap();
                (rest.chars().next().unwrap(), rest.len() - 2)
            })
            .collect()
    }

    #[test]
    fn lines_end_with_newlines_not_with_reads() {
        assert_eq!(lines(&[b"ab", b"c\n\nd\n"]), [('F', 3), ('F', 0), ('F', 1)]);
        assert_eq!(lines(&[b"a\n", b"unended"]), [('F', 1), ('P', 7)]);
        assert_eq!(lines(&[b""]), []);
    }

    #[test]
    fn long_lines_are_cut() {
        let long = vec![b'x'; 2 * LONGEST + 5];
        assert_eq!(lines(&[&long, b"\n"]), [('P', LONGEST), ('P', LONGEST), ('F', 5)]);
        let exact = vec![b'x'; LONGEST];
        assert_eq!(lines(&[&exact, b"\n"]), [('F', LONGEST)]);
    }

    #[test]
    fn a_log_has_as_many_files_as_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        let mut file = LogFile::open(Log { path: path.clone(), max_size: 10, max_files: 3 });
        for number in 0..6 {
            file.append(format!("line {number}\n").as_bytes());
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let texts: Vec<_> = names.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts, ["line 5\n", "line 3\n", "line 4\n"]);
    }

    #[test]
    fn a_log_that_cannot_be_opened_goes_on_later() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        // Where its folder should be is a file.
        fs::write(&logs, "").unwrap();
        let mut file = LogFile::open(Log { path: logs.join("0.log"), max_size: 0, max_files: 0 });
        file.append(b"lost\n");
        fs::remove_file(&logs).unwrap();
        file.append(b"lost, too: it was tried a moment ago\n");
        file.ready(0, Instant::now() + RETRY);
        file.append(b"kept\n");
        assert_eq!(fs::read_to_string(logs.join("0.log")).unwrap(), "kept\n");
    }

    #[test]
    fn a_log_that_cannot_be_set_aside_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, elsewhere) = (folder.path().join("logs"), folder.path().join("elsewhere"));
        let mut file = LogFile::open(Log { path: logs.join("0.log"), max_size: 10, max_files: 3 });
        file.append(b"line 0\n");
        fs::rename(&logs, &elsewhere).unwrap();
        fs::write(&logs, "").unwrap();
        file.append(b"line 1\n");
        fs::remove_file(&logs).unwrap();
        fs::rename(&elsewhere, &logs).unwrap();
        assert_eq!(fs::read_to_string(logs.join("0.log")).unwrap(), "line 0\nline 1\n");
        file.ready(7, Instant::now() + RETRY);
        file.append(b"line 2\n");
        assert_eq!(fs::read_to_string(logs.join("0.log")).unwrap(), "line 2\n");
    }
}
