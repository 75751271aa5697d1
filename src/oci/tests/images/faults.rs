//! What a bad line and a bad registry can do.

use std::fs;
use std::sync::Arc;

use oci::image::{Images, Progress, Reference, Registries};
use tokio::sync::{Notify, watch};

use super::ground::Ground;
use super::layers::{Blob, Layer, Made, image};
use super::registry::{Fault, Registry};

/// One layer that is larger than what a lost connection must have brought to count.
fn large() -> Made {
    let mut state = 1_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 58) as u8)
    };
    let noise: String = (0..200_000).map(letter).collect();
    image([Layer::new().file("noise", &noise)])
}

fn path(layer: &Blob) -> String {
    format!("/v2/app/blobs/{}", layer.digest())
}

#[tokio::test]
async fn a_lost_connection_goes_on_where_it_ended() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    let layer = path(&made.layers[0]);
    for fault in [Fault::Cut(70_000), Fault::Cut(10), Fault::NoRange] {
        registry.fault(&layer, fault);
    }
    ground.pull(&name).await.unwrap();
    let asked = registry.asked();
    let asked: Vec<&String> = asked.iter().filter(|line| line.contains(&layer)).collect();
    assert_eq!(
        asked,
        [&format!("GET {layer}"), &format!("GET {layer} bytes=70000-"), &format!("GET {layer} bytes=70010-"),]
    );
}

#[tokio::test]
async fn a_registry_that_is_busy_is_asked_again() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    registry.fault(&path(&made.layers[0]), Fault::Status(503));
    registry.fault(&path(&made.layers[0]), Fault::Status(429));
    ground.pull(&name).await.unwrap();
}

#[tokio::test]
async fn what_never_comes_is_given_up() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    for _ in 0..20 {
        registry.fault(&path(&made.layers[0]), Fault::Cut(0));
    }
    let error = ground.pull(&name).await.unwrap_err().message();
    assert!(error.contains(registry.address()), "{error}");
    assert_eq!(registry.asked_for(&path(&made.layers[0])), 6);
}

#[tokio::test]
async fn other_bytes_are_refused_and_leave_nothing() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    registry.fault(&path(&made.layers[0]), Fault::Garble);
    let error = ground.pull(&name).await.unwrap_err().message();
    assert!(error.contains(&made.layers[0].digest()), "{error}");
    assert_eq!((ground.layers(), ground.staged(), ground.images().list().len()), (0, 0, 0));
    registry.fault("/v2/app/manifests/latest", Fault::Garble);
    assert!(ground.pull(&name).await.is_err());
    let pinned = format!("{}/app@{}", registry.address(), made.manifest.digest());
    registry.fault(&format!("/v2/app/manifests/{}", made.manifest.digest()), Fault::Garble);
    let error = ground.pull(&pinned).await.unwrap_err().message();
    assert!(error.contains("a manifest with the digest"), "{error}");
}

