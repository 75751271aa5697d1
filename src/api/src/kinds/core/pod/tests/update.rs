//! The few things that may change about a pod that is there.

use serde_json::{Value, json};

use super::{compare, updated};
use crate::kinds::Part;

#[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
fn changed(old: Value, new: Value, expected: &[&str]) {
    let (old, new) = (json!({"spec": old}), json!({"spec": new}));
    compare(&new, &updated(&old, &new, Part::Main), expected);
}

const LITTLE: &str = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n…";

#[test]
fn what_may_change_about_a_pod() {
    changed(json!({}), json!({"containers": [{"image": "j"}]}), &[]);
    changed(
        json!({}),
        json!({"containers": [{}, {"name": "d", "image": "i"}]}),
        &["spec.containers: Forbidden: pod updates may not add or remove containers"],
    );
    changed(json!({}), json!({"nodeSelector": {"a": "b"}}), &[LITTLE]);
    changed(json!({}), json!({"activeDeadlineSeconds": 5}), &[]);
    changed(
        json!({"activeDeadlineSeconds": 6}),
        json!({"activeDeadlineSeconds": 7}),
        &["spec.activeDeadlineSeconds: Invalid value: 7: must be less than or equal to previous value"],
    );
    changed(
        json!({"activeDeadlineSeconds": 6}),
        json!({}),
        &[
            "spec.activeDeadlineSeconds: Invalid value: \"null\": must not update from a positive integer to nil value",
        ],
    );
    changed(json!({"terminationGracePeriodSeconds": -1}), json!({"terminationGracePeriodSeconds": 1}), &[]);
    let tolerations = json!({"tolerations": [{"key": "a", "operator": "Exists"}]});
    changed(
        tolerations.clone(),
        json!({"tolerations": [{"key": "b"}, {"key": "a", "operator": "Exists", "effect": "", "tolerationSeconds": null}]}),
        &[
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ],
    );
    changed(tolerations, json!({"tolerations": [{"key": "b"}, {"key": "a", "operator": "Exists"}]}), &[]);
}

#[test]
fn gated_pods_are_steered_more_narrowly() {
    let gated = |more: Value| {
        let mut spec = json!({"schedulingGates": [{"name": "g"}]});
        super::lay(&mut spec, &more);
        spec
    };
    changed(gated(json!({})), json!({}), &[]);
    changed(
        json!({}),
        gated(json!({})),
        &[
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'",
        ],
    );
    changed(
        gated(json!({"nodeSelector": {"a": "b"}})),
        gated(json!({"nodeSelector": {"a": "b", "c": "d"}})),
        &[],
    );
    changed(
        gated(json!({"nodeSelector": {"a": "b"}})),
        gated(json!({"nodeSelector": {"a": "c"}})),
        &[
            "spec.nodeSelector: Invalid value: {\"a\":\"c\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ],
    );
    let affine = |expressions: Value| {
        gated(
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}}}}),
        )
    };
    let (one, other) = (json!({"key": "a", "operator": "Exists"}), json!({"key": "b", "operator": "Exists"}));
    changed(gated(json!({})), affine(json!([one])), &[]);
    changed(affine(json!([one])), affine(json!([one, other])), &[]);
    changed(
        affine(json!([one])),
        affine(json!([other])),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]: Invalid value: {\"matchExpressions\":[{\"key\":\"b\",\"operator\":\"Exists\"}]}: only additions are allowed (no mutations or deletions)",
        ],
    );
    changed(
        affine(json!([one])),
        gated(json!({})),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Invalid value: \"null\": no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        ],
    );
    changed(gated(json!({})), gated(json!({"hostname": "h"})), &[LITTLE]);
}

#[test]
fn annotations_that_stay() {
    let mirror =
        json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {"nodeName": "n"}});
    let none = json!({"spec": {"nodeName": "n"}});
    compare(
        &none,
        &updated(&mirror, &none, Part::Main),
        &[
            "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation",
        ],
    );
    compare(
        &mirror,
        &updated(&none, &mirror, Part::Main),
        &["metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation"],
    );
}
