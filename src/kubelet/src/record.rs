//! What is known of each container of a pod: plain data from which is decided what to do and what to tell.
//!
//! It lives in memory only. After a restart of the agent it is made again from what the shim and the pod's last status say.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerUser, ResourceRequirements};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// By the container's name.
pub(crate) type Records = BTreeMap<String, Record>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) place: Place,
    /// Work under way: nothing else is begun meanwhile.
    pub(crate) busy: Option<Busy>,
    /// The number of the last container that was made; none before the first.
    pub(crate) attempt: Option<u32>,
    /// How the last two containers ended, the latest first.
    pub(crate) ends: [Option<Ended>; 2],
    /// Why it does not run, as told in its status.
    pub(crate) waiting: Option<Waiting>,
    /// After a failure that has nothing to do with the container itself.
    pub(crate) retry: Option<Retry>,
    pub(crate) crash: Backoff,
    pub(crate) pull: Backoff,
    pub(crate) used: Option<Used>,
}

/// Where a container is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Place {
    /// Nothing has run yet in this sandbox.
    #[default]
    Fresh,
    Running(Running),
    /// The latest of `ends` is the end.
    Ended,
    /// The same, in an earlier sandbox: it is over and does not come again.
    Past,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Running {
    pub(crate) since: Timestamp,
    /// Its startup probe, if it has one, has succeeded.
    pub(crate) started: bool,
    pub(crate) ready: bool,
    /// It must be stopped, and why.
    pub(crate) condemned: Option<Cause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// What the runtime says of it is not listened to before the start is known to have worked.
    Starting,
    /// It runs, and does what it was told to do right after its start.
    Hooking,
    Stopping,
}

/// Why a single container is stopped while its pod goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Liveness,
    Startup,
    /// Its image was changed in the pod's spec.
    Changed,
    /// It asked for other amounts, and to be started anew for that.
    Resized,
    PostStart,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) attempt: u32,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// We stopped it for that.
    pub(crate) cause: Option<Cause>,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Timestamp,
    /// When we learnt of it, on a clock that nobody sets.
    pub(crate) seen: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    /// What is told while it waits, where that differs from the failure itself.
    pub(crate) told: Option<Waiting>,
}

/// What the current container was made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Used {
    /// As the spec names it.
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) user: Option<ContainerUser>,
    pub(crate) stop_signal: Option<String>,
    /// The amounts that its control group was given.
    pub(crate) resources: Option<ResourceRequirements>,
}

impl Record {
    /// Runs, or is on its way up or down.
    pub(crate) fn is_alive(&self) -> bool {
        self.busy.is_some() || self.running().is_some()
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.place {
            Place::Running(running) => Some(running),
            Place::Fresh | Place::Ended | Place::Past => None,
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.place {
            Place::Running(running) => Some(running),
            Place::Fresh | Place::Ended | Place::Past => None,
        }
    }

    /// How it ended, if it does not wait to be started for the first time in this sandbox.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ends[0].as_ref().filter(|_| matches!(self.place, Place::Ended | Place::Past))
    }

    /// Something of it ran or is about to, in this sandbox.
    pub(crate) fn has_begun(&self) -> bool {
        self.busy.is_some() || matches!(self.place, Place::Running(_) | Place::Ended)
    }

    pub(crate) fn restarts(&self) -> u32 {
        self.attempt.unwrap_or(0)
    }

    pub(crate) fn next_attempt(&self) -> u32 {
        self.attempt.map_or(0, |attempt| attempt.saturating_add(1))
    }

    /// Made of another image than the container has now.
    pub(crate) fn is_of_another_image(&self, container: &Container) -> bool {
        self.used.as_ref().is_some_and(|used| Some(&used.image) != container.image.as_ref())
    }

    /// Whatever failed before: it need not wait for its next start.
    pub(crate) fn forgive(&mut self) {
        self.retry = None;
        (self.crash, self.pull) = (Backoff::default(), Backoff::default());
    }

    pub(crate) fn end(&mut self, end: Ended) {
        self.place = Place::Ended;
        let earlier = self.ends[0].take();
        self.ends = [Some(end), earlier];
    }
}

/// A container's id in its pod. Names of containers hold no underscore, so it can be read back.
pub(crate) fn id(name: &str, attempt: u32) -> String {
    format!("{name}_{attempt}")
}

pub(crate) fn parse_id(id: &str) -> Option<(&str, u32)> {
    let (name, attempt) = id.rsplit_once('_')?;
    Some((name, attempt.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_can_be_read_back() {
        assert_eq!(parse_id(&id("web-1", 12)), Some(("web-1", 12)));
        assert_eq!(parse_id("web"), None);
        assert_eq!(parse_id("web_x"), None);
    }
}
