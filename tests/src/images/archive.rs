//! Images as single files, as they are carried to a machine that reaches no registry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tar::Builder;

use super::blob::Digest;
use super::image::Image;
use super::layer::{append_bytes, plain_header};

pub(super) type Files<'a> = BTreeMap<PathBuf, Cow<'a, [u8]>>;

/// What `docker save` made before it knew OCI layouts: plain layers, and no digest that a registry knows.
pub fn docker_archive(images: &[&Image]) -> Result<Vec<u8>> {
    let mut files = Files::new();
    let manifest =
        images.iter().map(|image| add_docker_image(image, &mut files)).collect::<Result<Value>>()?;
    files.insert("manifest.json".into(), manifest.to_string().into_bytes().into());
    archive_of(&files).context("cannot make a docker archive")
}

fn add_docker_image(image: &Image, files: &mut Files<'_>) -> Result<Value> {
    let tars = image.tars()?;
    let configuration = image.configuration(&tars).to_string().into_bytes();
    let config = format!("{}.json", Digest::of(&configuration).hex());
    let layers: Vec<String> = tars.iter().map(|tar| format!("{}/layer.tar", Digest::of(tar).hex())).collect();
    let entry = json!({ "Config": config, "RepoTags": [image.reference()], "Layers": layers });
    files.insert(config.into(), configuration.into());
    files.extend(layers.into_iter().map(PathBuf::from).zip(tars.into_iter().map(Cow::from)));
    Ok(entry)
}

pub(super) fn archive_of(files: &Files<'_>) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, bytes) in files {
        append_bytes(&mut archive, plain_header(0o644), path, bytes)?;
    }
    archive.into_inner()
}
