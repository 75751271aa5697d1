//! Claims and volumes that are deleted while somebody uses them.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use serde_json::json;

use crate::cluster::{Cluster, pod_spec};

#[tokio::test]
async fn what_pods_use_outlives_its_deletion() {
    let cluster = Cluster::start().await;
    let storage = json!({"storage": "1Gi"});
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": storage}});
    for name in ["used", "free"] {
        cluster.create::<PersistentVolumeClaim>(json!({"metadata": {"name": name}, "spec": claim})).await;
    }
    let mut spec = pod_spec();
    spec["nodeName"] = "node".into();
    spec["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "used"}}]);
    cluster.create::<Pod>(json!({"metadata": {"name": "db"}, "spec": spec})).await;
    cluster.until_all::<Pod>(|pods| pods.len() == 1).await;
    cluster.delete::<PersistentVolumeClaim>("used", "Background").await;
    cluster.delete::<PersistentVolumeClaim>("free", "Background").await;
    cluster.gone::<PersistentVolumeClaim>("free").await;
    let used = cluster.until::<PersistentVolumeClaim>("used", |claim| claim.is_some()).await.unwrap();
    assert!(used.metadata.deletion_timestamp.is_some());
    cluster.remove("db").await;
    cluster.gone::<PersistentVolumeClaim>("used").await;
}

#[tokio::test]
async fn a_volume_goes_unless_it_is_bound() {
    let cluster = Cluster::start().await;
    let spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}});
    cluster.create::<PersistentVolume>(json!({"metadata": {"name": "disk"}, "spec": spec})).await;
    cluster.set_status::<PersistentVolume>("disk", json!({"phase": "Bound"})).await;
    cluster.delete::<PersistentVolume>("disk", "Background").await;
    cluster.set_status::<PersistentVolume>("disk", json!({"phase": "Released"})).await;
    cluster.gone::<PersistentVolume>("disk").await;
}

#[tokio::test]
async fn a_class_of_attributes_goes_when_no_claim_and_no_volume_has_it() {
    let cluster = Cluster::start().await;
    for name in ["free", "claimed", "had"] {
        let class = json!({"metadata": {"name": name}, "driverName": "disks.example.com", "parameters": {"iops": "1"}});
        cluster.create::<VolumeAttributesClass>(class).await;
    }
    let claim = json!({
        "accessModes": ["ReadWriteOnce"], "volumeAttributesClassName": "claimed",
        "resources": {"requests": {"storage": "1Gi"}},
    });
    cluster.create::<PersistentVolumeClaim>(json!({"metadata": {"name": "data"}, "spec": claim})).await;
    let disk = json!({
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "volumeAttributesClassName": "had",
        "csi": {"driver": "disks.example.com", "volumeHandle": "1"},
    });
    cluster.create::<PersistentVolume>(json!({"metadata": {"name": "disk"}, "spec": disk})).await;
    for name in ["claimed", "had", "free"] {
        cluster.delete::<VolumeAttributesClass>(name, "Background").await;
    }
    cluster.gone::<VolumeAttributesClass>("free").await;
    for name in ["claimed", "had"] {
        let used = cluster.until::<VolumeAttributesClass>(name, |class| class.is_some()).await.unwrap();
        assert!(used.metadata.deletion_timestamp.is_some(), "{name}");
    }
    cluster.delete::<PersistentVolumeClaim>("data", "Background").await;
    cluster.gone::<VolumeAttributesClass>("claimed").await;
    cluster.delete::<PersistentVolume>("disk", "Background").await;
    cluster.gone::<VolumeAttributesClass>("had").await;
}
