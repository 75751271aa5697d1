//! The rules of jobs, one case a line.

use serde_json::{Value, json};

use crate::field::said::{compare, sentences};
use crate::kinds::{Kind, Part, by_resource};

fn kind(plural: &str) -> &'static Kind {
    by_resource("batch", "v1", plural).unwrap()
}

/// A job with nothing wrong about it, with these fields laid over its spec.
fn job(spec: &Value) -> Value {
    let mut job = json!({"metadata": {"name": "j", "namespace": "d", "uid": "u", "resourceVersion": "1"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}});
    for (field, value) in spec.as_object().unwrap() {
        job["spec"][field] = value.clone();
    }
    kind("jobs").default_object(&mut job);
    (kind("jobs").strategy.prepare_create)(&mut job);
    job
}

fn check(cases: &[(Value, &[&str])]) {
    for (spec, expected) in cases {
        compare(spec, &sentences(&kind("jobs").validate_create(&job(spec))), expected);
    }
}

#[test]
fn what_a_job_says() {
    let restarts = |policy: &str| json!({"spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}});
    check(&[
        (json!({}), &[]),
        (
            json!({"template": restarts("Always")}),
            &["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""],
        ),
        (
            json!({"template": restarts("OnFailure"), "podFailurePolicy": {"rules": []}}),
            &[
                "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified",
            ],
        ),
        (
            json!({"parallelism": -1, "completions": -1, "ttlSecondsAfterFinished": -1}),
            &[
                "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
                "spec.completions: Invalid value: -1: must be greater than or equal to 0",
                "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            json!({"managedBy": "x"}),
            &[
                "spec.managedBy: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ],
        ),
        (
            json!({"managedBy": "A/b c"}),
            &[
                "spec.managedBy: Invalid value: \"A\": a lowercase RFC 1123 subdomain…",
                "spec.managedBy: Invalid value: \"b c\": Invalid path…",
            ],
        ),
        (
            json!({"podReplacementPolicy": "x"}),
            &[
                "spec.podReplacementPolicy: Unsupported value: \"x\": supported values: \"Failed\", \"TerminatingOrFailed\"",
            ],
        ),
        (
            json!({"selector": {"matchLabels": {"a": "b"}}, "manualSelector": true}),
            &[
                "spec.template.metadata.labels: Invalid value: \"null\": `selector` does not match template `labels`",
            ],
        ),
    ]);
}

#[test]
fn indexed_jobs() {
    let indexed = |more: Value| {
        let mut spec = json!({"completionMode": "Indexed", "completions": 3});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    check(&[
        (
            json!({"completionMode": "x"}),
            &["spec.completionMode: Unsupported value: \"x\": supported values: \"NonIndexed\", \"Indexed\""],
        ),
        (
            json!({"completionMode": "Indexed", "parallelism": 100_001}),
            &[
                "spec.completions: Required value: when completion mode is Indexed",
                "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
            ],
        ),
        (
            json!({"maxFailedIndexes": 1}),
            &[
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
            ],
        ),
        (
            indexed(json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 4})),
            &["spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"],
        ),
        (
            indexed(json!({"completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1})),
            &[
                "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
                "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
            ],
        ),
        (
            json!({"successPolicy": {"rules": []}}),
            &["spec.successPolicy: Invalid value: {\"rules\":[]}: requires indexed completion mode"],
        ),
        (
            indexed(json!({"successPolicy": {"rules": []}})),
            &[
                "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified",
            ],
        ),
        (
            indexed(
                json!({"successPolicy": {"rules": [{}, {"succeededIndexes": "5"}, {"succeededIndexes": "0-1", "succeededCount": 3}, {"succeededCount": 4}]}}),
            ),
            &[
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
                "spec.successPolicy.rules[1].succeededIndexes: Invalid value: \"5\": error parsing succeededIndexes: too large index: \"5\"",
                "spec.successPolicy.rules[2].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
                "spec.successPolicy.rules[3].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)",
            ],
        ),
    ]);
    let mut long = job(&indexed(json!({})));
    long["metadata"]["name"] = "x".repeat(62).into();
    long["spec"]["template"]["metadata"]["labels"].take();
    (kind("jobs").strategy.prepare_create)(&mut long);
    compare(
        &long,
        &sentences(&kind("jobs").validate_create(&long)),
        &[
            "metadata.name: Invalid value: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\": will not able to create pod with invalid DNS label: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-2",
        ],
    );
}

#[test]
fn failure_policies() {
    let rule = |rule: Value| json!({"podFailurePolicy": {"rules": [rule]}});
    check(&[
        (rule(json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}})), &[]),
        (
            rule(json!({})),
            &[
                "spec.podFailurePolicy.rules[0].action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ],
        ),
        (
            rule(
                json!({"action": "FailIndex", "onExitCodes": {"operator": "x", "containerName": "y", "values": [2, 0, 2]}, "onPodConditions": [{"type": "a b", "status": "z"}]}),
            ),
            &[
                "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
                "spec.podFailurePolicy.rules[0].onExitCodes.operator: Unsupported value: \"x\": supported values: \"In\", \"NotIn\"",
                "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"y\": must be one of the container or initContainer names in the pod template",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 2",
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,0,2]: must be ordered",
                "spec.podFailurePolicy.rules[0].onPodConditions[0].type: Invalid value: \"a b\": name part must consist…",
                "spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: \"z\": supported values: \"False\", \"True\", \"Unknown\"",
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            ],
        ),
        (
            rule(json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [0]}})),
            &[
                "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
            ],
        ),
        (
            rule(json!({"action": "Ignore", "onExitCodes": {"operator": "In"}})),
            &[
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: []: at least one value is required",
            ],
        ),
    ]);
}

#[test]
fn generated_labels_stay_as_they_are_generated() {
    let mut forged = job(&json!({}));
    forged["spec"]["template"]["metadata"]["labels"]["job-name"] = "k".into();
    let found = sentences(&kind("jobs").validate_create(&forged));
    assert!(found[0].starts_with("spec.template.metadata.labels[job-name]: Invalid value: {"), "{found:?}");
    assert!(found[0].ends_with(": must be 'j'"), "{found:?}");
}

#[test]
fn what_may_change_about_a_job() {
    let changed = |old: Value, new: Value, expected: &[&str]| {
        let found = kind("jobs").validate_update(&job(&new), &job(&old), Part::Main);
        compare(&new, &sentences(&found), expected);
    };
    let with = |pods: Value| {
        let mut spec = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]});
        spec.as_object_mut().unwrap().extend(pods.as_object().unwrap().clone());
        json!({"suspend": true, "template": {"spec": spec}})
    };
    changed(
        json!({}),
        json!({"parallelism": 2, "suspend": true, "backoffLimit": 1}),
        &["spec.completions: Invalid value: \"null\": field is immutable"],
    );
    changed(
        json!({"completions": 1}),
        json!({"completions": 2}),
        &["spec.completions: Invalid value: 2: field is immutable"],
    );
    changed(
        json!({"completions": 1, "completionMode": "Indexed"}),
        json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed"}),
        &[],
    );
    changed(
        json!({"completions": 1, "completionMode": "Indexed"}),
        json!({"completions": 2, "completionMode": "Indexed"}),
        &["spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism"],
    );
    changed(with(json!({})), with(json!({"nodeSelector": {"a": "b"}})), &[]);
    changed(with(json!({})), with(json!({"affinity": {"nodeAffinity": {}}})), &[]);
    changed(
        with(json!({})),
        with(json!({"affinity": {"podAffinity": {}}})),
        &["spec.template: Invalid value: {…"],
    );
    changed(
        json!({}),
        json!({"managedBy": "a.io/b"}),
        &["spec.managedBy: Invalid value: \"a.io/b\": field is immutable"],
    );
}

