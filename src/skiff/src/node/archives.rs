//! Images that somebody put beside the node's for a machine without a network: archives in a folder, imported at the start.
//!
//! They are large, and read from front to back: on an SD card that takes minutes, in which no pod is looked after. So what was read is
//! remembered, and an archive is read again only when it is another file, or when images of it are gone.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use oci::image::Images;
use pki::file;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

const FOLDER: &str = "images";
const MEMORY: &str = "imported.json";

/// By the name of the archive.
type Memory = BTreeMap<String, Imported>;

/// What was read when, and what came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Imported {
    archive: Seen,
    /// Ids of images.
    images: Vec<String>,
}

/// What tells a file from another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    size: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Seen {
    fn of(file: &Metadata) -> Self {
        Self { size: file.size(), inode: file.ino(), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

/// Imports what is new. An archive that cannot be read is told, and the others are imported all the same.
pub(super) async fn import(images: &Images, state: &Path) {
    let path = state.join(MEMORY);
    let before = remembered(&path);
    let mut now = Memory::new();
    for (archive, seen) in archives(&state.join(FOLDER)) {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = before.get(&name).filter(|known| known.archive == seen && are_there(images, known));
        let ids = match known {
            Some(known) => known.images.clone(),
            None => match images.import(&archive).await {
                Ok(imported) => {
                    info!(archive = %archive.display(), images = imported.len(), "imported");
                    imported.iter().map(|image| image.id.clone()).collect()
                }
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    error!(archive = %archive.display(), "cannot import an archive of images: {error:#}");
                    continue;
                }
            },
        };
        now.insert(name, Imported { archive: seen, images: ids });
    }
    if now != before
        && let Err(error) = remember(&path, &now)
    {
        warn!(%error, "cannot remember which archives of images were imported: they are read again at the next start");
    }
}

fn archives(folder: &Path) -> impl Iterator<Item = (PathBuf, Seen)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        // Behind links: archives are often on another disk.
        let file = std::fs::metadata(entry.path()).ok().filter(Metadata::is_file)?;
        Some((entry.path(), Seen::of(&file)))
    })
}

/// The node removes images when its disk is full, people by hand.
fn are_there(images: &Images, imported: &Imported) -> bool {
    imported.images.iter().all(|id| images.get(id).is_some())
}

fn remembered(path: &Path) -> Memory {
    let text = file::read(path).ok().flatten();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn remember(path: &Path, memory: &Memory) -> io::Result<()> {
    file::write(path, serde_json::to_string(memory)?.as_bytes(), file::PUBLIC)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// As `docker save` writes it, of an image without layers.
    fn archive(folder: &Path, name: &str, tag: &str) {
        let made = tempfile::tempdir_in(folder).unwrap();
        let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config = serde_json::json!({"architecture": machine, "os": "linux", "config": {"Env": [tag]},
            "rootfs": {"type": "layers", "diff_ids": []}});
        let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": [tag], "Layers": []}]);
        fs::write(made.path().join("config.json"), config.to_string()).unwrap();
        fs::write(made.path().join("manifest.json"), manifest.to_string()).unwrap();
        fs::create_dir_all(folder.join(FOLDER)).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(folder.join(FOLDER).join(name)).arg("-C").arg(made.path());
        assert!(tar.args(["config.json", "manifest.json"]).status().unwrap().success());
    }

    #[tokio::test]
    async fn an_archive_is_read_again_only_if_it_is_another_or_its_images_are_gone() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let images = Images::open(state.join("content")).unwrap();
        archive(state, "a.tar", "example.test/a:1");
        import(&images, state).await;
        assert!(images.get("example.test/a:1").is_some());

        // In the same place, of the same size and time: not read, so nobody sees that it is damaged.
        let path = state.join(FOLDER).join("a.tar");
        let (content, modified) =
            (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
        let overwrite = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        };
        overwrite(&vec![0; content.len()]);
        let memory = remembered(&state.join(MEMORY));
        import(&images, state).await;
        assert_eq!(remembered(&state.join(MEMORY)), memory);
        overwrite(&content);

        images.remove("example.test/a:1").await.unwrap();
        import(&images, state).await;
        assert!(images.get("example.test/a:1").is_some(), "what was collected comes back");

        archive(state, "a.tar", "example.test/a:2");
        import(&images, state).await;
        assert!(images.get("example.test/a:2").is_some(), "another archive in its place");

        fs::remove_file(&path).unwrap();
        import(&images, state).await;
        assert_eq!(remembered(&state.join(MEMORY)), Memory::new());
    }
}
