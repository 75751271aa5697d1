//! What a pod may do to its node: users, profiles, operating systems, and the annotations of old.

use serde_json::{Value, json};

use super::{check, compare, pods, sentences, with};

#[test]
fn contexts() {
    check(&[
        (
            json!({"securityContext": {"fsGroup": -1, "runAsUser": 4_294_967_296_i64, "supplementalGroups": [-1], "fsGroupChangePolicy": "x", "supplementalGroupsPolicy": "y", "seLinuxChangePolicy": "z"}}),
            &[
                "spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "spec.securityContext.runAsUser: Invalid value: 4294967296: must be between 0 and 2147483647, inclusive",
                "spec.securityContext.supplementalGroups[0]: Invalid value: -1: must be between 0 and 2147483647, inclusive",
                "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"x\": supported values: \"Always\", \"OnRootMismatch\"",
                "spec.securityContext.supplementalGroupsPolicy: Unsupported value: \"y\": supported values: \"Merge\", \"Strict\"",
                "spec.securityContext.seLinuxChangePolicy: Unsupported value: \"z\": supported values: \"MountOption\", \"Recursive\"",
            ],
        ),
        (
            json!({"hostPID": true, "shareProcessNamespace": true}),
            &[
                "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
            ],
        ),
        (
            json!({"hostUsers": false, "hostNetwork": true, "hostIPC": true}),
            &[
                "spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false",
                "spec.HostIPC: Forbidden: when `pod.Spec.HostUsers` is false",
            ],
        ),
        (
            json!({"hostNetwork": true, "securityContext": {"sysctls": [{"name": "net/core.x"}, {"name": "A"}, {"name": "a"}, {"name": "a"}, {}]}}),
            &[
                "spec.securityContext.sysctls[0].name: Invalid value: \"net/core.x\": may not be specified when 'hostNetwork' is true",
                "spec.securityContext.sysctls[1].name: Invalid value: \"A\": must have at most 253 characters…",
                "spec.securityContext.sysctls[3].name: Duplicate value: \"a\"",
                "spec.securityContext.sysctls[4].name: Required value",
            ],
        ),
        (
            json!({"containers": [{"securityContext": {"privileged": true, "allowPrivilegeEscalation": false, "procMount": "Unmasked"}}]}),
            &[
                "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`",
                "spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"privileged\":true,\"procMount\":\"Unmasked\"}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ],
        ),
    ]);
}

#[test]
fn profiles() {
    let seccomp = |profile: Value| json!({"securityContext": {"seccompProfile": profile}});
    let armor = |profile: Value| json!({"securityContext": {"appArmorProfile": profile}});
    check(&[
        (
            seccomp(json!({})),
            &[
                "spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set",
            ],
        ),
        (
            seccomp(json!({"type": "Localhost"})),
            &[
                "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
            ],
        ),
        (
            seccomp(json!({"type": "Localhost", "localhostProfile": "/.."})),
            &[
                "spec.securityContext.seccompProfile.localhostProfile: Invalid value: \"/..\": must be a relative path",
                "spec.securityContext.seccompProfile.localhostProfile: Invalid value: \"/..\": must not contain '..'",
            ],
        ),
        (
            armor(json!({"type": "x"})),
            &[
                "spec.securityContext.appArmorProfile.type: Unsupported value: \"x\": supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"",
            ],
        ),
        (
            armor(json!({"type": "Localhost", "localhostProfile": " a"})),
            &[
                "spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \" a\": must not be padded with whitespace",
            ],
        ),
        (
            armor(json!({"type": "Unconfined", "localhostProfile": "a"})),
            &[
                "spec.securityContext.appArmorProfile.localhostProfile: Invalid value: \"a\": can only be set when AppArmor type is Localhost",
            ],
        ),
    ]);
}

#[test]
fn operating_systems() {
    check(&[
        (json!({"os": {}}), &["spec.os.name: Required value: cannot be empty"]),
        (
            json!({"os": {"name": "x"}}),
            &["spec.os: Unsupported value: \"x\": supported values: \"linux\", \"windows\""],
        ),
        (
            json!({"os": {"name": "linux"}, "securityContext": {"windowsOptions": {"runAsUserName": "a"}}}),
            &[
                "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod",
            ],
        ),
        (
            json!({"os": {"name": "windows"}, "hostPID": true, "securityContext": {"runAsUser": 1}, "containers": [{"securityContext": {"capabilities": {}}}]}),
            &[
                "spec.hostPID: Forbidden: cannot be set for a windows pod",
                "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod",
                "spec.containers[0].securityContext.capabilities: Forbidden: cannot be set for a windows pod",
            ],
        ),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true, "runAsUserName": "a\\b\\c"}}}),
            &[
                "spec.securityContext.windowsOptions.runAsUserName: Invalid value: \"a\\\\b\\\\c\": runAsUserName cannot contain more than one backslash",
                "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers",
            ],
        ),
        (
            json!({"securityContext": {"windowsOptions": {"runAsUserName": "CORP\\."}}}),
            &[
                "spec.securityContext.windowsOptions.runAsUserName: Invalid value: \"CORP\\\\.\": runAsUserName's User cannot contain only periods or spaces",
            ],
        ),
    ]);
}

#[test]
fn annotations() {
    let annotated =
        |annotations: Value, spec: Value| json!({"metadata": {"annotations": annotations}, "spec": spec});
    let cases: [(Value, &[&str]); 7] = [
        (
            annotated(json!({"kubernetes.io/config.mirror": "x"}), json!({})),
            &[
                "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
            ],
        ),
        (
            annotated(json!({"controller.kubernetes.io/pod-deletion-cost": "+1"}), json!({})),
            &[
                "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": must be a 32bit integer",
            ],
        ),
        (annotated(json!({"controller.kubernetes.io/pod-deletion-cost": "-10"}), json!({})), &[]),
        (
            annotated(json!({"seccomp.security.alpha.kubernetes.io/pod": "x"}), json!({})),
            &[
                "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"x\": must be a valid seccomp profile",
            ],
        ),
        (
            annotated(json!({"container.apparmor.security.beta.kubernetes.io/z": "x"}), json!({})),
            &[
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/z]: Invalid value: \"z\": container not found",
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/z]: Invalid value: \"x\": invalid AppArmor profile name: \"x\"",
            ],
        ),
        (
            annotated(
                json!({"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}),
                json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
            ),
            &[
                "spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match",
            ],
        ),
        (
            annotated(
                json!({"container.apparmor.security.beta.kubernetes.io/c": "localhost/a"}),
                json!({"securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "b"}}}),
            ),
            &[
                "spec.containers[0].securityContext.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match",
            ],
        ),
    ];
    for (patch, expected) in cases {
        compare(&patch, &sentences(&pods().validate_create(&with(&patch))), expected);
    }
}
