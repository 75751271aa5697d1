//! Small files that are whole after any crash: written beside, synced, renamed over.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is damaged")]
    Decode {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot encode {path}")]
    Encode {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let bytes =
        serde_json::to_vec(value).map_err(|source| FileError::Encode { path: path.to_owned(), source })?;
    replace(path, &bytes).map_err(|source| FileError::Write { path: path.to_owned(), source })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_data()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let file = File::open(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    serde_json::from_reader(BufReader::new(file))
        .map_err(|source| FileError::Decode { path: path.to_owned(), source })
}
