//! The image of a container: there already, or pulled, as its policy says.

mod progress;

use std::sync::Arc;
use std::time::Instant;

use client::Severity;
use k8s_openapi::api::core::v1::Pod;
use oci::image::{Credentials, Image, Progress, Reference};
use tokio::sync::watch;

use crate::context::Context;
use crate::event::go_duration;
use crate::failure::Failure;
use crate::member::Member;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Policy {
    /// The API server fills it in; what is missing is as it would have filled it in.
    fn of(given: Option<&str>, image: &str) -> Self {
        match given {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            _ if Reference::parse(image).is_ok_and(|name| name.tag() == Some("latest")) => Self::Always,
            _ => Self::IfNotPresent,
        }
    }
}

pub(crate) async fn ensure(context: &Context, pod: &Pod, member: &Member<'_>) -> Result<Arc<Image>, Failure> {
    let name = member.container.image.as_deref().unwrap_or_default();
    let events = context.events(pod);
    let reference = Reference::parse(name).map_err(|error| {
        let message = format!(
            "Failed to apply default image tag \"{name}\": couldn't parse image name \"{name}\": {error}"
        );
        events.member(member, Severity::Warning, "InspectFailed", &message);
        Failure::pull("InvalidImageName", message)
    })?;
    let policy = Policy::of(member.container.image_pull_policy.as_deref(), name);
    match (context.images.get(name), policy) {
        (Some(image), Policy::IfNotPresent | Policy::Never) => {
            let message = format!(
                "Container image \"{name}\" already present on machine and can be accessed by the pod"
            );
            events.member(member, Severity::Normal, "Pulled", message);
            Ok(image)
        }
        (None, Policy::Never) => {
            let message = format!("Container image \"{name}\" is not present with pull policy of Never");
            events.member(member, Severity::Warning, "ErrImageNeverPull", &message);
            Err(Failure::again("ErrImageNeverPull", message))
        }
        _ => pull(context, pod, member, name, &reference).await,
    }
}

async fn pull(
    context: &Context,
    pod: &Pod,
    member: &Member<'_>,
    name: &str,
    reference: &Reference,
) -> Result<Arc<Image>, Failure> {
    let events = context.events(pod);
    events.member(member, Severity::Normal, "Pulling", format!("Pulling image \"{name}\""));
    let credentials = credentials(context, pod).await;
    let begun = Instant::now();
    let (progress, arriving) = watch::channel(Progress::default());
    let told = progress::tell(arriving, |line| tracing::info!(image = name, "pulling: {line}"));
    let pulled = tokio::select! {
        pulled = context.images.pull(reference, &credentials, &progress) => pulled,
        never = told => match never {},
    };
    match pulled {
        Ok(image) => {
            let took = go_duration(begun.elapsed());
            tracing::info!(image = name, bytes = image.size, "pulled in {took}");
            let message = format!(
                "Successfully pulled image \"{name}\" in {took} ({took} including waiting). Image size: {} bytes.",
                image.size
            );
            events.member(member, Severity::Normal, "Pulled", message);
            context.node_changed.notify_one();
            Ok(image)
        }
        Err(error) => {
            let why = error.message();
            tracing::warn!(image = name, "cannot be pulled: {why}");
            let message = format!("Failed to pull image \"{name}\": {why}");
            events.member(member, Severity::Warning, "Failed", message);
            Err(Failure::pull("ErrImagePull", why))
        }
    }
}

/// From the pod's pull secrets; one that cannot be used is told of and left out, as the image may be public.
async fn credentials(context: &Context, pod: &Pod) -> Vec<Credentials> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let spec = pod.spec.as_ref();
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for secret in spec.and_then(|spec| spec.image_pull_secrets.as_ref()).into_iter().flatten() {
        let found = context.environment.referenced.secret(namespace, &secret.name).await;
        let data = found.ok().and_then(|secret| {
            let data = secret.data.as_ref()?;
            data.get(".dockerconfigjson").or_else(|| data.get(".dockercfg")).map(|json| json.0.clone())
        });
        match data.map(|json| Credentials::from_docker_config(&json)) {
            Some(Ok(found)) => all.extend(found),
            _ => missing.push(secret.name.clone()),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        context.events(pod).pod(Severity::Warning, "FailedToRetrieveImagePullSecret", message);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        assert_eq!(Policy::of(None, "nginx"), Policy::Always);
        assert_eq!(Policy::of(None, "nginx:1"), Policy::IfNotPresent);
        assert_eq!(Policy::of(Some("Never"), "nginx"), Policy::Never);
    }
}
