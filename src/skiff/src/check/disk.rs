//! The data directory: what file system it is on, and whether there is room.
//!
//! The marks are those at which a node starts to evict pods: less than 15 % free, or 5 % of the inodes.

use std::path::{Path, PathBuf};

use rustix::fs::StatVfs;

use super::finding::Check;
use super::mounts::Mounts;
use super::root::Root;

const TYPE: &str = "data-dir";
const SPACE: &str = "disk-space";
const MIB: u64 = 1 << 20;
/// Without this much not even one small image and the cluster's state fit.
const LEAST: u64 = 256 * MIB;
const COMFORTABLE: u64 = 2048 * MIB;

/// Free and all of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    free: u64,
    all: u64,
}

impl Room {
    fn percent(self) -> u64 {
        let (free, all) = (u128::from(self.free), u128::from(self.all.max(1)));
        u64::try_from(free * 100 / all).unwrap_or(100)
    }
}

pub(super) struct Facts {
    folder: PathBuf,
    kind: Option<String>,
    /// None where the file system cannot be asked.
    bytes: Option<Room>,
    /// None too where it has no fixed number of inodes, as btrfs.
    inodes: Option<Room>,
    read_only: bool,
}

impl Facts {
    /// `folder` is the data directory, or its nearest ancestor that exists.
    fn read(root: &Root, folder: &Path) -> Self {
        let stat: Option<StatVfs> = rustix::fs::statvfs(folder).ok();
        Self {
            folder: folder.to_path_buf(),
            kind: Mounts::read(root).of(folder).map(|mount| mount.kind.clone()),
            bytes: stat.as_ref().map(|stat| Room {
                free: stat.f_bavail.saturating_mul(stat.f_frsize),
                all: stat.f_blocks.saturating_mul(stat.f_frsize),
            }),
            inodes: stat
                .as_ref()
                .filter(|stat| stat.f_files > 0)
                .map(|stat| Room { free: stat.f_favail, all: stat.f_files }),
            read_only: stat.is_some_and(|stat| stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY)),
        }
    }
}

pub(super) fn check(root: &Root, folder: &Path) -> Vec<Check> {
    let facts = Facts::read(root, folder);
    vec![file_system(&facts), space(&facts)]
}

fn file_system(facts: &Facts) -> Check {
    const MOVE: &str = "put the data directory on ext4, xfs, btrfs or f2fs (--data-dir)";
    let Some(kind) = facts.kind.as_deref() else {
        return Check::skipped(TYPE, "what it is mounted on cannot be told");
    };
    let on = format!("{} is on {kind}", facts.folder.display());
    if facts.read_only {
        return Check::fail(
            TYPE,
            format!("{on}, which is read-only"),
            "mount it for writing, or choose another (--data-dir)",
        );
    }
    match kind {
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "ceph" | "vfat" | "msdos" | "exfat" | "ntfs3"
        | "overlay" | "squashfs" | "ecryptfs" => {
            Check::fail(TYPE, format!("{on}, which can hold no layers of containers"), MOVE)
        }
        fuse if fuse.starts_with("fuse") => {
            Check::warn(TYPE, format!("{on}, which may not hold layers of containers"), MOVE)
        }
        "tmpfs" | "ramfs" | "rootfs" => Check::warn(
            TYPE,
            format!("{on}, which is memory: the cluster's state and all images are gone when the power is"),
            MOVE,
        ),
        _ => Check::pass(TYPE, on),
    }
}

fn space(facts: &Facts) -> Check {
    const FREE: &str = "make room, or choose a data directory with more (--data-dir)";
    let Some(bytes) = facts.bytes else {
        return Check::skipped(SPACE, format!("{} cannot be asked", facts.folder.display()));
    };
    let mut finding = format!("{} of {} free ({} %)", words(bytes.free), words(bytes.all), bytes.percent());
    let scarce = facts.inodes.filter(|inodes| inodes.percent() < 5);
    if let Some(inodes) = scarce {
        finding += &format!(", {} of {} inodes", inodes.free, inodes.all);
    }
    if bytes.free < LEAST || scarce.is_some_and(|inodes| inodes.free < 1000) {
        Check::fail(SPACE, format!("{finding}: too little for images"), FREE)
    } else if bytes.percent() < 15 || scarce.is_some() {
        Check::warn(SPACE, format!("{finding}: pods are evicted when this little is free"), FREE)
    } else if bytes.free < COMFORTABLE {
        Check::warn(SPACE, format!("{finding}: a few images fill it"), FREE)
    } else {
        Check::pass(SPACE, finding)
    }
}

fn words(bytes: u64) -> String {
    let mib = bytes / MIB;
    if mib < 10 * 1024 { format!("{mib} MiB") } else { format!("{} GiB", mib / 1024) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * MIB;

    fn facts(kind: &str, free: u64, all: u64) -> Facts {
        let inodes = Some(Room { free: 900_000, all: 1_000_000 });
        let bytes = Some(Room { free, all });
        Facts { folder: "/var/lib".into(), kind: Some(kind.into()), bytes, inodes, read_only: false }
    }

    #[test]
    fn file_systems_that_cannot_hold_layers_fail() {
        let outcome = |kind| file_system(&facts(kind, GIB, GIB)).outcome.word();
        assert_eq!(["ext4", "xfs", "btrfs", "f2fs", "zfs"].map(outcome), ["pass"; 5]);
        assert_eq!(["nfs4", "overlay", "vfat"].map(outcome), ["fail"; 3]);
        assert_eq!(["tmpfs", "rootfs", "fuse.sshfs"].map(outcome), ["warn"; 3]);
        let read_only = Facts { read_only: true, ..facts("ext4", GIB, GIB) };
        assert_eq!(file_system(&read_only).outcome.word(), "fail");
    }

    #[test]
    fn room_is_judged_as_eviction_will() {
        let outcome = |free, all| space(&facts("ext4", free, all)).outcome.word();
        assert_eq!(outcome(20 * GIB, 32 * GIB), "pass");
        assert_eq!(outcome(3 * GIB, 32 * GIB), "warn");
        assert_eq!(outcome(GIB, 2 * GIB), "warn");
        assert_eq!(outcome(100 * MIB, 200 * MIB), "fail");
        assert_eq!(outcome(u64::MAX, u64::MAX), "pass");
    }

    #[test]
    fn inodes_run_out_too_where_they_are_counted() {
        let with = |inodes| space(&Facts { inodes, ..facts("ext4", 20 * GIB, 32 * GIB) }).outcome.word();
        assert_eq!(with(Some(Room { free: 10_000, all: 1_000_000 })), "warn");
        assert_eq!(with(Some(Room { free: 10, all: 1_000_000 })), "fail");
        assert_eq!(with(None), "pass");
    }
}
