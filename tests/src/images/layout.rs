//! An OCI image layout: the files of the specification, in a directory or in an archive.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::archive::{Files, archive_of};
use super::blob::{Blobs, Descriptor, Digest};
use super::image::Image;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[derive(Debug, Clone)]
pub struct Layout {
    name: String,
    tag: String,
    blobs: Blobs,
    /// A manifest, or an index of manifests for several platforms.
    top: Descriptor,
}

impl Layout {
    pub(super) fn new(name: &str, tag: &str, blobs: Blobs, top: Descriptor) -> Self {
        Self { name: name.into(), tag: tag.into(), blobs, top }
    }

    /// One image for several platforms; its name is that of the first.
    pub fn index<const N: usize>(first: &Image, others: [&Image; N]) -> Result<Self> {
        let mut blobs = Blobs::default();
        let mut manifests = Vec::new();
        for image in [first].into_iter().chain(others) {
            let manifest = image.add_to(&mut blobs)?;
            manifests.push(manifest.json_with("platform", image.platform.json()));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let top = blobs.add_json(INDEX, &index);
        Ok(Self::new(&first.name, &first.tag, blobs, top))
    }

    pub fn digest(&self) -> &Digest {
        &self.top.digest
    }

    /// `name:tag`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    /// Named as `docker save` and containerd do: by the tag, and by the whole reference.
    fn entry(&self) -> Value {
        let names = json!({
            "io.containerd.image.name": self.reference(),
            "org.opencontainers.image.ref.name": self.tag,
        });
        self.top.json_with("annotations", names)
    }

    /// Writes the layout as a directory.
    pub fn write_dir(&self, directory: &Path) -> Result<()> {
        for (path, bytes) in files(&[self]) {
            write_file(&directory.join(path), &bytes)
                .with_context(|| format!("cannot write image layout {}", directory.display()))?;
        }
        Ok(())
    }

    /// Images in one OCI archive.
    pub fn archive(layouts: &[&Self]) -> Result<Vec<u8>> {
        archive_of(&files(layouts)).context("cannot make an OCI archive")
    }
}

fn files<'a>(layouts: &[&'a Layout]) -> Files<'a> {
    let blobs = layouts.iter().flat_map(|layout| layout.blobs.iter());
    let blobs = blobs.map(|(digest, bytes)| (Path::new("blobs/sha256").join(digest.hex()), bytes.into()));
    let mut files: Files<'_> = blobs.collect();
    let manifests: Vec<Value> = layouts.iter().map(|layout| layout.entry()).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    files.insert("index.json".into(), index.to_string().into_bytes().into());
    files.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.into());
    files
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("a file in a layout has a directory"))?;
    fs::write(path, bytes)
}
