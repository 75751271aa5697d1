//! How pods are shown: the one line that says how a pod is.

use jiff::Timestamp;
use serde_json::Value;

use crate::table::{AGE, Column, NAME, Table, age, ago, labels_or_none, name, or_none};
use crate::value::{at, flag, int, list, text};

pub(in crate::kinds::core) static TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Ready"),
        Column::text("Status"),
        Column::text("Restarts"),
        AGE,
        Column::text("IP").wide(),
        Column::text("Node").wide(),
        Column::text("Nominated Node").wide(),
        Column::text("Readiness Gates").wide(),
    ],
    cells: |pod, now| {
        let summary = Summary::of(pod);
        vec![
            name(pod),
            format!("{}/{}", summary.ready, summary.total).into(),
            summary.reason.clone().into(),
            summary.restarts(now).into(),
            age(pod, now),
            or_none(first_ip(pod)).into(),
            or_none(text(pod, "spec.nodeName")).into(),
            or_none(text(pod, "status.nominatedNodeName")).into(),
            readiness_gates(pod).into(),
        ]
    },
};

pub(in crate::kinds::core) static POD_TEMPLATE: Table = Table {
    columns: &[NAME, Column::text("Containers"), Column::text("Images"), Column::text("Pod Labels")],
    cells: |object, _| {
        let [names, images] = container_cells(at(object, "template"));
        vec![name(object), names, images, labels_or_none(at(object, "template.metadata.labels")).into()]
    },
};

/// Names and images of the containers of a pod template.
pub(in crate::kinds) fn container_cells(template: &Value) -> [Value; 2] {
    ["name", "image"].map(|field| {
        let cells: Vec<&str> =
            list(template, "spec.containers").iter().map(|container| text(container, field)).collect();
        cells.join(",").into()
    })
}

fn first_ip(pod: &Value) -> &str {
    match list(pod, "status.podIPs").first() {
        Some(ip) => text(ip, "ip"),
        None => text(pod, "status.podIP"),
    }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "spec.readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter().filter(|gate| condition(pod, text(gate, "conditionType"))).count();
    format!("{open}/{}", gates.len())
}

fn condition(pod: &Value, kind: &str) -> bool {
    list(pod, "status.conditions")
        .iter()
        .any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
}

struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let phase = text(pod, "status.phase");
        let reason = match text(pod, "status.reason") {
            _ if is_gated(pod) => "SchedulingGated",
            "" => phase,
            reason => reason,
        };
        let total = list(pod, "spec.containers").len() + sidecars(pod).count();
        let mut summary =
            Self { ready: 0, total, reason: reason.to_owned(), restarts: 0, last_restart: None };
        let sidecars = summary.init(pod);
        if let Some(sidecars) = sidecars {
            (summary.restarts, summary.last_restart) = sidecars;
            summary.containers(pod);
        }
        if !at(pod, "metadata.deletionTimestamp").is_null() {
            if text(pod, "status.reason") == "NodeLost" {
                summary.reason = "Unknown".into();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                summary.reason = "Terminating".into();
            }
        }
        summary
    }

    /// The init containers; the restarts of those that stay, once the pod is past initialising.
    fn init(&mut self, pod: &Value) -> Option<(i64, Option<Timestamp>)> {
        let statuses = list(pod, "status.initContainerStatuses");
        let mut sidecar_restarts = (0i64, None);
        let mut initializing = false;
        for (index, status) in statuses.iter().enumerate() {
            self.count_restarts(status);
            let stays = sidecars(pod).any(|container| text(container, "name") == text(status, "name"));
            if stays {
                sidecar_restarts.0 = sidecar_restarts.0.saturating_add(int(status, "restartCount"));
                sidecar_restarts.1 = sidecar_restarts.1.max(finished(status));
            }
            if let Some(reason) = init_reason(status, stays, index, list(pod, "spec.initContainers").len()) {
                self.reason = reason;
                initializing = true;
                break;
            }
            self.ready +=
                usize::from(stays && flag(status, "ready") && at(status, "state.terminated").is_null());
        }
        (!initializing || condition(pod, "Initialized")).then_some(sidecar_restarts)
    }

    fn containers(&mut self, pod: &Value) {
        let (mut running, mut failure) = (false, None);
        for status in list(pod, "status.containerStatuses").iter().rev() {
            self.count_restarts(status);
            let (waiting, ended) = (text(status, "state.waiting.reason"), at(status, "state.terminated"));
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if !ended.is_null() {
                self.reason = ending(ended);
                if int(ended, "exitCode") != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if flag(status, "ready") && !at(status, "state.running").is_null() {
                running = true;
                self.ready += 1;
            }
        }
        // The first container has the last word, unless it has ended well and another has not.
        if self.reason == "Completed" {
            self.reason = match failure {
                _ if running && condition(pod, "Ready") => "Running".to_owned(),
                Some(failure) => failure,
                None if running => "NotReady".to_owned(),
                None => return,
            };
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts = self.restarts.saturating_add(int(status, "restartCount"));
        self.last_restart = self.last_restart.max(finished(status));
    }

    /// `3 (2m ago)`
    fn restarts(&self, now: Timestamp) -> String {
        match self.last_restart {
            Some(last) if self.restarts != 0 => format!("{} ({} ago)", self.restarts, ago(last, now)),
            _ => self.restarts.to_string(),
        }
    }
}

/// Why an init container keeps the pod from starting; none if it does not.
fn init_reason(status: &Value, stays: bool, index: usize, total: usize) -> Option<String> {
    let (ended, waiting) = (at(status, "state.terminated"), text(status, "state.waiting.reason"));
    if !ended.is_null() && int(ended, "exitCode") == 0 {
        return None;
    }
    if stays && flag(status, "started") {
        return None;
    }
    Some(match waiting {
        _ if !ended.is_null() => format!("Init:{}", ending(ended)),
        "" | "PodInitializing" => format!("Init:{index}/{total}"),
        waiting => format!("Init:{waiting}"),
    })
}

/// How a container ended: a reason, else a signal, else an exit code.
fn ending(ended: &Value) -> String {
    match (text(ended, "reason"), int(ended, "signal")) {
        ("", 0) => format!("ExitCode:{}", int(ended, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn finished(status: &Value) -> Option<Timestamp> {
    text(status, "lastState.terminated.finishedAt").parse().ok()
}

/// Init containers that keep running beside the others.
fn sidecars(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "spec.initContainers").iter().filter(|container| text(container, "restartPolicy") == "Always")
}

fn is_gated(pod: &Value) -> bool {
    list(pod, "status.conditions").iter().any(|condition| {
        text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
    fn shown(status: Value) -> [String; 3] {
        let pod = json!({"metadata": {"name": "p"}, "status": status,
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}, {"name": "j"}]}});
        let cells = (TABLE.cells)(&pod, "2026-01-01T01:00:00Z".parse().unwrap());
        [1, 2, 3].map(|cell| cells[cell].as_str().unwrap().to_owned())
    }

    #[test]
    fn the_status_column() {
        let running = json!({"ready": true, "state": {"running": {}}});
        let crashing = json!({"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"finishedAt": "2026-01-01T00:57:30Z"}}});
        let completed = json!({"state": {"terminated": {"reason": "Completed"}}});
        for (status, cells) in [
            (json!({"phase": "Pending"}), ["0/2", "Pending", "0"]),
            (json!({"phase": "Running", "containerStatuses": [running, running]}), ["2/2", "Running", "0"]),
            (
                json!({"phase": "Running", "containerStatuses": [running, crashing]}),
                ["1/2", "CrashLoopBackOff", "3 (2m30s ago)"],
            ),
            (
                json!({"phase": "Running", "containerStatuses": [running, completed]}),
                ["1/2", "NotReady", "0"],
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [completed,
                    {"state": {"terminated": {"exitCode": 1, "reason": "OOMKilled"}}}]}),
                ["0/2", "OOMKilled", "0"],
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 7}}}]}),
                ["0/2", "ExitCode:7", "0"],
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": [{"state": {"terminated": {"exitCode": 0}}}, {"state": {}}]}),
                ["0/2", "Init:1/2", "0"],
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
                ["0/2", "Init:Error", "0"],
            ),
            (json!({"phase": "Failed", "reason": "Evicted"}), ["0/2", "Evicted", "0"]),
        ] {
            assert_eq!(shown(status.clone()), cells, "{status}");
        }
    }

    #[test]
    fn a_deleted_pod_is_terminating_until_it_ended() {
        for (phase, reason) in [("Running", "Terminating"), ("Succeeded", "Succeeded")] {
            let pod = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": phase}});
            assert_eq!((TABLE.cells)(&pod, Timestamp::UNIX_EPOCH)[2], reason);
        }
    }
}
