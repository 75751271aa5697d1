//! Images from archives.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tar::EntryType;

use super::ground::Ground;
use super::layers::{Blob, Layer, Made, digest, gzip, image, zstd};

fn made() -> Made {
    image([Layer::new().file("a", "lower"), Layer::new().file("b", "upper")])
}

/// As `docker save` wrote it for years: plain layers, one of them a link to another image's.
fn docker_archive(tag: &str) -> Layer {
    let made = made();
    let layers = [Layer::new().file("a", "lower").tar(), Layer::new().file("b", "upper").tar()];
    let [lower, upper] = layers.map(|tar| String::from_utf8(tar).unwrap());
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [tag], "Layers": ["1/layer.tar", "2/layer.tar"] }]);
    Layer::new()
        .folder("1/", 0o755)
        .symlink("1/layer.tar", "../shared/layer.tar")
        .file("2/layer.tar", &upper)
        .file("shared/layer.tar", &lower)
        .file("config.json", &String::from_utf8(made.config.bytes).unwrap())
        .file("manifest.json", &manifest.to_string())
}

/// The layers come before anything says what they are.
fn layout(made: &Made, annotations: &serde_json::Value) -> Vec<u8> {
    let mut top = made.manifest.descriptor();
    top["annotations"] = annotations.clone();
    let index = json!({ "schemaVersion": 2, "manifests": [top] }).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    let blobs = made.layers.iter().chain([&made.config, &made.manifest]);
    let files = blobs.map(|blob| (format!("blobs/sha256/{}", &blob.digest()[7..]), blob.bytes.clone()));
    for (path, bytes) in files.chain([("index.json".to_owned(), index.into_bytes())]) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn write(ground: &Ground, bytes: &[u8]) -> PathBuf {
    let path = ground.path().join("archive.tar");
    fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn archives_of_docker_are_imported_however_compressed() {
    let Some(ground) = Ground::new() else { return };
    for (tag, compress) in [
        ("app:plain", (|bytes: &[u8]| bytes.to_vec()) as fn(&[u8]) -> Vec<u8>),
        ("app:gzip", gzip),
        ("app:zstd", zstd),
    ] {
        let archive = write(&ground, &compress(&docker_archive(tag).tar()));
        let images = ground.images().import(&archive).await.unwrap();
        assert_eq!((images.len(), &images[0].id), (1, &made().config.digest()));
        assert!(images[0].tags.contains(&format!("docker.io/library/{tag}")) && images[0].digests.is_empty());
    }
    let image = ground.images().get("app:zstd").unwrap();
    assert_eq!((image.tags.len(), ground.layers()), (3, 2));
    let root = ground.mount(&image).await;
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "lower");
    assert_eq!(fs::read_to_string(root.join("b")).unwrap(), "upper");
}

#[tokio::test]
async fn a_layout_brings_its_digests_along() {
    let Some(ground) = Ground::new() else { return };
    let made = made();
    let names =
        json!({ "io.containerd.image.name": "quay.io/a/app:1", "org.opencontainers.image.ref.name": "1" });
    let archive = write(&ground, &layout(&made, &names));
    let images = ground.images().import(&archive).await.unwrap();
    let digest = format!("quay.io/a/app@{}", made.manifest.digest());
    assert_eq!((&images[0].tags, &images[0].digests), (&vec!["quay.io/a/app:1".to_owned()], &vec![digest]));
    let nameless = write(&ground, &layout(&made, &json!({ "org.opencontainers.image.ref.name": "1" })));
    let images = ground.images().import(&nameless).await.unwrap();
    assert_eq!(images[0].tags, ["quay.io/a/app:1"], "it keeps the name that it had");
}

/// Nothing is unpacked, so nothing is written.
#[tokio::test]
async fn importing_again_touches_no_layer() {
    let Some(ground) = Ground::new() else { return };
    let archive = write(&ground, &docker_archive("app:1").tar());
    ground.images().import(&archive).await.unwrap();
    let changed = || fs::metadata(ground.path().join("staging")).unwrap().modified().unwrap();
    let before = changed();
    ground.images().import(&archive).await.unwrap();
    assert_eq!(changed(), before);
}

#[tokio::test]
async fn archives_that_are_none_are_refused_with_a_reason() {
    let Some(ground) = Ground::new() else { return };
    let refused = async |bytes: &[u8]| {
        let archive = write(&ground, bytes);
        let error = ground.images().import(&archive).await.unwrap_err().message();
        assert_eq!((ground.layers(), ground.staged()), (0, 0), "{error}");
        error
    };
    let error = refused(b"nothing of the kind").await;
    assert!(error.contains("archive.tar"), "{error}");
    let error = refused(&Layer::new().file("a", "").tar()).await;
    assert!(error.contains("neither an OCI image layout nor"), "{error}");
    let whole = docker_archive("app:1").tar();
    let compressed = gzip(&whole);
    let error = refused(&compressed[..compressed.len() / 2]).await;
    assert!(error.contains("cannot import"), "{error}");
    let made = made();
    let missing = Made { layers: Vec::new(), config: made.config.clone(), manifest: made.manifest.clone() };
    let error = refused(&layout(&missing, &json!({}))).await;
    assert!(error.contains(&format!("{} is missing", &made.layers[0].digest()[7..])), "{error}");
    let config = String::from_utf8(made.config.bytes.clone()).unwrap().replace("\"linux\"", "\"windows\"");
    let config = Blob { bytes: config.into_bytes(), ..made.config.clone() };
    let manifest = String::from_utf8(made.manifest.bytes).unwrap();
    let manifest = manifest.replace(&digest(&made.config.bytes), &config.digest());
    let manifest = manifest.replace(
        &format!("\"size\":{}", made.config.bytes.len()),
        &format!("\"size\":{}", config.bytes.len()),
    );
    let manifest = Blob { bytes: manifest.into_bytes(), ..made.manifest };
    let error = refused(&layout(&Made { layers: made.layers, config, manifest }, &json!({}))).await;
    assert!(error.contains("no variant of it for linux/") && error.contains("windows/"), "{error}");
}
