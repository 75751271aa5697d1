//! Taking away what a pod had. Each step finds its work by looking, and may be repeated.

use std::sync::Arc;

use task::causes;

use crate::context::Context;
use crate::sandbox;

use super::Worker;
use super::done::Done;

impl Worker {
    /// Its processes, namespaces, link and roots.
    pub(super) fn clear(&mut self) {
        self.clearing = true;
        let (context, uid) = (Arc::clone(&self.context), self.uid.clone());
        let links = self.pod.spec.as_ref().is_none_or(|spec| !sandbox::is(spec.host_network));
        self.jobs.spawn(async move {
            let cleared = clear(&context, &uid, links).await;
            if let Err(error) = &cleared {
                tracing::warn!(pod = uid, error, "a pod that ended is not cleared away, trying again");
            }
            Done::Cleared(cleared.is_ok())
        });
    }

    /// Its volumes and files, all but its logs.
    pub(super) fn empty(&mut self) {
        self.clearing = true;
        let (context, uid) = (Arc::clone(&self.context), self.uid.clone());
        self.jobs.spawn(async move {
            let removed = context.volumes.remove(&uid).await;
            if let Err(error) = &removed {
                tracing::warn!(pod = uid, %error, "volumes of a pod that ended are left, trying again");
            }
            Done::Emptied(removed.is_ok())
        });
    }
}

async fn clear(context: &Context, uid: &str, links: bool) -> Result<(), String> {
    if let Some(pod) = context.pods.get(uid) {
        pod.remove().await.map_err(|error| causes(&error))?;
    }
    if links {
        context.detach(uid).await.map_err(|error| causes(&error))?;
    }
    let of_pod = format!("{uid}_");
    for root in context.images.mounted().into_iter().filter(|root| root.starts_with(&of_pod)) {
        context.images.unmount(&root).await.map_err(|error| error.message())?;
    }
    match std::fs::remove_dir_all(sandbox::folder(context, uid)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}
