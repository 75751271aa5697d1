//! ConfigMap `kube-root-ca.crt` in every namespace: by what pods know the API server.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Cache, Error, Key, ListOptions, Queue};
use futures_util::future::join3;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::context::Context;
use crate::feed::feed;
use crate::namespace;

const NAME: &str = "kube-root-ca.crt";
const ANNOTATION: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// `certificate` is the PEM of the authority that signs the API server's certificate.
pub(crate) async fn run(context: Context, certificate: String) {
    let queue = Queue::default();
    // Only the maps of this name: a cache of all ConfigMaps would be held for this controller alone.
    let own = ListOptions { fields: format!("metadata.name={NAME}"), ..ListOptions::default() };
    let maps = context.caches.selected::<ConfigMap>(own);
    let namespaces = feed(context.caches.of::<Namespace>(), queue.clone(), |namespace: &Namespace| {
        namespace.metadata.name.clone()
    });
    let own = feed(maps.clone(), queue.clone(), |map: &ConfigMap| map.metadata.namespace.clone());
    let work = queue.work("root CA", |name| reconcile(&context, &maps, &certificate, name));
    join3(namespaces, own, work).await;
}

async fn reconcile(
    context: &Context,
    maps: &Cache<ConfigMap>,
    certificate: &str,
    namespace: String,
) -> Result<Option<Duration>, Error> {
    maps.synced().await;
    if !namespace::is_active(context, &namespace) {
        return Ok(None);
    }
    let key = Key::new(namespace, NAME);
    let current = maps.get(&key);
    let written = match current.as_deref() {
        Some(current) => match changed(current, certificate) {
            Some(changed) => context.client().update(&changed).await,
            None => return Ok(None),
        },
        None => context.client().create(&made(&key.namespace, certificate)).await,
    };
    match written {
        Err(error) if !error.is_already_exists() && !error.is_namespace_terminating() => Err(error),
        _ => Ok(None),
    }
}

fn made(namespace: &str, certificate: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            namespace: Some(namespace.into()),
            annotations: Some([(ANNOTATION.to_string(), DESCRIPTION.to_string())].into()),
            ..ObjectMeta::default()
        },
        data: Some(data(certificate)),
        ..ConfigMap::default()
    }
}

fn data(certificate: &str) -> BTreeMap<String, String> {
    [("ca.crt".to_string(), certificate.to_string())].into()
}

/// What people changed is put back: pods would trust somebody else.
fn changed(current: &ConfigMap, certificate: &str) -> Option<ConfigMap> {
    let described = current
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|all| all.get(ANNOTATION).is_some_and(|text| text == DESCRIPTION));
    let data = Some(data(certificate));
    if described && current.data == data {
        return None;
    }
    let mut changed = ConfigMap { data, ..current.clone() };
    changed.metadata.annotations.get_or_insert_default().insert(ANNOTATION.into(), DESCRIPTION.into());
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_put_back() {
        let good = made("shop", "CA");
        assert_eq!(changed(&good, "CA"), None);
        let mut foreign = good.clone();
        foreign.data.get_or_insert_default().insert("ca.crt".into(), "other".into());
        assert_eq!(changed(&foreign, "CA"), Some(good));
    }
}
