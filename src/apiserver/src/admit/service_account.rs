//! Every pod acts as a service account, and finds its token, the cluster's authority and its namespace in a volume.

use std::time::Duration;

use api::kinds::Kind;
use api::status::Status;
use api::value::{at, items_mut, list, text};
use serde_json::{Value, json};
use store::Store;

use super::{Attempt, Warnings, annotation, built_in};
use crate::object::stored;
use crate::random;
use crate::request::{Content, Request};
use crate::verb::body;

const DEFAULT: &str = "default";
const VOLUME: &str = "kube-api-access-";
const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The kubelet makes these of files on its disk.
const MIRROR: &str = "kubernetes.io/config.mirror";
const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

/// What a fresh namespace is given to get its default account.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits for the default account of a namespace that was just made: who makes a namespace and a pod in one breath
/// would be refused. Before the request has a place, which it would hold all that time.
pub(crate) async fn awaited(store: &Store, request: &Request) {
    let (true, Some(namespace)) = (makes_a_pod(request), request.namespace()) else { return };
    let Ok(kind) = built_in("", "serviceaccounts") else { return };
    let key = stored::key(kind, Some(namespace), DEFAULT);
    if store.get(&key).is_some() {
        return;
    }
    // The watch is opened before the second look: nothing comes between them.
    let Ok(mut watch) = store.watch(&key, store.revision()) else { return };
    let will_come = store.get(&key).is_none() && store.get(&format!("/namespaces/{namespace}")).is_some();
    if will_come && acts_as_default(request) {
        let _came_or_not = tokio::time::timeout(PATIENCE, watch.next()).await;
    }
}

fn makes_a_pod(request: &Request) -> bool {
    let makes = request.verb() == "create" || request.content == Content::ApplyPatch;
    makes
        && request.kind().group.is_empty()
        && request.kind().kind == "Pod"
        && request.resource.subresource.is_none()
}

/// Whether the pod in the body names no other account, as far as that can be read.
fn acts_as_default(request: &Request) -> bool {
    let pod = match request.content {
        Content::Yaml | Content::ApplyPatch => body::yaml(&request.body).unwrap_or_default(),
        _ => serde_json::from_slice(&request.body).unwrap_or_default(),
    };
    matches!(text(&pod, "spec.serviceAccountName"), "" | DEFAULT)
}

pub(super) fn change(attempt: &Attempt<'_>, pod: &mut Value) -> Result<(), Status> {
    if !attempt.creates("", "Pod") || !pod["spec"].is_object() || is_mirror(pod) {
        return Ok(());
    }
    if text(pod, "spec.serviceAccountName").is_empty() {
        pod["spec"]["serviceAccountName"] = DEFAULT.into();
    }
    // The old name of the field goes along, as upstream shows it.
    pod["spec"]["serviceAccount"] = pod["spec"]["serviceAccountName"].clone();
    let account = account(attempt, pod)?;
    if mounts(&account, pod) {
        mount(pod);
    }
    let secrets = list(&account, "imagePullSecrets");
    if list(pod, "spec.imagePullSecrets").is_empty() && !secrets.is_empty() {
        pod["spec"]["imagePullSecrets"] =
            secrets.iter().map(|secret| json!({"name": text(secret, "name")})).collect();
    }
    Ok(())
}

pub(super) fn judge(attempt: &Attempt<'_>, pod: &Value) -> Result<Warnings, Status> {
    if !attempt.creates("", "Pod") {
        return Ok(Warnings::new());
    }
    if is_mirror(pod) {
        mirror(attempt, pod)?;
        return Ok(Warnings::new());
    }
    let account = account(attempt, pod)?;
    if annotation(&account, ENFORCE) == "true" {
        mountable(attempt, pod, &account)?;
    }
    Ok(Warnings::new())
}

fn is_mirror(pod: &Value) -> bool {
    pod["metadata"]["annotations"].get(MIRROR).is_some()
}

fn account(attempt: &Attempt<'_>, pod: &Value) -> Result<Value, Status> {
    let kind: &'static Kind = built_in("", "serviceaccounts")?;
    let (namespace, name) = (attempt.namespace(), text(pod, "spec.serviceAccountName"));
    attempt.find(kind, Some(namespace), name).ok_or_else(|| {
        let why =
            format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        attempt.forbidden(pod, &why)
    })
}

