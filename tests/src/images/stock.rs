//! What most test images are made of: Debian's static busybox, and our guest programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::image::Image;

/// The guest programs (`tests/guest`), one static file; see `build.rs`.
pub const GUEST: &str = env!("GUEST");

const BUSYBOX: &str = "/bin/busybox";

/// Without these, pods cannot run as a user of the image.
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
web:x:1000:1000:web:/home/web:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
";
const GROUP: &str = "root:x:0:\nweb:x:1000:\nstorage:x:2000:web\nnogroup:x:65534:\n";

impl Image {
    /// `NAME:latest` that runs one of the guest programs: `Image::guest("web", ["echo", "--http", "80"])`.
    /// It has no shell and no other file.
    pub fn guest<const N: usize>(name: &str, program: [&str; N]) -> Result<Self> {
        Ok(Self::new(name).guest_programs()?.entrypoint(["/bin/guest"]).cmd(program))
    }

    /// Adds the guest programs at `/bin/guest`.
    pub fn guest_programs(self) -> Result<Self> {
        Ok(self.file("/bin/guest", read(GUEST)?, 0o755))
    }

    /// A layer with a shell and all of busybox, users `root`, `web` (1000) and `nobody`, and a world-writable `/tmp`.
    /// Its `wget` works, but for `-T`, which crashes it (Debian 12, 1.35.0).
    pub fn base_busybox(self) -> Result<Self> {
        let plain = ["/bin", "/etc", "/home", "/sbin", "/usr", "/usr/bin", "/usr/sbin", "/var"];
        let mut image = plain
            .iter()
            .fold(self, |image, path| image.dir(path, 0o755))
            .dir("/root", 0o700)
            .dir("/tmp", 0o1777)
            .file("/etc/passwd", PASSWD, 0o644)
            .file("/etc/group", GROUP, 0o644)
            .file(BUSYBOX, read(BUSYBOX)?, 0o755)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        for applet in applets()? {
            image = image.symlink(Path::new("/").join(applet), BUSYBOX);
        }
        Ok(image.cmd(["sh"]).layer())
    }
}

/// Paths without their leading slash, busybox itself left out.
fn applets() -> Result<Vec<String>> {
    let output = Command::new(BUSYBOX).arg("--list-full").output().context("cannot start busybox")?;
    ensure!(output.status.success(), "busybox --list-full: {}", output.status);
    let list = String::from_utf8(output.stdout).context("busybox --list-full prints no text")?;
    Ok(list.lines().filter(|path| Path::new("/").join(path) != Path::new(BUSYBOX)).map(Into::into).collect())
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {path}; has scripts/setup been run?"))
}
