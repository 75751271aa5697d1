//! What is found in volumes and claims, one line a case.

use serde_json::{Value, json};

use crate::field::said::sentences;
use crate::field::{Errors, Node};
use crate::kinds::{Kind, Part, by_resource};

fn claims() -> &'static Kind {
    by_resource("", "v1", "persistentvolumeclaims").unwrap()
}

fn merged(base: &Value, change: &Value) -> Value {
    crate::patch::merge(base.clone(), change).unwrap()
}

#[test]
fn what_a_claim_must_say() {
    let good = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let found = |change: Value| {
        let mut errors = Errors::new();
        super::claim::spec(&Node::root(&merged(&good, &change)), &mut errors);
        sentences(&errors)
    };
    let snapshot = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"});
    for (change, expected) in [
        (json!({}), &[][..]),
        (json!({"dataSource": snapshot, "dataSourceRef": snapshot}), &[]),
        (json!({"accessModes": []}), &["accessModes: Required value: at least 1 access mode is required"]),
        (
            json!({"accessModes": ["Mine"]}),
            &[
                "accessModes: Unsupported value: \"Mine\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            ],
        ),
        (
            json!({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}),
            &["accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
        ),
        (json!({"resources": null}), &["resources[storage]: Required value"]),
        (
            json!({"resources": {"requests": {"storage": "0"}}}),
            &["resources[storage]: Invalid value: \"0\": must be greater than zero"],
        ),
        (
            json!({"volumeMode": "Tape"}),
            &["volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\""],
        ),
        (
            json!({"dataSource": {"kind": "Other"}}),
            &[
                "dataSource.name: Required value",
                "dataSource: Invalid value: \"Other\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            ],
        ),
    ] {
        assert_eq!(found(change.clone()), expected, "{change}");
    }
    let unlike = found(
        json!({"dataSource": snapshot, "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "x"}}),
    );
    assert!(unlike[0].ends_with("must match dataSourceRef"), "{unlike:?}");
}

#[test]
fn sources_are_filled_in_from_each_other() {
    let mut claim = json!({"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "a"}}});
    super::claim::create(&mut claim);
    assert_eq!(claim["spec"]["dataSourceRef"], claim["spec"]["dataSource"]);
    let mut claim = json!({"spec": {"dataSource": {"kind": "Odd", "apiGroup": "a.b", "name": "a"}}});
    super::claim::create(&mut claim);
    assert_eq!(claim["spec"], json!({}), "what the field never took is left out");
}

#[test]
fn what_may_change_about_a_claim() {
    let old = json!({"metadata": {"name": "a", "namespace": "b"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem", "storageClassName": "s", "volumeName": "v", "volumeAttributesClassName": "c",
        "resources": {"requests": {"storage": "2Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    let updated = |was: &Value, change: Value| {
        sentences(&claims().validate_update(&merged(was, &change), was, Part::Main))
    };
    let fixed = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    let asks = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
    for (change, expected) in [
        (asks("3Gi"), &[][..]),
        (asks("1.5Gi"), &[]),
        (
            asks("1Gi"),
            &["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
        ),
        (json!({"spec": {"volumeAttributesClassName": "d"}}), &[]),
        (
            json!({"spec": {"volumeAttributesClassName": ""}}),
            &[
                "spec.volumeAttributesClassName: Forbidden: update from non-nil value to an empty string is forbidden",
            ],
        ),
        (json!({"spec": {"volumeName": "w"}}), &[fixed]),
        (json!({"spec": {"storageClassName": "t"}}), &[fixed]),
        (json!({"spec": {"resources": {"limits": {"storage": "9Gi"}}}}), &[fixed]),
        (
            json!({"spec": {"volumeMode": "Block"}}),
            &[fixed, "volumeMode: Invalid value: \"Block\": field is immutable"],
        ),
    ] {
        assert_eq!(updated(&old, change.clone()), expected, "{change}");
    }
    let pending = merged(
        &old,
        &json!({"status": {"phase": "Pending"}, "spec": {"volumeName": null, "storageClassName": null}}),
    );
    assert_eq!(updated(&pending, json!({"spec": {"volumeName": "w", "storageClassName": "s"}})), [""; 0]);
    assert_eq!(updated(&pending, asks("3Gi")), [fixed], "only what is bound can grow");
}

#[test]
fn what_a_volume_must_say() {
    let good = json!({"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}});
    let found = |change: Value| {
        let mut object = merged(&good, &change);
        (super::VOLUME.defaults)(&mut object);
        let mut errors = Errors::new();
        super::persistent::volume(&Node::root(&object), &mut errors);
        sentences(&errors)
    };
    let at = |source: Value| merged(&json!({"spec": {"hostPath": null}}), &json!({"spec": source}));
    for (change, expected) in [
        (json!({}), &[][..]),
        (json!({"spec": {"accessModes": []}}), &["spec.accessModes: Required value"]),
        (
            json!({"spec": {"capacity": {"storage": null}}}),
            &[
                "spec.capacity: Required value",
                "spec.capacity: Unsupported value: {}: supported values: \"storage\"",
            ],
        ),
        (
            json!({"spec": {"capacity": {"storage": "-1"}}}),
            &[
                "spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                "spec.capacity[storage]: Invalid value: \"-1\": must be greater than zero",
            ],
        ),
        (
            json!({"spec": {"persistentVolumeReclaimPolicy": "Burn"}}),
            &[
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Burn\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
            ],
        ),
        (json!({"spec": {"nfs": {}}}), &["spec.nfs: Forbidden: may not specify more than 1 volume type"]),
        (at(json!({})), &["spec: Required value: must specify a volume type"]),
        (
            at(json!({"nfs": {"server": "s", "path": "x"}})),
            &["spec.nfs.path: Invalid value: \"x\": must be an absolute path"],
        ),
        (
            at(json!({"hostPath": {"path": "/a/../b"}})),
            &["spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
        ),
        (
            json!({"spec": {"hostPath": {"path": "/./"}, "persistentVolumeReclaimPolicy": "Recycle"}}),
            &[
                "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
            ],
        ),
        (
            at(json!({"local": {"path": "/d"}})),
            &["spec.nodeAffinity: Required value: Local volume requires node affinity"],
        ),
        (
            at(json!({"csi": {"driver": "", "nodePublishSecretRef": {"name": "n"}}})),
            &[
                "spec.csi.driver: Required value",
                "spec.csi.driver: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                "spec.csi.volumeHandle: Required value",
                "spec.csi.nodePublishSecretRef.namespace: Required value",
            ],
        ),
        (
            at(json!({"iscsi": {"targetPortal": "p", "iqn": "iqn.2001-04.com.example:a", "lun": 256}})),
            &["spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive"],
        ),
        (
            at(json!({"iscsi": {"targetPortal": "p", "iqn": "x"}})),
            &["spec.iscsi.iqn: Invalid value: \"x\": must be valid format"],
        ),
        (
            at(json!({"fc": {"targetWWNs": ["a"]}})),
            &["spec.fc.lun: Required value: lun is required if targetWWNs is specified"],
        ),
        (
            json!({"spec": {"volumeAttributesClassName": ""}}),
            &[
                "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
                "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
            ],
        ),
        (
            json!({"spec": {"nodeAffinity": {}}}),
            &["spec.nodeAffinity.required: Required value: must specify required node constraints"],
        ),
    ] {
        assert_eq!(found(change.clone()), expected, "{change}");
    }
}

#[test]
fn a_volume_stays_where_it_is() {
    let old = json!({"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
        "volumeMode": "Filesystem", "csi": {"driver": "d.e", "volumeHandle": "h"}}});
    let updated = |change: Value| {
        let kind = by_resource("", "v1", "persistentvolumes").unwrap();
        sentences(&kind.validate_update(&merged(&old, &change), &old, Part::Main))
    };
    let secret = json!({"spec": {"csi": {"controllerExpandSecretRef": {"name": "a", "namespace": "b"}}}});
    assert_eq!(updated(secret), [""; 0]);
    assert_eq!(
        updated(json!({"spec": {"csi": {"volumeHandle": "i"}}})),
        ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"]
    );
    assert_eq!(
        updated(json!({"spec": {"volumeMode": "Block"}})),
        ["volumeMode: Invalid value: \"Block\": field is immutable"]
    );
}

#[test]
fn warned_of() {
    let volume = json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "x"}},
        "spec": {"persistentVolumeReclaimPolicy": "Recycle", "rbd": {}, "capacity": {"storage": "500m"}}});
    assert_eq!(
        super::persistent::warnings(&volume, None),
        [
            "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \"storageClassName\" attribute instead",
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
            "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
            "spec.capacity[storage]: fractional byte value \"500m\" is invalid, must be an integer",
        ]
    );
}

#[test]
fn a_volume_says_since_when_it_is_in_its_phase() {
    let now = "2026-01-02T03:04:05.6Z".parse().unwrap();
    let status = |phase: &str, since: Option<&str>| {
        let mut status = json!({"phase": phase});
        since.into_iter().for_each(|since| status["lastPhaseTransitionTime"] = since.into());
        json!({"status": status})
    };
    let old = status("Available", Some("then"));
    for (sent, expected) in [
        (status("Available", None), "then"),
        (status("Available", Some("later")), "later"),
        (status("Bound", None), "2026-01-02T03:04:05Z"),
        (status("Bound", Some("then")), "2026-01-02T03:04:05Z"),
        (status("Bound", Some("later")), "later"),
    ] {
        let mut new = sent.clone();
        super::persistent::note_phase(&mut new, &old, now);
        assert_eq!(new["status"]["lastPhaseTransitionTime"], expected, "{sent}");
    }
}
