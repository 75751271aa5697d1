//! What goes wrong with images, with what a user needs to mend it.

use std::io;
use std::path::PathBuf;

use super::{document, layer, registry};
use crate::durable::FileError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use {path} for images")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is used by another process")]
    Locked(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to pull image {reference}")]
    Pull {
        reference: String,
        #[source]
        source: PullError,
    },
    #[error("cannot import {path}")]
    Import {
        path: PathBuf,
        #[source]
        source: ImportError,
    },
    #[error("there is no image {0}")]
    NoImage(String),
    #[error("image {image} is used by container {container}")]
    InUse { image: String, container: String },
    #[error("'{0}' cannot be the id of a container")]
    ContainerId(String),
    #[error("container {container} has a root of image {image} already")]
    OtherImage { container: String, image: String },
    #[error("cannot mount the root of container {container}")]
    Mount {
        container: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot unmount the root of container {container}")]
    Unmount {
        container: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot remove layers that nobody needs")]
    Sweep(#[source] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// Of each endpoint, in the order they were asked.
    #[error("{}", endpoints(.0))]
    Endpoints(Vec<registry::Error>),
    #[error(transparent)]
    Document(#[from] document::Error),
    #[error("layer {digest}")]
    Layer {
        digest: String,
        #[source]
        source: layer::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read it")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Tar(#[from] layer::TarError),
    #[error(
        "it is neither an OCI image layout nor an archive of docker save: it has no index.json and no manifest.json"
    )]
    Unknown,
    #[error("its documents are larger than {} MiB together", .0 >> 20)]
    TooLarge(u64),
    #[error("{name} is damaged")]
    Decode {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{0} is missing in it")]
    Missing(String),
    #[error("the image {name}")]
    Image {
        name: String,
        #[source]
        source: document::Error,
    },
    #[error("the layer {name}")]
    Layer {
        name: String,
        #[source]
        source: layer::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
}

impl Error {
    /// The error and all its causes in one line, as events and container statuses show it.
    pub fn message(&self) -> String {
        with_causes(self)
    }
}

fn endpoints(errors: &[registry::Error]) -> String {
    errors.iter().map(|error| with_causes(error)).collect::<Vec<_>>().join("; ")
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some errors say their cause themselves.
        if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        next = cause.source();
    }
    message
}
