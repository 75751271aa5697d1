//! What is kept of images on disk.
//!
//! ```text
//! ROOT/lock             one process at a time
//! ROOT/names.json       name:tag and name@digest → image id
//! ROOT/images/HEX.json  configuration and layers of an image, by id
//! ROOT/layers/HEX/      an unpacked layer, by chain id: what is below it counts too
//! ROOT/containers/ID/   the root of a container, see `mount`
//! ROOT/staging/         what is half made or half removed
//! ```
//!
//! A record is written after the layers it names and before the names it bears. Whatever is missing or damaged after a power cut
//! is forgotten, with a warning: images can be had again, a start that fails cannot.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::document::ImageConfig;
use task::causes;

use crate::durable::{self, FileError};

/// Image ids by `name:tag` and `name@digest`.
pub(super) type Names = BTreeMap<String, Digest>;

/// What is kept of an image.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) size: u64,
    pub(super) config: ImageConfig,
    /// Chain ids, the lowest first.
    pub(super) layers: Vec<Digest>,
}

/// The only writer of records and names.
#[derive(Debug)]
pub(super) struct Records {
    root: PathBuf,
}

impl Records {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        for folder in ["images", "layers", "containers"] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Removes the records of what cannot be mounted.
    pub(super) fn read(&self) -> io::Result<BTreeMap<Digest, Record>> {
        let mut records = BTreeMap::new();
        for file in fs::read_dir(self.root.join("images"))? {
            let path = file?.path();
            let is_record = path.extension().is_some_and(|extension| extension == "json");
            let id = path.file_stem().and_then(OsStr::to_str).and_then(Digest::from_hex);
            let read = id.filter(|_| is_record).and_then(|id| Some((self.read_one(&path, &id)?, id)));
            match read {
                Some((record, id)) => drop(records.insert(id, record)),
                None => fs::remove_file(path)?,
            }
        }
        Ok(records)
    }

    fn read_one(&self, path: &Path, id: &Digest) -> Option<Record> {
        match durable::read::<Record>(path) {
            Ok(record) if record.layers.iter().all(|chain| layer(&self.root, chain).is_dir()) => {
                return Some(record);
            }
            Ok(_) => tracing::warn!(image = %id, "an image has lost layers and must be pulled again"),
            Err(error) => {
                tracing::warn!(image = %id, error = %causes(&error), "an image must be pulled again");
            }
        }
        None
    }

    pub(super) fn read_names(&self) -> Names {
        let path = self.names();
        if !path.exists() {
            return Names::new();
        }
        durable::read(&path).unwrap_or_else(|error| {
            tracing::warn!(error = %causes(&error), "all images have lost their names");
            Names::new()
        })
    }

    pub(super) fn write(&mut self, id: &Digest, record: &Record) -> Result<(), FileError> {
        durable::write(&self.record(id), record)
    }

    pub(super) fn write_names(&mut self, names: &Names) -> Result<(), FileError> {
        durable::write(&self.names(), names)
    }

    pub(super) fn remove(&mut self, id: &Digest) -> Result<(), FileError> {
        let path = self.record(id);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Write { path, source }),
            _ => Ok(()),
        }
    }

    fn record(&self, id: &Digest) -> PathBuf {
        self.root.join("images").join(id.hex()).with_extension("json")
    }

    fn names(&self) -> PathBuf {
        self.root.join("names.json")
    }
}

/// Where a layer is, or will be.
pub(super) fn layer(root: &Path, chain: &Digest) -> PathBuf {
    root.join("layers").join(chain.hex())
}
