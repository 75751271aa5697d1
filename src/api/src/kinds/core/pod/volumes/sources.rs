//! The sources of volumes, each with its rules. The order is upstream's: of several sources the first one counts.

use super::super::env::{field_reference, resource_reference};
use super::super::spec::{Owner, choice, one_of};
use super::{descending_path, items, local_path, mode, no_backsteps, plugins, projected};
use crate::field::{Errors, Node};
use crate::kinds::core::volume::claim_spec;
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
    source("hostPath", Rules::By(host_path)),
    source("gitRepo", Rules::By(git_repo)),
    Source {
        shown: "persistentDisk",
        ..source("gcePersistentDisk", Rules::By(|disk, errors| plugins::disk(disk, "pdName", errors)))
    },
    source("awsElasticBlockStore", Rules::By(|disk, errors| plugins::disk(disk, "volumeID", errors))),
    source("secret", Rules::By(|source, errors| files(source, "secretName", errors))),
    source("nfs", Rules::By(nfs)),
    source("iscsi", Rules::By(plugins::iscsi)),
    source("glusterfs", Rules::Needs(&["endpoints", "path"])),
    source("flocker", Rules::By(plugins::flocker)),
    source("persistentVolumeClaim", Rules::Needs(&["claimName"])),
    source("rbd", Rules::Needs(&["monitors", "image"])),
    source("cinder", Rules::By(plugins::cinder)),
    Source { refused: "cephFS", ..source("cephfs", Rules::Needs(&["monitors"])) },
    source("quobyte", Rules::By(plugins::quobyte)),
    Source { refused: "downwarAPI", ..source("downwardAPI", Rules::By(downward)) },
    source("fc", Rules::By(plugins::fibre_channel)),
    source("flexVolume", Rules::By(plugins::flex)),
    source("configMap", Rules::By(|source, errors| files(source, "name", errors))),
    source("azureFile", Rules::Needs(&["secretName", "shareName"])),
    source("vsphereVolume", Rules::Needs(&["volumePath"])),
    source("photonPersistentDisk", Rules::Needs(&["pdID"])),
    source("portworxVolume", Rules::Needs(&["volumeID"])),
    source("azureDisk", Rules::By(plugins::azure_disk)),
    source("storageos", Rules::By(plugins::storage_os)),
    source("projected", Rules::By(projected::validate)),
    source("scaleIO", Rules::Needs(&["gateway", "system", "volumeName"])),
    source("csi", Rules::By(csi)),
    source("ephemeral", Rules::By(ephemeral)),
    source(
        "image",
        Rules::By(|image, errors| {
            choice(&image.at("pullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
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
        ("iscsi", _) => plugins::initiator_fits(volume, errors),
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

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

fn host_path(source: &Node<'_, '_>, errors: &mut Errors) {
    let path = source.at("path");
    if path.text().is_empty() {
        return errors.push(path.required(""));
    }
    no_backsteps(&path, errors);
    one_of(&source.at("type"), HOST_PATH_TYPES, errors);
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

fn nfs(source: &Node<'_, '_>, errors: &mut Errors) {
    let path = source.at("path");
    source.at("server").require(errors);
    path.require(errors);
    if !path.text().starts_with('/') {
        errors.push(path.invalid_as(path.text(), "must be an absolute path"));
    }
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

const DRIVER_MAX: usize = 63;

fn csi(source: &Node<'_, '_>, errors: &mut Errors) {
    let driver = source.at("driver");
    driver.require(errors);
    if driver.text().len() > DRIVER_MAX {
        errors.push(driver.too_long(DRIVER_MAX));
    }
    let problems = names::subdomain(&driver.text().to_lowercase());
    errors.extend(problems.into_iter().map(|problem| driver.invalid_as(driver.text(), problem)));
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
