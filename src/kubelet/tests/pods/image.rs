//! An image of busybox, as an archive.

use std::path::{Path, PathBuf};

use crate::harness::BUSYBOX;

pub(crate) const NAME: &str = "test/busybox:1";
/// The same by another name.
pub(crate) const OTHER: &str = "test/busybox:2";

const APPLETS: [&str; 24] = [
    "sh", "cat", "echo", "sleep", "id", "ls", "hostname", "touch", "kill", "grep", "test", "true", "false",
    "printf", "httpd", "mkdir", "rm", "wget", "env", "readlink", "stat", "tail", "seq", "pwd",
];

/// As `docker save` writes it.
pub(crate) fn archive(folder: &Path) -> PathBuf {
    let layer = layer();
    let config = serde_json::json!({
        "architecture": match std::env::consts::ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other },
        "os": "linux",
        "config": {"Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["sleep 1000000"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
    });
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": [NAME, OTHER], "Layers": ["layer.tar"]}]);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
        ("layer.tar", layer),
    ] {
        file(&mut archive, name, 0o644, &bytes);
    }
    let path = folder.join("busybox.tar");
    std::fs::write(&path, archive.into_inner().unwrap()).unwrap();
    path
}

fn layer() -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    file(&mut layer, "bin/busybox", 0o755, &std::fs::read(BUSYBOX).unwrap());
    for applet in APPLETS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    file(&mut layer, "etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n");
    file(&mut layer, "tmp/.keep", 0o644, b"");
    layer.into_inner().unwrap()
}

fn file(archive: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
