//! What kind of machine this is, read once at the start.

use std::fs;
use std::path::Path;

use api::quantity::Quantity;

use crate::config::Config;
use crate::downward::Amounts;

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) cores: i64,
    /// Bytes.
    pub(crate) memory: i64,
    pub(crate) disk: i64,
    pub(crate) machine_id: String,
    pub(crate) system_uuid: String,
    pub(crate) boot_id: String,
    pub(crate) kernel: String,
    pub(crate) system: String,
}

impl Machine {
    pub(crate) fn read(pods_dir: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let machine_id = text("/etc/machine-id");
        let uuid = text("/sys/class/dmi/id/product_uuid");
        Self {
            cores: cores(&text("/proc/cpuinfo")),
            memory: kilobytes(&text("/proc/meminfo"), "MemTotal:").saturating_mul(1024),
            disk: Disk::of(pods_dir).map_or(0, |disk| disk.total),
            // Boards have no DMI.
            system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
            machine_id,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            system: system(&text("/etc/os-release")),
        }
    }

    pub(crate) fn capacity(&self, config: &Config) -> Amounts {
        let all = [
            ("cpu", Quantity::whole(self.cores)),
            ("memory", Quantity::bytes(self.memory)),
            ("ephemeral-storage", Quantity::bytes(self.disk)),
            ("pods", Quantity::whole(config.max_pods.into())),
        ];
        all.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect()
    }

    /// The same but for the last part of the disk, where pods are no longer wanted.
    pub(crate) fn allocatable(&self, config: &Config) -> Amounts {
        let mut all = self.capacity(config);
        all.insert("ephemeral-storage".to_owned(), Quantity::whole(self.disk / 100 * 95));
        all
    }
}

/// As Kubernetes names machines.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Bytes of a file system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    pub(crate) total: i64,
    pub(crate) available: i64,
}

impl Disk {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let status = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(status.f_frsize)).unwrap_or(i64::MAX);
        Some(Self { total: bytes(status.f_blocks), available: bytes(status.f_bavail) })
    }

    pub(crate) fn used_percent(self) -> i64 {
        100 - self.available.saturating_mul(100) / self.total.max(1)
    }
}

pub(crate) fn available_memory() -> i64 {
    kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:").saturating_mul(1024)
}

fn kilobytes(meminfo: &str, name: &str) -> i64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn cores(cpuinfo: &str) -> i64 {
    let listed = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    i64::try_from(listed).unwrap_or(1).max(1)
}

fn system(os_release: &str) -> String {
    let name = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_words() {
        assert_eq!(cores("processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\n"), 2);
        assert_eq!(kilobytes("MemTotal:       24 kB\nMemFree: 3 kB\n", "MemTotal:"), 24);
        assert_eq!(system("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"), "Debian GNU/Linux 12");
        assert!(Machine::read(Path::new("/")).memory > 0);
    }
}
