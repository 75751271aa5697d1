//! storage.k8s.io: classes and drivers of volumes.

mod attachment;
mod class;
mod driver;

use super::Kind;
use super::entry::{GroupVersion, names};

pub(in crate::kinds) use driver::driver_name;

const V1: GroupVersion = GroupVersion::new("storage.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        strategy: driver::DRIVER,
        table: &driver::DRIVER_TABLE,
        ..V1.cluster(names!("io.k8s.api.storage.v1", CSIDriver, "csidrivers"))
    },
    Kind {
        strategy: driver::NODE,
        table: &driver::NODE_TABLE,
        ..V1.cluster(names!("io.k8s.api.storage.v1", CSINode, "csinodes"))
    },
    Kind {
        strategy: attachment::CAPACITY,
        table: &attachment::CAPACITY_TABLE,
        ..V1.namespaced(names!("io.k8s.api.storage.v1", CSIStorageCapacity, "csistoragecapacities"))
    },
    Kind {
        short_names: &["sc"],
        strategy: class::STORAGE,
        table: &class::STORAGE_TABLE,
        ..V1.cluster(names!("io.k8s.api.storage.v1", StorageClass, "storageclasses"))
    },
    Kind {
        subresources: &[V1.status("VolumeAttachment")],
        strategy: attachment::ATTACHMENT,
        table: &attachment::ATTACHMENT_TABLE,
        ..V1.cluster(names!("io.k8s.api.storage.v1", VolumeAttachment, "volumeattachments"))
    },
    Kind {
        short_names: &["vac"],
        strategy: class::ATTRIBUTES,
        table: &class::ATTRIBUTES_TABLE,
        ..V1.cluster(names!("io.k8s.api.storage.v1", VolumeAttributesClass, "volumeattributesclasses"))
    },
];
