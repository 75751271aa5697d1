//! The sources of volumes, each with its rules. The order is upstream's: of several sources the first one counts.

use super::super::env::{field_reference, resource_reference};
use super::super::spec::Owner;
use super::{descending_path, items, local_path, mode, projected};
use crate::field::{Errors, Node};
use crate::kinds::core::volume::{claim_spec, plugin};
use crate::kinds::storage::driver_name;
use crate::metadata::{validate_annotations, validate_labels};
use crate::names;

pub(super) enum Rules {
    /// Fields that must not be empty.
    Needs(&'static [&'static str]),
    By(fn(&Node<'_, '_>, &mut Errors)),
}

struct Source {
    field: &'static str,
    /// The name under which upstream tells of mistakes in the source.
    shown: &'static str,
    /// The name under which it refuses the source as one too many.
    refused: &'static str,
    rules: Rules,
}

const fn source(field: &'static str, rules: Rules) -> Source {
    Source { field, shown: field, refused: field, rules }
}

static SOURCES: [Source; 30] = [
    source("emptyDir", Rules::By(empty_dir)),
    source("hostPath", Rules::By(plugin::host_path)),
    source("gitRepo", Rules::By(git_repo)),
    Source {
        shown: "persistentDisk",
        ..source("gcePersistentDisk", Rules::By(|disk, errors| plugin::disk(disk, "pdName", errors)))
    },
    source("awsElasticBlockStore", Rules::By(|disk, errors| plugin::disk(disk, "volumeID", errors))),
    source("secret", Rules::By(|source, errors| files(source, "secretName", errors))),
    source("nfs", Rules::By(plugin::nfs)),
    source("iscsi", Rules::By(iscsi)),
    source("glusterfs", Rules::Needs(&["endpoints", "path"])),
    source("flocker", Rules::By(plugin::flocker)),
    source("persistentVolumeClaim", Rules::Needs(&["claimName"])),
    source("rbd", Rules::Needs(&["monitors", "image"])),
    source("cinder", Rules::By(cinder)),
    Source { refused: "cephFS", ..source("cephfs", Rules::Needs(&["monitors"])) },
    source("quobyte", Rules::By(plugin::quobyte)),
    Source { refused: "downwarAPI", ..source("downwardAPI", Rules::By(downward)) },
    source("fc", Rules::By(plugin::fibre_channel)),
    source("flexVolume", Rules::By(plugin::flex)),
    source("configMap", Rules::By(|source, errors| files(source, "name", errors))),
    source("azureFile", Rules::Needs(&["secretName", "shareName"])),
    source("vsphereVolume", Rules::Needs(&["volumePath"])),
    source("photonPersistentDisk", Rules::Needs(&["pdID"])),
    source("portworxVolume", Rules::Needs(&["volumeID"])),
    source("azureDisk", Rules::By(plugin::azure_disk)),
    source("storageos", Rules::By(storage_os)),
    source("projected", Rules::By(projected::validate)),
    source("scaleIO", Rules::Needs(&["gateway", "system", "volumeName"])),
    source("csi", Rules::By(csi)),
    source("ephemeral", Rules::By(ephemeral)),
    source(
        "image",
        Rules::By(|image, errors| {
            image.at("pullPolicy").must_be_among(&["Always", "IfNotPresent", "Never"], errors);
        }),
    ),
];

/// A volume has exactly one source.
pub(super) fn validate(volume: &Node<'_, '_>, owner: Owner<'_>, errors: &mut Errors) {
    let mut taken = false;
    for source in SOURCES.iter().filter(|source| volume.at(source.field).is_set()) {
        if std::mem::replace(&mut taken, true) {
            errors.push(volume.at(source.refused).forbidden("may not specify more than 1 volume type"));
        } else {
            only(volume, source, owner, errors);
        }
    }
    if !taken {
        errors.push(volume.required("must specify a volume type"));
    }
}

fn only(volume: &Node<'_, '_>, source: &Source, owner: Owner<'_>, errors: &mut Errors) {
    let value = volume.at(source.field);
    let shown = value.named(volume.path.field(source.shown));
    if let ("image", Owner::Pod(_)) = (source.field, owner) {
        shown.at("reference").require(errors);
    }
    match source.rules {
        Rules::Needs(fields) => fields.iter().for_each(|field| shown.at(field).require(errors)),
        Rules::By(rules) => rules(&shown, errors),
    }
    match (source.field, owner) {
        ("iscsi", _) => interface_fits(volume, errors),
        ("ephemeral", Owner::Pod(pod)) => claim_name(&volume.at("name"), pod, errors),
        _ => {}
    }
}

