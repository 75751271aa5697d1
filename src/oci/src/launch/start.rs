//! Starting a container: its control group, its mounts, its namespaces, its program.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;

use crate::cgroup::{Cgroup, Hierarchy};
use crate::layout::{ContainerFolder, PodFolder};
use crate::spec::{ContainerSpec, PodSpec, Process, Stdin};

use super::console::Console;
use super::executor::Confined;
use super::runtime_spec::{self, Context};
use super::{Error, Started, memory, mounts};

pub(super) fn start(folder: &PodFolder, id: &str) -> Result<Started, Error> {
    let pod = folder.spec()?.spec;
    let files = folder.container(id);
    let container = files.spec()?;
    let hierarchy = Hierarchy::detect()?;
    prepare_cgroup(&hierarchy, &pod, &container)?;
    let sources = mounts::stage(&container.mounts, &files.path().join("staging"))?;
    create_cwd(&container.rootfs, &container.process)?;
    let context =
        Context { folder, pod: &pod, container: &container, hierarchy: &hierarchy, sources: &sources };
    let config = runtime_spec::config(&context)?;
    fs::write(files.path().join("config.json"), config.to_string())
        .map_err(|source| Error::Prepare { what: "config.json", source })?;
    run(&files, &container)
}

fn prepare_cgroup(hierarchy: &Hierarchy, pod: &PodSpec, container: &ContainerSpec) -> Result<(), Error> {
    let cgroup = Cgroup::new(hierarchy, pod.cgroup.join(&container.id));
    cgroup.create()?;
    cgroup.limit(&container.limits)?;
    Ok(cgroup.allow_devices(&runtime_spec::device_rules(container)?)?)
}

fn create_cwd(rootfs: &Path, process: &Process) -> Result<(), Error> {
    mounts::create_folder_inside(rootfs, &process.cwd)
        .map_err(|source| Error::WorkingDirectory { path: process.cwd.clone(), source })
}

fn run(files: &ContainerFolder, spec: &ContainerSpec) -> Result<Started, Error> {
    memory::set_score(&spec.process)?;
    // What a launcher that died here left behind.
    let _nothing_there = fs::remove_dir_all(files.run());
    let builder = ContainerBuilder::new(spec.id.clone(), SyscallType::default())
        .with_executor(Confined::new(&spec.process))
        .with_root_path(files.run())
        .map_err(runtime)?;
    let console = open_console(files, &spec.process)?;
    let builder = match &console {
        Some(console) => builder.with_console_socket(Some(console.path())),
        None => {
            let [stdin, stdout, stderr] = streams(files, spec)?;
            builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr)
        }
    };
    let built = builder.as_init(files.path()).with_systemd(false).with_detach(true).as_sibling(true).build();
    let mut container = built.map_err(runtime)?;
    let terminal = console.map(Console::receive).transpose();
    let terminal = terminal.map_err(|source| Error::Prepare { what: "the terminal", source })?;
    container.start().map_err(runtime)?;
    Ok(Started { pid: container.state.pid, terminal })
}

pub(super) fn open_console(files: &ContainerFolder, process: &Process) -> Result<Option<Console>, Error> {
    let console = process.terminal.map(|_| Console::open(files.console())).transpose();
    console.map_err(|source| Error::Prepare { what: "the terminal", source })
}

/// The container holds both ends of its own output: while its shim is dead and replaced, writing blocks instead of failing.
/// The same keeps an input open that shall never end.
fn streams(files: &ContainerFolder, spec: &ContainerSpec) -> Result<[OwnedFd; 3], Error> {
    let open = |name: &str, write: bool| {
        let path = files.stream(name);
        let opened = OpenOptions::new().read(true).write(write).open(&path).map(OwnedFd::from);
        let owned = opened.and_then(|stream| give(stream, &spec.process));
        owned.map_err(|source| Error::Stream { path, source })
    };
    let stdin = match spec.stdin {
        Stdin::Null => File::open("/dev/null")
            .map(OwnedFd::from)
            .map_err(|source| Error::Stream { path: "/dev/null".into(), source })?,
        Stdin::Once => open("stdin", false)?,
        Stdin::Open => open("stdin", true)?,
    };
    Ok([stdin, open("stdout", true)?, open("stderr", true)?])
}

/// So that a process that is not root can open its own `/dev/stdout`.
pub(super) fn give(stream: OwnedFd, process: &Process) -> io::Result<OwnedFd> {
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&stream)?.st_mode);
    if kind == rustix::fs::FileType::Fifo {
        let (uid, gid) =
            (rustix::fs::Uid::from_raw(process.user.uid), rustix::fs::Gid::from_raw(process.user.gid));
        rustix::fs::fchown(&stream, Some(uid), Some(gid))?;
    }
    Ok(stream)
}

/// libcontainer's errors name their causes in ways of their own; what users look for is at the end of the chain.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn runtime(error: LibcontainerError) -> Error {
    Error::Runtime(super::with_causes(&error))
}
