//! Limits, in Kubernetes' units, written in each version's terms.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Cgroup, Error, write};

/// What is `None` is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Version 1's relative weight, 2 to 262144; 1024 is one core's worth of requests.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU time in each period; -1 is no limit.
    pub cpu_quota: Option<i64>,
    /// Microseconds; 100000 when only a quota is given.
    pub cpu_period: Option<u64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    /// Bytes; -1 is no limit. Swap is never used beyond it.
    pub memory: Option<i64>,
    /// Version 2 only: bytes that are not reclaimed (`memory.min`).
    pub memory_min: Option<u64>,
    /// Version 2 only: bytes above which the group is slowed down (`memory.high`).
    pub memory_high: Option<u64>,
    /// Version 2 only: whether an OOM kill takes the whole group.
    pub oom_group: Option<bool>,
    /// -1 is no limit.
    pub pids: Option<i64>,
    /// Version 2 only: any other file, by name, such as `memory.swap.max`.
    pub unified: Vec<(String, String)>,
}

const DEFAULT_PERIOD: u64 = 100_000;

pub(super) fn apply(cgroup: &Cgroup<'_>, limits: &Limits) -> Result<(), Error> {
    if cgroup.is_v2() { apply_v2(cgroup, limits) } else { apply_v1(cgroup, limits) }
}

fn apply_v2(cgroup: &Cgroup<'_>, limits: &Limits) -> Result<(), Error> {
    let Some(folder) = cgroup.folder("") else { return Ok(()) };
    let set =
        |file: &str, value: Option<String>| value.map_or(Ok(()), |value| write(&folder.join(file), &value));
    set("cpu.weight", limits.cpu_shares.map(|shares| weight(shares).to_string()))?;
    set("cpu.max", cpu_max(limits))?;
    set("cpuset.cpus", limits.cpuset_cpus.clone())?;
    set("cpuset.mems", limits.cpuset_mems.clone())?;
    set("memory.max", limits.memory.map(or_max))?;
    // The machine may be without swap accounting; then there is none to limit.
    if limits.memory.is_some_and(|bytes| bytes >= 0) && folder.join("memory.swap.max").exists() {
        set("memory.swap.max", Some("0".to_owned()))?;
    }
    set("memory.min", limits.memory_min.map(|bytes| bytes.to_string()))?;
    set("memory.high", limits.memory_high.map(|bytes| bytes.to_string()))?;
    set("memory.oom.group", limits.oom_group.map(|whole| u8::from(whole).to_string()))?;
    set("pids.max", limits.pids.map(or_max))?;
    limits.unified.iter().try_for_each(|(file, value)| set(file, Some(value.clone())))
}

fn or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn cpu_max(limits: &Limits) -> Option<String> {
    let period = limits.cpu_period.unwrap_or(DEFAULT_PERIOD);
    match (limits.cpu_quota, limits.cpu_period) {
        (None, None) => None,
        (Some(quota), _) if quota > 0 => Some(format!("{quota} {period}")),
        _ => Some(format!("max {period}")),
    }
}

/// From 2..262144 to 1..10000 as Kubernetes and OCI runtimes have long done it.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

fn apply_v1(cgroup: &Cgroup<'_>, limits: &Limits) -> Result<(), Error> {
    let set = |controller: &str, file: &str, value: Option<String>| match (value, cgroup.folder(controller)) {
        (Some(value), Some(folder)) => write(&folder.join(file), &value),
        // A controller that is not there cannot limit: a board without pids still runs pods, as with other runtimes.
        _ => Ok(()),
    };
    set("cpu", "cpu.shares", limits.cpu_shares.map(|shares| shares.max(2).to_string()))?;
    let period = limits.cpu_period.or(limits.cpu_quota.map(|_| DEFAULT_PERIOD));
    set("cpu", "cpu.cfs_period_us", period.map(|period| period.to_string()))?;
    set(
        "cpu",
        "cpu.cfs_quota_us",
        limits.cpu_quota.map(|quota| if quota > 0 { quota } else { -1 }.to_string()),
    )?;
    set("cpuset", "cpuset.cpus", limits.cpuset_cpus.clone())?;
    set("cpuset", "cpuset.mems", limits.cpuset_mems.clone())?;
    if let (Some(bytes), Some(folder)) = (limits.memory, cgroup.folder("memory")) {
        memory_v1(&folder, bytes)?;
    }
    set("pids", "pids.max", limits.pids.map(or_max))
}

/// Memory may not exceed memory with swap, so the order of the two depends on whether the limit grows.
fn memory_v1(folder: &Path, bytes: i64) -> Result<(), Error> {
    let (memory, swap) = (folder.join("memory.limit_in_bytes"), folder.join("memory.memsw.limit_in_bytes"));
    let value = bytes.to_string();
    if !swap.exists() {
        return write(&memory, &value);
    }
    write(&memory, &value).and_then(|()| write(&swap, &value)).or_else(|_| {
        write(&swap, &value)?;
        write(&memory, &value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        assert_eq!([0, 2, 1024, 262_144, 1_000_000].map(weight), [1, 1, 39, 10_000, 10_000]);
    }

    #[test]
    fn quota_and_period_are_one_file() {
        let limits = |cpu_quota, cpu_period| Limits { cpu_quota, cpu_period, ..Limits::default() };
        assert_eq!(cpu_max(&limits(None, None)), None);
        assert_eq!(cpu_max(&limits(Some(50_000), None)).unwrap(), "50000 100000");
        assert_eq!(cpu_max(&limits(Some(-1), Some(20_000))).unwrap(), "max 20000");
    }
}