/// The pod decides, then its account; who says nothing wants a token.
fn mounts(account: &Value, pod: &Value) -> bool {
    let said = |value: &Value| value.as_bool();
    said(at(pod, "spec.automountServiceAccountToken"))
        .or_else(|| said(at(account, "automountServiceAccountToken")))
        .unwrap_or(true)
}

fn mount(pod: &mut Value) {
    let there = list(pod, "spec.volumes").iter().map(|volume| text(volume, "name"));
    let there = there.filter(|name| name.starts_with(VOLUME)).map(ToOwned::to_owned).next();
    let name = there.clone().unwrap_or_else(|| format!("{VOLUME}{}", random::suffix()));
    let mut wanted = false;
    for kind in ["initContainers", "containers"] {
        for container in items_mut(&mut pod["spec"], kind) {
            if list(container, "volumeMounts").iter().any(|mount| text(mount, "mountPath") == PATH) {
                continue;
            }
            push(container, "volumeMounts", json!({"name": name, "readOnly": true, "mountPath": PATH}));
            wanted = true;
        }
    }
    if wanted && there.is_none() {
        push(&mut pod["spec"], "volumes", volume(&name));
    }
}

fn push(value: &mut Value, field: &str, item: Value) {
    let mut items = list(value, field).to_vec();
    items.push(item);
    if let Some(fields) = value.as_object_mut() {
        fields.insert(field.into(), items.into());
    }
}

fn volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}})
}

/// A pod of a file on a node's disk gets nothing of the API's.
fn mirror(attempt: &Attempt<'_>, pod: &Value) -> Result<(), Status> {
    let refuse = |why: &str| Err(attempt.forbidden(pod, why));
    if !text(pod, "spec.serviceAccountName").is_empty() {
        return refuse("a mirror pod may not reference service accounts");
    }
    if !secrets(pod).is_empty() || !list(pod, "spec.imagePullSecrets").is_empty() {
        return refuse("a mirror pod may not reference secrets");
    }
    let token = |volume: &Value| {
        list(volume, "projected.sources").iter().any(|source| source.get("serviceAccountToken").is_some())
    };
    if list(pod, "spec.volumes").iter().any(token) {
        return refuse("a mirror pod may not use ServiceAccountToken volume projections");
    }
    Ok(())
}

/// The secrets that a pod uses, each with the words that say where.
fn secrets(pod: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for volume in list(pod, "spec.volumes") {
        let name = text(volume, "secret.secretName");
        if !name.is_empty() {
            found.push((name.to_owned(), format!("volume with secret.secretName={name:?}")));
        }
    }
    for (kind, called) in [("initContainers", "init container"), ("containers", "container")] {
        for container in list(at(pod, "spec"), kind) {
            let of = text(container, "name");
            let from = list(container, "envFrom").iter().map(|source| text(source, "secretRef.name"));
            found.extend(from.filter(|name| !name.is_empty()).map(|name| {
                (
                    name.to_owned(),
                    format!("{called} {of} with envFrom referencing secret.secretName={name:?}"),
                )
            }));
            for variable in list(container, "env") {
                let name = text(variable, "valueFrom.secretKeyRef.name");
                if !name.is_empty() {
                    let env = text(variable, "name");
                    let words =
                        format!("{called} {of} with envVar {env} referencing secret.secretName={name:?}");
                    found.push((name.to_owned(), words));
                }
            }
        }
    }
    found
}

/// An account may say that its pods use no secrets but those it lists.
fn mountable(attempt: &Attempt<'_>, pod: &Value, account: &Value) -> Result<(), Status> {
    let listed = |field: &str, name: &str| {
        list(account, field).iter().any(|reference| text(reference, "name") == name)
    };
    let of = text(account, "metadata.name");
    for (name, place) in secrets(pod) {
        if !listed("secrets", &name) {
            let why =
                format!("{place} is not allowed because service account {of} does not reference that secret");
            return Err(attempt.forbidden(pod, &why));
        }
    }
    for (index, reference) in list(pod, "spec.imagePullSecrets").iter().enumerate() {
        let name = text(reference, "name");
        if !listed("imagePullSecrets", name) {
            let why = format!(
                "imagePullSecrets[{index}].name={name:?} is not allowed because service account {of} does not reference \
                 that imagePullSecret"
            );
            return Err(attempt.forbidden(pod, &why));
        }
    }
    Ok(())
}
