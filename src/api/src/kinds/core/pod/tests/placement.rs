//! Where a pod may go: nodes, other pods, tolerations, spreading, gates.

use serde_json::{Value, json};

use super::{check, lay, pod, pods};

#[test]
fn nodes() {
    let required = |term: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}});
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let at = |rest: &str| format!("{path}{rest}");
    let cases = [
        (json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}), vec![at(": Required value: must have at least one node selector term")]),
        (required(json!({"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "a b", "operator": "Gt", "values": ["-"]}, {"key": "a", "operator": "x"}]})), vec![
            at("[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
            at("[0].matchExpressions[1].key: Invalid value: \"a b\": name part must consist…"),
            at("[0].matchExpressions[1].values[0]: Invalid value: \"-\": a valid label must be…"),
            at("[0].matchExpressions[2].operator: Invalid value: \"x\": not a valid selector operator")]),
        (required(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["A"]}, {"key": "x", "operator": "In", "values": ["a", "b"]}]})), vec![
            at("[0].matchFields[0].values[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
            at("[0].matchFields[1].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
            at("[0].matchFields[1].key: Invalid value: \"x\": not a valid field selector key")]),
        (json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}}]}}}),
            vec!["spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100".to_owned()]),
    ];
    for (spec, expected) in cases {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&[(spec, &expected)]);
    }
}

#[test]
fn other_pods() {
    let near = |term: Value| json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
    check(&[
        (
            near(json!({"namespaces": ["A"]})),
            &[
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: \"A\": a lowercase RFC 1123 label…",
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must be non-empty",
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must consist…",
            ],
        ),
        (
            near(json!({"topologyKey": "z", "matchLabelKeys": ["a"]})),
            &[
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
            ],
        ),
        (
            near(
                json!({"topologyKey": "z", "labelSelector": {}, "matchLabelKeys": ["a"], "mismatchLabelKeys": ["a"]}),
            ),
            &[
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys[0]: Invalid value: \"a\": exists in both matchLabelKeys and mismatchLabelKeys",
            ],
        ),
        (
            near(
                json!({"topologyKey": "z", "labelSelector": {"matchLabels": {"a": "x"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["y"]}]}, "matchLabelKeys": ["a"]}),
            ),
            &[
                "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0][0]: Invalid value: \"a\": exists in both matchLabelKeys and labelSelector",
            ],
        ),
    ]);
}

#[test]
fn tolerations_and_spreading() {
    check(&[
        (json!({"tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "Gt", "value": "7"}]}), &[]),
        (
            json!({"tolerations": [{}, {"key": "a", "operator": "Exists", "value": "b", "tolerationSeconds": 1}, {"key": "a", "operator": "x", "effect": "y"}, {"key": "a", "operator": "Lt", "value": "07"}]}),
            &[
                "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                "spec.tolerations[1].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
                "spec.tolerations[1].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
                "spec.tolerations[2].operator: Unsupported value: \"x\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
                "spec.tolerations[2].effect: Unsupported value: \"y\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
                "spec.tolerations[3].value: Invalid value: \"07\": must be a valid decimal integer in canonical form",
            ],
        ),
        (
            json!({"topologySpreadConstraints": [{"maxSkew": 0, "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 1, "nodeTaintsPolicy": "x", "matchLabelKeys": ["a"]}]}),
            &[
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
                "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
                "spec.topologySpreadConstraints[0].minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
                "spec.topologySpreadConstraints[0].nodeTaintsPolicy: Unsupported value: \"x\": supported values: \"Honor\", \"Ignore\"",
                "spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
            ],
        ),
        (
            json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}, {"maxSkew": 2, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]}),
            &[
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{z, DoNotSchedule}\"",
            ],
        ),
    ]);
}

#[test]
fn names_gates_and_classes() {
    check(&[
        (
            json!({"nodeName": "A", "serviceAccountName": "B", "priorityClassName": "C", "runtimeClassName": "", "preemptionPolicy": "x", "activeDeadlineSeconds": 0}),
            &[
                "spec.serviceAccountName: Invalid value: \"B\": a lowercase…",
                "spec.nodeName: Invalid value: \"A\": a lowercase…",
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
                "spec.priorityClassName: Invalid value: \"C\": a lowercase…",
                "spec.runtimeClassName: Invalid value: \"\": a lowercase…",
                "spec.preemptionPolicy: Unsupported value: \"x\": supported values: \"PreemptLowerPriority\", \"Never\"",
            ],
        ),
        (
            json!({"readinessGates": [{"conditionType": "a b"}], "schedulingGates": [{"name": "a"}, {"name": "a"}], "nodeName": "n"}),
            &[
                "spec.readinessGates[0].conditionType: Invalid value: \"a b\": name part must consist…",
                "spec.schedulingGates[1]: Duplicate value: \"a\"",
                "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
            ],
        ),
        (
            json!({"nodeSelector": {"a": "-"}}),
            &["spec.nodeSelector: Invalid value: \"-\": a valid label must be…"],
        ),
    ]);
}

#[test]
fn keys_of_own_labels_become_part_of_the_selectors() {
    let term = json!({"topologyKey": "z", "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["rev", "none"], "mismatchLabelKeys": ["team"]});
    let constraint = json!({"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {}, "matchLabelKeys": ["rev"]});
    let mut pod = pod();
    let said = json!({"affinity": {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}},
        "topologySpreadConstraints": [constraint, {"topologyKey": "y", "matchLabelKeys": ["rev"]}]});
    lay(&mut pod["spec"], &said);
    pod["metadata"]["labels"] = json!({"rev": "2", "team": "till"});
    (super::super::STRATEGY.prepare_create)(&mut pod);
    let own =
        |key: &str, operator: &str, value: &str| json!({"key": key, "operator": operator, "values": [value]});
    let affinity = &pod["spec"]["affinity"];
    let near = &affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"];
    let away =
        &affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    let expressions = json!([own("rev", "In", "2"), own("team", "NotIn", "till")]);
    assert_eq!(near, &json!({"matchLabels": {"app": "web"}, "matchExpressions": expressions}));
    assert_eq!(away["labelSelector"], *near);
    let spread = &pod["spec"]["topologySpreadConstraints"];
    assert_eq!(spread[0]["labelSelector"], json!({"matchExpressions": [own("rev", "In", "2")]}));
    assert_eq!(spread[1].get("labelSelector"), None, "no selector selects nothing");
    let errors = pods().validate_create(&pod);
    assert!(!errors.iter().any(|error| error.detail.contains("LabelKeys and")), "{errors:?}");
}
