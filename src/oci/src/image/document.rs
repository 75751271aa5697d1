//! The documents that describe an image: index, manifest and configuration, of OCI and of Docker.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use super::digest::Digest;
use super::platform::{self, Platform, Preferences};

/// Larger ones are refused, as they are held in memory.
pub(crate) const MAX_SIZE: u64 = 4 << 20;

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFESTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const CONFIGURATIONS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const LAYERS: [&str; 5] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the {what} is damaged")]
    Decode {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("it is no container image but {0}")]
    NoImage(String),
    #[error("it was pushed in the retired format {0}: push it again with a current tool")]
    Retired(String),
    #[error("its layer {digest} has the type {media_type}, which cannot be unpacked")]
    LayerType { digest: String, media_type: String },
    #[error("there is no variant of it for {here}, only for {offered}")]
    Platform { here: String, offered: String },
    #[error("its manifest names {layers} layers and its configuration {diff_ids}")]
    Layers { layers: usize, diff_ids: usize },
}

impl Error {
    /// Whether nothing is wrong with the image but that it is not for this machine, or not for any.
    pub(crate) fn is_about_kind(&self) -> bool {
        matches!(self, Self::Platform { .. } | Self::NoImage(_))
    }
}

/// All that a registry may answer when it is asked for an image.
pub(crate) fn accepted() -> String {
    [INDEXES, MANIFESTS].concat().join(", ")
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) platform: Option<Platform>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) enum Document {
    Index(Index),
    Manifest(Manifest),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

impl Document {
    /// What the document calls itself counts; `media_type` is what others call it.
    pub(crate) fn parse(bytes: &[u8], media_type: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let kind: Kind = decode(bytes, "manifest")?;
        let media_type = kind.media_type.as_deref().unwrap_or(media_type);
        if media_type.contains("manifest.v1+") && media_type.contains("docker") {
            return Err(Error::Retired(media_type.to_owned()));
        }
        if INDEXES.contains(&media_type) || kind.manifests.is_some() {
            return decode(bytes, "index").map(Self::Index);
        }
        let manifest: Manifest = decode(bytes, "manifest")?;
        manifest.check().map(|()| Self::Manifest(manifest))
    }
}

impl Index {
    pub(crate) fn choose(&self, preferences: &Preferences) -> Result<&Descriptor, Error> {
        let rank = |descriptor: &Descriptor| match &descriptor.platform {
            Some(platform) => platform.rank(preferences),
            // Nobody said for what it is: the image's configuration will.
            None => Some(preferences.len()),
        };
        let ranked = self.manifests.iter().filter_map(|manifest| Some((rank(manifest)?, manifest)));
        let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, manifest)| manifest);
        best.ok_or_else(|| self.no_variant())
    }

    fn no_variant(&self) -> Error {
        let platforms = self.manifests.iter().filter_map(|manifest| manifest.platform.as_ref());
        let offered: Vec<String> = platforms.map(ToString::to_string).collect();
        Error::Platform { here: platform::here().to_string(), offered: offered.join(", ") }
    }
}

impl Manifest {
    fn check(&self) -> Result<(), Error> {
        if !CONFIGURATIONS.contains(&self.config.media_type.as_str()) {
            return Err(Error::NoImage(self.config.media_type.clone()));
        }
        let foreign = self.layers.iter().find(|layer| !LAYERS.contains(&layer.media_type.as_str()));
        foreign.map_or(Ok(()), |layer| {
            Err(Error::LayerType { digest: layer.digest.to_string(), media_type: layer.media_type.clone() })
        })
    }

    /// As the registry holds it.
    pub(crate) fn size(&self) -> u64 {
        self.layers.iter().fold(self.config.size, |sum, layer| sum.saturating_add(layer.size))
    }
}

