//! Probing what runs, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::member::{Kind, members};
use crate::probe::{self, Probed, Probes, Subject};
use crate::record::Cause;

use super::{Stage, Worker};

impl Worker {
    /// Begins to probe whatever runs and is not probed yet.
    pub(super) fn probe(&mut self) {
        let Some(sandbox) = self.home.ready() else { return };
        if self.stage != Stage::Alive || self.is_ending() || sandbox.ips.is_empty() {
            return;
        }
        for member in self.pod.spec.iter().flat_map(members) {
            if !matches!(member.kind, Kind::Main | Kind::Sidecar) {
                continue;
            }
            let Some(record) = self.records.get(member.name()) else { continue };
            let (Some(running), Some(attempt)) = (record.running(), record.attempt) else { continue };
            let probed = self.probes.get(member.name()).is_some_and(|probes| probes.are_of(attempt));
            let container = &member.container;
            let has_probes = container.startup_probe.is_some()
                || container.liveness_probe.is_some()
                || container.readiness_probe.is_some();
            if probed || !has_probes {
                continue;
            }
            let ran = Duration::try_from(Timestamp::now().duration_since(running.since)).unwrap_or_default();
            let now = Instant::now();
            let subject = Subject {
                context: Arc::clone(&self.context),
                pod: Arc::clone(&self.pod),
                name: member.name().to_owned(),
                attempt,
                sandbox: sandbox.clone(),
                since: now.checked_sub(ran).unwrap_or(now),
                started: running.started,
                ready: running.ready,
            };
            self.probes.insert(member.name().to_owned(), Probes::start(&subject, &self.news.0));
        }
    }

    pub(super) fn probed(&mut self, probed: &Probed) {
        let Some(record) = self.records.get_mut(&probed.name) else { return };
        if record.attempt != Some(probed.attempt) {
            return;
        }
        let Some(running) = record.running_mut() else { return };
        match (probed.kind, probed.good) {
            (probe::Kind::Startup, true) => {
                running.started = true;
                if let Some(probes) = self.probes.get(&probed.name) {
                    probes.has_started();
                }
            }
            (probe::Kind::Readiness, good) => running.ready = good,
            (probe::Kind::Startup, false) => running.condemned = Some(Cause::Startup),
            (probe::Kind::Liveness, false) => running.condemned = Some(Cause::Liveness),
            (probe::Kind::Liveness, true) => {}
        }
    }
}
