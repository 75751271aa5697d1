//! Archives of layers, honest and not, and images made of them.

use std::io::Write;

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// A layer's archive, entry by entry.
pub(crate) struct Layer(Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.entry(path, EntryType::Regular, content, |_| {})
    }

    pub(crate) fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(path, EntryType::Directory, "", |header| header.set_mode(mode))
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Symlink, "", |header| set_link(header, target))
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Link, "", |header| set_link(header, target))
    }

    /// The name goes into the header as it is: the `tar` crate would refuse some.
    pub(crate) fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        content: &str,
        more: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        more(&mut header);
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).unwrap();
        self
    }

    /// An extended header for the entry that follows.
    pub(crate) fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn set_link(header: &mut Header, target: &str) {
    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A blob and what a manifest calls it.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn digest(&self) -> String {
        digest(&self.bytes)
    }

    pub(crate) fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

/// The blobs of an image; the manifest is the last.
pub(crate) struct Made {
    pub(crate) layers: Vec<Blob>,
    pub(crate) config: Blob,
    pub(crate) manifest: Blob,
}

pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub(crate) const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of gzip layers for this machine.
pub(crate) fn image(layers: impl IntoIterator<Item = Layer>) -> Made {
    let tars = layers.into_iter().map(Layer::tar);
    image_of(tars.map(|tar| (Blob { media_type: GZIP, bytes: gzip(&tar) }, digest(&tar))).collect())
}

/// Of layers as they are sent, with the digests of what is in them.
pub(crate) fn image_of(layers: Vec<(Blob, String)>) -> Made {
    let (layers, diff_ids): (Vec<Blob>, Vec<String>) = layers.into_iter().unzip();
    let config = json!({
        "os": "linux", "architecture": architecture(),
        "config": { "Env": ["A=1"], "Entrypoint": ["/run"], "Cmd": null, "WorkingDir": "/data" },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = blob("application/vnd.oci.image.config.v1+json", &config);
    let manifest = json!({
        "schemaVersion": 2, "config": config.descriptor(),
        "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
    });
    let manifest = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
    Made { layers, config, manifest }
}

fn blob(media_type: &'static str, document: &Value) -> Blob {
    Blob { media_type, bytes: document.to_string().into_bytes() }
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "arm"
    }
}
