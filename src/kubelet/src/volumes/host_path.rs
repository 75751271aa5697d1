//! hostPath: a path of the node, checked to be what the pod takes it for.

use std::fs::{self, DirBuilder, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::Cause;

pub(super) fn check(source: &HostPathVolumeSource) -> Result<PathBuf, Cause> {
    let path = Path::new(&source.path);
    let is: (&'static str, fn(&FileType) -> bool) = match source.type_.as_deref().unwrap_or_default() {
        "" => {
            // Whatever it is; a folder when it is nothing.
            if !path.exists() {
                make_folder(path)?;
            }
            return Ok(path.to_owned());
        }
        "DirectoryOrCreate" => {
            if !path.exists() {
                make_folder(path)?;
            }
            ("directory", FileType::is_dir)
        }
        "Directory" => ("directory", FileType::is_dir),
        "FileOrCreate" => {
            if !path.exists() {
                make_file(path)?;
            }
            ("file", FileType::is_file)
        }
        "File" => ("file", FileType::is_file),
        "Socket" => ("socket file", FileType::is_socket),
        "CharDevice" => ("character device", FileType::is_char_device),
        "BlockDevice" => ("block device", FileType::is_block_device),
        other => return Err(Cause::HostPathType(other.to_owned())),
    };
    let (wanted, matches) = is;
    match fs::metadata(path) {
        Ok(metadata) if matches(&metadata.file_type()) => Ok(path.to_owned()),
        Ok(_) => Err(Cause::HostPath { path: path.to_owned(), wanted }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Cause::HostPath { path: path.to_owned(), wanted })
        }
        Err(error) => Err(Cause::file("look at", path)(error)),
    }
}

fn make_folder(path: &Path) -> Result<(), Cause> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(Cause::file("make", path))
}

fn make_file(path: &Path) -> Result<(), Cause> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    made.map(drop).map_err(Cause::file("make", path))
}
