//! What layers may hold, and what they must not do.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::ground::Ground;
use super::layers::{Layer, image};
use super::registry::Registry;

/// The root of an image of these layers.
async fn root_of<const N: usize>(ground: &Ground, layers: [Layer; N]) -> PathBuf {
    let registry = Registry::start().await;
    let image = ground.pull(&registry.push("app", &image(layers))).await.unwrap();
    ground.mount(&image).await
}

/// Why an image of this layer is refused; nothing of it is left.
async fn refusal(ground: &Ground, layer: Layer) -> String {
    let registry = Registry::start().await;
    let error = ground.pull(&registry.push("app", &image([layer]))).await.unwrap_err().message();
    assert_eq!((ground.layers(), ground.staged()), (0, 0), "{error}");
    error
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = [0; 100];
    let count = rustix::fs::lgetxattr(path, name, &mut buffer[..]).ok()?;
    Some(buffer[..count].to_vec())
}

#[tokio::test]
async fn files_are_as_they_were() {
    let Some(ground) = Ground::new() else { return };
    // The kernel's form of cap_net_raw+ep, with a newline among its bytes.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0];
    let owned = |header: &mut Header| {
        header.set_mode(0o6755);
        header.set_uid(1000);
        header.set_gid(2000);
    };
    let layer = Layer::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability[..]),
            ("SCHILY.xattr.user.note", b"=a\nb="),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("mtime", b"1234567890.5"),
        ])
        .entry("program", EntryType::Regular, "run", owned)
        .entry("null", EntryType::Char, "", |header| {
            header.set_mode(0o666);
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        })
        .entry("pipe", EntryType::Fifo, "", |_| {})
        .symlink("link", "../../etc/passwd")
        .hard_link("same", "program")
        .folder("sticky/", 0o1777)
        .file("sticky/file", "");
    let root = root_of(&ground, [layer]).await;
    let program = fs::metadata(root.join("program")).unwrap();
    assert_eq!((program.mode() & 0o7777, program.uid(), program.gid()), (0o6755, 1000, 2000));
    assert_eq!((program.mtime(), program.mtime_nsec()), (1_234_567_890, 500_000_000));
    assert_eq!(attribute(&root.join("program"), "security.capability").unwrap(), capability);
    assert_eq!(attribute(&root.join("program"), "user.note").unwrap(), b"=a\nb=");
    let layer = fs::read_dir(ground.path().join("layers")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(attribute(&layer.join("program"), "trusted.overlay.redirect"), None);
    let null = fs::metadata(root.join("null")).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == rustix::fs::makedev(1, 3));
    assert_eq!(null.permissions().mode() & 0o7777, 0o666);
    assert!(fs::metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("../../etc/passwd"));
    assert_eq!(fs::metadata(root.join("same")).unwrap().ino(), program.ino());
    let sticky = fs::metadata(root.join("sticky")).unwrap();
    assert_eq!((sticky.mode() & 0o7777, sticky.mtime()), (0o1777, 1_000_000_000));
}

#[tokio::test]
async fn names_that_lead_out_are_refused() {
    let Some(ground) = Ground::new() else { return };
    for name in ["../out", "a/../../out", "/../out"] {
        let error = refusal(&ground, Layer::new().file("a/b", "").file(name, "")).await;
        assert!(error.contains("leads out of the layer"), "{error}");
    }
    let error = refusal(&ground, Layer::new().hard_link("mine", "/etc/passwd")).await;
    assert!(error.contains("which is not in the layer"), "{error}");
    let error = refusal(&ground, Layer::new().hard_link("mine", "../../../etc/passwd")).await;
    assert!(error.contains("leads out of the layer"), "{error}");
}

/// A link says `/`, and that is the layer's own.
#[tokio::test]
async fn links_lead_nowhere_but_into_the_layer() {
    let Some(ground) = Ground::new() else { return };
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().to_str().unwrap();
    let inside = out.trim_start_matches('/');
    let layer = Layer::new()
        .folder(&format!("{inside}/"), 0o755)
        .symlink("absolute", out)
        .symlink("relative", &format!("../../../../../..{out}"))
        .file("absolute/a", "1")
        .file("relative/b", "2")
        .hard_link("absolute/c", "relative/b")
        .file("absolute/.wh.d", "");
    let root = root_of(&ground, [layer]).await;
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(
        (read(root.join(inside).join("a")), read(root.join(inside).join("c"))),
        ("1".into(), "2".into())
    );
}

#[tokio::test]
async fn nothing_is_written_through_a_link() {
    let Some(ground) = Ground::new() else { return };
    let outside = tempfile::NamedTempFile::new().unwrap();
    let layer = Layer::new()
        .symlink("file", outside.path().to_str().unwrap())
        .file("file", "inside")
        .symlink("folder", "/tmp")
        .folder("folder/", 0o700)
        .file("was-file", "")
        .folder("was-file/", 0o755)
        .file("was-folder/a", "")
        .file("was-folder", "now a file");
    let root = root_of(&ground, [layer]).await;
    assert_eq!((read(outside.path()), read(root.join("file"))), (String::new(), "inside".into()));
    assert!(fs::symlink_metadata(root.join("folder")).unwrap().is_dir());
    assert!(root.join("was-file").is_dir());
    assert_eq!(read(root.join("was-folder")), "now a file");
}

