//! Nothing of a lab remains, however its process ends.
//!
//! When it is killed, its children (a machine's daemons) become children of this machine's first process, and stay
//! zombies until that takes note; a machine's own first process ends after them. So the test waits for that end.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use lab::PATIENCE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

/// How the process that has the lab ends.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Success,
    Failure,
    Panic,
    /// As the terminal does it: to everyone in the foreground.
    Interrupt,
    Terminate,
    Kill,
}

/// All but the mounts, which are looked for by what they mount: to hold those open would hold the mounts.
const NAMESPACES: [&str; 5] = ["cgroup", "ipc", "net", "pid", "uts"];

/// What there is of a lab while it runs.
#[derive(Debug)]
struct Traces {
    directory: PathBuf,
    cgroups: Vec<PathBuf>,
    processes: Vec<OwnedFd>,
    namespaces: BTreeSet<PathBuf>,
    /// Held open, so that no other namespace gets their numbers.
    held: Vec<File>,
}

#[test]
fn nothing_of_a_lab_remains_whatever_its_end() -> Result<()> {
    use Fate::{Failure, Interrupt, Kill, Panic, Success, Terminate};
    for fate in [Success, Failure, Panic, Interrupt, Terminate, Kill] {
        let (mut process, mut output) = start()?;
        let traces = read_traces(&mut output)?;
        let found = traces.found()?.join("\n");
        for trace in ["loop device", "mount", "/cgroup/", "skiff-lab-"] {
            assert!(found.contains(trace), "while it runs there is a {trace}: {found}");
        }
        meet(fate, &mut process)?;
        // The guard has inherited the output: it ends when the guard has.
        output.read_to_end(&mut Vec::new())?;
        let status = process.wait()?;
        assert_eq!(status.success(), matches!(fate, Success), "{fate:?}: {status}");
        traces.wait_for_processes()?;
        assert_eq!(traces.found()?, [""; 0], "{fate:?}");
    }
    Ok(())
}

#[test]
fn what_a_killed_guard_left_the_next_lab_clears() -> Result<()> {
    let (mut process, mut output) = start()?;
    let traces = read_traces(&mut output)?;
    let guard = children(process.id())?.into_iter().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').any(|argument| argument == "guard")
    });
    kill_process(pid(guard.context("no guard")?)?, Signal::KILL)?;
    process.kill()?;
    process.wait()?;
    output.read_to_end(&mut Vec::new())?;
    assert!(traces.directory.exists(), "nobody is left to remove it");
    traces.wait_for_processes()?;
    drop(lab::Lab::new()?);
    assert_eq!(traces.found()?, [""; 0]);
    Ok(())
}

fn start() -> Result<(Child, impl BufRead)> {
    let (output, errors) = std::io::pipe()?;
    let mut command = Command::new(lab::binary("lab")?);
    command.arg("hold").process_group(0);
    command.stdin(Stdio::piped()).stdout(errors.try_clone()?).stderr(errors);
    Ok((command.spawn()?, BufReader::new(output)))
}

fn read_traces(output: &mut impl BufRead) -> Result<Traces> {
    let mut traces = Traces {
        directory: PathBuf::new(),
        cgroups: Vec::new(),
        processes: Vec::new(),
        namespaces: BTreeSet::new(),
        held: Vec::new(),
    };
    for line in output.lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("directory", path)) => traces.directory = path.into(),
            Some(("cgroup", path)) => traces.cgroups.push(path.into()),
            Some((role @ ("init" | "daemon"), number)) => {
                traces.processes.push(pidfd_open(pid(number.parse()?)?, PidfdFlags::empty())?);
                if role == "init" {
                    traces.namespaces = namespaces(number);
                    let files = NAMESPACES.iter().map(|name| File::open(format!("/proc/{number}/ns/{name}")));
                    traces.held = files.collect::<Result<_, _>>()?;
                }
            }
            None if line == "held" => {
                traces.namespaces.retain(|namespace| !namespaces("self").contains(namespace));
                return Ok(traces);
            }
            _ => bail!("the lab said: {line}"),
        }
    }
    bail!("the lab ended")
}

fn meet(fate: Fate, process: &mut Child) -> Result<()> {
    let group = pid(process.id())?;
    let mut input = process.stdin.take().context("its input")?;
    match fate {
        Fate::Success => writeln!(input, "end")?,
        Fate::Failure => writeln!(input, "fail")?,
        Fate::Panic => writeln!(input, "panic")?,
        Fate::Interrupt => kill_process_group(group, Signal::INT)?,
        Fate::Terminate => kill_process(group, Signal::TERM)?,
        Fate::Kill => process.kill()?,
    }
    Ok(())
}

impl Traces {
    fn wait_for_processes(&self) -> Result<()> {
        for process in &self.processes {
            let patience = Timespec::try_from(PATIENCE)?;
            let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience))?;
            ensure!(ended == 1, "a process of the lab goes on");
        }
        Ok(())
    }

    /// Unlike its path, it is the same seen from everywhere.
    fn name(&self) -> &str {
        self.directory.file_name().and_then(OsStr::to_str).expect("a lab's directory has a name")
    }

    /// In words, what is still there.
    fn found(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for path in self.cgroups.iter().chain([&self.directory]).filter(|path| path.exists()) {
            found.push(path.display().to_string());
        }
        for device in fs::read_dir("/sys/block")? {
            let backing = device?.path().join("loop/backing_file");
            let backing = fs::read_to_string(backing).unwrap_or_default();
            if backing.contains(self.name()) {
                found.push(format!("a loop device for {backing}"));
            }
        }
        for process in processes()? {
            found.extend(self.found_in(&process));
        }
        Ok(found)
    }

    fn found_in(&self, process: &str) -> Option<String> {
        if has_ended(process) {
            return None;
        }
        let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
        if mounts.contains(self.name()) {
            return Some(format!("a mount seen by {process}"));
        }
        let common = namespaces(process).intersection(&self.namespaces).next().cloned();
        common.map(|namespace| format!("{} in {process}", namespace.display()))
    }
}

/// Only waiting for its parent to take note.
fn has_ended(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

fn namespaces(process: &str) -> BTreeSet<PathBuf> {
    NAMESPACES.iter().filter_map(|name| fs::read_link(format!("/proc/{process}/ns/{name}")).ok()).collect()
}

fn processes() -> Result<Vec<String>> {
    let names = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect())
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task"))?.flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    Ok(lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect())
}

fn pid(number: u32) -> Result<Pid> {
    Pid::from_raw(i32::try_from(number)?).context("a pid")
}
