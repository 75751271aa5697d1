//! Content that is found by its SHA-256, and the descriptors by which manifests point to it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Descriptor {
    pub(super) media_type: &'static str,
    pub(super) digest: Digest,
    pub(super) size: usize,
}

impl Descriptor {
    pub(super) fn json(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest.to_string(), "size": self.size })
    }

    /// As an entry of an index, with `key` (`platform` or `annotations`) saying what is special about it.
    pub(super) fn json_with(&self, key: &str, value: Value) -> Value {
        let mut descriptor = self.json();
        descriptor[key] = value;
        descriptor
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Blobs(BTreeMap<Digest, Vec<u8>>);

impl Blobs {
    pub(super) fn add(&mut self, media_type: &'static str, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor { media_type, digest: Digest::of(&bytes), size: bytes.len() };
        self.0.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    pub(super) fn add_json(&mut self, media_type: &'static str, value: &Value) -> Descriptor {
        self.add(media_type, value.to_string().into_bytes())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Digest, &[u8])> {
        self.0.iter().map(|(digest, bytes)| (digest, bytes.as_slice()))
    }
}
