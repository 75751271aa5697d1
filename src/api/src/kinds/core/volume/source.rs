//! The places a volume can be, in the order upstream looks at them.

use serde_json::Value;

use crate::field::{Errors, Node};
use crate::names;
use crate::value::{default_to, default_zero_to};

/// One kind of place.
pub(super) struct Source {
    pub(super) field: &'static str,
    /// Fields that must not be empty.
    required: &'static [&'static str],
    /// Rules beside that; the name is the volume's.
    rules: fn(&Node<'_, '_>, &str, &mut Errors),
    /// Since when nothing stands behind it any more; empty for those that work.
    pub(super) gone: &'static str,
}

const fn of(field: &'static str, required: &'static [&'static str]) -> Source {
    Source { field, required, rules: |_, _, _| {}, gone: "" }
}

pub(super) const SOURCES: &[Source] = &[
    Source { rules: host_path, ..of("hostPath", &["path"]) },
    Source { rules: partition, ..of("gcePersistentDisk", &["pdName"]) },
    Source { rules: partition, ..of("awsElasticBlockStore", &["volumeID"]) },
    Source {
        rules: glusterfs,
        gone: "deprecated in v1.25, non-functional in v1.26+",
        ..of("glusterfs", &["endpoints", "path"])
    },
    Source { rules: flocker, ..of("flocker", &[]) },
    Source { rules: nfs, ..of("nfs", &["server", "path"]) },
    Source { gone: "deprecated in v1.28, non-functional in v1.31+", ..of("rbd", &["monitors", "image"]) },
    Source { rules: quobyte, ..of("quobyte", &[]) },
    Source { gone: "deprecated in v1.28, non-functional in v1.31+", ..of("cephfs", &["monitors"]) },
    Source { rules: iscsi, ..of("iscsi", &["targetPortal"]) },
    Source { rules: |cinder, _, errors| secret(cinder, errors), ..of("cinder", &["volumeID"]) },
    Source { rules: fibre_channel, ..of("fc", &[]) },
    Source { rules: flex, ..of("flexVolume", &["driver"]) },
    Source { rules: azure_file, ..of("azureFile", &["secretName", "shareName"]) },
    of("vsphereVolume", &["volumePath"]),
    Source { gone: "deprecated in v1.11, non-functional in v1.16+", ..of("photonPersistentDisk", &["pdID"]) },
    of("portworxVolume", &["volumeID"]),
    Source { rules: azure_disk, ..of("azureDisk", &["diskName", "diskURI"]) },
    Source {
        gone: "deprecated in v1.16, non-functional in v1.22+",
        ..of("scaleIO", &["gateway", "system", "volumeName"])
    },
    Source { rules: |local, _, errors| no_steps_back(&local.at("path"), errors), ..of("local", &["path"]) },
    Source {
        rules: storage_os,
        gone: "deprecated in v1.22, non-functional in v1.25+",
        ..of("storageos", &["volumeName"])
    },
    Source { rules: csi, ..of("csi", &[]) },
];

pub(super) fn defaults(spec: &mut Value) {
    if let Some(source) = spec.get_mut("hostPath") {
        default_to(source, "type", "");
    }
    if let Some(source) = spec.get_mut("iscsi") {
        default_zero_to(source, "iscsiInterface", "default");
    }
    if let Some(source) = spec.get_mut("rbd") {
        for (field, default) in [("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")] {
            default_zero_to(source, field, default);
        }
    }
    if let Some(source) = spec.get_mut("scaleIO") {
        default_zero_to(source, "storageMode", "ThinProvisioned");
        default_zero_to(source, "fsType", "xfs");
    }
    if let Some(source) = spec.get_mut("azureDisk") {
        for (field, default) in [("cachingMode", "ReadWrite"), ("kind", "Shared"), ("fsType", "ext4")] {
            default_to(source, field, default);
        }
        default_to(source, "readOnly", false);
    }
}

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
    (source.rules)(node, volume, errors);
}

fn no_steps_back(path: &Node<'_, '_>, errors: &mut Errors) {
    if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}

fn host_path(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    no_steps_back(&source.at("path"), errors);
    source.at("type").may_be_among(
        &[
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ],
        errors,
    );
}

fn in_range(number: &Node<'_, '_>, errors: &mut Errors) {
    if number.int().is_some_and(|number| !(0..=255).contains(&number)) {
        errors.push(number.invalid(names::range(0, 255)));
    }
}

fn partition(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    in_range(&source.at("partition"), errors);
}

fn glusterfs(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let namespace = source.at("endpointsNamespace");
    match namespace.text() {
        _ if !namespace.is_set() => {}
        "" => errors
            .push(namespace.invalid("if the endpointnamespace is set, it must be a valid namespace name")),
        _ => namespace.check(names::dns_label, errors),
    }
}

fn flocker(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let (name, id) = (source.at("datasetName"), source.at("datasetUUID"));
    match (name.text().is_empty(), id.text().is_empty()) {
        (true, true) => errors.push(source.required("one of datasetName and datasetUUID is required")),
        (false, false) => errors.push(
            source.invalid_as("resource", "datasetName and datasetUUID can not be specified simultaneously"),
        ),
        _ => {}
    }
    if name.text().contains('/') {
        errors.push(name.invalid("must not contain '/'"));
    }
}

