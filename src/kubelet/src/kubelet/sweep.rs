//! What pods left behind that nobody knows any more: removed once, after the server has told which pods there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use network::pods::PodNetwork;

use crate::context::Context;

pub(super) async fn sweep(context: &Context, known: &BTreeSet<String>) {
    for pod in strange(context.pods.root(), known).into_iter().filter_map(|uid| context.pods.get(&uid)) {
        warn("a pod that nobody knows", pod.remove().await.err().map(|error| error.to_string()));
    }
    for root in context.images.mounted() {
        let of_known = root.split_once('_').is_some_and(|(uid, _)| known.contains(uid));
        if !of_known {
            warn(
                "a container's root",
                context.images.unmount(&root).await.err().map(|error| error.message()),
            );
        }
    }
    for error in context.volumes.sweep(known).await {
        warn("volumes", Some(error.to_string()));
    }
    for uid in strange(&context.config.run_dir, known) {
        let removed = fs::remove_dir_all(context.config.run_dir.join(uid));
        warn("files", removed.err().map(|error| error.to_string()));
    }
    sweep_logs(context, known);
}

/// Links and addresses: once, too, but not before there is a network.
pub(super) async fn sweep_links(context: &Context, network: &PodNetwork, known: &BTreeSet<String>) {
    let linked = known - &std::mem::take(&mut *context.unlinked());
    warn("links and addresses", network.sweep(&linked).await.err().map(|error| error.to_string()));
}

/// Logs of pods that are over stay as long as their objects.
fn sweep_logs(context: &Context, known: &BTreeSet<String>) {
    let of_objects: BTreeSet<_> =
        context.own_pods().iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
    let entries = fs::read_dir(&context.config.log_dir).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((_, uid)) = name.rsplit_once('_') else { continue };
        if !known.contains(uid) && !of_objects.contains(uid) {
            warn("logs", fs::remove_dir_all(entry.path()).err().map(|error| error.to_string()));
        }
    }
}

/// The names in a folder that are not those of known pods.
fn strange(folder: &Path, known: &BTreeSet<String>) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !known.contains(name)).collect()
}

fn warn(what: &'static str, error: Option<String>) {
    if let Some(error) = error {
        tracing::warn!(what, error, "something of pods that are gone is left");
    }
}
