//! Images that no pod uses make room on a full disk: above 85 % in use they go, until it is below 80 %.
//!
//! The disk is looked at when the node's status is: whenever an image has come, which is what fills it most, and every five minutes,
//! as often as upstream looks for images to remove. What pods write in between is seen that late: the kernel tells nobody that a
//! disk fills up, and looking every few seconds would be what keeps an idle board awake. It is the same with DiskPressure.
//!
//! One that has just come is spared: whoever wants it may be on his way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use oci::image::Image;
use tokio::time::Instant;

use crate::context::Context;
use crate::member::members;

use super::facts::Disk;

const HIGH: i64 = 85;
const LOW: i64 = 80;

const SPARED: Duration = Duration::from_secs(120);

/// When each image was first seen, by id.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, Instant>);

impl Seen {
    /// The images that have been here for a while.
    fn look(&mut self, images: &[Arc<Image>], now: Instant) -> Vec<Arc<Image>> {
        self.0.retain(|id, _| images.iter().any(|image| image.id == *id));
        let old = images.iter().filter(|image| {
            let since = *self.0.entry(image.id.clone()).or_insert(now);
            now.duration_since(since) >= SPARED
        });
        old.cloned().collect()
    }
}

pub(super) async fn relieve(context: &Context, seen: &mut Seen) {
    let old = seen.look(&context.images.list(), Instant::now());
    let used = || Disk::of(&context.config.pods_dir).map_or(0, Disk::used_percent);
    if used() <= HIGH {
        return;
    }
    let wanted = wanted(context);
    for image in old {
        let names = image.tags.iter().chain(&image.digests).chain([&image.id]);
        if names.into_iter().any(|name| wanted.contains(name)) {
            continue;
        }
        match context.images.remove(&image.id).await {
            Ok(()) => tracing::info!(image = image.id, "removed an image that no pod uses: the disk is full"),
            // A container that ended still holds it.
            Err(error) => tracing::debug!(image = image.id, error = error.message(), "an image stays"),
        }
        if used() < LOW {
            return;
        }
    }
}

/// The ids of the images that pods of this node ask for.
fn wanted(context: &Context) -> BTreeSet<String> {
    let pods = context.own_pods();
    let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
    let names = specs.flat_map(members).filter_map(|member| member.container.image.clone());
    names.filter_map(|name| Some(context.images.get(&name)?.id.clone())).collect()
}
