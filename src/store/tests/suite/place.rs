//! Where a store under test keeps its things, and how to get at them again.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use store::{Config, Entry, InMemory, Limits, Snapshot, Store};
use tempfile::TempDir;

/// One of the backends, outliving the stores opened over it.
pub(crate) enum Place {
    Memory(InMemory),
    Disk(TempDir),
}

impl Place {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(InMemory::default())
    }

    pub(crate) fn on_disk() -> Self {
        Self::Disk(tempfile::tempdir().unwrap())
    }

    pub(crate) fn open(&self) -> Store {
        self.open_with(Limits::default())
    }

    pub(crate) fn open_with(&self, limits: Limits) -> Store {
        match self {
            Self::Memory(disk) => Store::over(disk.clone(), disk.contents(), limits).unwrap(),
            Self::Disk(directory) => {
                let config = Config { limits, ..Config::new(directory.path()) };
                let (store, restored) = Store::open(&config).unwrap();
                assert!(restored.is_none(), "{restored:?}");
                store
            }
        }
    }

    /// What a power cut at this moment would leave.
    pub(crate) fn crashed(&self) -> Self {
        match self {
            Self::Memory(disk) => Self::Memory(disk.copy()),
            Self::Disk(directory) => Self::Disk(copy(directory.path())),
        }
    }
}

/// By another process: closing a file of ours would drop SQLite's lock on it. A store that runs may rename its backups
/// meanwhile; what was copied then is of no moment at all, and is copied again.
pub(crate) fn copy(directory: &Path) -> TempDir {
    const ATTEMPTS: usize = 100;
    let attempt = |_| {
        let to = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-a").arg(directory.join(".")).arg(to.path()).status().unwrap();
        copied.success().then_some(to)
    };
    (0..ATTEMPTS).find_map(attempt).expect("a store that nobody writes to leaves its files alone")
}

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(&Config::new(directory)).unwrap().0
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn text(entry: &Entry) -> String {
    String::from_utf8(entry.value().to_vec()).unwrap()
}

pub(crate) fn keys(snapshot: &Snapshot) -> Vec<String> {
    snapshot.iter().map(|entry| entry.key().to_owned()).collect()
}
