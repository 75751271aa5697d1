//! A container's log: a file for each of its attempts, and those that were set aside when they grew too large.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

use crate::context::Context;

/// The folder of a pod's logs, as every Kubernetes names it.
pub(crate) fn log_folder(context: &Context, pod: &Pod) -> PathBuf {
    let metadata = &pod.metadata;
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    let name = format!("{}_{}_{}", word(&metadata.namespace), word(&metadata.name), word(&metadata.uid));
    context.config.log_dir.join(name)
}

pub(crate) fn log_path(context: &Context, pod: &Pod, name: &str, attempt: u32) -> PathBuf {
    log_folder(context, pod).join(name).join(format!("{attempt}.log"))
}

/// The last attempt of a container that has a log in `folder`.
pub(crate) fn latest_log(folder: &Path) -> Option<u32> {
    logs(folder).map(|(attempt, _)| attempt).max()
}

/// Removes the logs of a container's attempts up to `last`.
pub(crate) fn forget_logs(folder: &Path, last: u32) {
    for (_, path) in logs(folder).filter(|(attempt, _)| *attempt <= last) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old log is left");
        }
    }
}

/// All files of a container's log, each beside its attempt: `3.log`, and `3.log.20261121-101500` when it was set aside.
fn logs(folder: &Path) -> impl Iterator<Item = (u32, PathBuf)> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        let (attempt, rest) = name.to_str()?.split_once('.')?;
        let is_log = rest == "log" || rest.starts_with("log.");
        Some((attempt.parse().ok().filter(|_| is_log)?, entry.path()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_aside_goes_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let names =
            ["3.log", "3.log.20261121-101500", "4.log", "4.log.20261121-101501", "40.log", "notes", "3.txt"];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(latest_log(folder.path()), Some(40));
        forget_logs(folder.path(), 3);
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["3.txt", "4.log", "4.log.20261121-101501", "40.log", "notes"]);
    }
}
