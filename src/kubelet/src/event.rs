//! What people are told of pods: upstream's reasons and messages.

use std::time::Duration;

use client::{Recorder, Severity, reference};
use k8s_openapi::api::core::v1::Pod;

use crate::member::{Kind, Member};

/// The recorder, in the name of one pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Events<'a> {
    pub(crate) recorder: &'a Recorder,
    pub(crate) pod: &'a Pod,
}

impl Events<'_> {
    pub(crate) fn pod(&self, severity: Severity, reason: &str, message: impl Into<String>) {
        self.recorder.event(self.pod, severity, reason, message);
    }

    /// About one container, as a part of its pod.
    pub(crate) fn container(
        &self,
        (kind, name): (Kind, &str),
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
    ) {
        let mut about = reference(self.pod);
        about.field_path = Some(format!("{}{{{name}}}", kind.field()));
        self.recorder.event_about(about, severity, reason, message);
    }

    pub(crate) fn member(
        &self,
        member: &Member<'_>,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.container((member.kind, member.name()), severity, reason, message);
    }
}

/// As Go prints durations, to the millisecond: `1m2.5s`, `1.234s`, `56ms`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{:03}", rest % 1000);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    let seconds = format!("{}{dot}{fraction}s", rest / 1000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        let cases = [
            (0, "0s"),
            (56, "56ms"),
            (1000, "1s"),
            (1234, "1.234s"),
            (62_500, "1m2.5s"),
            (10_000, "10s"),
            (160_000, "2m40s"),
            (300_000, "5m0s"),
            (3_600_000, "1h0m0s"),
        ];
        for (millis, text) in cases {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }
}
