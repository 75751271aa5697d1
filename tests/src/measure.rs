//! What a process and its descendants use: now, and between two moments.
//!
//! CPU time and bytes written of descendants that ended in between are in (their parents inherit these); wake-ups of
//! threads that ended are not, the kernel forgets them. CPU time comes in ticks of 10 ms, per process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Sub;
use std::os::linux::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// At one moment; the counters since the processes began.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub at: Instant,
    pub processes: usize,
    /// Bytes of memory, what is shared divided among the sharers.
    pub pss: u64,
    /// The part of `pss` that is pages of files: the program itself, which the kernel can drop and read again.
    pub pss_of_files: u64,
    /// Bytes of memory, what is shared counted for each.
    pub rss: u64,
    pub cpu: Duration,
    /// Bytes that were to go to a disk (memory file systems do not count).
    pub written: u64,
    /// How often a thread slept and was woken.
    pub wakeups: u64,
}

/// Between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub time: Duration,
    pub cpu: Duration,
    pub written: u64,
    pub wakeups: u64,
}

impl Usage {
    pub fn of_tree(root: u32) -> Result<Self> {
        Self::of(&tree(root, &parents()?)).with_context(|| format!("there is no process {root}"))
    }

    /// Those descendants of some processes, themselves among them, that run the program of the first one: of a machine, skiff and
    /// its shims without the containers.
    pub fn of_program(roots: &[u32]) -> Result<Self> {
        let parents = parents()?;
        let all: BTreeSet<u32> = roots.iter().flat_map(|root| tree(*root, &parents)).collect();
        let wanted = roots.first().and_then(|pid| program(*pid)).context("no such process")?;
        let ours: Vec<u32> = all.into_iter().filter(|pid| program(*pid) == Some(wanted)).collect();
        Self::of(&ours).context("all have ended")
    }

    /// `None` when there is none of them.
    fn of(processes: &[u32]) -> Option<Self> {
        let mut usage = Self::none();
        // Who is not there any more has ended in between.
        for one in processes.iter().filter_map(|pid| Self::of_process(*pid).ok()) {
            usage.add(&one);
        }
        (usage.processes > 0).then_some(usage)
    }

    fn none() -> Self {
        let (at, cpu) = (Instant::now(), Duration::ZERO);
        Self { at, processes: 0, pss: 0, pss_of_files: 0, rss: 0, cpu, written: 0, wakeups: 0 }
    }

    fn of_process(pid: u32) -> Result<Self> {
        let memory = read(pid, "smaps_rollup")?;
        let stat = read(pid, "stat")?;
        let written = field(&read(pid, "io")?, "write_bytes:")?;
        let wakeups = wakeups(pid)?;
        let pss = field(&memory, "Pss:")? * 1024;
        let pss_of_files = field(&memory, "Pss_File:")? * 1024;
        let rss = field(&memory, "Rss:")? * 1024;
        Ok(Self { processes: 1, pss, pss_of_files, rss, cpu: cpu(&stat)?, written, wakeups, ..Self::none() })
    }

    fn add(&mut self, other: &Self) {
        self.processes += other.processes;
        self.pss += other.pss;
        self.pss_of_files += other.pss_of_files;
        self.rss += other.rss;
        self.cpu += other.cpu;
        self.written += other.written;
        self.wakeups += other.wakeups;
    }
}

impl Sub for Usage {
    type Output = Spent;

    fn sub(self, earlier: Self) -> Spent {
        Spent {
            time: self.at.saturating_duration_since(earlier.at),
            cpu: self.cpu.saturating_sub(earlier.cpu),
            written: self.written.saturating_sub(earlier.written),
            wakeups: self.wakeups.saturating_sub(earlier.wakeups),
        }
    }
}

/// Which file a process runs, however its name space calls it.
fn program(pid: u32) -> Option<(u64, u64)> {
    let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((file.st_dev(), file.st_ino()))
}

/// Every process with its parent.
fn parents() -> Result<BTreeMap<u32, u32>> {
    let entries = fs::read_dir("/proc").context("listing processes")?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| Some((pid, parent(&read(pid, "stat").ok()?)?))).collect())
}

fn tree(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&member) = members.get(next) {
        members.extend(parents.iter().filter(|(_, parent)| **parent == member).map(|(child, _)| *child));
        next += 1;
    }
    members
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("reading {path}"))
}

/// The number behind a name, as in `Rss:   12 kB`.
fn field(text: &str, name: &str) -> Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no number at {name}"))
}

/// The fields of `stat` behind the program's name, which may itself hold blanks and parentheses: state, parent, …
fn stat_fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ')
}

fn parent(stat: &str) -> Option<u32> {
    stat_fields(stat).nth(1)?.parse().ok()
}

/// User and system time, its own and of the children that it has waited for.
fn cpu(stat: &str) -> Result<Duration> {
    let ticks: Vec<u64> = stat_fields(stat).skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 4, "no times in {stat}");
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second()))
}

fn wakeups(pid: u32) -> Result<u64> {
    let threads =
        fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("listing threads of {pid}"))?;
    let statuses =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    statuses.map(|status| field(&status, "voluntary_ctxt_switches:")).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "7 (a) 9 (b) S 3 7 7 0 -1 0 1 2 3 4 10 20 30 40 20 0";
        assert_eq!(parent(stat), Some(3));
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(1));
    }

    #[test]
    fn a_tree_has_all_descendants_and_nobody_else() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)]);
        assert_eq!(tree(2, &parents), [2, 3, 4]);
    }
}
