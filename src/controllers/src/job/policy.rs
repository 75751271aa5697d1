//! Failure and success as the user defines them.

use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule,
    SuccessPolicyRule,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::indexes::Indexes;
use super::rules;

/// What the failure of a pod means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// One more failure.
    Counts,
    /// None at all.
    Ignored,
    /// The end of its index.
    FailsIndex,
    /// The end of the Job, and why.
    FailsJob(String),
}

/// By the first rule that fits.
pub(super) fn meaning(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Meaning {
    let rules = policy.map(|policy| policy.rules.as_slice()).unwrap_or_default();
    let fitting = rules.iter().enumerate().find_map(|(index, rule)| Some((index, rule, fit(rule, pod)?)));
    let Some((index, rule, why)) = fitting else { return Meaning::Counts };
    match rule.action.as_str() {
        "Ignore" => Meaning::Ignored,
        "FailIndex" => Meaning::FailsIndex,
        "FailJob" => Meaning::FailsJob(format!("{why} matching {} rule at index {index}", rule.action)),
        _ => Meaning::Counts,
    }
}

/// Why a rule fits, if it does.
fn fit(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let name = client::Key::of(pod);
    if let Some(requirement) = &rule.on_exit_codes {
        let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        let (container, code) = containers.into_iter().find_map(|container| exit(container, requirement))?;
        return Some(format!("Container {container} for pod {name} failed with exit code {code}"));
    }
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    let fits = |kind: &str, status: &str| {
        patterns.iter().any(|it| it.type_ == kind && it.status.as_deref().unwrap_or("True") == status)
    };
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions.find(|condition| fits(&condition.type_, &condition.status))?;
    Some(format!("Pod {name} has condition {}", condition.type_))
}

fn exit<'a>(
    container: &'a ContainerStatus,
    requirement: &PodFailurePolicyOnExitCodesRequirement,
) -> Option<(&'a str, i32)> {
    let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
    let named = requirement.container_name.as_ref().is_none_or(|name| *name == container.name);
    let listed = requirement.values.contains(&code);
    let fits = match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    };
    (code != 0 && named && fits).then_some((&container.name, code))
}

/// Whether the index of a failed pod has failed for good.
pub(super) fn ends_index(pod: &Pod, spec: &JobSpec, limit: i32) -> bool {
    rules::is_failed(pod, spec)
        && match meaning(spec.pod_failure_policy.as_ref(), pod) {
            Meaning::FailsIndex => true,
            Meaning::Ignored => false,
            Meaning::Counts | Meaning::FailsJob(_) => rules::failures(pod).0 >= limit,
        }
}

/// The rule by which enough indexes have succeeded.
pub(super) fn success(spec: &JobSpec, succeeded: &Indexes) -> Option<String> {
    let policy = spec.success_policy.as_ref().filter(|_| succeeded.total() > 0)?;
    let met = |rule: &SuccessPolicyRule| is_met(rule, spec.completions.unwrap_or_default(), succeeded);
    let index = policy.rules.iter().position(met)?;
    Some(format!("Matched rules at index {index}"))
}

fn is_met(rule: &SuccessPolicyRule, completions: i32, succeeded: &Indexes) -> bool {
    match (&rule.succeeded_indexes, rule.succeeded_count) {
        (Some(text), count) => {
            let required = Indexes::parse(text, completions);
            required.common(succeeded) >= count.unwrap_or(required.total())
        }
        (None, Some(count)) => succeeded.total() >= count,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::{PodFailurePolicyOnPodConditionsPattern, SuccessPolicy};
    use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, PodCondition, PodStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn failed(code: i32, condition: &str) -> Pod {
        let terminated = ContainerStateTerminated { exit_code: code, ..ContainerStateTerminated::default() };
        let container = ContainerStatus {
            name: "main".into(),
            state: Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() }),
            ..ContainerStatus::default()
        };
        let condition =
            PodCondition { type_: condition.into(), status: "True".into(), ..PodCondition::default() };
        Pod {
            metadata: ObjectMeta {
                name: Some("p".into()),
                namespace: Some("shop".into()),
                ..ObjectMeta::default()
            },
            status: Some(PodStatus {
                container_statuses: Some(vec![container]),
                conditions: Some(vec![condition]),
                ..PodStatus::default()
            }),
            ..Pod::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_says_what_a_failure_means() {
        let codes = PodFailurePolicyOnExitCodesRequirement {
            operator: "In".into(),
            values: vec![42],
            container_name: None,
        };
        let disruption = PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".into(),
            status: Some("True".into()),
        };
        let policy = PodFailurePolicy {
            rules: vec![
                PodFailurePolicyRule {
                    action: "Ignore".into(),
                    on_pod_conditions: Some(vec![disruption]),
                    on_exit_codes: None,
                },
                PodFailurePolicyRule {
                    action: "FailJob".into(),
                    on_exit_codes: Some(codes),
                    on_pod_conditions: None,
                },
            ],
        };
        let meaning = |pod: &Pod| meaning(Some(&policy), pod);
        assert_eq!(meaning(&failed(42, "DisruptionTarget")), Meaning::Ignored);
        assert_eq!(
            meaning(&failed(42, "Ready")),
            Meaning::FailsJob(
                "Container main for pod shop/p failed with exit code 42 matching FailJob rule at index 1"
                    .into()
            )
        );
        assert_eq!(meaning(&failed(1, "Ready")), Meaning::Counts);
    }

    #[test]
    fn success_needs_the_indexes_or_the_number_that_a_rule_names() {
        let rule = |indexes: Option<&str>, count| SuccessPolicyRule {
            succeeded_indexes: indexes.map(Into::into),
            succeeded_count: count,
        };
        let spec = JobSpec {
            completions: Some(10),
            success_policy: Some(SuccessPolicy {
                rules: vec![rule(Some("0-2"), Some(2)), rule(None, Some(5))],
            }),
            ..JobSpec::default()
        };
        let success = |text: &str| success(&spec, &Indexes::parse(text, 10));
        assert_eq!(success("0,7-9"), None);
        assert_eq!(success("0,2").as_deref(), Some("Matched rules at index 0"));
        assert_eq!(success("5-9").as_deref(), Some("Matched rules at index 1"));
    }
}
