//! Starting one container: its image, its environment, its files, and what it is to do right after its start.

use std::sync::Arc;

use client::Severity;
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::{ContainerUser, LifecycleHandler, LinuxContainerUser, Pod};
use oci::ContainerSpec;
use oci::image::Image;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::container::{self, Parts, forget_logs, log_folder, message_path, rootfs_id};
use crate::context::Context;
use crate::failure::{Failure, Then};
use crate::member::{Kind, Member, member};
use crate::record::{self, Used};
use crate::sandbox::Ready;
use crate::{hook, image};

#[derive(Debug)]
pub(super) struct Start {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) name: String,
    pub(super) attempt: u32,
    pub(super) sandbox: Ready,
    /// The id of the container that an ephemeral one looks into.
    pub(super) target: Option<String>,
    /// Set when the pod ends: what takes long is given up then.
    pub(super) deadline: watch::Receiver<Option<Instant>>,
}

impl Start {
    /// What was started. A failure has been told of.
    pub(super) async fn run(mut self) -> Result<Used, Failure> {
        let pod = Arc::clone(&self.pod);
        let Some(member) = pod.spec.as_ref().and_then(|spec| member(spec, &self.name)) else {
            return Err(Failure::cancelled());
        };
        let started = self.start(&member).await;
        if let Err(failure) = &started
            && failure.then != Then::Nothing
        {
            let events = self.context.events(&pod);
            events.member(&member, Severity::Warning, "Failed", failure.told());
        }
        started
    }

    async fn start(&mut self, member: &Member<'_>) -> Result<Used, Failure> {
        let context = Arc::clone(&self.context);
        let pod = Arc::clone(&self.pod);
        let ensured: BoxFuture<'_, _> = Box::pin(image::ensure(&context, &pod, member));
        let image = unless_ending(&mut self.deadline, ensured).await.ok_or_else(Failure::cancelled)??;
        container::may_run_as(&pod, &member.container, &image.config.user).map_err(Failure::config)?;
        let spec = self.prepare(member, &image).await?;
        let used = used(member, &image, &spec);
        self.launch(member, &spec).await?;
        Ok(used)
    }

    async fn prepare(&self, member: &Member<'_>, image: &Image) -> Result<ContainerSpec, Failure> {
        let (context, pod) = (&*self.context, &*self.pod);
        let Some(spec) = &pod.spec else { return Err(Failure::cancelled()) };
        self.forget_old().await;
        let facts = context.facts(self.sandbox.ips.clone());
        let environment = context.environment.environment(pod, &member.container, &facts).await;
        let environment = environment.map_err(|error| Failure::config(error.to_string()))?;
        let rootfs = context.images.mount(image, &self.rootfs_id()).await;
        let rootfs = rootfs.map_err(|error| Failure::again("CreateContainerError", error.message()))?;
        let parts = Parts {
            context,
            pod,
            spec,
            member,
            attempt: self.attempt,
            sandbox: &self.sandbox,
            image: &image.config,
            environment: &environment,
            rootfs: &rootfs,
            target: self.target.clone(),
        };
        match parts.container_spec() {
            Ok(spec) => Ok(spec),
            Err(error) => {
                self.unmount().await;
                Err(error.into())
            }
        }
    }

    /// The container before the last is of no use to anybody any more.
    async fn forget_old(&self) {
        let Some(old) = self.attempt.checked_sub(2) else { return };
        let _may_be_gone = self.sandbox.pod.delete(&record::id(&self.name, old)).await;
        forget_logs(&log_folder(&self.context, &self.pod).join(&self.name), old);
        let _may_be_gone = std::fs::remove_file(message_path(&self.context, self.uid(), &self.name, old));
    }

    async fn launch(&self, member: &Member<'_>, spec: &ContainerSpec) -> Result<(), Failure> {
        let events = self.context.events(&self.pod);
        let sandbox = &self.sandbox.pod;
        if let Err(error) = sandbox.create_container(spec).await {
            self.give_back(&spec.id).await;
            return Err(Failure::again("CreateContainerError", error.to_string()));
        }
        events.member(member, Severity::Normal, "Created", "Container created");
        if let Err(error) = sandbox.start(&spec.id).await {
            self.give_back(&spec.id).await;
            let then = Then::Ended;
            return Err(Failure { reason: "RunContainerError", message: error.to_string(), then });
        }
        events.member(member, Severity::Normal, "Started", "Container started");
        Ok(())
    }

    async fn give_back(&self, id: &str) {
        let _may_not_be_there = self.sandbox.pod.delete(id).await;
        self.unmount().await;
    }

    async fn unmount(&self) {
        if let Err(error) = self.context.images.unmount(&self.rootfs_id()).await {
            tracing::warn!(container = self.name, error = error.message(), "a container's root is left");
        }
    }

    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    fn rootfs_id(&self) -> String {
        rootfs_id(self.uid(), &self.name, self.attempt)
    }
}

/// What takes long is given up when the pod ends.
async fn unless_ending<T>(
    deadline: &mut watch::Receiver<Option<Instant>>,
    work: BoxFuture<'_, T>,
) -> Option<T> {
    tokio::select! {
        biased;
        _ = deadline.wait_for(Option::is_some) => None,
        done = work => Some(done),
    }
}

/// What a container does right after its start.
#[derive(Debug)]
pub(super) struct AfterStart {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) sandbox: Ready,
    pub(super) handler: LifecycleHandler,
    pub(super) deadline: watch::Receiver<Option<Instant>>,
}

impl AfterStart {
    /// Whether the container may go on.
    pub(super) async fn run(mut self) -> bool {
        let Some(member) = self.pod.spec.as_ref().and_then(|spec| member(spec, &self.name)) else {
            return true;
        };
        let target = hook::Target { sandbox: &self.sandbox, container: &member.container, id: &self.id };
        let done = tokio::select! {
            done = unless_ending(&mut self.deadline, Box::pin(hook::run(&target, &self.handler))) => done,
            // It must not be kept from its next start.
            _ = self.sandbox.pod.wait(&self.id) => None,
        };
        let Some(Err(error)) = done else { return true };
        let events = self.context.events(&self.pod);
        events.member(&member, Severity::Warning, "FailedPostStartHook", error);
        false
    }
}

fn used(member: &Member<'_>, image: &Image, spec: &ContainerSpec) -> Used {
    let user = &spec.process.user;
    let groups =
        std::iter::once(user.gid).chain(user.additional_gids.iter().copied().filter(|gid| *gid != user.gid));
    let linux = LinuxContainerUser {
        uid: user.uid.into(),
        gid: user.gid.into(),
        supplemental_groups: Some(groups.map(i64::from).collect()),
    };
    let own_signal = member.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.clone());
    Used {
        image: member.container.image.clone().unwrap_or_default(),
        image_id: image.digests.first().unwrap_or(&image.id).clone(),
        user: (member.kind != Kind::Ephemeral).then_some(ContainerUser { linux: Some(linux) }),
        stop_signal: own_signal.or_else(|| image.config.stop_signal.clone()),
        resources: member.container.resources.clone(),
    }
}