/// How the image wants to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `user`, `uid`, `user:group` or empty.
    pub user: String,
    /// `NAME=value`.
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub working_dir: String,
    pub stop_signal: Option<String>,
    pub volumes: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Configuration {
    #[serde(flatten)]
    platform: Platform,
    #[serde(default, deserialize_with = "or_default")]
    config: Process,
    rootfs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Process {
    #[serde(deserialize_with = "or_default")]
    user: String,
    #[serde(deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    working_dir: String,
    stop_signal: Option<String>,
    #[serde(deserialize_with = "or_default")]
    volumes: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<Digest>,
}

impl Configuration {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes, "configuration")
    }

    /// The digests of the uncompressed layers, one for each of `layers`, of an image that runs here.
    pub(crate) fn diff_ids(&self, layers: usize, preferences: &Preferences) -> Result<&[Digest], Error> {
        if self.platform.rank(preferences).is_none() {
            let here = platform::here().to_string();
            return Err(Error::Platform { here, offered: self.platform.to_string() });
        }
        let diff_ids = &self.rootfs.diff_ids;
        let fits = diff_ids.len() == layers;
        if fits { Ok(diff_ids) } else { Err(Error::Layers { layers, diff_ids: diff_ids.len() }) }
    }
}

impl From<Configuration> for ImageConfig {
    fn from(Configuration { config, .. }: Configuration) -> Self {
        Self {
            user: config.user,
            env: config.env,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
            working_dir: config.working_dir,
            stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
            volumes: config.volumes.into_keys().collect(),
            labels: config.labels,
        }
    }
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &'static str) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Decode { what, source })
}

/// Go writes an empty list or map as `null`.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(of: &str) -> String {
        Digest::of(of.as_bytes()).to_string()
    }

    fn parse(document: &serde_json::Value, media_type: &str) -> Result<Document, Error> {
        Document::parse(document.to_string().as_bytes(), media_type)
    }

    fn manifest(config: &str, layer: &str) -> serde_json::Value {
        json!({ "schemaVersion": 2, "config": { "mediaType": config, "digest": digest("c"), "size": 1 },
            "layers": [{ "mediaType": layer, "digest": digest("l"), "size": 2 }] })
    }

    #[test]
    fn layers_that_cannot_be_unpacked_are_named() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let error = parse(&manifest(CONFIGURATIONS[1], foreign), MANIFESTS[1]).unwrap_err().to_string();
        assert!(error.contains(foreign) && error.contains(&digest("l")), "{error}");
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let chart = parse(&manifest("application/vnd.cncf.helm.config.v1+json", LAYERS[1]), MANIFESTS[0]);
        assert!(matches!(chart, Err(Error::NoImage(_))));
        let retired = parse(
            &json!({ "schemaVersion": 1 }),
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        );
        assert!(matches!(retired, Err(Error::Retired(_))));
    }

    #[test]
    fn an_index_gives_the_best_variant() {
        let entry = |name: &str, platform: serde_json::Value| json!({ "digest": digest(name), "size": 1, "platform": platform });
        let arm = |variant: &str| json!({ "os": "linux", "architecture": "arm", "variant": variant });
        let index = json!({ "mediaType": INDEXES[1], "manifests": [
            entry("attestation", json!({ "os": "unknown", "architecture": "unknown" })),
            entry("v5", arm("v5")), entry("v6", arm("v6")) ] });
        let Document::Index(index) = parse(&index, "").unwrap() else { panic!("an index") };
        let board: &Preferences = &[("arm", "v7"), ("arm", "v6"), ("arm", "v5")];
        assert_eq!(index.choose(board).unwrap().digest.to_string(), digest("v6"));
        let error = index.choose(&[("amd64", "")]).unwrap_err().to_string();
        assert!(error.contains("linux/arm/v5, linux/arm/v6"), "{error}");
    }

    #[test]
    fn a_configuration_may_be_full_of_nothing() {
        let configuration = json!({ "os": "linux", "architecture": platform::here().architecture,
            "config": { "Cmd": null, "Env": null, "Labels": null, "Volumes": { "/data": {} }, "StopSignal": "" },
            "rootfs": { "type": "layers", "diff_ids": null } });
        let configuration = Configuration::parse(configuration.to_string().as_bytes()).unwrap();
        assert_eq!(configuration.diff_ids(0, platform::HERE).unwrap(), []);
        assert!(matches!(configuration.diff_ids(1, platform::HERE), Err(Error::Layers { .. })));
        let config = ImageConfig::from(configuration);
        assert_eq!(config, ImageConfig { volumes: ["/data".to_owned()].into(), ..ImageConfig::default() });
    }
}
