//! Places of volumes that pods name themselves or find in a persistent volume, by the same rules.

use serde_json::Value;

use crate::field::{Errors, Node};
use crate::names;
use crate::value::{default_to, default_zero_to};

/// Defaults of each source that has any, in whatever names it.
pub(in crate::kinds::core) fn defaults(volume: &mut Value) {
    for (field, defaults) in DEFAULTS {
        volume.get_mut(*field).into_iter().for_each(defaults);
    }
}

type SourceDefaults = (&'static str, fn(&mut Value));
const DEFAULTS: &[SourceDefaults] = &[
    ("hostPath", |source| default_to(source, "type", "")),
    ("iscsi", |source| default_zero_to(source, "iscsiInterface", "default")),
    ("rbd", |source| {
        for (field, default) in [("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")] {
            default_zero_to(source, field, default);
        }
    }),
    ("scaleIO", |source| {
        default_zero_to(source, "storageMode", "ThinProvisioned");
        default_zero_to(source, "fsType", "xfs");
    }),
    ("azureDisk", |source| {
        for (field, default) in [("cachingMode", "ReadWrite"), ("kind", "Shared"), ("fsType", "ext4")] {
            default_to(source, field, default);
        }
        default_to(source, "readOnly", false);
    }),
];

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

pub(in crate::kinds::core) fn host_path(source: &Node<'_, '_>, errors: &mut Errors) {
    let path = source.at("path");
    if path.must_be_set(errors) {
        no_backsteps(&path, errors);
        source.at("type").may_be_among(HOST_PATH_TYPES, errors);
    }
}

pub(in crate::kinds::core) fn no_backsteps(path: &Node<'_, '_>, errors: &mut Errors) {
    if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}

pub(in crate::kinds::core) fn nfs(source: &Node<'_, '_>, errors: &mut Errors) {
    let path = source.at("path");
    source.at("server").require(errors);
    path.require(errors);
    if !path.text().starts_with('/') {
        errors.push(path.invalid_as(path.text(), "must be an absolute path"));
    }
}

const BYTE_MAX: i64 = 255;

/// A number of one byte, `least` of which means something.
fn byte(number: &Node<'_, '_>, least: i64, errors: &mut Errors) {
    if !(0..=BYTE_MAX).contains(&number.int().unwrap_or_default()) {
        errors.push(number.invalid(names::range(least, BYTE_MAX)));
    }
}

/// A disk of a cloud, named by `name`, and a partition of it.
pub(in crate::kinds::core) fn disk(disk: &Node<'_, '_>, name: &str, errors: &mut Errors) {
    disk.at(name).require(errors);
    byte(&disk.at("partition"), 1, errors);
}

/// The disk behind a target, and how it is logged in to.
pub(in crate::kinds::core) fn iscsi_disk(source: &Node<'_, '_>, errors: &mut Errors) {
    byte(&source.at("lun"), 0, errors);
    let (secret, discovery) = (source.at("secretRef"), source.at("chapAuthDiscovery"));
    if (discovery.flag() || source.at("chapAuthSession").flag()) && !secret.is_set() {
        errors.push(secret.required(""));
    }
}

pub(in crate::kinds::core) fn iscsi_initiator(source: &Node<'_, '_>, errors: &mut Errors) {
    let initiator = source.at("initiatorName");
    if initiator.is_set() {
        iscsi_name(&initiator.named(source.path.field("initiatorname")), errors);
    }
}

pub(in crate::kinds::core) fn iscsi_name(name: &Node<'_, '_>, errors: &mut Errors) {
    if is_iscsi_name(name.text()) {
        return;
    }
    let known = ["iqn", "eui", "naa"].iter().any(|prefix| name.text().starts_with(prefix));
    let forms = if known { "" } else { " starting with iqn, eui, or naa" };
    errors.push(name.invalid_as(name.text(), format!("must be valid format{forms}")));
}

/// `iqn.2001-04.com.example:disk`, `eui.` and 16 letters, `naa.` and 32.
pub(in crate::kinds::core) fn is_iscsi_name(name: &str) -> bool {
    let alphanumeric = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match name.split_once('.') {
        Some(("eui", rest)) => alphanumeric(rest, 16),
        Some(("naa", rest)) => alphanumeric(rest, 32),
        Some(("iqn", rest)) => is_qualified(rest),
        _ => false,
    }
}

/// A month, a domain, and after a colon anything that is no separator.
fn is_qualified(name: &str) -> bool {
    let Some((date, name)) = name.split_once('.') else { return false };
    let Some((domain, rest)) = name.split_once(':') else { return false };
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    date.split_once('-').is_some_and(|(year, month)| digits(year, 4) && digits(month, 2))
        && !domain.is_empty()
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && !rest.is_empty()
        && !rest.contains([',', ';', '*', '&', '$', '|'])
        && !rest.contains(char::is_whitespace)
}

/// `<volume>:<portal>` becomes the name of an interface, where the initiator has one of its own.
pub(in crate::kinds::core) fn iscsi_interface_fits(
    source: &Node<'_, '_>,
    volume: &str,
) -> Result<(), &'static str> {
    const MAX: usize = 64;
    let length = volume.len() + 1 + source.at("targetPortal").text().len();
    if !source.at("initiatorName").is_set() || length <= MAX {
        return Ok(());
    }
    Err(
        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
    )
}

