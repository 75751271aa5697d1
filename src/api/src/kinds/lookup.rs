//! Finding entries of the kind table.
//!
//! Linear scans over some seventy static entries: no map to build at start, and a scan costs less than hashing the path.

use super::{Kind, TABLE};

/// Every entry, groups in discovery order, versions and kinds in the order of their file.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    TABLE.iter().copied().flatten()
}

/// The entry behind `/apis/{group}/{version}/…/{plural}`.
pub fn by_resource(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    all().find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
}

/// The entry an object's `apiVersion` and `kind` name.
pub fn by_kind(group: &str, version: &str, name: &str) -> Option<&'static Kind> {
    all().find(|kind| kind.kind == name && kind.group == group && kind.version == version)
}

/// One API group as discovery shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: &'static str,
    /// The preferred version is the first.
    pub versions: Vec<&'static str>,
}

impl Group {
    pub fn preferred(&self) -> &'static str {
        self.versions.first().copied().expect("a group is made from its first version")
    }
}

/// Every group that has an entry, in discovery order; the core group, whose name is empty, comes first.
pub fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in all() {
        match groups.iter_mut().find(|group| group.name == kind.group) {
            Some(group) if group.versions.contains(&kind.version) => {}
            Some(group) => group.versions.push(kind.version),
            None => groups.push(Group { name: kind.group, versions: vec![kind.version] }),
        }
    }
    groups
}

pub fn group(name: &str) -> Option<Group> {
    groups().into_iter().find(|group| group.name == name)
}
