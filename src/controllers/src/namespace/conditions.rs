//! Why a namespace is still there, in upstream's words.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::NamespaceCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::content::Left;

/// One condition: what it is called, and what it says when there is nothing to complain of.
struct Question {
    kind: &'static str,
    reason: &'static str,
    message: &'static str,
}

const DISCOVERY: Question = Question {
    kind: "NamespaceDeletionDiscoveryFailure",
    reason: "ResourcesDiscovered",
    message: "All resources successfully discovered",
};
const PARSING: Question = Question {
    kind: "NamespaceDeletionGroupVersionParsingFailure",
    reason: "ParsedGroupVersions",
    message: "All legacy kube types successfully parsed",
};
const DELETION: Question = Question {
    kind: "NamespaceDeletionContentFailure",
    reason: "ContentDeleted",
    message: "All content successfully deleted, may be waiting on finalization",
};
const CONTENT: Question = Question {
    kind: "NamespaceContentRemaining",
    reason: "ContentRemoved",
    message: "All content successfully removed",
};
const FINALIZERS: Question = Question {
    kind: "NamespaceFinalizersRemaining",
    reason: "ContentHasNoFinalizers",
    message: "All content-preserving finalizers finished",
};

/// The conditions of a namespace after a round; those of others stay, and what says the same keeps its time.
pub(super) fn of(left: &Left, before: Vec<NamespaceCondition>, now: Timestamp) -> Vec<NamespaceCondition> {
    let mut conditions = before;
    for (question, complaint) in [
        (DISCOVERY, None),
        (PARSING, None),
        (DELETION, failures(left)),
        (CONTENT, remaining(&left.resources)),
        (FINALIZERS, finalizers(&left.finalizers)),
    ] {
        let said = question.answer(complaint, now);
        match conditions.iter_mut().find(|condition| condition.type_ == question.kind) {
            Some(old) if says_the_same(old, &said) => {}
            Some(old) => *old = said,
            None => conditions.push(said),
        }
    }
    conditions
}

impl Question {
    fn answer(&self, complaint: Option<(&str, String)>, now: Timestamp) -> NamespaceCondition {
        let status = if complaint.is_some() { "True" } else { "False" };
        let (reason, message) = complaint.unwrap_or((self.reason, self.message.to_string()));
        NamespaceCondition {
            type_: self.kind.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        }
    }
}

fn says_the_same(old: &NamespaceCondition, new: &NamespaceCondition) -> bool {
    old.status == new.status && old.reason == new.reason && old.message == new.message
}

fn failures(left: &Left) -> Option<(&'static str, String)> {
    let mut errors: Vec<String> = left.failures.iter().map(ToString::to_string).collect();
    errors.sort();
    let message =
        format!("Failed to delete all resource types, {} remaining: {}", errors.len(), errors.join(", "));
    (!errors.is_empty()).then_some(("ContentDeletionFailed", message))
}

fn remaining(resources: &BTreeMap<String, usize>) -> Option<(&'static str, String)> {
    let each: Vec<_> =
        resources.iter().map(|(name, count)| format!("{name} has {count} resource instances")).collect();
    let message = format!("Some resources are remaining: {}", each.join(", "));
    (!each.is_empty()).then_some(("SomeResourcesRemain", message))
}

fn finalizers(finalizers: &BTreeMap<String, usize>) -> Option<(&'static str, String)> {
    let each: Vec<_> =
        finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    let message = format!("Some content in the namespace has finalizers remaining: {}", each.join(", "));
    (!each.is_empty()).then_some(("SomeFinalizersRemain", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_is_named_and_what_is_settled_keeps_its_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let left = Left {
            resources: [("pods.".to_string(), 1), ("jobs.batch".to_string(), 2)].into(),
            finalizers: [("example.com/hold".to_string(), 1)].into(),
            ..Left::default()
        };
        let first = of(&left, Vec::new(), at(1));
        let said: Vec<_> =
            first.iter().map(|it| (it.status.as_str(), it.message.as_deref().unwrap())).collect();
        assert_eq!(
            said[3..],
            [
                (
                    "True",
                    "Some resources are remaining: jobs.batch has 2 resource instances, pods. has 1 resource instances"
                ),
                (
                    "True",
                    "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
                ),
            ]
        );
        assert_eq!(of(&left, first.clone(), at(9)), first);
        let done = of(&Left::default(), first, at(9));
        let times: Vec<_> = done.iter().map(|it| it.last_transition_time.as_ref().unwrap().0).collect();
        assert_eq!(times, [at(1), at(1), at(1), at(9), at(9)]);
        assert_eq!(done[3].reason.as_deref(), Some("ContentRemoved"));
    }
}
