//! Keeping the pod's object on disk: one write at a time, where it may wait for a slow card.

use k8s_openapi::api::core::v1::Pod;

use crate::saved::{self, Mark};

use super::done::Done;
use super::{Stage, Worker};

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Of what is on disk.
    mark: Option<Mark>,
    pub(super) writing: bool,
    /// What came meanwhile.
    next: Option<Pod>,
}

impl Worker {
    /// Has the pod written, if something of it changed that matters.
    pub(super) fn save(&mut self, pod: &Pod) {
        if self.kept.writing {
            self.kept.next = Some(pod.clone());
            return;
        }
        let (Ok(folder), Ok(mark)) = (self.context.volumes.folder(&self.uid), saved::mark(pod)) else {
            return;
        };
        if self.kept.mark == Some(mark) {
            return;
        }
        self.kept.writing = true;
        let pod = pod.clone();
        self.jobs.spawn_blocking(move || Done::Saved(mark, saved::write(&folder, &pod)));
    }

    pub(super) fn saved(&mut self, mark: Mark, written: Result<(), saved::Error>) {
        self.kept.writing = false;
        match written {
            Ok(()) => self.kept.mark = Some(mark),
            Err(error) => {
                tracing::warn!(pod = self.uid, %error, "the pod is not kept over a restart of the machine");
            }
        }
        if let Some(pod) = self.kept.next.take() {
            self.save(&pod);
        }
        self.clear_if_kept();
    }

    /// What ended must not run again: that is on disk before anything is removed.
    pub(super) fn clear_if_kept(&mut self) {
        if self.stage == Stage::Clearing && !self.clearing && !self.kept.writing {
            self.clear();
        }
    }
}