/// The claim that is made for the volume is named after the pod and the volume.
fn claim_name(name: &Node<'_, '_>, pod: &str, errors: &mut Errors) {
    if pod.is_empty() || name.text().is_empty() {
        return;
    }
    let claim = format!("{pod}-{}", name.text());
    for problem in names::subdomain(&claim) {
        errors.push(name.invalid(format!("PVC name {claim:?}: {problem}")));
    }
}

fn empty_dir(source: &Node<'_, '_>, errors: &mut Errors) {
    let limit = source.at("sizeLimit");
    if super::super::resources::parse(limit.value).is_some_and(crate::quantity::Quantity::is_negative) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn iscsi(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("targetPortal").require(errors);
    let target = source.at("iqn");
    if target.must_be_set(errors) {
        plugin::iscsi_name(&target, errors);
    }
    plugin::iscsi_disk(source, errors);
    plugin::iscsi_initiator(source, errors);
}

/// With an initiator of its own, the session is named after the volume and the portal.
fn interface_fits(volume: &Node<'_, '_>, errors: &mut Errors) {
    let name = volume.at("name");
    if let Err(sentence) = plugin::iscsi_interface_fits(&volume.at("iscsi"), name.text()) {
        errors.push(name.invalid_as(name.text(), sentence));
    }
}

fn cinder(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("volumeID").require(errors);
    plugin::secret(source, &["name"], errors);
}

fn storage_os(source: &Node<'_, '_>, errors: &mut Errors) {
    plugin::storage_os(source, errors);
    plugin::secret(source, &["name"], errors);
}

fn git_repo(source: &Node<'_, '_>, errors: &mut Errors) {
    source.at("repository").require(errors);
    descending_path(&source.at("directory"), errors);
}

fn files(source: &Node<'_, '_>, name: &str, errors: &mut Errors) {
    source.at(name).require(errors);
    mode(&source.at("defaultMode"), errors);
    items(&source.at("items"), errors);
}

/// Fields of the pod that a downward-API file may show.
const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

fn downward(source: &Node<'_, '_>, errors: &mut Errors) {
    mode(&source.at("defaultMode"), errors);
    for item in source.at("items").items() {
        downward_file(&item.named(source.path), errors);
    }
}

/// One file; upstream does not say which.
pub(super) fn downward_file(file: &Node<'_, '_>, errors: &mut Errors) {
    file.at("path").require(errors);
    local_path(&file.at("path"), errors);
    let (field, resource) = (file.at("fieldRef"), file.at("resourceFieldRef"));
    match (field.is_set(), resource.is_set()) {
        (true, both) => {
            field_reference(&field, FILE_FIELDS, errors);
            if both {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(file.invalid_as("resource", detail));
            }
        }
        (false, true) => resource_reference(&resource, true, errors),
        (false, false) => errors.push(file.required("one of fieldRef and resourceFieldRef is required")),
    }
    mode(&file.at("mode"), errors);
}

fn csi(source: &Node<'_, '_>, errors: &mut Errors) {
    driver_name(&source.at("driver"), errors);
    let secret = source.at("nodePublishSecretRef");
    if secret.is_set() {
        let name = secret.at("name");
        match name.text() {
            "" => errors.push(name.required("")),
            _ => name.named(source.path.field("name")).check(names::subdomain, errors),
        }
    }
}

/// What the metadata of a claim that is yet to be made cannot say.
const UNSAID: [&str; 13] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

fn ephemeral(source: &Node<'_, '_>, errors: &mut Errors) {
    let template = source.at("volumeClaimTemplate");
    if !template.is_set() {
        return errors.push(template.required(""));
    }
    let metadata = template.at("metadata");
    validate_annotations(&metadata.at("annotations"), errors);
    validate_labels(&metadata.at("labels"), errors);
    for field in UNSAID.map(|field| metadata.at(field)).iter().filter(|field| !field.is_zero()) {
        errors.push(field.forbidden("cannot be set"));
    }
    claim_spec(&template.at("spec"), errors);
}
