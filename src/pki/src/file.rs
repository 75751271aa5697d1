//! Files that are there whole or not at all, also after a power cut.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Only the owner reads keys and tokens.
pub const SECRET: u32 = 0o600;
pub const PUBLIC: u32 = 0o644;

/// Writes `bytes` to `path` with `mode`: beside it first, synced, then renamed, then the folder synced.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    // One that a cut left behind may have another mode.
    remove(Path::new(&beside))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    // The mode of `open` is cut by the umask.
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

/// The content of a file, or nothing if there is none.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_and_its_mode_and_what_a_cut_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/key");
        write(&path, b"a long first text", PUBLIC).unwrap();
        fs::write(folder.path().join("deep/key.new"), "left by a cut").unwrap();
        write(&path, b"second", SECRET).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("second"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, SECRET);
        assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn no_file_is_nothing() {
        assert_eq!(read(Path::new("/nonexistent/file")).unwrap(), None);
    }
}
