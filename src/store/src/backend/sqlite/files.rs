//! The files of a store's directory, and moving them so that a power cut leaves the old or the new.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) directory: PathBuf,
    pub(crate) database: PathBuf,
}

impl Files {
    pub(crate) fn in_directory(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        sync_way_to(directory)?;
        Ok(Self { directory: directory.into(), database: directory.join("store.db") })
    }

    /// Newest first.
    pub(crate) fn backups(&self) -> [PathBuf; 2] {
        [self.directory.join("backup.db"), self.directory.join("backup.old.db")]
    }

    pub(crate) fn has_backup(&self) -> io::Result<bool> {
        let [newest, older] = self.backups();
        Ok(newest.try_exists()? || older.try_exists()?)
    }

    /// Where a file is built before it takes its place. What an interrupted attempt left there is of no use.
    pub(crate) fn scratch(&self) -> io::Result<PathBuf> {
        let scratch = self.directory.join("scratch.db");
        for leftover in [scratch.clone(), beside(&scratch, "-wal"), beside(&scratch, "-journal")] {
            remove_if_there(&leftover)?;
        }
        Ok(scratch)
    }

    /// Makes a finished scratch file the newest backup.
    pub(crate) fn keep_backup(&self, scratch: &Path) -> io::Result<()> {
        let [newest, older] = self.backups();
        File::open(scratch)?.sync_all()?;
        if newest.exists() {
            fs::rename(&newest, &older)?;
        }
        fs::rename(scratch, &newest)?;
        self.sync_directory()
    }

    /// Puts a finished scratch file in the place of the damaged database, which is moved aside.
    ///
    /// The database goes before its log: without the one, the other is never replayed into a stranger, and an
    /// interruption in between is seen as a missing database.
    pub(crate) fn replace_database(&self, scratch: &Path) -> io::Result<PathBuf> {
        File::open(scratch)?.sync_all()?;
        let aside = self.free_name();
        rename_if_there(&self.database, &aside)?;
        rename_if_there(&beside(&self.database, "-wal"), &beside(&aside, "-wal"))?;
        self.sync_directory()?;
        fs::rename(scratch, &self.database)?;
        self.sync_directory()?;
        Ok(aside)
    }

    fn free_name(&self) -> PathBuf {
        let numbered = (1u32..).map(|n| self.directory.join(format!("store.damaged-{n}.db")));
        let mut free = numbered.filter(|path| !path.exists() && !beside(path, "-wal").exists());
        free.next().expect("no directory holds four billion files")
    }

    fn sync_directory(&self) -> io::Result<()> {
        sync(&self.directory)
    }
}

/// A name that is not synced may be gone after a power cut, with all that was synced below it. So each folder of the
/// file system that leads to `directory` is synced at every start: who made it may have ended before.
fn sync_way_to(directory: &Path) -> io::Result<()> {
    let directory = directory.canonicalize()?;
    let device = directory.metadata()?.dev();
    for folder in directory.ancestors().skip(1) {
        if folder.metadata()?.dev() != device {
            break;
        }
        match sync(folder) {
            // Where we may not look, somebody else made the next folder.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    ignore_missing(fs::remove_file(path))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    ignore_missing(fs::rename(from, to))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
