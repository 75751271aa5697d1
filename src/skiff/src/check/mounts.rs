//! What is mounted where, from `/proc/self/mountinfo`.

use std::path::{Path, PathBuf};

use super::root::Root;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    pub(super) kind: String,
    /// The options of the file system itself: on cgroup v1 they name its controllers.
    pub(super) options: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    pub(super) fn read(root: &Root) -> Self {
        Self::parse(&root.text("proc/self/mountinfo").unwrap_or_default())
    }

    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }

    /// The mount that a path lies on: the deepest, and of those on one point the last.
    pub(super) fn of(&self, path: &Path) -> Option<&Mount> {
        self.0
            .iter()
            .filter(|mount| path.starts_with(&mount.point))
            .max_by_key(|mount| mount.point.components().count())
    }
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda rw,data=ordered`
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let point = left.split(' ').nth(4)?;
    let mut right = right.split(' ');
    let kind = right.next()?.to_string();
    let options = right.nth(1).unwrap_or_default().split(',').map(str::to_string).collect();
    Some(Mount { point: unescape(point).into(), kind, options })
}

/// The kernel writes white space and backslashes as three octal digits.
fn unescape(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_string(), |path, (code, character)| path.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resv_strict,resuid=65534
35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 27 0:40 / /media/usb\\040stick rw,relatime shared:5 master:2 - vfat /dev/sda1 rw,utf8
41 27 0:41 / /var rw - tmpfs tmpfs rw
42 27 0:42 / /var rw - btrfs /dev/sdb rw,subvol=/var
torn line
";

    #[test]
    fn a_path_lies_on_the_deepest_and_last_mount() {
        let mounts = Mounts::parse(TEXT);
        let kind = |path: &str| mounts.of(Path::new(path)).unwrap().kind.clone();
        assert_eq!(kind("/var/lib/skiff"), "btrfs");
        assert_eq!(kind("/variable"), "ext4");
        assert_eq!(kind("/media/usb stick/skiff"), "vfat");
        assert_eq!(mounts.iter().count(), 5);
    }

    #[test]
    fn options_of_the_file_system_are_kept() {
        let mounts = Mounts::parse(TEXT);
        assert_eq!(mounts.of(Path::new("/sys/fs/cgroup/memory")).unwrap().options, ["rw", "memory"]);
    }
}
