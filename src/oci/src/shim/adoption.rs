//! Taking over from a shim that was killed: its containers run on, as children of the machine's init.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use crate::launch::with_causes;
use crate::state::{ContainerState, Ended};

use super::container::Container;
use super::server::{Server, Source};

impl Server {
    pub(super) fn adopt(&mut self) -> io::Result<()> {
        for id in self.folder.container_ids()? {
            match Container::load(self.folder.container(&id)) {
                Ok(container) => self.adopt_container(&id, container),
                // Its making was interrupted before it was promised to anyone.
                Err(_) if !self.folder.container(&id).is_on_record() => {
                    fs::remove_dir_all(self.folder.container(&id).path())?;
                }
                Err(error) => eprintln!("shim: {}", with_causes(&error)),
            }
        }
        Ok(())
    }

    fn adopt_container(&mut self, id: &str, mut container: Container) {
        let handle = match &container.state {
            ContainerState::Running { process, .. } => Some(process.open().ok().flatten()),
            ContainerState::Created { .. } | ContainerState::Exited { .. } => None,
        };
        container.open_log();
        self.containers.insert(id.to_owned(), container);
        match handle {
            // Never started, or its end is on record. A start that was interrupted left processes that nobody knows.
            None => drop(self.clear_unless_exited(id)),
            Some(None) => self.container_ended(id, Ended::Unseen),
            Some(Some(handle)) => {
                if let Err(error) = self.watch(id, handle) {
                    eprintln!("shim: cannot adopt container {id}: {error}");
                }
            }
        }
    }

    fn clear_unless_exited(&mut self, id: &str) -> Result<(), crate::cgroup::Error> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        container.log = None;
        match container.state {
            ContainerState::Created { .. } => self.clear_cgroup(id),
            _ => Ok(()),
        }
    }

    fn watch(&mut self, id: &str, handle: OwnedFd) -> io::Result<()> {
        let token = self.poller.add(&handle)?;
        self.sources.insert(token, Source::Adopted(id.to_owned()));
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        container.process = Some(handle);
        // A terminal went with the shim that held it.
        if container.has_terminal() { Ok(()) } else { self.open_pipes(id) }
    }
}
