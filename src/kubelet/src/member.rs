//! The containers of a pod with their parts to play.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

/// What a container is there for, which decides when it starts, whether it restarts and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs to its end before the next one begins.
    Init,
    /// An init container with `restartPolicy: Always`: the next one begins when it has started, and it ends last.
    Sidecar,
    Main,
    /// Added to a running pod; never restarted.
    Ephemeral,
}

impl Kind {
    pub(crate) fn of_init(container: &Container) -> Self {
        if container.restart_policy.as_deref() == Some("Always") { Self::Sidecar } else { Self::Init }
    }

    /// The field of the pod's spec that holds such containers.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Init | Self::Sidecar => "spec.initContainers",
            Self::Main => "spec.containers",
            Self::Ephemeral => "spec.ephemeralContainers",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub(crate) kind: Kind,
    pub(crate) container: Cow<'a, Container>,
}

impl Member<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.container.name
    }
}

/// All containers in the order of the spec: init, main, ephemeral.
pub(crate) fn members(spec: &PodSpec) -> impl Iterator<Item = Member<'_>> {
    let init = spec.init_containers.iter().flatten();
    let init =
        init.map(|container| Member { kind: Kind::of_init(container), container: Cow::Borrowed(container) });
    let main = spec
        .containers
        .iter()
        .map(|container| Member { kind: Kind::Main, container: Cow::Borrowed(container) });
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let ephemeral =
        ephemeral.map(|container| Member { kind: Kind::Ephemeral, container: Cow::Owned(plain(container)) });
    init.chain(main).chain(ephemeral)
}

pub(crate) fn member<'a>(spec: &'a PodSpec, name: &str) -> Option<Member<'a>> {
    members(spec).find(|member| member.name() == name)
}

/// An ephemeral container is a container without a few fields, but a type of its own.
fn plain(given: &EphemeralContainer) -> Container {
    let given = given.clone();
    Container {
        args: given.args,
        command: given.command,
        env: given.env,
        env_from: given.env_from,
        image: given.image,
        image_pull_policy: given.image_pull_policy,
        name: given.name,
        security_context: given.security_context,
        stdin: given.stdin,
        stdin_once: given.stdin_once,
        termination_message_path: given.termination_message_path,
        termination_message_policy: given.termination_message_policy,
        tty: given.tty,
        volume_devices: given.volume_devices,
        volume_mounts: given.volume_mounts,
        working_dir: given.working_dir,
        ..Container::default()
    }
}
