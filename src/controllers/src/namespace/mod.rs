//! Namespace: what is deleted is emptied first, then let go.
//!
//! As upstream: pods go first, so that nothing runs on without the policies and secrets that belong to it; then everything
//! else, kind by kind of the kind table. What remains, and why, stands in the conditions of the namespace. Pods
//! that end bring the next look at once; for other things that wait for somebody's finalizer it comes by time.

mod conditions;
mod content;

use std::time::Duration;

use client::{Error, Key, Path, Queue};
use futures_util::future::join3;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::jiff::Timestamp;

use self::content::Left;
use crate::context::Context;
use crate::feed::feed;
use crate::work::side_by_side;

const FINALIZER: &str = "kubernetes";
/// What somebody else's finalizer is given before the next look.
const FINALIZERS_TAKE: Duration = Duration::from_secs(15);

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let namespaces = context.caches.of::<Namespace>();
    let terminating = namespaces.clone();
    let own = feed(namespaces, queue.clone(), |namespace: &Namespace| {
        namespace.metadata.name.clone().filter(|_| is_terminating(namespace))
    });
    let pods = feed(context.caches.of::<Pod>(), queue.clone(), move |pod: &Pod| {
        let name = pod.metadata.namespace.clone()?;
        terminating.get(&Key::new("", &*name)).filter(|namespace| is_terminating(namespace)).map(|_| name)
    });
    join3(own, pods, side_by_side(&queue, "Namespace", |name| reconcile(&context, name))).await;
}

/// Whether things may be made in a namespace.
pub(crate) fn is_active(context: &Context, name: &str) -> bool {
    let namespace = context.caches.of::<Namespace>().get(&Key::new("", name));
    namespace.is_some_and(|namespace| !is_terminating(&namespace))
}

fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

async fn reconcile(context: &Context, name: String) -> Result<Option<Duration>, Error> {
    let namespaces = context.caches.of::<Namespace>();
    let Some(namespace) = namespaces.get(&Key::new("", &*name)) else { return Ok(None) };
    let finalizers = || namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
    if !is_terminating(&namespace) || !finalizers().any(|finalizer| finalizer == FINALIZER) {
        return Ok(None);
    }
    let left = content::delete(context.client(), &name).await;
    let namespace = write_status(context, &namespace, &left).await?;
    if let Some(error) = left.failures.into_iter().next() {
        return Err(error.source);
    }
    if left.resources.is_empty() {
        finalize(context, namespace).await?;
        return Ok(None);
    }
    Ok(Some(
        if left.finalizers.is_empty() { left.grace / 2 } else { FINALIZERS_TAKE / 2 }
            + Duration::from_secs(1),
    ))
}

async fn write_status(context: &Context, namespace: &Namespace, left: &Left) -> Result<Namespace, Error> {
    let mut updated = namespace.clone();
    let status = updated.status.get_or_insert_default();
    status.phase = Some("Terminating".into());
    let before = status.conditions.take().unwrap_or_default();
    status.conditions = Some(conditions::of(left, before, Timestamp::now()));
    if updated.status == namespace.status {
        return Ok(updated);
    }
    let written = context.client().update_status(&updated).await?;
    context.caches.of::<Namespace>().seen(&written.metadata).await;
    Ok(written)
}

/// Says that the namespace is empty: the API server lets it go when nobody else holds it.
async fn finalize(context: &Context, mut namespace: Namespace) -> Result<(), Error> {
    let path = Path::object::<Namespace>(&Key::of(&namespace)).child("finalize");
    if let Some(finalizers) = namespace.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
        finalizers.retain(|finalizer| finalizer != FINALIZER);
    }
    match context.client().put_at(&path, &namespace).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
