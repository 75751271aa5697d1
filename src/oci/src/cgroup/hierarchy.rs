//! Where this machine keeps its control groups.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, write};

/// The mounted hierarchies, read once.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    mounts: Mounts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mounts {
    /// One tree for all controllers.
    V2(PathBuf),
    /// One tree for each set of controllers. An empty version 2 tree beside them (the hybrid form) controls nothing.
    V1(Vec<Tree>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    controllers: Vec<String>,
    mount: PathBuf,
}

const V1_CONTROLLERS: [&str; 12] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

/// What containers and pods are limited by; others of version 2 stay off, where they cost nothing.
const V2_CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

impl Hierarchy {
    pub fn detect() -> Result<Self, Error> {
        let table = fs::read_to_string("/proc/self/mountinfo").map_err(Error::Mounts)?;
        parse(&table).map(|mounts| Self { mounts }).ok_or(Error::NoControllers)
    }

    pub fn is_v2(&self) -> bool {
        matches!(self.mounts, Mounts::V2(_))
    }

    /// Every folder of the group at `path`.
    pub(super) fn folders(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let mounts: Vec<&PathBuf> = match &self.mounts {
            Mounts::V2(mount) => vec![mount],
            Mounts::V1(trees) => trees.iter().map(|tree| &tree.mount).collect(),
        };
        mounts.into_iter().map(|mount| mount.join(path)).collect::<Vec<_>>().into_iter()
    }

    pub(super) fn folder(&self, controller: &str, path: &Path) -> Option<PathBuf> {
        match &self.mounts {
            Mounts::V2(mount) => Some(mount.join(path)),
            Mounts::V1(trees) => {
                let tree = trees.iter().find(|tree| tree.controllers.iter().any(|name| name == controller));
                tree.map(|tree| tree.mount.join(path))
            }
        }
    }

    /// Version 1: the name each tree has below `/sys/fs/cgroup`, and where it is mounted.
    pub(crate) fn v1_trees(&self) -> Vec<(&Path, &[String])> {
        match &self.mounts {
            Mounts::V2(_) => Vec::new(),
            Mounts::V1(trees) => {
                trees.iter().map(|tree| (tree.mount.as_path(), tree.controllers.as_slice())).collect()
            }
        }
    }

    pub(super) fn create(&self, path: &Path) -> Result<(), Error> {
        match &self.mounts {
            Mounts::V2(mount) => create_v2(mount, path),
            Mounts::V1(trees) => trees.iter().try_for_each(|tree| create_v1(tree, path)),
        }
    }
}

/// A controller works in a group only if every group above hands it down.
fn create_v2(mount: &Path, path: &Path) -> Result<(), Error> {
    let mut parent = mount.to_owned();
    for name in path {
        hand_down(&parent)?;
        parent.push(name);
        create_folder(&parent)?;
    }
    Ok(())
}

fn hand_down(folder: &Path) -> Result<(), Error> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
    };
    let (available, enabled) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|word| word == name);
    let missing = V2_CONTROLLERS.into_iter().filter(|name| has(&available, name) && !has(&enabled, name));
    missing
        .into_iter()
        .try_for_each(|name| write(&folder.join("cgroup.subtree_control"), &format!("+{name}")))
}

/// An empty cpuset takes no process: each new group starts with its parent's.
fn create_v1(tree: &Tree, path: &Path) -> Result<(), Error> {
    let mut folder = tree.mount.clone();
    for name in path {
        let parent = folder.clone();
        folder.push(name);
        create_folder(&folder)?;
        if tree.controllers.iter().any(|name| name == "cpuset") {
            inherit(&parent, &folder, "cpuset.cpus")?;
            inherit(&parent, &folder, "cpuset.mems")?;
        }
    }
    Ok(())
}

fn inherit(parent: &Path, folder: &Path, file: &str) -> Result<(), Error> {
    let read = |folder: &Path| {
        let path = folder.join(file);
        fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
    };
    if read(folder)?.trim().is_empty() {
        write(&folder.join(file), read(parent)?.trim())?;
    }
    Ok(())
}

fn create_folder(folder: &Path) -> Result<(), Error> {
    match fs::create_dir(folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::Create { path: folder.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// From the lines of `/proc/self/mountinfo`: `ID PARENT DEV ROOT MOUNT OPTIONS ... - TYPE SOURCE SUPEROPTIONS`.
fn parse(table: &str) -> Option<Mounts> {
    let (mut v1, mut v2) = (Vec::<Tree>::new(), None);
    for line in table.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (Some(mount), mut right) = (left.split(' ').nth(4), right.split(' ')) else { continue };
        match (right.next(), right.nth(1)) {
            (Some("cgroup2"), _) => v2 = v2.or_else(|| Some(PathBuf::from(mount))),
            (Some("cgroup"), Some(options)) => {
                v1.extend(tree(mount, options).filter(|new| !v1.contains(new)));
            }
            _ => {}
        }
    }
    match (v1.is_empty(), v2) {
        (false, _) => Some(Mounts::V1(v1)),
        (true, Some(mount)) => Some(Mounts::V2(mount)),
        (true, None) => None,
    }
}

fn tree(mount: &str, options: &str) -> Option<Tree> {
    let known = options.split(',').filter(|option| V1_CONTROLLERS.contains(option));
    let controllers: Vec<String> = known.map(str::to_owned).collect();
    (!controllers.is_empty()).then(|| Tree { controllers, mount: PathBuf::from(mount) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,name=systemd
33 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct
34 30 0:32 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory";

    #[test]
    fn the_hybrid_form_is_version_1() {
        let Some(Mounts::V1(trees)) = parse(HYBRID) else { panic!("not version 1") };
        let mounts: Vec<_> = trees.iter().map(|tree| tree.mount.to_str().unwrap()).collect();
        assert_eq!(mounts, ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"]);
        let hierarchy = Hierarchy { mounts: Mounts::V1(trees) };
        let folder = hierarchy.folder("cpuacct", Path::new("a/b"));
        assert_eq!(folder.unwrap(), Path::new("/sys/fs/cgroup/cpu,cpuacct/a/b"));
        assert_eq!(hierarchy.folder("pids", Path::new("a")), None);
    }

    #[test]
    fn a_lone_version_2_mount_is_version_2() {
        let table = "29 22 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(parse(table), Some(Mounts::V2("/sys/fs/cgroup".into())));
        assert_eq!(parse("22 1 0:20 / /proc rw - proc proc rw"), None);
    }
}