/// The bytes are those of the manifest, and are not what the configuration says.
#[tokio::test]
async fn a_layer_must_be_what_the_configuration_says_it_is() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let (one, other) = (large(), image([Layer::new().file("a", "")]));
    let manifest = String::from_utf8(other.manifest.bytes.clone()).unwrap();
    let swapped = manifest.replace(&other.layers[0].digest(), &one.layers[0].digest());
    let swapped = swapped.replace(
        &format!("\"size\":{}", other.layers[0].bytes.len()),
        &format!("\"size\":{}", one.layers[0].bytes.len()),
    );
    let manifest = Blob { bytes: swapped.into_bytes(), ..other.manifest };
    let name = registry.push("app", &Made { layers: one.layers, config: other.config, manifest });
    let error = ground.pull(&name).await.unwrap_err().message();
    assert!(error.contains("after decompression"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_said_with_all_that_helps() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let error = ground.pull(&format!("{}/none:1", registry.address())).await.unwrap_err().message();
    let address = registry.address();
    assert_eq!(
        error,
        format!(
            "failed to pull image {address}/none:1: {address} answers 404 Not Found (manifest unknown): check the image's name and tag"
        )
    );
}

#[tokio::test]
async fn a_registry_without_tls_is_told_from_one_that_is_away() {
    let registry = Registry::start().await;
    let yaml = format!("configs: {{'{}': {{tls: {{insecure_skip_verify: true}}}}}}", registry.address());
    let Some(ground) = Ground::with(Registries::parse(&yaml).unwrap()) else { return };
    let error = ground.pull(&format!("{}/app", registry.address())).await.unwrap_err().message();
    assert!(error.contains("does not seem to speak TLS") && error.contains("registries.yaml"), "{error}");
    // Bound, so that nobody else gets it, and not listened on.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let nobody = taken.local_addr().unwrap();
    let error = ground.pull(&format!("{nobody}/app")).await.unwrap_err().message();
    assert!(error.contains(&format!("cannot reach {nobody}: ")) && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_mirror_that_fails_is_passed_over() {
    let real = Registry::start().await;
    let mirror = Registry::start().await;
    let yaml = format!("mirrors: {{'{}': {{endpoint: ['http://{}']}}}}", real.address(), mirror.address());
    let Some(ground) = Ground::with(Registries::parse(&yaml).unwrap()) else { return };
    let made = large();
    let name = real.push("app", &made);
    ground.pull(&name).await.unwrap();
    assert_eq!(mirror.asked(), [format!("GET /v2/app/manifests/latest?ns={}", real.address())]);
    mirror.push("app", &made);
    let before = real.asked().len();
    ground.pull(&name).await.unwrap();
    assert_eq!(real.asked().len(), before, "the mirror knows it now");
    let error = ground.pull(&format!("{}/none:1", real.address())).await.unwrap_err().message();
    assert!(error.contains(real.address()) && error.contains(mirror.address()), "{error}");
}

#[tokio::test]
async fn pulls_of_the_same_layer_wait_for_each_other() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    let go_on = Arc::new(Notify::new());
    registry.fault(&path(&made.layers[0]), Fault::Hold(Arc::clone(&go_on)));
    let config = path(&made.config);
    let release = async {
        registry.until(|asked| asked.iter().filter(|line| line.contains(&config)).count() == 2).await;
        registry.until(|asked| asked.iter().any(|line| line.contains(&path(&made.layers[0])))).await;
        go_on.notify_one();
    };
    let (one, other, ()) = tokio::join!(ground.pull(&name), ground.pull(&name), release);
    assert_eq!(one.unwrap().id, other.unwrap().id);
    assert_eq!(registry.asked_for(&path(&made.layers[0])), 1);
}

#[tokio::test]
async fn who_waited_for_a_pull_that_failed_does_it_itself() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    registry.fault(&path(&made.layers[0]), Fault::Status(404));
    let (one, other) = tokio::join!(ground.pull(&name), ground.pull(&name));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1);
    assert!(ground.images().get(&name).is_some());
}

#[tokio::test]
async fn a_pull_that_is_dropped_is_in_nobodys_way() {
    let Some(mut ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = registry.push("app", &made);
    let never = Arc::new(Notify::new());
    registry.fault(&path(&made.layers[0]), Fault::Hold(never));
    tokio::select! {
        _ = ground.pull(&name) => panic!("nothing came"),
        () = registry.until(|asked| asked.iter().any(|line| line.contains(&path(&made.layers[0])))) => {}
    }
    ground.pull(&name).await.unwrap();
    ground.reopen();
    assert_eq!((ground.layers(), ground.staged()), (1, 0));
}

#[tokio::test]
async fn progress_is_seen_and_ends_at_the_total() {
    let Some(ground) = Ground::new() else { return };
    let registry = Registry::start().await;
    let made = large();
    let name = Reference::parse(&registry.push("app", &made)).unwrap();
    let progress = watch::Sender::new(Progress::default());
    registry.fault(&path(&made.layers[0]), Fault::Cut(70_000));
    let halfway = async {
        let mut seen = progress.subscribe();
        seen.wait_for(|progress| progress.bytes_done > 0 && progress.bytes_done < progress.bytes_total)
            .await
            .unwrap();
    };
    let (pulled, ()) = tokio::join!(ground.images().pull(&name, &[], &progress), halfway);
    pulled.unwrap();
    let size = made.layers[0].bytes.len() as u64;
    let done = Progress { layers_total: 1, layers_done: 1, bytes_total: size, bytes_done: size };
    assert_eq!(*progress.borrow(), done);
    ground.images().pull(&name, &[], &progress).await.unwrap();
    assert_eq!(*progress.borrow(), done, "what is here counts as done");
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let Some(mut ground) = Ground::new() else { return };
    let error = Images::open(ground.path()).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    ground.close();
    fs::create_dir_all(ground.path().join("staging/7/half")).unwrap();
    ground.reopen();
    assert_eq!(ground.staged(), 0);
}
