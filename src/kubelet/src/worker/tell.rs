//! Telling the API: the pod's status when it changed, one write at a time, and at last that the pod is no more.

use std::time::Duration;

use client::{DeleteOptions, Key, Patch};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::jiff::Timestamp;
use task::Backoff;
use tokio::time::Instant;

use crate::status::{self, Portrait, StatusText, Verdict};

use super::done::Done;
use super::{Stage, Worker};

/// What the API knows of the pod from us.
#[derive(Debug)]
pub(super) struct Telling {
    /// What it was told last.
    told: StatusText,
    /// The status as it was computed for that: conditions keep their times by it.
    before: Option<PodStatus>,
    under_way: bool,
    /// It did not take the last word, or a step of the pod's end has failed: not before then.
    pub(super) after: Option<Instant>,
    tries: Backoff,
}

impl Telling {
    /// `told` is what it knows already.
    pub(super) fn new(told: StatusText, before: Option<PodStatus>) -> Self {
        let tries = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        Self { told, before, under_way: false, after: None, tries }
    }

    fn may_begin(&self) -> bool {
        !self.under_way && self.after.is_none_or(|after| after <= Instant::now())
    }
}

impl Worker {
    /// The pod's object has changed.
    pub(super) fn look(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        self.gone |= wanted.gone;
        self.seen.clone_from(&wanted.pod.metadata.resource_version);
        let old = std::mem::replace(&mut self.pod, wanted.pod);
        // While nobody heard of this node, its pods were said not to be ready: what we told stands no more.
        if !self.telling.under_way && status::is_ready(&old) && !status::is_ready(&self.pod) {
            let said = self.pod.status.as_ref().and_then(|status| status::text(status).ok());
            self.telling.told = said.unwrap_or_default();
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
        self.save(&self.granted());
        self.try_other_images(&old);
        if changed && self.home.ready().is_some() && !self.is_ending() {
            self.condemn_changed();
            self.home.doubt();
        }
    }

    /// Whoever waits because of what its image did, or because it could not be had, need not wait for another one.
    fn try_other_images(&mut self, old: &Pod) {
        let pod = self.spec();
        let image_of = |pod: &Pod, name: &str| {
            let member = pod.spec.as_ref().and_then(|spec| crate::member::member(spec, name));
            member.and_then(|member| member.container.image.clone())
        };
        for (name, record) in &mut self.records {
            if image_of(old, name) != image_of(&pod, name) {
                record.forgive();
            }
        }
    }

    /// Containers whose image is another one now must be made anew.
    pub(super) fn condemn_changed(&mut self) {
        let pod = self.spec();
        for member in pod.spec.iter().flat_map(crate::member::members) {
            let Some(record) = self.records.get_mut(member.name()) else { continue };
            let other = record.is_of_another_image(&member.container);
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
        let granted = self.granted();
        let ips = self.home.ready().map(|sandbox| sandbox.ips.clone()).unwrap_or_default();
        status::status(&Portrait {
            pod: &self.pod,
            spec: granted.spec.as_ref().unwrap_or(&usual),
            records: &self.records,
            sandbox_ready: !ips.is_empty() && self.stage == Stage::Alive,
            pod_ips: &ips,
            host_ips: &self.context.config.node_ips,
            start_time: self.start_time,
            verdict: self.verdict.as_ref(),
            finished: self.stage >= Stage::Clearing,
            delay: self.resizing.delay(),
            before: self.telling.before.as_ref(),
            now: Timestamp::now(),
        })
    }

    /// Has the status written if it is another one than was told last.
    pub(super) fn tell(&mut self) {
        if !self.telling.may_begin() || self.gone || self.stage >= Stage::Deleting {
            return;
        }
        self.telling.after = None;
        let status = self.status();
        let Ok(text) = status::text(&status) else { return };
        let Some(patch) = text.patch(&self.uid, &self.telling.told) else { return };
        self.telling.before = Some(status);
        self.telling.under_way = true;
        let (client, key) = (self.context.client().clone(), Key::of(&*self.pod));
        self.jobs.spawn(async move {
            let written = Box::pin(client.patch::<Pod>(&key, Some("status"), &Patch::Strategic(patch))).await;
            Done::Told(text, written.map(drop))
        });
    }

    pub(super) fn status_told(&mut self, text: StatusText, result: Result<(), client::Error>) {
        self.telling.under_way = false;
        match result {
            Ok(()) => {
                self.telling.tries.reset();
                self.telling.told = text;
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
        self.telling.after = Some(Instant::now() + self.telling.tries.next_delay());
    }

    fn has_told(&self) -> bool {
        let same = || {
            status::text(&self.status()).is_ok_and(|text| text.patch(&self.uid, &self.telling.told).is_none())
        };
        self.gone || (!self.telling.under_way && same())
    }

    /// Carries the end of a pod one step further, where nothing is under way.
    pub(super) fn end_step(&mut self) {
        if !self.telling.may_begin() {
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
        self.context.granted.forget(&self.uid);
        self.context.room.send_replace(());
        self.save(&pod);
        self.probes.clear();
        self.clear_if_kept();
    }
}
