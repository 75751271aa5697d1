//! Removing what a pod left on the machine. Needs no shim and may be repeated: each step finds its work by looking.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::mount::{UnmountFlags, unmount};

use crate::cgroup::{Cgroup, Hierarchy};
use crate::durable;
use crate::identity::{self, ProcessId};
use crate::layout::PodFolder;

use super::Error;

/// Kills what still runs, then removes control groups, mounts and files.
pub(super) async fn remove(folder: &PodFolder) -> Result<(), Error> {
    let folder = folder.clone();
    let work = tokio::task::spawn_blocking(move || remove_now(&folder));
    // It does not panic, and is cancelled only when the whole process ends.
    work.await.unwrap_or(Err(Error::Gone))
}

fn remove_now(folder: &PodFolder) -> Result<(), Error> {
    let _held = seize(folder)?;
    if let Some(cgroup) = folder.cgroup() {
        let hierarchy = Hierarchy::detect()?;
        let cgroup = Cgroup::new(&hierarchy, cgroup);
        cgroup.kill()?;
        cgroup.remove()?;
    }
    let mounts = ["net", "ipc", "uts"].map(|name| folder.namespace(name)).into_iter().chain([folder.shm()]);
    for path in mounts {
        // Not there, or there and not a mount: a pod whose making was interrupted.
        let _nothing_to_unmount = unmount(&path, UnmountFlags::DETACH);
    }
    match fs::remove_dir_all(folder.path()) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Remove { path: folder.path().to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Kills a shim that hears nobody; whether it is dead. Its containers live on.
pub(super) async fn end_shim(folder: &PodFolder) -> bool {
    let path = folder.lock();
    let work = tokio::task::spawn_blocking(move || holder(&path).is_none_or(|shim| identity::kill(&shim)));
    work.await.unwrap_or(false)
}

fn holder(lock: &Path) -> Option<OwnedFd> {
    durable::read::<ProcessId>(lock).ok()?.open().ok()?
}

/// Takes the pod from a shim that hears nobody, by its end. No other one begins while we hold it, nor after its files are gone.
fn seize(folder: &PodFolder) -> Result<Option<File>, Error> {
    let path = folder.lock();
    let file = match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Remove { path, source }),
    };
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        // One that has just begun is not on record yet: there is another time.
        if !holder(&path).is_some_and(|shim| identity::kill(&shim)) {
            return Err(Error::Held(folder.path().to_owned()));
        }
    }
    Ok(Some(file))
}
