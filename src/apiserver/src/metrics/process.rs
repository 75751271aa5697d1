//! What the kernel says of this process. What it does not say is left out.

use std::fs;

use super::{head, line};

/// The unit of times in `/proc`, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn write(out: &mut String) {
    let mut gauge = |name: &str, help: &str, kind: &str, value: Option<f64>| {
        if let Some(value) = value {
            head(out, name, kind, help);
            line(out, name, "", &value);
        }
    };
    let stat = stat().unwrap_or_default();
    let field = |index: usize| stat.get(index).and_then(|text| text.parse::<f64>().ok());
    let used = field(11).zip(field(12)).map(|(user, system)| (user + system) / TICKS_PER_SECOND);
    gauge("process_cpu_seconds_total", "Time on processors.", "counter", used);
    let began = field(19).zip(boot()).map(|(ticks, boot)| boot + ticks / TICKS_PER_SECOND);
    gauge("process_start_time_seconds", "When the process began.", "gauge", began);
    gauge("process_resident_memory_bytes", "Memory that is held.", "gauge", memory("VmRSS:"));
    gauge("process_virtual_memory_bytes", "Memory that is mapped.", "gauge", memory("VmSize:"));
    let open = fs::read_dir("/proc/self/fd").ok().and_then(|entries| u32::try_from(entries.count()).ok());
    gauge("process_open_fds", "Open files.", "gauge", open.map(f64::from));
    gauge("process_max_fds", "Files that may be open.", "gauge", most_files());
}

/// The fields after the command, which may hold anything and ends with the last bracket.
fn stat() -> Option<Vec<String>> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(Into::into).collect())
}

fn boot() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn memory(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?;
    kilobytes.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

fn most_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
