//! Sources that need a disk, a server or a driver outside of the cluster.

use crate::field::{Errors, Node};
use crate::names;

const PARTITION_MAX: i64 = 255;
const LUN_MAX: i64 = 255;

fn is_byte(number: &Node<'_, '_>, max: i64) -> bool {
    (0..=max).contains(&number.int().unwrap_or_default())
}

/// A disk of a cloud, named by `name`, and a partition of it.
pub(super) fn disk(disk: &Node<'_, '_>, name: &str, errors: &mut Errors) {
    disk.at(name).require(errors);
    let partition = disk.at("partition");
    if !is_byte(&partition, PARTITION_MAX) {
        errors.push(partition.invalid(names::range(1, PARTITION_MAX)));
    }
}

pub(super) fn iscsi(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("targetPortal").require(errors);
    let (target, lun, secret) = (source.at("iqn"), source.at("lun"), source.at("secretRef"));
    match target.text() {
        "" => errors.push(target.required("")),
        _ => qualified(&target, errors),
    }
    if !is_byte(&lun, LUN_MAX) {
        errors.push(lun.invalid(names::range(0, LUN_MAX)));
    }
    let authenticates = source.at("chapAuthDiscovery").flag() || source.at("chapAuthSession").flag();
    if authenticates && !secret.is_set() {
        errors.push(secret.required(""));
    }
    let initiator = source.at("initiatorName");
    if initiator.is_set() {
        qualified(&initiator.named(source.path.field("initiatorname")), errors);
    }
}

/// `iqn.2001-04.com.example:disk`, `eui.` and 16 letters, `naa.` and 32.
fn qualified(name: &Node<'_, '_>, errors: &mut Errors) {
    let alphanumeric = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let after = |prefix: &str| name.text().strip_prefix(prefix).and_then(|rest| rest.get(1..));
    let good = match name.text().get(..3) {
        Some("iqn") => is_iqn(name.text()),
        Some("eui") => after("eui").is_some_and(|rest| alphanumeric(rest, 16)),
        Some("naa") => after("naa").is_some_and(|rest| alphanumeric(rest, 32)),
        _ => {
            let detail = "must be valid format starting with iqn, eui, or naa";
            return errors.push(name.invalid_as(name.text(), detail));
        }
    };
    if !good {
        errors.push(name.invalid("must be valid format"));
    }
}

/// `iqn.YEAR-MONTH.DOMAIN:NAME`
fn is_iqn(name: &str) -> bool {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((authority, rest)) = name.strip_prefix("iqn.").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let mut parts = authority.splitn(2, '.');
    let (date, domain) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let dated = date.split_once('-').is_some_and(|(year, month)| digits(year, 4) && digits(month, 2));
    let spelled = domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let plain = |letter: char| !letter.is_whitespace() && !",;*&$|".contains(letter);
    dated && !domain.is_empty() && spelled && !rest.is_empty() && rest.chars().all(plain)
}

const INITIATOR_MAX: usize = 64;

/// With an initiator of its own, the session is named after the volume and the portal.
pub(super) fn initiator_fits(volume: &Node<'_, '_>, errors: &mut Errors) {
    let (name, source) = (volume.at("name"), volume.at("iscsi"));
    let length = name.text().len() + 1 + source.at("targetPortal").text().len();
    if source.at("initiatorName").is_set() && length > INITIATOR_MAX {
        errors.push(name.invalid_as(
            name.text(),
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
        ));
    }
}

pub(super) fn flocker(source: &Node<'_, '_>, errors: &mut Errors) {
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

pub(super) fn cinder(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("volumeID").require(errors);
    secret(source, errors);
}

fn secret(source: &Node<'_, '_>, errors: &mut Errors) {
    if source.at("secretRef").is_set() {
        source.at("secretRef.name").require(errors);
    }
}

const TENANT_MAX: usize = 64;

pub(super) fn quobyte(source: &Node<'_, '_>, errors: &mut Errors) {
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
        Some(rest) => rest.split_once("]:").is_some(),
        None => pair.split_once(':').is_some_and(|(_, port)| !port.contains(':')),
    }
}

pub(super) fn fibre_channel(source: &Node<'_, '_>, errors: &mut Errors) {
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
    if targets.list().is_empty() {
        return;
    }
    if !lun.is_set() {
        errors.push(lun.required("lun is required if targetWWNs is specified"));
    } else if !is_byte(&lun, LUN_MAX) {
        errors.push(lun.invalid(names::range(0, LUN_MAX)));
    }
}

pub(super) fn flex(source: &Node<'_, '_>, errors: &mut Errors) {
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

pub(super) fn azure_disk(source: &Node<'_, '_>, errors: &mut Errors) {
    let (uri, kind, caching) = (source.at("diskURI"), source.at("kind"), source.at("cachingMode"));
    source.at("diskName").require(errors);
    uri.require(errors);
    super::super::spec::optional(&caching, &["None", "ReadOnly", "ReadWrite"], errors);
    super::super::spec::optional(&kind, &["Dedicated", "Managed", "Shared"], errors);
    match kind.text() {
        "Managed" if !uri.text().starts_with("/subscriptions/") => {
            errors.push(uri.unsupported(&[MANAGED_DISK]));
        }
        "Managed" => {}
        _ if kind.is_set() && !uri.text().starts_with("https://") => {
            errors.push(uri.unsupported(&[BLOB_DISK]));
        }
        _ => {}
    }
}

pub(super) fn storage_os(source: &Node<'_, '_>, errors: &mut Errors) {
    let name = source.at("volumeName");
    match name.text() {
        "" => errors.push(name.required("")),
        _ => name.check(names::dns_label, errors),
    }
    source.at("volumeNamespace").check_given(names::dns_label, errors);
    secret(source, errors);
}
