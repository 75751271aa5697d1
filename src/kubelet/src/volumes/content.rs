//! Volumes whose files are written from objects of the API: what belongs in them, and writing it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret, Volume, VolumeProjection,
};
use tokio::sync::Notify;

use super::atomic::{self, File, Payload};
use super::pod::fs_group;
use super::token::Tokens;
use super::{Cause, Error, Sources, mounts};
use crate::downward;
use crate::referenced;

const USUAL_MODE: u32 = 0o644;

/// All such volumes of one pod.
#[derive(Debug)]
pub(super) struct Content {
    folder: PathBuf,
    sources: Arc<Sources>,
    pub(super) pod: Arc<Pod>,
    written: Vec<String>,
    tokens: Tokens,
    /// Told when a token was fetched: another one may be the next to renew.
    fetched: Arc<Notify>,
}

/// How files are made that do not say otherwise.
#[derive(Clone, Copy)]
struct Defaults {
    mode: u32,
    owner: Option<u32>,
}

impl Defaults {
    fn new(mode: Option<i32>, owner: Option<i64>) -> Self {
        Self { mode: bits(mode).unwrap_or(USUAL_MODE), owner: user(owner) }
    }

    fn file(self, data: Vec<u8>, mode: Option<i32>, owner: Option<i64>) -> File {
        File { data, mode: bits(mode).unwrap_or(self.mode), owner: user(owner).or(self.owner) }
    }
}

fn bits(mode: Option<i32>) -> Option<u32> {
    mode.and_then(|mode| u32::try_from(mode).ok())
}

fn user(user: Option<i64>) -> Option<u32> {
    user.and_then(|user| u32::try_from(user).ok())
}

impl Content {
    pub(super) fn new(folder: PathBuf, sources: Arc<Sources>) -> Self {
        Self {
            folder,
            sources,
            pod: Arc::default(),
            written: Vec::new(),
            tokens: Tokens::default(),
            fetched: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Waits until a token must be renewed, whichever that is by then.
    pub(super) async fn renewal(content: &tokio::sync::Mutex<Self>) {
        loop {
            let (due, fetched) = {
                let content = content.lock().await;
                (content.tokens.due(), content.fetched.clone())
            };
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                () = fetched.notified() => {}
            }
        }
    }

    /// Writes one volume and gives its path.
    pub(super) async fn write(&mut self, volume: &Volume) -> Result<PathBuf, Cause> {
        let payload = self.collect(volume).await?;
        mounts::tmpfs(&self.folder, None, 0o755)?;
        let path = self.folder.join(&volume.name);
        atomic::write(&path, &payload, fs_group(&self.pod))?;
        if !self.written.contains(&volume.name) {
            self.written.push(volume.name.clone());
        }
        Ok(path)
    }

    /// Writes those volumes again that were written before. The others go on when one fails; the first error is told.
    pub(super) async fn write_again(&mut self) -> Result<(), Error> {
        let pod = self.pod.clone();
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let mut failed = Ok(());
        for volume in volumes {
            if !self.written.contains(&volume.name) {
                continue;
            }
            if let Err(cause) = self.write(volume).await {
                failed = failed.and(Err(Error::SetUp { volume: volume.name.clone(), cause }));
            }
        }
        failed
    }

    async fn collect(&mut self, volume: &Volume) -> Result<Payload, Cause> {
        if let Some(source) = &volume.config_map {
            let defaults = Defaults::new(source.default_mode, source.default_user);
            return self.config_map(&source.name, source.items.as_deref(), source.optional, defaults).await;
        }
        if let Some(source) = &volume.secret {
            let defaults = Defaults::new(source.default_mode, source.default_user);
            let name = source.secret_name.as_deref().unwrap_or_default();
            return self.secret(name, source.items.as_deref(), source.optional, defaults).await;
        }
        if let Some(source) = &volume.downward_api {
            let defaults = Defaults::new(source.default_mode, source.default_user);
            return self.downward(source.items.as_deref().unwrap_or_default(), defaults);
        }
        match &volume.projected {
            Some(source) => self.projected(&volume.name, source).await,
            None => Err(Cause::NoSource),
        }
    }

    /// All sources that fail are told of, as upstream does.
    async fn projected(&mut self, volume: &str, source: &ProjectedVolumeSource) -> Result<Payload, Cause> {
        let defaults = Defaults::new(source.default_mode, source.default_user);
        let (mut payload, mut causes) = (Payload::new(), Vec::new());
        for part in source.sources.iter().flatten() {
            match self.part(volume, part, defaults).await {
                Ok(files) => payload.extend(files),
                Err(cause) => causes.push(cause),
            }
        }
        if causes.is_empty() { Ok(payload) } else { Err(Cause::Several(causes)) }
    }

    async fn part(
        &mut self,
        volume: &str,
        part: &VolumeProjection,
        defaults: Defaults,
    ) -> Result<Payload, Cause> {
        if let Some(source) = &part.config_map {
            return self.config_map(&source.name, source.items.as_deref(), source.optional, defaults).await;
        }
        if let Some(source) = &part.secret {
            return self.secret(&source.name, source.items.as_deref(), source.optional, defaults).await;
        }
        if let Some(source) = &part.downward_api {
            return self.downward(source.items.as_deref().unwrap_or_default(), defaults);
        }
        if let Some(source) = &part.service_account_token {
            let client = &self.sources.client;
            let (token, is_new) = self.tokens.get(client, &self.pod, volume, source).await?;
            if is_new {
                self.fetched.notify_one();
            }
            let owner = common_user(&self.pod);
            // Only who is meant to use it reads it, where that is known; a group is let in by the volume's ownership.
            let private = owner.is_some() || fs_group(&self.pod).is_some();
            let mut file = defaults.file(token, private.then_some(0o600), source.user);
            file.owner = file.owner.or(owner);
            return Ok(Payload::from([(source.path.clone(), file)]));
        }
        if part.cluster_trust_bundle.is_some() {
            return Err(Cause::Unsupported("projected clusterTrustBundle"));
        }
        match part.pod_certificate {
            Some(_) => Err(Cause::Unsupported("projected podCertificate")),
            None => Err(Cause::NoSource),
        }
    }

    async fn config_map(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        defaults: Defaults,
    ) -> Result<Payload, Cause> {
        let found = self.sources.referenced.config_map(self.namespace(), name).await;
        let found = or_empty(found, optional)?;
        pick(&bytes_of_config_map(&found), items, optional, defaults, Cause::ConfigKey)
    }

    async fn secret(
        &self,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
        defaults: Defaults,
    ) -> Result<Payload, Cause> {
        let found = self.sources.referenced.secret(self.namespace(), name).await;
        let found = or_empty(found, optional)?;
        pick(&bytes_of_secret(&found), items, optional, defaults, Cause::SecretKey)
    }

    fn downward(&self, items: &[DownwardAPIVolumeFile], defaults: Defaults) -> Result<Payload, Cause> {
        let value = |item: &DownwardAPIVolumeFile| match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => downward::metadata_field(&self.pod, &field.field_path),
            (None, Some(amount)) => downward::resource(&self.pod, None, amount, &self.sources.allocatable),
            (None, None) => Ok(String::new()),
        };
        let file = |item: &DownwardAPIVolumeFile| {
            let data = value(item)?.into_bytes();
            Ok((item.path.clone(), defaults.file(data, item.mode, item.user)))
        };
        items.iter().map(file).collect()
    }
}