pub(in crate::kinds::core) fn flocker(source: &Node<'_, '_>, errors: &mut Errors) {
    let name = source.at("datasetName");
    match (name.text().is_empty(), source.at("datasetUUID").text().is_empty()) {
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

const TENANT_MAX: usize = 64;

pub(in crate::kinds::core) fn quobyte(source: &Node<'_, '_>, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let (registry, tenant) = (source.at("registry"), source.at("tenant"));
    if registry.text().is_empty() {
        errors.push(registry.required(PAIRS));
    } else if tenant.text().len() > TENANT_MAX {
        errors.push(tenant.required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        let bad = registry.text().split(',').filter(|pair| !is_host_and_port(pair)).count();
        errors.extend((0..bad).map(|_| registry.invalid(PAIRS)));
    }
    source.at("volume").require(errors);
}

fn is_host_and_port(pair: &str) -> bool {
    match pair.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").is_some_and(|(_, port)| !port.contains(':')),
        None => pair.split_once(':').is_some_and(|(_, port)| !port.contains(':')),
    }
}

pub(in crate::kinds::core) fn fibre_channel(source: &Node<'_, '_>, errors: &mut Errors) {
    let (targets, lun) = (source.at("targetWWNs"), source.at("lun"));
    match (targets.list().is_empty(), source.at("wwids").list().is_empty()) {
        (true, true) => {
            errors.push(targets.required("must specify either targetWWNs or wwids, but not both"));
        }
        (false, false) => {
            errors.push(targets.invalid("targetWWNs and wwids can not be specified simultaneously"));
        }
        _ => {}
    }
    match (targets.list().is_empty(), lun.is_set()) {
        (true, _) => {}
        (false, false) => errors.push(lun.required("lun is required if targetWWNs is specified")),
        (false, true) => byte(&lun, 0, errors),
    }
}

pub(in crate::kinds::core) fn flex(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("driver").require(errors);
    for (key, option) in source.at("options").entries() {
        let domain = key.split_once('/').map_or(key.as_str(), |(domain, _)| domain);
        let domain = format!(".{}", domain.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.push(option.invalid_as(key.as_str(), "kubernetes.io and k8s.io namespaces are reserved"));
        }
    }
}

const MANAGED_DISK: &str =
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const BLOB_DISK: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";

pub(in crate::kinds::core) fn azure_disk(source: &Node<'_, '_>, errors: &mut Errors) {
    let (uri, kind) = (source.at("diskURI"), source.at("kind"));
    source.at("diskName").require(errors);
    uri.require(errors);
    source.at("cachingMode").may_be_among(&["None", "ReadOnly", "ReadWrite"], errors);
    kind.may_be_among(&["Dedicated", "Managed", "Shared"], errors);
    let (prefix, form) = match kind.text() {
        "Managed" => ("/subscriptions/", MANAGED_DISK),
        _ => ("https://", BLOB_DISK),
    };
    if kind.is_set() && !uri.text().starts_with(prefix) {
        errors.push(uri.unsupported(&[form]));
    }
}

pub(in crate::kinds::core) fn storage_os(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("volumeName").must_be(names::dns_label, errors);
    source.at("volumeNamespace").check_given(names::dns_label, errors);
}

/// A secret, told by these of its fields.
pub(in crate::kinds::core) fn secret(source: &Node<'_, '_>, fields: &[&str], errors: &mut Errors) {
    let secret = source.at("secretRef");
    if secret.is_set() {
        fields.iter().for_each(|field| secret.at(field).require(errors));
    }
}
