//! What a test that hangs has running: the one thing that tells where it hangs.

use std::fs::{self, DirEntry};
use std::path::PathBuf;

/// Every process of this program (shims are) and all that they started, with what each waits for and what it holds open.
pub(super) fn told() -> String {
    let all: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Process::read(&entry))
        .collect();
    let program = fs::read_link("/proc/self/exe").ok();
    let mut ours: Vec<&Process> = all.iter().filter(|process| process.program == program).collect();
    let mut next = 0;
    while let Some(parent) = ours.get(next).map(|process| process.id) {
        next += 1;
        let children = all.iter().filter(|process| process.parent == parent && process.program != program);
        ours.extend(children);
    }
    ours.iter().map(|process| process.told()).collect()
}

struct Process {
    id: u32,
    parent: u32,
    program: Option<PathBuf>,
}

impl Process {
    fn read(entry: &DirEntry) -> Option<Self> {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some(Self {
            id,
            parent: parent.trim().parse().ok()?,
            program: fs::read_link(entry.path().join("exe")).ok(),
        })
    }

    fn told(&self) -> String {
        let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.id)).unwrap_or_default();
        let open = fs::read_dir(format!("/proc/{}/fd", self.id)).into_iter().flatten().flatten();
        let open = open.filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            Some(format!("{}={}", entry.file_name().display(), target.display()))
        });
        let open: Vec<String> = open.collect();
        let (command, waits) = (file("cmdline").replace('\0', " "), file("wchan"));
        format!("{} of {}: {command}\n  in {waits}; {}\n", self.id, self.parent, open.join(" "))
    }
}
