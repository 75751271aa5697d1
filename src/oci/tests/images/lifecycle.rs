//! Pull, find, mount, unmount, collect, restart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use oci::image::{Error, Images, Progress, Reference, Registries};
use tokio::sync::watch;

use super::ground::Ground;
use super::layers::{Blob, Layer, PLAIN, ZSTD, digest, image, image_of, zstd};
use super::registry::Registry;

fn two_layers() -> [Layer; 2] {
    [
        Layer::new().file("kept", "lower").file("gone", "lower").file("hidden/lower", "lower"),
        Layer::new().file(".wh.gone", "").file("hidden/.wh..wh..opq", "").file("hidden/upper", "upper"),
    ]
}

#[tokio::test]
async fn a_pulled_image_is_found_by_all_its_names_and_mounted() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = image(two_layers());
    let name = registry.push("app", &made);
    let pulled = ground.pull(&name).await.unwrap();
    assert_eq!(pulled.id, made.config.digest());
    assert_eq!(pulled.tags, [name.clone()]);
    assert_eq!(pulled.digests, [format!("{}/app@{}", registry.address(), made.manifest.digest())]);
    assert_eq!(
        (pulled.config.entrypoint.as_slice(), pulled.config.working_dir.as_str()),
        (&["/run".to_owned()][..], "/data")
    );
    for name in [&pulled.id, &pulled.id[7..], &name, &pulled.digests[0]] {
        assert_eq!(ground.images().get(name).unwrap().id, pulled.id, "{name}");
    }
    assert!(ground.images().get("app").is_none());
    let root = ground.mount(&pulled).await;
    assert_eq!(fs::read_to_string(root.join("kept")).unwrap(), "lower");
    assert!(!root.join("gone").exists() && !root.join("hidden/lower").exists());
    assert_eq!(fs::read_to_string(root.join("hidden/upper")).unwrap(), "upper");
    ground.images().unmount("c").await.unwrap();
    ground.images().unmount("c").await.unwrap();
    assert!(!ground.has_mounts() && ground.images().mounted().is_empty());
}

#[tokio::test]
async fn every_compression_gives_the_same_layer() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let tar = Layer::new().file("a", "content").tar();
    for (media_type, bytes) in [(PLAIN, tar.clone()), (ZSTD, zstd(&tar))] {
        let name = registry.push("app", &image_of(vec![(Blob { media_type, bytes }, digest(&tar))]));
        ground.pull(&name).await.unwrap();
    }
    let name = registry.push("app", &image([Layer::new().file("a", "content")]));
    let root = ground.mount(&*ground.pull(&name).await.unwrap()).await;
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "content");
    assert_eq!(ground.layers(), 1);
    assert_eq!(
        registry.asked_for("blobs/"),
        4,
        "a configuration and a layer, the same two again: {:?}",
        registry.asked()
    );
}
