//! The first look at a pod: what is known of its containers from the runtime and from its last status.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::container::{latest_log, log_folder};
use crate::member::members;
use crate::record::{Ended, Place, Record, Running, Used, parse_id};
use crate::sandbox::Ready;
use crate::{saved, status};

use super::{Stage, Worker};

impl Worker {
    pub(super) fn begin(&mut self) {
        self.recall();
        if let Some(last) = self.last_of_earlier_run() {
            // What is left of it goes away.
            self.last = Some(last);
            self.stage = Stage::Clearing;
            self.context.granted.forget(&self.uid);
            self.clear();
            return;
        }
        self.save(&self.granted());
        self.adopt();
    }

    /// The end of a pod that was over before; perhaps nobody was there to be told.
    fn last_of_earlier_run(&self) -> Option<PodStatus> {
        let folder = self.context.volumes.folder(&self.uid).ok();
        let kept = folder.and_then(|folder| saved::read(&folder)).filter(status::is_terminal);
        let over = Some(Pod::clone(&self.pod)).filter(status::is_terminal);
        over.or(kept).filter(|_| !self.rejected)?.status
    }

    /// Takes over a sandbox of an earlier run. Whatever ran in one that is gone has ended.
    fn adopt(&mut self) {
        let sandbox = self.context.pods.get(&self.uid);
        let alive = sandbox.filter(|sandbox| sandbox.state().borrow().sandbox != oci::Sandbox::Gone);
        let Some(sandbox) = alive else {
            self.records.values_mut().for_each(lose);
            return;
        };
        let ips = ips(self.pod.status.as_ref());
        self.home.adopt(Ready { pod: sandbox, ips, volumes: Arc::default() });
        self.note_latest();
        self.presume_used();
        self.condemn_changed();
    }

    /// What the pod's status says of its containers.
    fn recall(&mut self) {
        self.recall_status();
        // Statuses are not kept on disk, logs are: no number is given twice.
        for member in self.spec().spec.iter().flat_map(members) {
            let folder = log_folder(&self.context, &self.pod).join(member.name());
            if let Some(latest) = latest_log(&folder) {
                self.know_of(member.name(), latest);
            }
        }
    }

    fn recall_status(&mut self) {
        let Some(status) = self.pod.status.clone() else { return };
        let lists = [
            &status.init_container_statuses,
            &status.container_statuses,
            &status.ephemeral_container_statuses,
        ];
        for status in lists.into_iter().flatten().flatten() {
            self.records.insert(status.name.clone(), recalled(status));
        }
    }

    /// The runtime may know of containers that no status was written of.
    fn note_latest(&mut self) {
        let Some(state) = &self.home.state else { return };
        let ids: Vec<String> = state.borrow().containers.keys().cloned().collect();
        for (name, attempt) in ids.iter().filter_map(|id| parse_id(id)) {
            self.know_of(name, attempt);
        }
    }

    /// Of an attempt that is later than the status, what the status says of its place and what it was given is not true.
    fn know_of(&mut self, name: &str, attempt: u32) {
        let record = self.records.entry(name.to_owned()).or_default();
        if record.attempt.is_none_or(|known| known < attempt) {
            record.attempt = Some(attempt);
            record.place = Place::Fresh;
            record.used = None;
        }
    }

    /// Containers of which no status says what they were made of: what is on disk is what their pod was given.
    fn presume_used(&mut self) {
        let pod = self.granted();
        for member in pod.spec.iter().flat_map(members) {
            let record = self.records.get_mut(member.name());
            let Some(record) = record.filter(|record| record.attempt.is_some() && record.used.is_none())
            else {
                continue;
            };
            let image = member.container.image.clone().unwrap_or_default();
            let known = self.context.images.get(&image);
            record.used = Some(Used {
                image_id: known
                    .map(|image| image.digests.first().unwrap_or(&image.id).clone())
                    .unwrap_or_default(),
                image,
                user: None,
                stop_signal: None,
                resources: member.container.resources.clone(),
            });
        }
    }
}

fn lose(record: &mut Record) {
    let Some(running) = record.running() else { return };
    let end = Ended {
        attempt: record.restarts(),
        code: 255,
        signal: None,
        reason: "Unknown".to_owned(),
        message: String::new(),
        cause: None,
        started: Some(running.since),
        finished: Timestamp::now(),
        seen: Instant::now(),
    };
    record.end(end);
}

fn ips(status: Option<&PodStatus>) -> Vec<IpAddr> {
    let ips = status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten();
    ips.filter_map(|ip| ip.ip.parse().ok()).collect()
}

fn recalled(status: &ContainerStatus) -> Record {
    let attempt = status.container_id.as_ref().and_then(|_| u32::try_from(status.restart_count).ok());
    let earlier = ended(status.last_state.as_ref()).map(recall_end);
    let state = status.state.as_ref();
    let (place, ends) = match (state.and_then(|state| state.running.as_ref()), ended(status.state.as_ref())) {
        (Some(running), _) => {
            let since = running.started_at.as_ref().map_or_else(Timestamp::now, |time| time.0);
            let running = Running {
                since,
                started: status.started == Some(true),
                ready: status.ready,
                condemned: None,
            };
            (Place::Running(running), [earlier, None])
        }
        (None, Some(end)) => (Place::Ended, [Some(recall_end(end)), earlier]),
        // It waits to be started again.
        (None, None) if earlier.is_some() => (Place::Ended, [earlier, None]),
        (None, None) => (Place::Fresh, [None, None]),
    };
    let used = attempt.map(|_| Used {
        image: status.image.clone(),
        image_id: status.image_id.clone(),
        user: status.user.clone(),
        stop_signal: None,
        resources: status.resources.clone(),
    });
    Record { place, attempt, ends, used, ..Record::default() }
}

fn ended(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}

fn recall_end(end: &ContainerStateTerminated) -> Ended {
    let id = end.container_id.as_deref().and_then(parse_id);
    Ended {
        attempt: id.map_or(0, |(_, attempt)| attempt),
        code: end.exit_code,
        signal: end.signal,
        reason: end.reason.clone().unwrap_or_default(),
        message: end.message.clone().unwrap_or_default(),
        cause: None,
        started: end.started_at.as_ref().map(|time| time.0),
        finished: end.finished_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        seen: Instant::now(),
    }
}
