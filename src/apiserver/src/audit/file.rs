//! A log file that is set aside when it is large: `audit.log` becomes `audit-2026-01-02T03-04-05.678.log`, as upstream names it.
//!
//! A large file is better than lines that are lost: while it cannot be set aside, it goes on growing.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::mem::replace;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::AuditConfig;

/// Who asked for what is nobody else's business.
const MODE: u32 = 0o600;
/// Sorts as it reads.
const SET_ASIDE: &str = "%Y-%m-%dT%H-%M-%S%.3f";

#[derive(Debug)]
pub(super) struct Rotated {
    config: AuditConfig,
    file: File,
    /// It is larger than it should be: the last time, it could not be set aside.
    stuck: bool,
}

impl Rotated {
    pub(super) fn open(config: AuditConfig) -> io::Result<Self> {
        if let Some(folder) = config.path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self { file: open(&config.path)?, config, stuck: false })
    }

    /// Each batch of lines tries it; only the first in a row that fails is told of.
    fn rotate(&mut self) {
        match self.begin_anew() {
            Err(error) if !replace(&mut self.stuck, true) => {
                warn!(%error, "cannot set the audit log aside: it goes on in the same file");
            }
            Err(_) => {}
            Ok(()) => self.stuck = false,
        }
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.set_aside()?;
        self.file = open(&self.config.path)?;
        // Older ones that cannot be removed are no reason to lose newer ones.
        if let Err(error) = self.remove_old(Timestamp::now()) {
            warn!(%error, "cannot remove old audit logs");
        }
        Ok(())
    }

    /// A file that is gone was set aside by somebody else, or by us before a new one could not be begun.
    fn set_aside(&self) -> io::Result<()> {
        match fs::rename(&self.config.path, set_aside(&self.config.path, Timestamp::now())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn remove_old(&self, now: Timestamp) -> io::Result<()> {
        let folder = self.config.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut kept = Vec::new();
        for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
            let path = entry?.path();
            kept.extend(when(&self.config.path, &path).map(|at| (at, path)));
        }
        // The newest first.
        kept.sort_by(|one, other| other.cmp(one));
        for (index, (at, path)) in kept.iter().enumerate() {
            let too_many = self.config.backups.is_some_and(|most| index >= most);
            let days = self.config.days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
            if too_many || days.is_some_and(|longest| now.duration_since(*at) > longest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Write for Rotated {
    /// Whole lines, as they come: all of them, or none on a disk that has no room for all.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        // Asked each time: somebody else may have cut it.
        let mut size = self.file.metadata()?.len();
        if size > 0 && size + lines.len() as u64 > self.config.largest {
            self.rotate();
            size = self.file.metadata()?.len();
        }
        if let Err(error) = self.file.write_all(lines) {
            // Half a line would spoil the next one. A pipe does not give it back.
            let _given_back = self.file.set_len(size);
            return Err(error);
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(MODE).open(path)
}

fn parts(path: &Path) -> (String, String) {
    let text =
        |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = text(path.extension());
    (text(path.file_stem()), if extension.is_empty() { extension } else { format!(".{extension}") })
}

fn set_aside(path: &Path, at: Timestamp) -> PathBuf {
    let (stem, extension) = parts(path);
    path.with_file_name(format!("{stem}-{}{extension}", at.strftime(SET_ASIDE)))
}

/// When `candidate` was set aside, if it is an older one of `path`.
fn when(path: &Path, candidate: &Path) -> Option<Timestamp> {
    let (stem, extension) = parts(path);
    let name = candidate.file_name()?.to_str()?;
    let at = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&extension)?;
    let at = jiff::civil::DateTime::strptime(SET_ASIDE, at).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_set_aside_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/audit.log");
        let config = AuditConfig { path: path.clone(), largest: 10, backups: Some(2), days: Some(7) };
        let mut file = Rotated::open(config.clone()).unwrap();
        for name in
            ["audit-2026-01-02T03-04-05.678.log", "audit-nothing.log", "other-2026-01-02T03-04-05.678.log"]
        {
            fs::write(path.with_file_name(name), "").unwrap();
        }
        file.write_all(b"123456\n").unwrap();
        file.write_all(b"12\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"123456\n12\n");
        file.write_all(b"x\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x\n");
        let left = names(path.parent().unwrap());
        assert_eq!(left.len(), 4, "the one of last year is gone: {left:?}");
        assert!(left.iter().any(|name| name == "audit-nothing.log"), "what is not ours is left alone");
        // Another process goes on where this one stopped.
        drop(file);
        let mut file = Rotated::open(config).unwrap();
        file.write_all(b"a long line\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a long line\n");
    }

    #[test]
    fn a_file_that_is_not_there_any_more_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let config = AuditConfig { path: path.clone(), largest: 10, backups: None, days: None };
        let mut file = Rotated::open(config).unwrap();
        // Somebody else took it.
        file.write_all(b"123456\n").unwrap();
        fs::rename(&path, folder.path().join("taken")).unwrap();
        file.write_all(b"second\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second\n");
        // We set it aside, and could not begin the next.
        file.set_aside().unwrap();
        assert!(!path.exists());
        file.write_all(b"third\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third\n");
        // Somebody else took it and began another.
        fs::rename(&path, folder.path().join("taken")).unwrap();
        fs::write(&path, "").unwrap();
        file.write_all(b"fourth\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"fourth\n");
    }

    #[test]
    fn what_cannot_be_set_aside_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (log, away) = (folder.path().join("log"), folder.path().join("away"));
        let path = log.join("audit.log");
        let config = AuditConfig { path: path.clone(), largest: 10, backups: None, days: None };
        let mut file = Rotated::open(config).unwrap();
        file.write_all(b"123456\n").unwrap();
        fs::rename(&log, &away).unwrap();
        for line in ["second\n", "third\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read(away.join("audit.log")).unwrap(), b"123456\nsecond\nthird\n");
        // What was in the way is gone.
        fs::rename(&away, &log).unwrap();
        file.write_all(b"fourth\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"fourth\n");
        assert_eq!(names(&log).len(), 2, "the one before was set aside");
    }

    #[test]
    fn so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let config = AuditConfig { path: path.clone(), largest: 10, backups: Some(2), days: None };
        let file = Rotated::open(config).unwrap();
        let moments = ["2026-01-02T03:04:05.678Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"];
        for at in moments {
            fs::write(set_aside(&path, at.parse().unwrap()), "").unwrap();
        }
        file.remove_old(Timestamp::now()).unwrap();
        assert_eq!(
            names(folder.path()),
            ["audit", "audit-2026-01-03T00-00-00.000", "audit-2026-01-04T00-00-00.000"]
        );
    }
}