#[test]
fn what_is_said_of_a_job() {
    let is = |kind: &str| json!({"type": kind, "status": "True"});
    let cases: [(Value, Value, &[&str]); 7] = [
        (json!({}), json!({"active": 1, "ready": 1, "startTime": "2026-01-01T00:00:00Z"}), &[]),
        (
            json!({}),
            json!({"active": -1, "ready": 2, "uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}}),
            &[
                "status.active: Invalid value: -1: must be greater than or equal to 0",
                "status.uncountedTerminatedPods.succeeded[1]: Invalid value: \"\": must not be empty",
                "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"a\"",
                "status.ready: Invalid value: 2: cannot set more ready pods than active",
            ],
        ),
        (
            json!({}),
            json!({"conditions": [is("SuccessCriteriaMet"), is("Complete")], "startTime": "2026-01-02T00:00:00Z", "completionTime": "2026-01-01T00:00:00Z"}),
            &[
                "status.completionTime: Invalid value: \"2026-01-01T00:00:00Z\": completionTime cannot be set before startTime",
            ],
        ),
        (
            json!({}),
            json!({"conditions": [is("Complete"), is("Failed")], "active": 1}),
            &[
                "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
                "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
                "status.startTime: Required value: startTime is required for finished job",
            ],
        ),
        (
            json!({"failed": 2, "succeeded": 1}),
            json!({"failed": 1}),
            &[
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
            ],
        ),
        (
            json!({"conditions": [is("FailureTarget")], "startTime": "2026-01-01T00:00:00Z"}),
            json!({}),
            &[
                "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
                "status.startTime: Required value: startTime cannot be removed for unsuspended job",
            ],
        ),
        (
            json!({}),
            json!({"completedIndexes": "0", "failedIndexes": "0"}),
            &[
                "status.failedIndexes: Invalid value: \"0\": failedIndexes and completedIndexes overlap at index: 0",
                "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode",
                "status.failedIndexes: Invalid value: \"0\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        let (mut before, mut after) = (job(&json!({})), job(&json!({})));
        before["status"] = old;
        after["status"] = new;
        compare(
            &after["status"],
            &sentences(&kind("jobs").validate_update(&after, &before, Part::Status)),
            expected,
        );
    }
}

#[test]
fn jobs_by_the_clock() {
    let cron = |spec: &Value, name: &str| {
        let mut cron = json!({"metadata": {"name": name, "namespace": "d", "resourceVersion": "1"}, "spec": {"schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}});
        for (field, value) in spec.as_object().unwrap() {
            match value {
                Value::Object(fields) => {
                    cron["spec"][field]["spec"].as_object_mut().unwrap().extend(fields.clone());
                }
                value => cron["spec"][field] = value.clone(),
            }
        }
        kind("cronjobs").default_object(&mut cron);
        cron
    };
    let cases: [(Value, &[&str]); 8] = [
        (json!({}), &[]),
        (json!({"schedule": ""}), &["spec.schedule: Required value"]),
        (
            json!({"schedule": "61 * * * *"}),
            &["spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61"],
        ),
        (
            json!({"schedule": "TZ=UTC * * * * *"}),
            &[
                "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ],
        ),
        (
            json!({"concurrencyPolicy": "x", "startingDeadlineSeconds": -1, "failedJobsHistoryLimit": -1}),
            &[
                "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.concurrencyPolicy: Unsupported value: \"x\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (json!({"timeZone": "a b"}), &["spec.timeZone: Invalid value: \"a b\": unknown time zone a b"]),
        (
            json!({"timeZone": "local"}),
            &["spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone…"],
        ),
        (
            json!({"jobTemplate": {"selector": {}, "manualSelector": true}}),
            &[
                "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated",
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ],
        ),
    ];
    for (spec, expected) in cases {
        compare(&spec, &sentences(&kind("cronjobs").validate_create(&cron(&spec, "c"))), expected);
    }
    let long = cron(&json!({}), &"x".repeat(53));
    assert!(
        sentences(&kind("cronjobs").validate_create(&long))[0]
            .ends_with("must be no more than 52 characters")
    );
    assert_eq!(
        sentences(&kind("cronjobs").validate_update(&long, &long, Part::Main)),
        [""; 0],
        "it is there already"
    );
}
