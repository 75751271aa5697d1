//! The folders of the data directory that hold what others on this machine may not read: the database with every Secret in
//! it, keys, what Secrets are mounted from. Closed at the top, so that nothing below needs to mind its mode.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;

const MODE: u32 = 0o700;

/// Makes the folder, or closes one that is there.
pub(crate) fn folder(path: &Path) -> anyhow::Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let made = made.and_then(|()| DirBuilder::new().recursive(true).mode(MODE).create(path));
    made.with_context(|| format!("make {}", path.display()))?;
    let closed = fs::set_permissions(path, Permissions::from_mode(MODE));
    closed.with_context(|| format!("keep others out of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_folder_is_closed_and_the_way_to_it_is_not() {
        let data = tempfile::tempdir().unwrap();
        let (way, path) = (data.path().join("data"), data.path().join("data/server"));
        for _ in 0..2 {
            folder(&path).unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&way) & 0o700, mode(&path)), (0o700, MODE));
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
    }
}
