//! The files that a container sees beside its image's: its volumes, and those every container has.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::VolumeMount;
use oci::{Mount, Propagation};

use crate::sandbox;

use super::{Error, Parts};

pub(super) fn of(parts: &Parts<'_>) -> Result<Vec<Mount>, Error> {
    let volume_mounts = parts.member.container.volume_mounts.iter().flatten();
    let mut mounts = volume_mounts.map(|mount| volume(parts, mount)).collect::<Result<Vec<_>, _>>()?;
    let folder = sandbox::folder(parts.context, parts.uid());
    for (name, path) in
        [("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")]
    {
        if !mounts.iter().any(|mount| mount.destination == Path::new(path)) {
            mounts.push(file(folder.join(name), path));
        }
    }
    let message = parts.member.container.termination_message_path.as_deref().filter(|path| !path.is_empty());
    if let Some(path) = message {
        mounts.push(file(parts.message_file()?, path));
    }
    // What lies above comes first, whatever the order in the spec.
    mounts.sort_by_key(|mount| mount.destination.components().count());
    Ok(mounts)
}

fn file(source: PathBuf, destination: &str) -> Mount {
    Mount {
        source,
        destination: destination.into(),
        read_only: false,
        recursive_read_only: false,
        propagation: Propagation::None,
    }
}

fn volume(parts: &Parts<'_>, mount: &VolumeMount) -> Result<Mount, Error> {
    let container = parts.member.name();
    let volume = parts.sandbox.volumes.get(&mount.name);
    let volume = volume
        .ok_or_else(|| Error::Volume { volume: mount.name.clone(), container: container.to_owned() })?;
    let sub_path = sub_path(parts, mount)?;
    let source = volume.source(&sub_path).map_err(|source| Error::SubPath {
        volume: mount.name.clone(),
        container: container.to_owned(),
        source,
    })?;
    let read_only = volume.read_only || mount.read_only == Some(true);
    let recursive = matches!(mount.recursive_read_only.as_deref(), Some("Enabled" | "IfPossible"));
    Ok(Mount {
        source,
        destination: absolute(&mount.mount_path),
        read_only,
        recursive_read_only: read_only && recursive,
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            Some("Bidirectional") => Propagation::Bidirectional,
            _ => Propagation::None,
        },
    })
}

fn sub_path(parts: &Parts<'_>, mount: &VolumeMount) -> Result<String, Error> {
    match mount.sub_path_expr.as_deref().filter(|expression| !expression.is_empty()) {
        Some(expression) => {
            let expanded = parts.environment.expand_strictly(expression);
            expanded.map_err(|names| Error::SubPathNames(names.into_iter().collect()))
        }
        None => Ok(mount.sub_path.clone().unwrap_or_default()),
    }
}

fn absolute(path: &str) -> PathBuf {
    if path.starts_with('/') { PathBuf::from(path) } else { Path::new("/").join(path) }
}
