//! Pull, find, mount, unmount, collect, restart.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use oci::image::Error;

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
    assert_eq!(pulled.tags, std::slice::from_ref(&name));
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
    let root = ground.mount(&ground.pull(&name).await.unwrap()).await;
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "content");
    assert_eq!(ground.layers(), 1);
    assert_eq!(
        registry.asked_for("blobs/"),
        4,
        "a configuration and a layer, the same two again: {:?}",
        registry.asked()
    );
}

#[tokio::test]
async fn a_name_goes_to_the_newest_image() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let old = ground.pull(&registry.push("app", &image([Layer::new().file("a", "1")]))).await.unwrap();
    let name = registry.push("app", &image([Layer::new().file("a", "2")]));
    let new = ground.pull(&name).await.unwrap();
    assert_eq!(ground.images().get(&name).unwrap().id, new.id);
    let old = ground.images().get(&old.id).unwrap();
    assert_eq!((old.tags.len(), old.digests.len()), (0, 1));
}

#[tokio::test]
async fn what_is_mounted_stays() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let image = ground.pull(&registry.push("app", &image(two_layers()))).await.unwrap();
    let root = ground.mount(&image).await;
    let error = ground.images().remove(&image.id).await.unwrap_err();
    assert!(matches!(&error, Error::InUse { container, .. } if container == "c"), "{error}");
    assert_eq!(ground.images().collect(&BTreeSet::new()).await.unwrap(), 0);
    assert!(root.join("kept").exists());
    ground.images().unmount("c").await.unwrap();
    ground.images().remove(&image.id).await.unwrap();
    assert_eq!((ground.layers(), ground.images().list().len()), (0, 0));
    assert!(matches!(ground.images().remove(&image.id).await, Err(Error::NoImage(_))));
    assert!(matches!(ground.images().mount(&image, "c").await, Err(Error::NoImage(_))));
}

#[tokio::test]
async fn collecting_keeps_what_is_shared_with_what_is_needed() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let base = || Layer::new().file("base", &"x".repeat(100_000));
    let needed = registry.push("needed", &image([base(), Layer::new().file("a", "")]));
    let other = registry.push("other", &image([base(), Layer::new().file("b", &"x".repeat(300_000))]));
    ground.pull(&needed).await.unwrap();
    ground.pull(&other).await.unwrap();
    assert_eq!(ground.layers(), 3, "the base is there once");
    let freed = ground.images().collect(&BTreeSet::from([needed.clone()])).await.unwrap();
    assert!((300_000..400_000).contains(&freed), "{freed}");
    assert_eq!((ground.layers(), ground.images().list().len()), (2, 1));
    let root = ground.mount(&ground.images().get(&needed).unwrap()).await;
    assert!(root.join("base").exists());
}

#[tokio::test]
async fn a_new_process_finds_images_and_roots() {
    let Some(mut ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &image(two_layers()));
    let image = ground.pull(&name).await.unwrap();
    let root = ground.mount(&image).await;
    fs::write(root.join("written"), "by the container").unwrap();
    let mounted = fs::metadata(&root).unwrap().dev();
    ground.reopen();
    assert_eq!(ground.images().mounted(), ["c"]);
    let image = ground.images().get(&name).unwrap();
    assert_eq!(ground.mount(&image).await, root);
    assert_eq!(fs::metadata(&root).unwrap().dev(), mounted, "it is the same mount");
    // What a restart of the machine takes away.
    rustix::mount::unmount(&root, rustix::mount::UnmountFlags::empty()).unwrap();
    ground.reopen();
    assert_eq!(ground.images().mounted(), ["c"]);
    let root = ground.mount(&ground.images().get(&name).unwrap()).await;
    assert_eq!(fs::read_to_string(root.join("written")).unwrap(), "by the container");
    ground.images().unmount("c").await.unwrap();
    assert!(ground.images().mounted().is_empty() && !ground.has_mounts());
    assert_eq!(ground.staged(), 0);
}

#[tokio::test]
async fn damaged_records_are_forgotten_and_pulled_again() {
    let Some(mut ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let name = registry.push("app", &image(two_layers()));
    for damage in [
        (|ground: &Ground| {
            let layer = fs::read_dir(ground.path().join("layers")).unwrap().next().unwrap().unwrap().path();
            fs::remove_dir_all(layer).unwrap();
        }) as fn(&Ground),
        |ground| {
            let record = fs::read_dir(ground.path().join("images")).unwrap().next().unwrap().unwrap().path();
            fs::write(record, "{\"half").unwrap();
        },
    ] {
        let image = ground.pull(&name).await.unwrap();
        ground.close();
        damage(&ground);
        ground.reopen();
        assert!(ground.images().get(&name).is_none() && ground.images().get(&image.id).is_none());
    }
    ground.pull(&name).await.unwrap();
    ground.close();
    fs::write(ground.path().join("names.json"), "").unwrap();
    ground.reopen();
    assert_eq!(ground.images().list().len(), 1, "an image without a name is still one");
}

#[tokio::test]
async fn one_container_has_one_image() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let one = ground.pull(&registry.push("one", &image([Layer::new().file("a", "1")]))).await.unwrap();
    let other = ground.pull(&registry.push("other", &image([Layer::new().file("a", "2")]))).await.unwrap();
    ground.mount(&one).await;
    assert!(matches!(ground.images().mount(&other, "c").await, Err(Error::OtherImage { .. })));
    for id in ["", "..", "a/b", ".hidden"] {
        assert!(matches!(ground.images().mount(&one, id).await, Err(Error::ContainerId(_))), "{id}");
        assert!(matches!(ground.images().unmount(id).await, Err(Error::ContainerId(_))), "{id}");
    }
    let (a, b) = tokio::join!(ground.images().mount(&one, "d"), ground.images().mount(&one, "d"));
    assert_eq!(a.unwrap(), b.unwrap());
    ground.images().unmount("d").await.unwrap();
    assert!(!ground.path().join("containers/d").exists());
}