fn nfs(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let path = source.at("path");
    if !path.text().starts_with('/') {
        errors.push(path.invalid_as(path.text(), "must be an absolute path"));
    }
}

fn quobyte(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let (registry, tenant) = (source.at("registry"), source.at("tenant"));
    let pairs = "must be a host:port pair or multiple pairs separated by commas";
    let is_pair = |pair: &str| {
        pair.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'))
    };
    if registry.text().is_empty() {
        errors.push(registry.required(pairs));
    } else if tenant.text().len() >= 65 {
        errors.push(tenant.required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        for _ in registry.text().split(',').filter(|pair| !is_pair(pair)) {
            errors.push(registry.invalid(pairs));
        }
    }
    source.at("volume").require(errors);
}

/// `<volume>:<portal>` becomes the name of an interface.
const PORTAL_MAX: usize = 64;

fn iscsi(source: &Node<'_, '_>, volume: &str, errors: &mut Errors) {
    let (portal, name, initiator) = (source.at("targetPortal"), source.at("iqn"), source.at("initiatorName"));
    if initiator.is_set() && volume.len() + 1 + portal.text().len() > PORTAL_MAX {
        errors.push(source.at("targetportal").invalid_as(
            portal.text(),
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
        ));
    }
    if name.must_be_set(errors) && !is_iscsi_name(name.text()) {
        errors.push(name.invalid("must be valid format"));
    }
    in_range(&source.at("lun"), errors);
    let (login, secret) = (
        source.at("chapAuthDiscovery").flag() || source.at("chapAuthSession").flag(),
        source.at("secretRef"),
    );
    if login && !secret.is_set() {
        errors.push(secret.required(""));
    }
    if secret.is_set() {
        secret.at("name").require(errors);
    }
    if initiator.is_set() && !is_iscsi_name(initiator.text()) {
        let known = ["iqn", "eui", "naa"].iter().any(|prefix| initiator.text().starts_with(prefix));
        let sentence = if known {
            "must be valid format"
        } else {
            "must be valid format starting with iqn, eui, or naa"
        };
        errors.push(source.at("initiatorname").invalid_as(initiator.text(), sentence));
    }
}

/// `iqn.2001-04.com.example:disk`, `eui.` and 16 digits, `naa.` and 32.
fn is_iscsi_name(name: &str) -> bool {
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match name.get(..4).zip(name.get(4..)) {
        Some(("eui.", rest)) => digits(rest, 16),
        Some(("naa.", rest)) => digits(rest, 32),
        Some(("iqn.", rest)) => is_qualified(rest),
        _ => false,
    }
}

/// A month, a domain, and after a colon anything that is no separator.
fn is_qualified(name: &str) -> bool {
    let Some((date, name)) = name.split_once('.') else { return false };
    let Some((domain, rest)) = name.split_once(':') else { return false };
    let month =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    date.split_once('-').is_some_and(|(years, months)| month(years, 4) && month(months, 2))
        && !domain.is_empty()
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && !rest.is_empty()
        && !rest.contains([',', ';', '*', '&', '$', '|'])
        && !rest.contains(char::is_whitespace)
}

fn secret(source: &Node<'_, '_>, errors: &mut Errors) {
    let secret = source.at("secretRef");
    if secret.is_set() {
        secret.at("name").require(errors);
        secret.at("namespace").require(errors);
    }
}

fn fibre_channel(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let (targets, ids, lun) = (source.at("targetWWNs"), source.at("wwids"), source.at("lun"));
    match (targets.is_zero(), ids.is_zero()) {
        (true, true) => {
            errors.push(targets.required("must specify either targetWWNs or wwids, but not both"));
        }
        (false, false) => {
            errors.push(targets.invalid("targetWWNs and wwids can not be specified simultaneously"));
        }
        _ => {}
    }
    if !targets.is_zero() {
        match lun.is_set() {
            false => errors.push(lun.required("lun is required if targetWWNs is specified")),
            true => in_range(&lun, errors),
        }
    }
}

fn flex(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    for (key, option) in source.at("options").entries() {
        let namespace = key.split_once('/').map_or(key.as_str(), |(namespace, _)| namespace);
        let normalized = format!(".{}", namespace.to_lowercase());
        if [".kubernetes.io", ".k8s.io"].iter().any(|reserved| normalized.ends_with(reserved)) {
            errors.push(option.invalid_as(key.as_str(), "kubernetes.io and k8s.io namespaces are reserved"));
        }
    }
}

fn azure_file(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let namespace = source.at("secretNamespace");
    if namespace.is_set() {
        namespace.require(errors);
    }
}

fn azure_disk(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    let (kind, uri) = (source.at("kind"), source.at("diskURI"));
    source.at("cachingMode").may_be_among(&["None", "ReadOnly", "ReadWrite"], errors);
    kind.may_be_among(&["Dedicated", "Managed", "Shared"], errors);
    let (prefix, form) = match kind.text() {
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
    };
    if kind.is_set() && !uri.text().starts_with(prefix) {
        errors.push(uri.unsupported(&[form]));
    }
}

fn storage_os(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
    source.at("volumeName").check_given(names::dns_label, errors);
    source.at("volumeNamespace").check_given(names::dns_label, errors);
    secret(source, errors);
}

fn csi(source: &Node<'_, '_>, _: &str, errors: &mut Errors) {
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
