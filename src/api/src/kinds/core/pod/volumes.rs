//! Volumes and where containers mount them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::env::{field_reference, resource_reference};
use super::spec::choice;
use crate::field::{Errors, Node};
use crate::names;

/// The names that mounts may refer to.
#[derive(Debug, Default)]
pub(super) struct Volumes<'v> {
    names: BTreeSet<&'v str>,
}

/// Fields of the pod that a downward-API file may show.
const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const HOST_PATH_TYPES: &[&str] =
    &["BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

pub(super) fn validate<'v>(list: &Node<'v, '_>, errors: &mut Errors) -> Volumes<'v> {
    let mut volumes = Volumes::default();
    for volume in list.items() {
        let name = volume.at("name");
        let problems = names::dns_label(name.text());
        match name.text() {
            "" => errors.push(name.required("")),
            _ if !problems.is_empty() => {
                errors.extend(problems.into_iter().map(|problem| name.invalid(problem)));
            }
            text if !volumes.names.insert(text) => errors.push(name.duplicate()),
            _ => {}
        }
        one_source(&volume, errors);
    }
    volumes
}

fn one_source(volume: &Node<'_, '_>, errors: &mut Errors) {
    let mut sources = volume
        .value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, source)| *field != "name" && !source.is_null())
        .map(|(field, _)| field);
    let Some(first) = sources.next() else {
        return errors.push(volume.required("must specify a volume type"));
    };
    source(first, &volume.at(first), errors);
    for another in sources {
        errors.push(volume.at(another).forbidden("may not specify more than 1 volume type"));
    }
}

