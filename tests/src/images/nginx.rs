//! nginx from Debian's packages, set up like the image of that name that everybody knows: it serves
//! `/usr/share/nginx/html` on port 80, reads `/etc/nginx/conf.d`, and logs to its standard output.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::image::Image;

/// Unpacked by `scripts/setup lab`, below the cache directory.
const FILES: &str = "skiff/nginx-bookworm";

/// Half of the bytes, and nothing that nginx reads.
const UNUSED: [&str; 6] = ["apport", "doc", "gconv", "lintian", "man", "vim"];

const CONFIGURATION: &str = "\
user www-data;
events {}
http {
    include mime.types;
    access_log /var/log/nginx/access.log;
    sendfile on;
    include conf.d/*.conf;
}
";
const SERVER: &str = "\
server {
    listen 80;
    listen [::]:80;
    root /usr/share/nginx/html;
}
";
const PASSWD: &str =
    "root:x:0:0:root:/root:/sbin/nologin\nwww-data:x:33:33:www-data:/var/www:/sbin/nologin\n";

impl Image {
    /// `nginx:latest`. It has no shell.
    pub fn nginx() -> Result<Self> {
        let files = cache()?.join(FILES);
        let image = add_tree(Self::new("nginx"), &files, Path::new("/"))
            .with_context(|| format!("cannot read {}; has scripts/setup lab been run?", files.display()))?;
        Ok(image
            .layer()
            .dir("/run", 0o755)
            .dir("/tmp", 0o1777)
            .file("/etc/passwd", PASSWD, 0o644)
            .file("/etc/group", "root:x:0:\nwww-data:x:33:\n", 0o644)
            .file("/etc/nginx/nginx.conf", CONFIGURATION, 0o644)
            .file("/etc/nginx/conf.d/default.conf", SERVER, 0o644)
            .symlink("/var/log/nginx/access.log", "/dev/stdout")
            .symlink("/var/log/nginx/error.log", "/dev/stderr")
            .stop_signal("SIGQUIT")
            .cmd(["/usr/sbin/nginx", "-g", "daemon off;"]))
    }
}

/// As `scripts/shared.sh` says.
fn cache() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("XDG_CACHE_HOME") {
        return Ok(cache.into());
    }
    Ok(env::home_dir().context("this user has no home directory")?.join(".cache"))
}

/// What is in the directory `from`, in the order of names, as `to` in the image.
fn add_tree(mut image: Image, from: &Path, to: &Path) -> Result<Image> {
    let mut entries = fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| !UNUSED.iter().any(|unused| entry.file_name() == *unused)) {
        let (path, inside, metadata) = (entry.path(), to.join(entry.file_name()), entry.metadata()?);
        let mode = metadata.permissions().mode() & 0o7777;
        image = match metadata.file_type() {
            kind if kind.is_symlink() => image.symlink(inside, fs::read_link(path)?),
            kind if kind.is_dir() => add_tree(image.dir(&inside, mode), &path, &inside)?,
            _ => image.file(inside, fs::read(path)?, mode),
        };
    }
    Ok(image)
}
