//! The folder that facts are read below: `/`, or in tests a folder that holds another machine's files.
//!
//! A file that is missing, unreadable or not text is a fact like any other here, so readers give options, not errors.

use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    pub(super) fn bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        std::fs::read(self.path(path)).ok()
    }

    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(String::from_utf8_lossy(&self.bytes(path)?).into_owned())
    }

    /// The text without white space (and the zero byte that ends device tree strings) around it.
    pub(super) fn word(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(self.text(path)?.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_string())
    }

    pub(super) fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.word(path)?.parse().ok()
    }

    /// The names in a folder, sorted; none when there is no such folder.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    pub(super) fn kernel_release(&self) -> String {
        self.word("proc/sys/kernel/osrelease").unwrap_or_default()
    }
}

/// A machine for tests: a folder filled with the files that matter.
#[cfg(test)]
pub(super) struct Sample(tempfile::TempDir);

#[cfg(test)]
impl Sample {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let sample = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            sample.add(path, text.as_bytes());
        }
        sample
    }

    pub(super) fn add(&self, path: &str, bytes: &[u8]) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(super) fn root(&self) -> Root {
        Root::new(self.0.path())
    }
}
