//! The places a volume can be, in the order upstream looks at them.

use super::plugin;
use crate::field::{Errors, Node};
use crate::names;

/// One kind of place.
pub(super) struct Source {
    pub(super) field: &'static str,
    /// Fields that must not be empty.
    required: &'static [&'static str],
    /// Rules beside that.
    rules: Rules,
    /// Since when nothing stands behind it any more; empty for those that work.
    pub(super) gone: &'static str,
}

enum Rules {
    By(fn(&Node<'_, '_>, &mut Errors)),
    /// Those that go by the name of the volume, too.
    Named(fn(&Node<'_, '_>, &str, &mut Errors)),
}

const fn of(field: &'static str, required: &'static [&'static str]) -> Source {
    Source { field, required, rules: Rules::By(|_, _| {}), gone: "" }
}

const fn shared(field: &'static str, rules: fn(&Node<'_, '_>, &mut Errors)) -> Source {
    Source { rules: Rules::By(rules), ..of(field, &[]) }
}

pub(super) const SOURCES: &[Source] = &[
    shared("hostPath", plugin::host_path),
    shared("gcePersistentDisk", |disk, errors| plugin::disk(disk, "pdName", errors)),
    shared("awsElasticBlockStore", |disk, errors| plugin::disk(disk, "volumeID", errors)),
    Source {
        rules: Rules::By(glusterfs),
        gone: "deprecated in v1.25, non-functional in v1.26+",
        ..of("glusterfs", &["endpoints", "path"])
    },
    shared("flocker", plugin::flocker),
    shared("nfs", plugin::nfs),
    Source { gone: "deprecated in v1.28, non-functional in v1.31+", ..of("rbd", &["monitors", "image"]) },
    shared("quobyte", plugin::quobyte),
    Source { gone: "deprecated in v1.28, non-functional in v1.31+", ..of("cephfs", &["monitors"]) },
    Source { rules: Rules::Named(iscsi), ..of("iscsi", &[]) },
    Source { rules: Rules::By(secret), ..of("cinder", &["volumeID"]) },
    shared("fc", plugin::fibre_channel),
    shared("flexVolume", plugin::flex),
    Source { rules: Rules::By(azure_file), ..of("azureFile", &["secretName", "shareName"]) },
    of("vsphereVolume", &["volumePath"]),
    Source { gone: "deprecated in v1.11, non-functional in v1.16+", ..of("photonPersistentDisk", &["pdID"]) },
    of("portworxVolume", &["volumeID"]),
    shared("azureDisk", plugin::azure_disk),
    Source {
        gone: "deprecated in v1.16, non-functional in v1.22+",
        ..of("scaleIO", &["gateway", "system", "volumeName"])
    },
    Source {
        rules: Rules::By(|local, errors| plugin::no_backsteps(&local.at("path"), errors)),
        ..of("local", &["path"])
    },
    Source {
        gone: "deprecated in v1.22, non-functional in v1.25+",
        ..shared("storageos", |source, errors| {
            plugin::storage_os(source, errors);
            secret(source, errors);
        })
    },
    shared("csi", csi),
];

/// A volume is in one place.
pub(super) fn one(spec: &Node<'_, '_>, volume: &str, errors: &mut Errors) {
    let mut found = false;
    for source in SOURCES {
        let node = spec.at(source.field);
        match (node.is_set(), found) {
            (false, _) => {}
            (true, true) if source.field != "flexVolume" => {
                errors.push(node.forbidden("may not specify more than 1 volume type"));
            }
            (true, _) => {
                found = true;
                rules(source, &node, volume, errors);
                if source.field == "local" && !spec.at("nodeAffinity").is_set() {
                    errors.push(spec.at("nodeAffinity").required("Local volume requires node affinity"));
                }
            }
        }
    }
    if !found {
        errors.push(spec.required("must specify a volume type"));
    }
}

fn rules(source: &Source, node: &Node<'_, '_>, volume: &str, errors: &mut Errors) {
    for field in source.required {
        node.at(field).require(errors);
    }
    match source.rules {
        Rules::By(rules) => rules(node, errors),
        Rules::Named(rules) => rules(node, volume, errors),
    }
}

fn glusterfs(source: &Node<'_, '_>, errors: &mut Errors) {
    let namespace = source.at("endpointsNamespace");
    match namespace.text() {
        _ if !namespace.is_set() => {}
        "" => errors
            .push(namespace.invalid("if the endpointnamespace is set, it must be a valid namespace name")),
        _ => namespace.check(names::dns_label, errors),
    }
}

/// Whose secret it is must be said: a persistent volume is in no namespace.
fn secret(source: &Node<'_, '_>, errors: &mut Errors) {
    plugin::secret(source, &["name", "namespace"], errors);
}

fn iscsi(source: &Node<'_, '_>, volume: &str, errors: &mut Errors) {
    let (portal, name) = (source.at("targetPortal"), source.at("iqn"));
    portal.require(errors);
    if let Err(sentence) = plugin::iscsi_interface_fits(source, volume) {
        errors.push(source.at("targetportal").invalid_as(portal.text(), sentence));
    }
    if name.must_be_set(errors) && !plugin::is_iscsi_name(name.text()) {
        errors.push(name.invalid("must be valid format"));
    }
    plugin::iscsi_disk(source, errors);
    plugin::secret(source, &["name"], errors);
    plugin::iscsi_initiator(source, errors);
}

fn azure_file(source: &Node<'_, '_>, errors: &mut Errors) {
    let namespace = source.at("secretNamespace");
    if namespace.is_set() {
        namespace.require(errors);
    }
}

fn csi(source: &Node<'_, '_>, errors: &mut Errors) {
    crate::kinds::storage::driver_name(&source.at("driver"), errors);
    source.at("volumeHandle").require(errors);
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let secret = source.at(field);
        if secret.is_set() {
            secret.at("name").must_be(names::subdomain, errors);
            secret.at("namespace").must_be(names::dns_label, errors);
        }
    }
}
