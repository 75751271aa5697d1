//! What a node may say of a pod, and what it may not change.

use serde_json::{Value, json};

use super::{compare, updated};
use crate::kinds::Part;

#[test]
fn what_a_node_may_say() {
    let never = json!({"restartPolicy": "Never"});
    let ended = json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 0}}}]});
    let cases: [(Value, Value, Value, &[&str]); 7] = [
        (json!({}), json!({}), json!({"phase": "Running", "podIPs": [{"ip": "1.2.3.4"}]}), &[]),
        (
            json!({}),
            json!({"qosClass": "Burstable"}),
            json!({"qosClass": "Guaranteed"}),
            &["status.qosClass: Invalid value: \"Guaranteed\": field is immutable"],
        ),
        (json!({}), json!({"qosClass": "Burstable"}), json!({}), &[]),
        (
            json!({}),
            json!({}),
            json!({"conditions": [{"type": "a b"}], "nominatedNodeName": "A"}),
            &[
                "metadata.conditions[0].Type: Invalid value: \"a b\": name part must consist…",
                "status.nominatedNodeName: Invalid value: \"A\": a lowercase…",
            ],
        ),
        (
            never,
            ended,
            json!({"containerStatuses": [{"name": "c", "state": {"running": {}}}]}),
            &[
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state",
            ],
        ),
        (
            json!({}),
            json!({}),
            json!({"podIPs": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.4"}], "hostIP": "1.1.1.1", "hostIPs": [{"ip": "x"}], "resourceClaimStatuses": [{"name": "z"}]}),
            &[
                "status.resourceClaimStatuses[0].name: Invalid value: \"z\": must match the name of an entry in `spec.resourceClaims`",
                "status.podIPs: Invalid value: [{\"ip\":\"1.2.3.4\"},{\"ip\":\"1.2.3.4\"}]: may specify no more than one IP for each IP family",
                "status.podIPs[1]: Duplicate value: {\"ip\":\"1.2.3.4\"}",
                "status.hostIPs[0].ip: Invalid value: \"x\": must be equal to `hostIP`",
                "status.hostIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
        (
            json!({}),
            json!({}),
            json!({"containerStatuses": [{"name": "c", "user": {"linux": {"uid": -1}}, "allocatedResourcesStatus": [{"name": "claim:x", "resources": [{"resourceID": "a", "health": "x"}]}]}]}),
            &[
                "status.containerStatuses[0].linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: \"claim:x\": must match one of the container's resource claims…",
                "status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: \"x\": supported values: \"Healthy\", \"Unhealthy\", \"Unknown\"",
            ],
        ),
    ];
    for (spec, old, new, expected) in cases {
        let (old, new) = (json!({"spec": spec, "status": old}), json!({"spec": spec, "status": new}));
        compare(&new, &updated(&old, &new, Part::Status), expected);
    }
}

#[test]
fn owners_are_none_of_a_nodes_business() {
    let kind = super::pods();
    let old = super::with(
        &json!({"metadata": {"ownerReferences": [{"name": "a"}]}, "status": {"qosClass": "Burstable"}}),
    );
    let mut new = super::with(&json!({"status": {"phase": "Running"}}));
    kind.prepare_update(&mut new, &old, Part::Status);
    assert_eq!(new["metadata"]["ownerReferences"], json!([{"name": "a"}]));
    assert_eq!(new["status"], json!({"phase": "Running", "qosClass": "Burstable"}));
    for (said, meant) in [
        (json!({"podIP": "1.1.1.1"}), json!({"podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}]})),
        (
            json!({"podIPs": [{"ip": "1.1.1.1"}, {"ip": "::1"}]}),
            json!({"podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}, {"ip": "::1"}]}),
        ),
        (
            json!({"podIP": "2.2.2.2", "podIPs": [{"ip": "1.1.1.1"}]}),
            json!({"podIP": "2.2.2.2", "podIPs": [{"ip": "2.2.2.2"}]}),
        ),
    ] {
        let mut new = super::with(&json!({"status": said}));
        kind.prepare_update(&mut new, &super::pod(), Part::Status);
        assert_eq!(new["status"], meant);
    }
}

#[test]
fn which_generation_was_seen_is_not_forgotten() {
    let seen =
        |generation: i64| json!({"type": "a.io/x", "status": "True", "observedGeneration": generation});
    let old = super::with(&json!({"status": {"observedGeneration": 3, "conditions": [seen(1), seen(2)]}}));
    let silent = json!({"type": "a.io/x", "status": "False"});
    let mut new = super::with(&json!({"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"},
        "status": {"conditions": [silent, seen(7), silent]}}));
    super::pods().prepare_update(&mut new, &old, Part::Status);
    assert_eq!(
        new["status"]["conditions"],
        json!([{"type": "a.io/x", "status": "False", "observedGeneration": 1}, seen(7), silent])
    );
    assert_eq!(
        (&new["status"]["observedGeneration"], new["metadata"].get("deletionTimestamp")),
        (&json!(3), None)
    );
}

#[test]
fn a_pod_behind_gates_says_so_from_the_start() {
    let birth = crate::metadata::Birth {
        namespace: Some("d"),
        uid: "u",
        now: "2026-01-02T03:04:05.6Z".parse().unwrap(),
        suffix: "xxxxx",
    };
    for (gates, expected) in [
        (json!([]), json!(null)),
        (
            json!([{"name": "a.io/wait"}]),
            json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": null, "lastTransitionTime": "2026-01-02T03:04:05Z"}]),
        ),
    ] {
        let mut pod = super::with(&json!({"spec": {"schedulingGates": gates}}));
        super::pods().prepare_create(&mut pod, &birth);
        assert_eq!(pod["status"]["conditions"], expected);
    }
}
