//! What a group used, read from either version's files.

use std::fs;
use std::path::Path;

use super::{Cgroup, Error};

/// A moment's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since the group was made.
    pub cpu_nanoseconds: u64,
    /// Everything charged to the group, page cache included.
    pub memory_bytes: u64,
    /// Without the part of the page cache that is reclaimed first: what eviction and `kubectl top` go by.
    pub working_set_bytes: u64,
    pub rss_bytes: u64,
    pub pids: u64,
}

pub(super) fn read(cgroup: &Cgroup<'_>) -> Result<Usage, Error> {
    let memory = Memory::read(cgroup)?;
    Ok(Usage {
        cpu_nanoseconds: cpu(cgroup)?,
        memory_bytes: memory.used,
        working_set_bytes: memory.used.saturating_sub(memory.inactive_file),
        rss_bytes: memory.rss,
        pids: number(cgroup.folder("pids").as_deref(), "pids.current")?,
    })
}

struct Memory {
    used: u64,
    inactive_file: u64,
    rss: u64,
}

impl Memory {
    fn read(cgroup: &Cgroup<'_>) -> Result<Self, Error> {
        let folder = cgroup.folder("memory");
        let stat = text(folder.as_deref(), "memory.stat")?;
        let names = if cgroup.is_v2() {
            ["memory.current", "inactive_file", "anon"]
        } else {
            ["memory.usage_in_bytes", "total_inactive_file", "total_rss"]
        };
        let [used, inactive_file, rss] = names;
        Ok(Self {
            used: number(folder.as_deref(), used)?,
            inactive_file: field(&stat, inactive_file),
            rss: field(&stat, rss),
        })
    }
}

fn cpu(cgroup: &Cgroup<'_>) -> Result<u64, Error> {
    if cgroup.is_v2() {
        Ok(field(&text(cgroup.folder("cpu").as_deref(), "cpu.stat")?, "usage_usec") * 1_000)
    } else {
        number(cgroup.folder("cpuacct").as_deref(), "cpuacct.usage")
    }
}

pub(super) fn oom_kills(cgroup: &Cgroup<'_>) -> u64 {
    let file = if cgroup.is_v2() { "memory.events" } else { "memory.oom_control" };
    text(cgroup.folder("memory").as_deref(), file).map_or(0, |text| field(&text, "oom_kill"))
}

/// A controller that is not mounted has used nothing.
fn text(folder: Option<&Path>, file: &str) -> Result<String, Error> {
    let Some(path) = folder.map(|folder| folder.join(file)) else { return Ok(String::new()) };
    fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
}

fn number(folder: Option<&Path>, file: &str) -> Result<u64, Error> {
    text(folder, file).map(|text| text.trim().parse().unwrap_or(0))
}

/// The value in a line `NAME VALUE`.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 0\n";
        assert_eq!(field(events, "oom_kill"), 3);
        assert_eq!(field(events, "oom"), 1);
        assert_eq!(field(events, "absent"), 0);
    }
}
