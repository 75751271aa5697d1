//! What is allowed and probably not meant.

use serde_json::{Value, json};

use super::{compare, pods, with};

#[test]
fn what_is_probably_not_meant() {
    let cases: [(Value, &[&str]); 11] = [
        (json!({}), &[]),
        (
            json!({"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}}),
            &[
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            ],
        ),
        (
            json!({"spec": {"topologySpreadConstraints": [{"topologyKey": "failure-domain.beta.kubernetes.io/zone"}]}}),
            &[
                "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            ],
        ),
        (
            json!({"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/critical-pod": "", "seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}}),
            &[
                "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \"priorityClassName\" field instead",
                "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead",
            ],
        ),
        (
            json!({"spec": {"volumes": [{"name": "a", "gitRepo": {}}, {"name": "b", "rbd": {}}]}}),
            &[
                "spec.volumes[0].gitRepo: deprecated in v1.11",
                "spec.volumes[1].rbd: deprecated in v1.28, non-functional in v1.31+",
            ],
        ),
        (
            json!({"spec": {"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}], "hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]}}),
            &[
                "spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"",
                "spec.imagePullSecrets[1].name: duplicate name \"a\"",
                "spec.imagePullSecrets[2].name: invalid empty name \"\"",
            ],
        ),
        (
            json!({"spec": {"containers": [{"resources": {"requests": {"memory": "100m"}}}]}}),
            &[
                "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, must be an integer",
            ],
        ),
        (
            json!({"spec": {"containers": [{"env": [{"name": "a", "value": "1"}, {"name": "a", "value": "$(a)2"}, {"name": "a", "value": "3"}]}]}}),
            &[
                "spec.containers[0].env[2]: hides previous definition of \"a\", which may be dropped when using apply",
            ],
        ),
        (
            json!({"spec": {"containers": [{"ports": [{"containerPort": 1}, {"containerPort": 1}, {"containerPort": 1, "hostPort": 2}]}]}}),
            &[
                "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]",
            ],
        ),
        (
            json!({"spec": {"terminationGracePeriodSeconds": -1}}),
            &[
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            ],
        ),
        (
            json!({"spec": {"volumes": [{"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"items": [{"path": "t"}]}}]}}]}}),
            &[
                "spec.volumes[0].projected.sources.secrets[0]: has duplicated path with ServiceAccountToken \"t\"",
            ],
        ),
    ];
    for (patch, expected) in cases {
        let pod = with(&patch);
        compare(&patch, &pods().warnings(&pod, None), expected);
        assert_eq!(pods().warnings(&pod, Some(&pod)), [""; 0], "nobody updates pods by hand");
    }
}
