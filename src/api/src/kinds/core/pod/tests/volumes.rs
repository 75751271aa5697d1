//! Volumes, where they come from and where they are mounted.

use serde_json::{Value, json};

use super::check;

/// A spec with one volume of this source.
#[expect(clippy::needless_pass_by_value, reason = "cases read best as literals")]
fn volume(source: Value) -> Value {
    let mut volume = json!({"name": "v"});
    super::lay(&mut volume, &source);
    json!({"volumes": [volume]})
}

#[test]
fn names() {
    check(&[
        (json!({"volumes": [{"name": "v"}]}), &[]),
        (
            json!({"volumes": [{"emptyDir": {}}, {"name": "A"}, {"name": "b"}, {"name": "b"}]}),
            &[
                "spec.volumes[0].name: Required value",
                "spec.volumes[1].name: Invalid value: \"A\": a lowercase RFC 1123 label…",
                "spec.volumes[3].name: Duplicate value: \"b\"",
            ],
        ),
        (
            volume(json!({"hostPath": {"path": "/"}, "emptyDir": {}, "configMap": {"name": "x"}})),
            &[
                "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
                "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type",
            ],
        ),
        (
            json!({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}}}},
            {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}}]}),
            &[
                "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
                "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-v\": must not reference a PVC that gets created for an ephemeral volume",
            ],
        ),
    ]);
}

#[test]
fn sources_of_this_machine() {
    check(&[
        (
            volume(json!({"emptyDir": {"sizeLimit": "-1"}})),
            &[
                "spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",
            ],
        ),
        (
            volume(json!({"hostPath": {"path": "", "type": "x"}})),
            &["spec.volumes[0].hostPath.path: Required value"],
        ),
        (
            volume(json!({"hostPath": {"path": "/a/..", "type": "x"}})),
            &[
                "spec.volumes[0].hostPath.path: Invalid value: \"/a/..\": must not contain '..'",
                "spec.volumes[0].hostPath.type: Unsupported value: \"x\": supported values: \"\", \"BlockDevice\"…",
            ],
        ),
        (
            volume(json!({"secret": {"defaultMode": 512, "items": [{"path": "/../x", "mode": -1}]}})),
            &[
                "spec.volumes[0].secret.secretName: Required value",
                "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
                "spec.volumes[0].secret.items[0].key: Required value",
                "spec.volumes[0].secret.items[0].path: Invalid value: \"/../x\": must be a relative path",
                "spec.volumes[0].secret.items[0].path: Invalid value: \"/../x\": must not contain '..'",
                "spec.volumes[0].secret.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
            ],
        ),
        (
            volume(json!({"configMap": {"items": [{"key": "a", "path": "..a"}]}})),
            &[
                "spec.volumes[0].configMap.name: Required value",
                "spec.volumes[0].configMap.items[0].path: Invalid value: \"..a\": must not start with '..'",
            ],
        ),
        (
            volume(
                json!({"downwardAPI": {"items": [{"path": "a"}, {"path": "b", "fieldRef": {"fieldPath": "spec.nodeName"}}, {"path": "c", "resourceFieldRef": {"resource": "limits.cpu"}}]}}),
            ),
            &[
                "spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
                "spec.volumes[0].downwardAPI.fieldRef.fieldPath: Unsupported value: \"spec.nodeName\": supported values: \"metadata.annotations\"…",
                "spec.volumes[0].downwardAPI.resourceFieldRef.containerName: Required value",
            ],
        ),
        (
            volume(json!({"image": {"pullPolicy": "x"}})),
            &[
                "spec.volumes[0].image.reference: Required value",
                "spec.volumes[0].image.pullPolicy: Unsupported value: \"x\"…",
            ],
        ),
        (
            volume(json!({"csi": {"driver": "A_b", "nodePublishSecretRef": {}}})),
            &[
                "spec.volumes[0].csi.driver: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain…",
                "spec.volumes[0].csi.nodePublishSecretRef.name: Required value",
            ],
        ),
        (
            volume(json!({"ephemeral": {}})),
            &["spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"],
        ),
        (
            volume(json!({"gitRepo": {"directory": "/x"}})),
            &[
                "spec.volumes[0].gitRepo.repository: Required value",
                "spec.volumes[0].gitRepo.directory: Invalid value: \"/x\": must be a relative path",
            ],
        ),
    ]);
}

