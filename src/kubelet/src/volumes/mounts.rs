//! Mounting memory and removing folders with mounts in them.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::Cause;

/// Mounts memory on `path` unless that is done already; whether it was done now.
pub(super) fn tmpfs(path: &Path, limit: Option<u64>, mode: u32) -> Result<bool, Cause> {
    let made = DirBuilder::new().recursive(true).mode(0o750).create(path);
    made.map_err(Cause::file("make", path))?;
    if is_mounted(path).map_err(Cause::file("look at", path))? {
        return Ok(false);
    }
    let size = limit.map(|limit| format!(",size={limit}")).unwrap_or_default();
    let options = format!("mode={mode:o}{size}");
    // What is here must not reach a swap partition. Kernels before 6.4 cannot promise that.
    let mounted = mount_tmpfs(path, &format!("{options},noswap")).or_else(|error| match error.kind() {
        io::ErrorKind::InvalidInput => mount_tmpfs(path, &options),
        _ => Err(error),
    });
    mounted.map_err(Cause::file("mount a tmpfs on", path))?;
    Ok(true)
}

fn mount_tmpfs(path: &Path, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(mount("tmpfs", path, "tmpfs", MountFlags::empty(), options.as_c_str())?)
}

/// A mount is a device of its own.
fn is_mounted(path: &Path) -> io::Result<bool> {
    let parent = path.parent().unwrap_or(path);
    Ok(fs::metadata(path)?.dev() != fs::metadata(parent)?.dev())
}

/// Unmounts everything at and below `folder`, then deletes it. Nothing that is mounted there loses a file.
pub(super) fn remove_tree(folder: &Path) -> Result<(), Cause> {
    if !folder.exists() {
        return Ok(());
    }
    // The table names folders by their true paths.
    let folder = folder.canonicalize().map_err(Cause::file("find", folder))?;
    for mounted in mounts_below(&folder)? {
        unmount(&mounted, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(|error| Cause::file("unmount", &mounted)(error.into()))?;
    }
    if let Some(left) = mounts_below(&folder)?.into_iter().next() {
        return Err(Cause::file("unmount", &left)(io::ErrorKind::ResourceBusy.into()));
    }
    fs::remove_dir_all(&folder).map_err(Cause::file("remove", &folder))
}

/// Mount points at and below `folder`, the latest first.
fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>, Cause> {
    let table = Path::new("/proc/thread-self/mountinfo");
    let text = fs::read_to_string(table).map_err(Cause::file("read", table))?;
    let points =
        text.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(unescaped(point)));
    let mut below: Vec<_> = points.filter(|point| point.starts_with(folder)).collect();
    below.reverse();
    Ok(below)
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits there.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => plain.push_str(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        assert_eq!(unescaped("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(unescaped("/plain"), "/plain");
    }
}