fn source(kind: &str, source: &Node<'_, '_>, errors: &mut Errors) {
    match kind {
        "emptyDir" => {
            let limit = source.at("sizeLimit");
            if limit.text().starts_with('-') {
                errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
            }
        }
        "hostPath" => host_path(source, errors),
        "secret" => files(source, "secretName", errors),
        "configMap" => files(source, "name", errors),
        "downwardAPI" => downward(source, errors),
        "projected" => projected(source, errors),
        "persistentVolumeClaim" => required(&source.at("claimName"), errors),
        "nfs" => {
            required(&source.at("server"), errors);
            required(&source.at("path"), errors);
            if !source.at("path").text().starts_with('/') {
                errors.push(source.at("path").invalid("must be an absolute path"));
            }
        }
        "csi" => required(&source.at("driver"), errors),
        "image" => {
            required(&source.at("reference"), errors);
            choice(&source.at("pullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
        }
        _ => {}
    }
}

fn required(field: &Node<'_, '_>, errors: &mut Errors) {
    if field.text().is_empty() {
        errors.push(field.required(""));
    }
}

fn host_path(source: &Node<'_, '_>, errors: &mut Errors) {
    let (path, kind) = (source.at("path"), source.at("type"));
    match path.text() {
        "" => errors.push(path.required("")),
        text if text.split('/').any(|part| part == "..") => {
            errors.push(path.invalid("must not contain '..'"));
        }
        _ => {}
    }
    if !kind.text().is_empty() {
        choice(&kind, HOST_PATH_TYPES, errors);
    }
}

fn files(source: &Node<'_, '_>, name: &str, errors: &mut Errors) {
    required(&source.at(name), errors);
    mode(&source.at("defaultMode"), errors);
    items(&source.at("items"), errors);
}

fn items(items: &Node<'_, '_>, errors: &mut Errors) {
    for item in items.items() {
        required(&item.at("key"), errors);
        local_path(&item.at("path"), errors);
        mode(&item.at("mode"), errors);
    }
}

fn mode(mode: &Node<'_, '_>, errors: &mut Errors) {
    if mode.int().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.push(mode.invalid("must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// A path below the volume.
fn local_path(path: &Node<'_, '_>, errors: &mut Errors) {
    match path.text() {
        "" => errors.push(path.required("")),
        text if text.starts_with('/') => errors.push(path.invalid("must be a relative path")),
        text if text.split('/').any(|part| part == "..") => {
            errors.push(path.invalid("must not contain '..'"));
        }
        text if text.starts_with("..") => errors.push(path.invalid("must not start with '..'")),
        _ => {}
    }
}

fn downward(source: &Node<'_, '_>, errors: &mut Errors) {
    mode(&source.at("defaultMode"), errors);
    for item in source.at("items").items() {
        local_path(&item.at("path"), errors);
        mode(&item.at("mode"), errors);
        let (field, resource) = (item.at("fieldRef"), item.at("resourceFieldRef"));
        match (field.is_set(), resource.is_set()) {
            (true, true) => {
                errors
                    .push(item.invalid("fieldRef and resourceFieldRef can not be specified simultaneously"));
            }
            (true, false) => field_reference(&field, FILE_FIELDS, errors),
            (false, true) => {
                required(&resource.at("containerName"), errors);
                resource_reference(&resource, errors);
            }
            (false, false) => errors.push(item.required("one of fieldRef and resourceFieldRef is required")),
        }
    }
}

fn projected(source: &Node<'_, '_>, errors: &mut Errors) {
    mode(&source.at("defaultMode"), errors);
    for source in source.at("sources").items() {
        let kinds: Vec<&String> = source
            .value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(kind, _)| kind)
            .collect();
        match kinds[..] {
            [] => errors.push(source.required("must specify a projected volume type")),
            [_] => {}
            [_, another, ..] => {
                errors
                    .push(source.at(another).forbidden("may not specify more than 1 volume type per source"));
            }
        }
        for kind in ["secret", "configMap"] {
            if source.at(kind).is_set() {
                required(&source.at(kind).at("name"), errors);
                items(&source.at(kind).at("items"), errors);
            }
        }
        let token = source.at("serviceAccountToken");
        if token.is_set() {
            service_account_token(&token, errors);
        }
        if source.at("downwardAPI").is_set() {
            downward(&source.at("downwardAPI"), errors);
        }
    }
}

fn service_account_token(token: &Node<'_, '_>, errors: &mut Errors) {
    let seconds = token.at("expirationSeconds");
    match seconds.int().unwrap_or_default() {
        ..600 => errors.push(seconds.invalid("may not specify a duration less than 10 minutes")),
        4_294_967_297.. => {
            errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
        }
        _ => {}
    }
    local_path(&token.at("path"), errors);
}

impl Volumes<'_> {
    /// The mounts and devices of one container.
    pub(super) fn mounts(&self, container: &Node<'_, '_>, errors: &mut Errors) {
        let mut paths = BTreeSet::new();
        for mount in container.at("volumeMounts").items() {
            self.known(&mount.at("name"), errors);
            let path = mount.at("mountPath");
            required(&path, errors);
            if !paths.insert(path.text()) {
                errors.push(path.invalid("must be unique"));
            }
            sub_path(&mount, errors);
            propagation(&mount.at("mountPropagation"), container, errors);
        }
        for device in container.at("volumeDevices").items() {
            self.known(&device.at("name"), errors);
            let path = device.at("devicePath");
            required(&path, errors);
            if !paths.insert(path.text()) {
                errors.push(path.invalid("must be unique"));
            }
        }
    }

    fn known(&self, name: &Node<'_, '_>, errors: &mut Errors) {
        match name.text() {
            "" => errors.push(name.required("")),
            text if !self.names.contains(text) => errors.push(name.not_found()),
            _ => {}
        }
    }
}

fn sub_path(mount: &Node<'_, '_>, errors: &mut Errors) {
    let (path, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
    if !path.text().is_empty() && !expression.text().is_empty() {
        errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
    }
    for path in [path, expression] {
        if path.text().starts_with('/') {
            errors.push(path.invalid("must be a relative path"));
        } else if path.text().split('/').any(|part| part == "..") {
            errors.push(path.invalid("must not contain '..'"));
        }
    }
}

fn propagation(propagation: &Node<'_, '_>, container: &Node<'_, '_>, errors: &mut Errors) {
    if !propagation.is_set() {
        return;
    }
    choice(propagation, &["Bidirectional", "HostToContainer", "None"], errors);
    let privileged = container.at("securityContext.privileged").value == &Value::Bool(true);
    if propagation.text() == "Bidirectional" && !privileged {
        errors.push(
            propagation
                .forbidden("Bidirectional mount propagation is available only to privileged containers"),
        );
    }
}