type Values<'a> = BTreeMap<&'a str, &'a [u8]>;

fn or_empty<T: Default>(
    found: Result<Arc<T>, referenced::Error>,
    optional: Option<bool>,
) -> Result<Arc<T>, Cause> {
    match found {
        Err(error) if error.is_not_found() && optional == Some(true) => Ok(Arc::default()),
        found => Ok(found?),
    }
}

fn bytes_of_config_map(object: &ConfigMap) -> Values<'_> {
    let text = object.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    let binary = object.binary_data.iter().flatten();
    text.chain(binary.map(|(key, ByteString(value))| (key.as_str(), value.as_slice()))).collect()
}

fn bytes_of_secret(object: &Secret) -> Values<'_> {
    let data = object.data.iter().flatten();
    data.map(|(key, ByteString(value))| (key.as_str(), value.as_slice())).collect()
}

/// All values under their keys, or those that `items` names, where it says.
fn pick(
    values: &Values<'_>,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    defaults: Defaults,
    missing: fn(String) -> Cause,
) -> Result<Payload, Cause> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let file = |value: &[u8]| defaults.file(value.to_vec(), None, None);
        return Ok(values.iter().map(|(key, value)| ((*key).to_owned(), file(value))).collect());
    };
    let mut payload = Payload::new();
    for item in items {
        match values.get(item.key.as_str()) {
            Some(value) => {
                let file = defaults.file(value.to_vec(), item.mode, item.user);
                payload.insert(item.path.clone(), file);
            }
            None if optional == Some(true) => {}
            None => return Err(missing(item.key.clone())),
        }
    }
    Ok(payload)
}

/// The user of all containers, if it is one and the same.
fn common_user(pod: &Pod) -> Option<u32> {
    let spec = pod.spec.as_ref()?;
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let mut users = containers.map(|container| {
        container.security_context.as_ref().and_then(|context| context.run_as_user).or(of_pod)
    });
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok())?
}