#[test]
fn sources_elsewhere() {
    check(&[
        (
            volume(json!({"nfs": {}})),
            &[
                "spec.volumes[0].nfs.server: Required value",
                "spec.volumes[0].nfs.path: Required value",
                "spec.volumes[0].nfs.path: Invalid value: \"\": must be an absolute path",
            ],
        ),
        (
            volume(json!({"gcePersistentDisk": {"partition": 256}})),
            &[
                "spec.volumes[0].persistentDisk.pdName: Required value",
                "spec.volumes[0].persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive",
            ],
        ),
        (
            volume(
                json!({"iscsi": {"iqn": "iqn.x", "lun": 256, "chapAuthSession": true, "initiatorName": "x"}}),
            ),
            &[
                "spec.volumes[0].iscsi.targetPortal: Required value",
                "spec.volumes[0].iscsi.iqn: Invalid value: \"iqn.x\": must be valid format",
                "spec.volumes[0].iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
                "spec.volumes[0].iscsi.secretRef: Required value",
                "spec.volumes[0].iscsi.initiatorname: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
            ],
        ),
        (
            volume(
                json!({"iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:storage.disk1", "lun": 0}}),
            ),
            &[],
        ),
        (
            volume(json!({"fc": {}})),
            &[
                "spec.volumes[0].fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both",
            ],
        ),
        (
            volume(json!({"fc": {"targetWWNs": ["a"]}})),
            &["spec.volumes[0].fc.lun: Required value: lun is required if targetWWNs is specified"],
        ),
        (
            volume(json!({"flocker": {}})),
            &["spec.volumes[0].flocker: Required value: one of datasetName and datasetUUID is required"],
        ),
        (
            volume(json!({"flexVolume": {"driver": "x", "options": {"a.K8s.io/b": "c"}}})),
            &[
                "spec.volumes[0].flexVolume.options[a.K8s.io/b]: Invalid value: \"a.K8s.io/b\": kubernetes.io and k8s.io namespaces are reserved",
            ],
        ),
        (
            volume(json!({"azureDisk": {"diskName": "d", "diskURI": "x", "kind": "Managed"}})),
            &[
                "spec.volumes[0].azureDisk.diskURI: Unsupported value: \"x\": supported values: \"/subscriptions/…",
            ],
        ),
        (
            volume(json!({"rbd": {}, "cephfs": {}})),
            &[
                "spec.volumes[0].rbd.monitors: Required value",
                "spec.volumes[0].rbd.image: Required value",
                "spec.volumes[0].cephFS: Forbidden: may not specify more than 1 volume type",
            ],
        ),
        (
            volume(json!({"quobyte": {"registry": "a"}})),
            &[
                "spec.volumes[0].quobyte.registry: Invalid value: \"a\": must be a host:port pair or multiple pairs separated by commas",
                "spec.volumes[0].quobyte.volume: Required value",
            ],
        ),
        (volume(json!({"storageos": {}})), &["spec.volumes[0].storageos.volumeName: Required value"]),
        (
            volume(json!({"cinder": {"secretRef": {}}})),
            &[
                "spec.volumes[0].cinder.volumeID: Required value",
                "spec.volumes[0].cinder.secretRef.name: Required value",
            ],
        ),
    ]);
}

#[test]
fn projections() {
    let sources = |sources: Value| json!({"serviceAccountName": "s", "volumes": [{"name": "v", "projected": {"sources": sources}}]});
    check(&[
        (
            sources(
                json!([{"secret": {"items": [{"key": "a", "path": "x"}]}}, {"configMap": {"name": "c", "items": [{"key": "a", "path": "x"}]}}]),
            ),
            &[
                "spec.volumes[0].projected.sources[0].secret.name: Required value",
                "spec.volumes[0].projected: Invalid value: \"c\": conflicting duplicate paths",
            ],
        ),
        (
            sources(json!([{"secret": {"name": "a"}, "configMap": {"name": "b"}}])),
            &[
                "spec.volumes[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
            ],
        ),
        (
            sources(json!([{"serviceAccountToken": {"expirationSeconds": 1}}])),
            &[
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
                "spec.volumes[0].projected.path: Required value",
            ],
        ),
        (
            sources(json!([{"clusterTrustBundle": {"path": "a"}}])),
            &[
                "spec.volumes[0].projected.sources[0].clusterTrustBundle: Required value: either name or signerName must be specified",
            ],
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "a"}}]}}]}),
            &[
                "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
            ],
        ),
    ]);
}

#[test]
fn mounts_and_devices() {
    let mounts = |mounts: Value| json!({"volumes": [{"name": "v"}, {"name": "i", "image": {"reference": "x"}}], "containers": [{"volumeMounts": mounts}]});
    check(&[
        (mounts(json!([{"name": "v", "mountPath": "/a", "subPath": "b"}])), &[]),
        (
            mounts(
                json!([{}, {"name": "x", "mountPath": "/a"}, {"name": "v", "mountPath": "/a", "subPath": "/..", "subPathExpr": "b"}]),
            ),
            &[
                "spec.containers[0].volumeMounts[0].name: Required value",
                "spec.containers[0].volumeMounts[0].name: Not found: \"\"",
                "spec.containers[0].volumeMounts[0].mountPath: Required value",
                "spec.containers[0].volumeMounts[1].name: Not found: \"x\"",
                "spec.containers[0].volumeMounts[2].mountPath: Invalid value: \"/a\": must be unique",
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"/..\": must be a relative path",
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"/..\": must not contain '..'",
                "spec.containers[0].volumeMounts[2].subPathExpr: Invalid value: \"b\": subPathExpr and subPath are mutually exclusive",
            ],
        ),
        (
            mounts(json!([{"name": "i", "mountPath": "/a", "subPath": "b"}])),
            &[
                "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"b\": not allowed in image volume sources",
            ],
        ),
        (
            mounts(json!([{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}])),
            &[
                "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
            ],
        ),
        (
            mounts(json!([{"name": "v", "mountPath": "/a", "recursiveReadOnly": "Enabled"}])),
            &[
                "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
            ],
        ),
        (
            json!({"volumes": [{"name": "v"}], "containers": [{"volumeDevices": [{"name": "v", "devicePath": "/.."}, {"name": "v"}]}]}),
            &[
                "spec.containers[0].volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                "spec.containers[0].volumeDevices[0].devicePath: Invalid value: \"/..\": can not contain backsteps ('..')",
                "spec.containers[0].volumeDevices[1].name: Invalid value: \"v\": must be unique",
                "spec.containers[0].volumeDevices[1].name: Invalid value: \"v\": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                "spec.containers[0].volumeDevices[1].devicePath: Required value",
            ],
        ),
        (
            json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}], "containers": [{"volumeMounts": [{"name": "v", "mountPath": "/a"}], "volumeDevices": [{"name": "v", "devicePath": "/b"}]}]}),
            &[
                "spec.containers[0].volumeMounts[0].name: Invalid value: \"v\": must not already exist in volumeDevices",
                "spec.containers[0].volumeDevices[0].name: Invalid value: \"v\": must not already exist in volumeMounts",
            ],
        ),
    ]);
}
