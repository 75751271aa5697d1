//! From a container of a pod's spec to what the runtime is told: command, environment, user, rights, files and limits.

mod command;
mod log;
mod mounts;
mod rights;
mod user;

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use oci::image::ImageConfig;
use oci::{ContainerSpec, Log, PidNamespace, Process, Size, Stdin};

use crate::context::Context;
use crate::environment::Environment;
use crate::member::Member;
use crate::record;
use crate::resources::{container_limits, oom_score};
use crate::sandbox::{self, Ready, hostname, is};
use crate::volumes::SubPathError;

pub(crate) use log::{forget_logs, latest_log, log_folder, log_path};
pub(crate) use user::may_run_as;

/// Why a container cannot be made: the message of `CreateContainerConfigError` or `CreateContainerError`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no command specified")]
    NoCommand,
    #[error("{0} is not supported by skiff")]
    Unsupported(&'static str),
    #[error("{0}")]
    Capability(#[from] oci::capabilities::UnknownCapability),
    #[error("unable to find user {0}: no matching entries in passwd file")]
    User(String),
    #[error("unable to find group {0}: no matching entries in group file")]
    Group(String),
    #[error("cannot find volume \"{volume}\" to mount into container \"{container}\"")]
    Volume { volume: String, container: String },
    #[error("missing value for {}", .0.join(", "))]
    SubPathNames(Vec<String>),
    #[error("failed to prepare subPath for volumeMount \"{volume}\" of container \"{container}\": {source}")]
    SubPath { volume: String, container: String, source: SubPathError },
    #[error("cannot prepare {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

/// All that a container is made of.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) context: &'a Context,
    pub(crate) pod: &'a Pod,
    pub(crate) spec: &'a PodSpec,
    pub(crate) member: &'a Member<'a>,
    pub(crate) attempt: u32,
    pub(crate) sandbox: &'a Ready,
    pub(crate) image: &'a ImageConfig,
    pub(crate) environment: &'a Environment,
    pub(crate) rootfs: &'a Path,
    /// What an ephemeral container looks into.
    pub(crate) target: Option<String>,
}

impl Parts<'_> {
    pub(crate) fn container_spec(&self) -> Result<ContainerSpec, Error> {
        let container = &*self.member.container;
        self.supported(container)?;
        let rights = rights::of(self.spec, container)?;
        Ok(ContainerSpec {
            id: record::id(&container.name, self.attempt),
            rootfs: self.rootfs.to_owned(),
            read_only_rootfs: self.flag(|context| context.read_only_root_filesystem),
            process: Process {
                args: command::args(container, self.image, self.environment)?,
                env: self.variables(),
                cwd: self.working_dir(container),
                user: user::of(self)?,
                terminal: is(container.tty).then_some(Size { columns: 80, rows: 24 }),
                capabilities: rights.capabilities,
                no_new_privileges: rights.no_new_privileges,
                seccomp: rights.seccomp,
                oom_score_adj: Some(oom_score(self.pod, self.member.kind, container, self.context.memory)),
            },
            privileged: rights.privileged,
            unmasked: rights.unmasked,
            pid: self.target.clone().map(PidNamespace::Of),
            mounts: mounts::of(self)?,
            devices: Vec::new(),
            limits: container_limits(container),
            log: Some(self.log()?),
            stdin: match (is(container.stdin), is(container.stdin_once)) {
                (false, _) => Stdin::Null,
                (true, true) => Stdin::Once,
                (true, false) => Stdin::Open,
            },
        })
    }

    fn flag(&self, of: impl Fn(&k8s_openapi::api::core::v1::SecurityContext) -> Option<bool>) -> bool {
        self.member.container.security_context.as_ref().and_then(of).unwrap_or(false)
    }

    fn supported(&self, container: &Container) -> Result<(), Error> {
        if container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()) {
            return Err(Error::Unsupported("volumeDevices"));
        }
        let mut rules = container.restart_policy_rules.iter().flatten();
        if rules.any(|rule| rule.action != "Restart") {
            return Err(Error::Unsupported("a restartPolicyRules action other than Restart"));
        }
        Ok(())
    }

    /// The image's, then what every container has, then the container's own: the last of a name counts.
    fn variables(&self) -> Vec<String> {
        let hostname = hostname(self.pod, &self.context.config);
        let mut all = self.image.env.clone();
        let usual = [format!("HOSTNAME={hostname}")].into_iter();
        let terminal = is(self.member.container.tty).then(|| "TERM=xterm".to_owned());
        for variable in usual.chain(terminal).chain(self.environment.variables()) {
            let name = variable.split('=').next().unwrap_or_default().to_owned();
            all.retain(|known| known.split('=').next() != Some(&name));
            all.push(variable);
        }
        all
    }

    fn working_dir(&self, container: &Container) -> PathBuf {
        let given = container.working_dir.as_deref().filter(|path| !path.is_empty());
        let path = given.unwrap_or(&self.image.working_dir);
        PathBuf::from(if path.is_empty() { "/" } else { path })
    }

    fn log(&self) -> Result<Log, Error> {
        let path = log_path(self.context, self.pod, self.member.name(), self.attempt);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::File { path: folder.to_owned(), source })?;
        }
        Ok(Log { path, max_size: 10 << 20, max_files: 5 })
    }

    /// The file that a container leaves its last words in.
    fn message_file(&self) -> Result<PathBuf, Error> {
        let path = message_path(self.context, self.uid(), self.member.name(), self.attempt);
        let made =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, ""));
        // Whoever the container runs as must be able to write it.
        let opened = made.and_then(|()| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))
        });
        opened.map_err(|source| Error::File { path: path.clone(), source })?;
        Ok(path)
    }

    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }
}

pub(crate) fn message_path(context: &Context, uid: &str, name: &str, attempt: u32) -> PathBuf {
    sandbox::folder(context, uid).join("messages").join(record::id(name, attempt))
}

/// The name of a container's root filesystem, unique on this node.
pub(crate) fn rootfs_id(uid: &str, name: &str, attempt: u32) -> String {
    format!("{uid}_{}", record::id(name, attempt))
}
