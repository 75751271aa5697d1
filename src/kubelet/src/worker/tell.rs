//! Telling the API: the pod's status when it changed, one write at a time, and at last that the pod is no more.

use client::{DeleteOptions, Key, Patch};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::status::{self, Portrait, StatusText, Verdict};

use super::done::Done;
use super::{Slot, Stage, Worker};

impl Worker {
    /// The pod's object has changed.
    pub(super) fn look(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        self.gone |= wanted.gone;
        self.seen.clone_from(&wanted.pod.metadata.resource_version);
        let old = std::mem::replace(&mut self.pod, wanted.pod);
        // While nobody heard of this node, its pods were said not to be ready: what we told stands no more.
        if !self.telling && status::is_ready(&old) && !status::is_ready(&self.pod) {
            let said = self.pod.status.as_ref().and_then(|status| status::text(status).ok());
            self.told = said.unwrap_or_default();
        }
        if self.stage != Stage::Alive {
            return;
        }
        // Somebody else has given the pod up: it is not ours to bring back.
        if status::is_terminal(&self.pod) && self.verdict.is_none() {
            let status = self.pod.status.clone().unwrap_or_default();
            let text = |text: Option<String>| text.unwrap_or_default();
            self.verdict = Some(Verdict { reason: text(status.reason), message: text(status.message) });
        }
        let changed = old.spec != self.pod.spec
            || old.metadata.labels != self.pod.metadata.labels
            || old.metadata.annotations != self.pod.metadata.annotations;
        self.save(&self.spec());
        if changed && matches!(self.slot, Slot::Ready(_)) && !self.is_ending() {
            self.condemn_changed();
            self.sure = false;
            self.make_after = None;
        }
    }

    /// Containers whose image is another one now must be made anew.
    fn condemn_changed(&mut self) {
        let pod = self.spec();
        for member in pod.spec.iter().flat_map(crate::member::members) {
            let Some(record) = self.records.get_mut(member.name()) else { continue };
            let other =
                record.used.as_ref().is_some_and(|used| Some(&used.image) != member.container.image.as_ref());
            if let Some(running) = record.running_mut().filter(|_| other) {
                running.condemned = Some(crate::record::Cause::Changed);
            }
        }
    }

    /// The status as it is now.
    pub(super) fn status(&self) -> PodStatus {
        if let Some(verdict) = self.verdict.as_ref().filter(|_| self.rejected) {
            return status::rejected(&self.pod, verdict, self.start_time);
        }
        if let Some(last) = &self.last {
            return last.clone();
        }
        let usual = PodSpec::default();
        let (ips, ready) = match &self.slot {
            Slot::Ready(sandbox) => (sandbox.ips.clone(), !sandbox.ips.is_empty()),
            _ => (Vec::new(), false),
        };
        status::status(&Portrait {
            pod: &self.pod,
            spec: self.pod.spec.as_ref().unwrap_or(&usual),
            records: &self.records,
            sandbox_ready: ready && self.stage == Stage::Alive,
            pod_ips: &ips,
            host_ips: &self.context.config.node_ips,
            start_time: self.start_time,
            verdict: self.verdict.as_ref(),
            finished: self.stage >= Stage::Clearing,
            before: self.before.as_ref(),
            now: Timestamp::now(),
        })
    }

    /// Has the status written if it is another one than was told last.
    pub(super) fn tell(&mut self) {
        let early = self.tell_after.is_some_and(|after| after > Instant::now());
        if self.telling || self.gone || early || self.stage >= Stage::Deleting {
            return;
        }
        self.tell_after = None;
        let status = self.status();
        let Ok(text) = status::text(&status) else { return };
        let Some(patch) = text.patch(&self.uid, &self.told) else { return };
        self.before = Some(status);
        self.telling = true;
        let (client, key) = (self.context.client().clone(), Key::of(&*self.pod));
        self.jobs.spawn(async move {
            let written = Box::pin(client.patch::<Pod>(&key, Some("status"), &Patch::Strategic(patch))).await;
            Done::Told(text, written.map(drop))
        });
    }

    pub(super) fn status_told(&mut self, text: StatusText, result: Result<(), client::Error>) {
        self.telling = false;
        match result {
            Ok(()) => {
                self.tries.reset();
                self.told = text;
            }
            // Another pod has its name, or none.
            Err(error) if error.is_not_found() => self.gone = true,
            Err(error) => {
                tracing::debug!(pod = self.uid, %error, "the pod's status is not written, trying again");
                self.try_later();
            }
        }
    }

    pub(super) fn try_later(&mut self) {
        self.tell_after = Some(Instant::now() + self.tries.next_delay());
    }

    fn has_told(&self) -> bool {
        let same =
            || status::text(&self.status()).is_ok_and(|text| text.patch(&self.uid, &self.told).is_none());
        self.gone || (!self.telling && same())
    }

    /// Carries the end of a pod one step further, where nothing is under way.
    pub(super) fn end_step(&mut self) {
        let early = self.tell_after.is_some_and(|after| after > Instant::now());
        if early || self.telling {
            return;
        }
        match self.stage {
            Stage::Clearing => self.clear_if_kept(),
            Stage::Cleared if self.has_told() => {
                self.stage = Stage::Emptying;
                self.empty();
            }
            Stage::Emptying if !self.clearing => self.empty(),
            Stage::Empty if self.gone => self.forget_logs(),
            Stage::Empty if self.is_deleted() => self.delete(),
            Stage::Empty => self.stage = Stage::Over,
            _ => {}
        }
    }

    fn delete(&mut self) {
        self.stage = Stage::Deleting;
        let (client, key) = (self.context.client().clone(), Key::of(&*self.pod));
        let options =
            DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::of_uid(self.uid.clone()) };
        self.jobs.spawn(async move { Done::Deleted(client.delete::<Pod>(&key, &options).await) });
    }

    pub(super) fn deleted(&mut self, result: Result<(), client::Error>) {
        match result {
            // Finalizers may keep its object; its node has nothing more to do with it.
            Ok(()) => self.forget_logs(),
            Err(error) if error.is_not_found() || error.is_conflict() => self.forget_logs(),
            Err(error) => {
                tracing::debug!(pod = self.uid, %error, "the pod's object is not removed, trying again");
                self.stage = Stage::Empty;
                self.try_later();
            }
        }
    }

    fn forget_logs(&mut self) {
        self.stage = Stage::Over;
        let folder = crate::container::log_folder(&self.context, &self.pod);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %folder.display(), %error, "logs of a pod that is gone are left");
            }
            _ => {}
        }
    }

    /// Everything of the pod has ended. That is kept before anything is removed: it must not run again.
    pub(super) fn finish(&mut self) {
        let last = self.status();
        let pod = Pod { status: Some(last.clone()), ..Pod::clone(&self.pod) };
        self.last = Some(last);
        self.save(&pod);
        self.probes.clear();
        self.clear_if_kept();
    }
}
