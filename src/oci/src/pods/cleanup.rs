//! Removing what a pod left on the machine. Needs no shim and may be repeated: each step finds its work by looking.

use std::fs;
use std::io;

use rustix::mount::{UnmountFlags, unmount};

use crate::cgroup::{Cgroup, Hierarchy};
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
    if let Ok(file) = folder.spec() {
        let hierarchy = Hierarchy::detect()?;
        let cgroup = Cgroup::new(&hierarchy, &file.spec.cgroup);
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
