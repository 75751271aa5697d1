//! storage.k8s.io: classes and drivers of volumes.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("storage.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    V1.cluster(names!("io.k8s.api.storage.v1", CSIDriver, "csidrivers")),
    V1.cluster(names!("io.k8s.api.storage.v1", CSINode, "csinodes")),
    V1.namespaced(names!("io.k8s.api.storage.v1", CSIStorageCapacity, "csistoragecapacities")),
    Kind {
        short_names: &["sc"],
        ..V1.cluster(names!("io.k8s.api.storage.v1", StorageClass, "storageclasses"))
    },
    Kind {
        subresources: &[V1.status("VolumeAttachment")],
        ..V1.cluster(names!("io.k8s.api.storage.v1", VolumeAttachment, "volumeattachments"))
    },
    Kind {
        short_names: &["vac"],
        ..V1.cluster(names!("io.k8s.api.storage.v1", VolumeAttributesClass, "volumeattributesclasses"))
    },
];
