//! Starting a further process in a running container.

use std::fs;
use std::io::{self, BufReader};
use std::os::fd::{BorrowedFd, OwnedFd};

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use rustix::fs::FlockOperation;

use crate::layout::{ContainerFolder, PodFolder};
use crate::protocol;
use crate::spec::ExecSpec;

use super::executor::Confined;
use super::{Error, Started, memory, runtime_spec, start};

pub(super) fn exec(folder: &PodFolder, container: &str, shim: BorrowedFd<'_>) -> Result<Started, Error> {
    let failed = |what| move |source| Error::Prepare { what, source };
    let order = protocol::receive::<()>(shim).map_err(failed("the exec"))?;
    let descriptors = order.map(|((), descriptors)| descriptors).unwrap_or_default();
    let [spec, streams @ ..]: [OwnedFd; 4] =
        descriptors.try_into().map_err(|_| failed("the exec")(io::ErrorKind::InvalidData.into()))?;
    let spec: ExecSpec = serde_json::from_reader(BufReader::new(fs::File::from(spec)))
        .map_err(|error| failed("the exec")(error.into()))?;
    let files = folder.container(container);
    // One at a time: what one leaves behind looks like what another one is about to use.
    let _turn = turn(&files).map_err(failed("the exec"))?;
    let started = run(&files, container, &spec, streams);
    sweep(&files, container);
    started
}

/// Held until it is dropped, or this process ends.
fn turn(files: &ContainerFolder) -> io::Result<fs::File> {
    let folder = fs::File::open(files.path())?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

/// A terminal works only when the whole process is given as a file.
fn run(
    files: &ContainerFolder,
    container: &str,
    spec: &ExecSpec,
    streams: [OwnedFd; 3],
) -> Result<Started, Error> {
    memory::set_score(&spec.process)?;
    let process = files.path().join(format!("exec-{}.json", std::process::id()));
    fs::write(&process, runtime_spec::process(&spec.process).to_string())
        .map_err(|source| Error::Prepare { what: "the exec", source })?;
    let builder = ContainerBuilder::new(container.to_owned(), SyscallType::default())
        .with_executor(Confined::new(&spec.process))
        .with_root_path(files.run())
        .map_err(start::runtime)?;
    let console = start::open_console(files, &spec.process)?;
    let builder = match &console {
        Some(console) => builder.with_console_socket(Some(console.path())),
        None => {
            let [stdin, stdout, stderr] = streams.map(|stream| start::give(stream, &spec.process));
            let failed = |source| Error::Prepare { what: "the streams", source };
            builder
                .with_stdin(stdin.map_err(failed)?)
                .with_stdout(stdout.map_err(failed)?)
                .with_stderr(stderr.map_err(failed)?)
        }
    };
    let built = builder.as_tenant().with_process(Some(&process)).with_detach(true).as_sibling(true).build();
    let _swept_with_the_rest = fs::remove_file(&process);
    let pid = built.map_err(start::runtime)?;
    let terminal = console.map(super::console::Console::receive).transpose();
    Ok(Started {
        pid: Some(pid.as_raw()),
        terminal: terminal.map_err(|source| Error::Prepare { what: "the terminal", source })?,
    })
}

/// libcontainer leaves two files for each exec.
fn sweep(files: &ContainerFolder, container: &str) {
    let Ok(entries) = fs::read_dir(files.run().join(container)) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("tenant-"))
    {
        let _swept_by_the_next = fs::remove_file(entry.path());
    }
}
