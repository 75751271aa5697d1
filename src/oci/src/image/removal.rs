//! Takes a folder and all that is in it off the disk, however strangers nested it.
//!
//! The standard library's way needs a stack frame and an open file for each level. A layer or a container can hold tens of
//! thousands of levels, which would end this process, or leave a folder that cannot be removed. Here what lies too deep is
//! moved up first.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

const MAX_DEPTH: usize = 64;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Returns how many bytes that frees; nothing to remove is fine.
pub(crate) fn remove(path: &Path) -> io::Result<u64> {
    let top = match rustix::fs::open(path, FOLDER, Mode::empty()) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut removal = Removal { top, moved: 0, freed: 0 };
    let top = rustix::io::fcntl_dupfd_cloexec(&removal.top, 0)?;
    loop {
        removal.empty(top.as_fd(), 0)?;
        match fs::remove_dir(path) {
            // What lay too deep is now at the top.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            done => return done.map(|()| removal.freed),
        }
    }
}

struct Removal {
    top: OwnedFd,
    moved: u64,
    freed: u64,
}

impl Removal {
    fn empty(&mut self, folder: BorrowedFd<'_>, depth: usize) -> rustix::io::Result<()> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                self.remove_one(folder, entry.file_name(), depth)?;
            }
        }
        Ok(())
    }

    fn remove_one(&mut self, folder: BorrowedFd<'_>, name: &CStr, depth: usize) -> rustix::io::Result<()> {
        let status = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        if is_folder && depth >= MAX_DEPTH {
            return self.move_up(folder, name);
        }
        if is_folder {
            let inner = rustix::fs::openat(folder, name, FOLDER, Mode::empty())?;
            self.empty(inner.as_fd(), depth + 1)?;
        }
        let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(folder, name, flags)?;
        if is_folder || status.st_nlink == 1 {
            self.freed += u64::try_from(status.st_blocks).unwrap_or_default() * 512;
        }
        Ok(())
    }

    fn move_up(&mut self, folder: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
        loop {
            self.moved += 1;
            let free = CString::new(format!("moved-{}", self.moved)).map_err(|_| Errno::INVAL)?;
            match rustix::fs::renameat_with(
                folder,
                name,
                &self.top,
                &free,
                rustix::fs::RenameFlags::NOREPLACE,
            ) {
                Err(Errno::EXIST) => {}
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_depth_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut current = rustix::fs::open(&top, FOLDER, Mode::empty()).unwrap();
        for _ in 0..1_500 {
            rustix::fs::mkdirat(&current, "moved-1", Mode::RWXU).unwrap();
            current = rustix::fs::openat(&current, "moved-1", FOLDER, Mode::empty()).unwrap();
        }
        drop(current);
        remove(&top).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, top) = (folder.path().join("kept"), folder.path().join("top"));
        fs::create_dir_all(top.join("inner")).unwrap();
        fs::write(&kept, vec![1; 100_000]).unwrap();
        fs::hard_link(&kept, top.join("inner/hard")).unwrap();
        std::os::unix::fs::symlink(folder.path(), top.join("inner/soft")).unwrap();
        fs::write(top.join("own"), vec![1; 50_000]).unwrap();
        let freed = remove(&top).unwrap();
        assert!((50_000..100_000).contains(&freed), "{freed}");
        assert!(kept.exists() && !top.exists());
        assert_eq!(remove(&top).unwrap(), 0);
    }
}
