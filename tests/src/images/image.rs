//! What one image is: its name, its layers and how it runs.
//!
//! Reads like a Dockerfile: each call adds to the image, files go into the newest layer.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::blob::{Blobs, Descriptor, Digest};
use super::layer::{Compression, Layer};
use super::layout::Layout;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A machine that images are made for, in the words of `GOARCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Amd64,
    Arm64,
    Armv7,
}

impl Platform {
    /// What the lab, and thus the guest programs and Debian's busybox, run on.
    pub const HERE: Self = if cfg!(target_arch = "aarch64") {
        Self::Arm64
    } else if cfg!(target_arch = "arm") {
        Self::Armv7
    } else {
        Self::Amd64
    };

    pub(super) fn json(self) -> Value {
        match self {
            Self::Amd64 => json!({ "os": "linux", "architecture": "amd64" }),
            Self::Arm64 => json!({ "os": "linux", "architecture": "arm64" }),
            Self::Armv7 => json!({ "os": "linux", "architecture": "arm", "variant": "v7" }),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Image {
    pub(super) name: String,
    pub(super) tag: String,
    pub(super) platform: Platform,
    layers: Vec<Layer>,
    newest: Layer,
    /// The `config` part of the image configuration; what was not said is not in it.
    config: Map<String, Value>,
}

impl Image {
    /// An image from scratch: `NAME:latest`, for this machine, without a file.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            tag: "latest".into(),
            platform: Platform::HERE,
            layers: Vec::new(),
            newest: Layer::default(),
            config: Map::new(),
        }
    }

    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.into();
        self
    }

    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    pub fn file(mut self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.newest.file(path.as_ref(), bytes.into(), mode);
        self
    }

    pub fn dir(mut self, path: impl AsRef<Path>, mode: u32) -> Self {
        self.newest.dir(path.as_ref(), mode);
        self
    }

    pub fn symlink(mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.newest.symlink(path.as_ref(), target.as_ref());
        self
    }

    /// Removes what a layer below has at `path`.
    pub fn whiteout(self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let mut name = OsString::from(".wh.");
        name.push(path.file_name().unwrap_or_default());
        self.file(path.with_file_name(name), [], 0o644)
    }

    /// Hides everything that layers below have in the directory `path`.
    pub fn opaque(self, path: impl AsRef<Path>) -> Self {
        self.file(path.as_ref().join(".wh..wh..opq"), [], 0o644)
    }

    /// What follows goes into a layer above, which is compressed with gzip unless told otherwise.
    pub fn layer(mut self) -> Self {
        self.layers.push(std::mem::take(&mut self.newest));
        self
    }

    pub fn gzip(self) -> Self {
        self.compression(Compression::Gzip)
    }

    pub fn zstd(self) -> Self {
        self.compression(Compression::Zstd)
    }

    pub fn uncompressed(self) -> Self {
        self.compression(Compression::Uncompressed)
    }

    fn compression(mut self, compression: Compression) -> Self {
        self.newest.compression = compression;
        self
    }

    pub fn entrypoint<const N: usize>(self, words: [&str; N]) -> Self {
        self.config("Entrypoint", json!(&words[..]))
    }

    pub fn cmd<const N: usize>(self, words: [&str; N]) -> Self {
        self.config("Cmd", json!(&words[..]))
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        let env = self.config.entry("Env").or_insert_with(|| json!([]));
        env.as_array_mut().expect("only made here, as an array").push(json!(format!("{name}={value}")));
        self
    }

    pub fn user(self, user: &str) -> Self {
        self.config("User", json!(user))
    }

    pub fn workdir(self, path: &str) -> Self {
        self.config("WorkingDir", json!(path))
    }

    pub fn stop_signal(self, signal: &str) -> Self {
        self.config("StopSignal", json!(signal))
    }

    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.config.entry("Labels").or_insert_with(|| json!({}))[name] = json!(value);
        self
    }

    fn config(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.into(), value);
        self
    }

    /// `name:tag`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }

    pub fn build(&self) -> Result<Layout> {
        let mut blobs = Blobs::default();
        let top = self.add_to(&mut blobs)?;
        Ok(Layout::new(&self.name, &self.tag, blobs, top))
    }

    /// Adds layers, configuration and manifest. Returns the manifest's descriptor.
    pub(super) fn add_to(&self, blobs: &mut Blobs) -> Result<Descriptor> {
        let tars = self.tars()?;
        let config = blobs.add_json(CONFIG, &self.configuration(&tars));
        let mut layers = Vec::new();
        for (layer, tar) in self.layers().zip(tars) {
            let media_type = layer.compression.media_type();
            layers.push(blobs.add(media_type, layer.compression.compress(tar)?).json());
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.json(),
            "layers": layers,
        });
        Ok(blobs.add_json(MANIFEST, &manifest))
    }

    /// From the lowest up. A layer in which nobody put a file does not count.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().chain([&self.newest]).filter(|layer| !layer.is_empty())
    }

    /// The layers before compression.
    pub(super) fn tars(&self) -> Result<Vec<Vec<u8>>> {
        let tars = self.layers().map(Layer::tar).collect::<Result<_, _>>();
        tars.with_context(|| format!("cannot archive the files of image {}", self.reference()))
    }

    pub(super) fn configuration(&self, tars: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
        let mut configuration = self.platform.json();
        configuration["created"] = json!("1970-01-01T00:00:00Z");
        configuration["config"] = self.config.clone().into();
        configuration["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        configuration
    }
}
