//! Where containers mount volumes. Upstream tells of some mistakes without saying which mount makes them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Volumes, descending_path};
use crate::field::{Errors, Node};
use crate::value::{list, text};

const READ_ONLY: &[&str] = &["Disabled", "Enabled", "IfPossible"];

impl Volumes<'_> {
    pub(in super::super) fn mounts(&self, container: &Node<'_, '_>, errors: &mut Errors) {
        let mut paths = BTreeSet::new();
        let mounts = container.at("volumeMounts");
        let devices = list(container.value, "volumeDevices");
        for mount in mounts.items() {
            let (name, path) = (mount.at("name"), mount.at("mountPath"));
            name.require(errors);
            if !self.is_known(name.text()) {
                errors.push(name.not_found());
            }
            path.require(errors);
            if !paths.insert(path.text()) {
                errors.push(path.invalid_as(path.text(), "must be unique"));
            }
            if devices.iter().any(|device| text(device, "name") == name.text()) {
                errors.push(name.invalid_as(name.text(), "must not already exist in volumeDevices"));
            }
            if devices.iter().any(|device| text(device, "devicePath") == path.text()) {
                let detail = "must not already exist as a path in volumeDevices";
                errors.push(path.invalid_as(path.text(), detail));
            }
            self.sub_paths(&mount, &mounts, errors);
            propagation(&mount, &mounts, container, errors);
            read_only(&mount, &mounts, errors);
        }
    }

    fn sub_paths(&self, mount: &Node<'_, '_>, mounts: &Node<'_, '_>, errors: &mut Errors) {
        let (path, expression) = (mount.at("subPath"), mount.at("subPathExpr"));
        let is_image = self
            .source_of(mount.at("name").text())
            .is_some_and(|volume| volume.get("image").is_some_and(|image| !image.is_null()));
        for path in [&path, &expression].into_iter().filter(|path| is_image && !path.text().is_empty()) {
            errors.push(path.invalid("not allowed in image volume sources"));
        }
        descending_path(&path.named(mounts.path.field("subPath")), errors);
        if !expression.text().is_empty() && !path.text().is_empty() {
            errors.push(expression.invalid("subPathExpr and subPath are mutually exclusive"));
        }
        descending_path(&expression.named(mounts.path.field("subPathExpr")), errors);
    }

    /// Volumes that a container gets as block devices.
    pub(in super::super) fn devices(&self, container: &Node<'_, '_>, errors: &mut Errors) {
        let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
        let mounts = list(container.value, "volumeMounts");
        for device in container.at("volumeDevices").items() {
            let (name, path) = (device.at("name"), device.at("devicePath"));
            name.require(errors);
            if !name.text().is_empty() && !names.insert(name.text()) {
                errors.push(name.invalid("must be unique"));
            }
            self.is_block(&name, errors);
            path.require(errors);
            if paths.contains(path.text()) {
                errors.push(path.invalid_as(path.text(), "must be unique"));
            }
            if path.text().split('/').any(|part| part == "..") {
                errors.push(path.invalid("can not contain backsteps ('..')"));
            } else {
                paths.insert(path.text());
            }
            if mounts.iter().any(|mount| text(mount, "name") == name.text()) {
                errors.push(name.invalid_as(name.text(), "must not already exist in volumeMounts"));
            }
            if mounts.iter().any(|mount| text(mount, "mountPath") == path.text()) {
                let detail = "must not already exist as a path in volumeMounts";
                errors.push(path.invalid_as(path.text(), detail));
            }
        }
    }

    fn is_block(&self, name: &Node<'_, '_>, errors: &mut Errors) {
        let claimed = ["persistentVolumeClaim", "ephemeral"];
        match self.source_of(name.text()) {
            None if self.is_known(name.text()) => {}
            None => errors.push(name.not_found()),
            Some(volume) if claimed.iter().all(|kind| volume.get(kind).is_none_or(Value::is_null)) => {
                errors.push(name.invalid(
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                ));
            }
            Some(_) => {}
        }
    }
}

fn propagation(mount: &Node<'_, '_>, mounts: &Node<'_, '_>, container: &Node<'_, '_>, errors: &mut Errors) {
    let propagation = mount.at("mountPropagation").named(mounts.path.field("mountPropagation"));
    if !propagation.is_set() {
        return;
    }
    propagation.only_among(&["Bidirectional", "HostToContainer", "None"], errors);
    if propagation.text() == "Bidirectional" && !container.at("securityContext.privileged").flag() {
        errors.push(
            propagation
                .forbidden("Bidirectional mount propagation is available only to privileged containers"),
        );
    }
}

fn read_only(mount: &Node<'_, '_>, mounts: &Node<'_, '_>, errors: &mut Errors) {
    let recursive = mount.at("recursiveReadOnly").named(mounts.path.field("recursiveReadOnly"));
    if !recursive.is_set() {
        return;
    }
    match recursive.text() {
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.at("readOnly").flag() {
                errors.push(recursive.forbidden("may only be specified when readOnly is true"));
            }
            if !matches!(mount.at("mountPropagation").text(), "" | "None") {
                errors.push(
                    recursive
                        .forbidden("may only be specified when mountPropagation is None or not specified"),
                );
            }
        }
        _ => errors.push(recursive.unsupported(READ_ONLY)),
    }
}
