//! What is around every message: `k8s\0`, then upstream's `runtime.Unknown`, which says what the message is.

use super::Error;
use super::wire::{self, Fields};
use crate::kinds;
use crate::schema::{Node, by_name};

const PREFIX: &[u8] = b"k8s\0";

// runtime.Unknown, and the TypeMeta in it.
const TYPE: u32 = 1;
const RAW: u32 = 2;
const API_VERSION: u32 = 1;
const KIND: u32 = 2;

/// A message and what it says it is.
#[derive(Debug, Default)]
pub struct Envelope<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let unknown = bytes.strip_prefix(PREFIX).ok_or(Error::Prefix)?;
        let mut envelope = Self::default();
        for field in Fields(unknown) {
            match field? {
                (TYPE, type_meta) => envelope.read_type(type_meta.bytes("typeMeta")?)?,
                (RAW, raw) => envelope.raw = raw.bytes("raw")?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type(&mut self, type_meta: &'a [u8]) -> Result<(), Error> {
        for field in Fields(type_meta) {
            match field? {
                (API_VERSION, version) => self.api_version = version.text("apiVersion")?,
                (KIND, kind) => self.kind = kind.text("kind")?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts what `write` writes into an envelope.
    pub(super) fn seal<R>(
        api_version: &str,
        kind: &str,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> R {
        out.extend_from_slice(PREFIX);
        wire::delimited(out, TYPE, |out| {
            wire::bytes(out, API_VERSION, api_version.as_bytes());
            wire::bytes(out, KIND, kind.as_bytes());
        });
        wire::delimited(out, RAW, write)
    }
}

/// What there is a protobuf form of.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    Type(Node<'static>),
    /// Any object's metadata alone.
    Partial,
    List(Node<'static>),
    PartialList,
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Types that no path of ours lists.
const OTHERS: &[(&str, &str, &str)] = &[
    ("v1", "Status", "io.k8s.apimachinery.pkg.apis.meta.v1.Status"),
    ("v1", "Binding", "io.k8s.api.core.v1.Binding"),
    ("autoscaling/v1", "Scale", "io.k8s.api.autoscaling.v1.Scale"),
    ("policy/v1", "Eviction", "io.k8s.api.policy.v1.Eviction"),
    ("policy/v1beta1", "Eviction", "io.k8s.api.policy.v1.Eviction"),
    ("authentication.k8s.io/v1", "TokenRequest", "io.k8s.api.authentication.v1.TokenRequest"),
];

impl Known {
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match (kind, group) {
            // Every group has them.
            ("DeleteOptions", _) => return meta("DeleteOptions").map(Self::Type),
            ("PartialObjectMetadata", "meta.k8s.io") => return Some(Self::Partial),
            ("PartialObjectMetadataList", "meta.k8s.io") => return Some(Self::PartialList),
            _ => {}
        }
        if let Some((_, _, name)) = OTHERS.iter().find(|other| (other.0, other.1) == (api_version, kind)) {
            return by_name(name).map(Self::Type);
        }
        let mut entries = kinds::all().filter(|entry| entry.group == group && entry.version == version);
        entries.find_map(|entry| {
            if entry.kind == kind {
                entry.own_schema().map(Self::Type)
            } else if entry.list_kind == kind {
                entry.own_schema().map(Self::List)
            } else {
                None
            }
        })
    }
}

pub(super) fn meta(name: &str) -> Option<Node<'static>> {
    by_name(&format!("{META}{name}"))
}