#[tokio::test]
async fn folders_that_a_layer_leaves_out_look_as_below() {
    let Some(ground) = Ground::new() else { return };
    let owned = |header: &mut Header| {
        header.set_mode(0o2770);
        header.set_uid(33);
    };
    let below = Layer::new().folder("tmp/", 0o1777).entry("var/", EntryType::Directory, "", owned);
    let root =
        root_of(&ground, [below, Layer::new().file("tmp/a", ""), Layer::new().file("var/new/b", "")]).await;
    let (tmp, var) = (fs::metadata(root.join("tmp")).unwrap(), fs::metadata(root.join("var")).unwrap());
    assert_eq!((tmp.mode() & 0o7777, tmp.mtime()), (0o1777, 1_000_000_000));
    assert_eq!((var.mode() & 0o7777, var.uid()), (0o2770, 33));
    assert_eq!(fs::metadata(root.join("var/new")).unwrap().mode() & 0o7777, 0o755);
}

#[tokio::test]
async fn deletions_count_for_lower_layers_only() {
    let Some(ground) = Ground::new() else { return };
    let below =
        Layer::new().file("folder/old", "").file("other/old", "").file("file", "old").file("kept/a", "");
    let above = Layer::new()
        .file(".wh.folder", "")
        .file("folder/new", "")
        .file("other/new", "")
        .file(".wh.other", "")
        .file("file", "new")
        .file(".wh.file", "")
        .file(".wh..wh.plnk", "")
        .file("kept/.wh.absent", "");
    let root = root_of(&ground, [below, above]).await;
    let names = |path: &str| {
        let mut names: Vec<_> =
            fs::read_dir(root.join(path)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["file", "folder", "kept", "other"]);
    assert_eq!(
        (names("folder"), names("other"), names("kept")),
        (vec!["new".into()], vec!["new".into()], vec!["a".into()])
    );
    assert_eq!(read(root.join("file")), "new");
}

#[tokio::test]
async fn a_layer_can_hide_everything_below() {
    let Some(ground) = Ground::new() else { return };
    let layers = [Layer::new().file("old", ""), Layer::new().file(".wh..wh..opq", "").file("new", "")];
    let root = root_of(&ground, layers).await;
    assert!(!root.join("old").exists() && root.join("new").exists());
}

#[tokio::test]
async fn long_names_are_kept() {
    let Some(ground) = Ground::new() else { return };
    let deep = format!("{}/file", ["a-folder-with-a-name"; 20].join("/"));
    let gnu = format!("{deep}-gnu");
    let layer = Layer::new()
        .pax(&[("path", deep.as_bytes()), ("uid", b"3000000000")])
        .entry("short", EntryType::Regular, "pax", |_| {})
        .entry("././@LongLink", EntryType::GNULongName, &format!("{gnu}\0"), |_| {})
        .entry("short", EntryType::Regular, "gnu", |_| {});
    let root = root_of(&ground, [layer]).await;
    assert_eq!((read(root.join(&deep)), read(root.join(&gnu))), ("pax".into(), "gnu".into()));
    assert_eq!(fs::metadata(root.join(&deep)).unwrap().uid(), 3_000_000_000);
}

#[tokio::test]
async fn archives_that_make_no_sense_are_refused() {
    let Some(ground) = Ground::new() else { return };
    let error = refusal(&ground, Layer::new().entry("a", EntryType::GNUSparse, "", |_| {})).await;
    assert!(error.contains("sparse"), "{error}");
    let error = refusal(&ground, Layer::new().entry("a", EntryType::new(b'Z'), "", |_| {})).await;
    assert!(error.contains("unknown kind 'Z'"), "{error}");
    let error = refusal(&ground, Layer::new().file("a", "").file("a/b", "")).await;
    assert!(error.contains("cannot unpack a/b"), "{error}");
    let long = "x".repeat(2 << 20);
    let error = refusal(&ground, Layer::new().pax(&[("comment", long.as_bytes())]).file("a", "")).await;
    assert!(error.contains("2097"), "{error}");
    for garbage in ["5", "999 a=b\n", "x a=b\n", "11 mtime=x\n"] {
        let layer = Layer::new().entry("pax", EntryType::XHeader, garbage, |_| {}).file("a", "");
        let error = refusal(&ground, layer).await;
        assert!(error.contains("an extended header of it is damaged"), "{error}");
    }
}

#[tokio::test]
async fn an_image_may_have_more_layers_than_mount_options_have_room_for() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let layers = (0..127)
        .map(|number| Layer::new().file(&format!("file-{number}"), "").file("last", &number.to_string()));
    let image = ground.pull(&registry.push("app", &image(layers))).await.unwrap();
    let root = ground.mount(&image).await;
    assert_eq!(fs::read_dir(&root).unwrap().count(), 128);
    assert_eq!(read(root.join("last")), "126");
}

#[tokio::test]
async fn an_image_may_have_no_layer() {
    let Some(ground) = Ground::new() else { return };
    let root = root_of(&ground, []).await;
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    fs::write(root.join("a"), "").unwrap();
}
