//! ServiceAccount `default` in every namespace: who a pod is that names nobody.

use std::time::Duration;

use client::{Error, Key, Queue};
use futures_util::future::join3;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::context::Context;
use crate::feed::feed;
use crate::namespace;

const NAME: &str = "default";

pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let namespaces = feed(context.caches.of::<Namespace>(), queue.clone(), |namespace: &Namespace| {
        namespace.metadata.name.clone()
    });
    let accounts = feed(context.caches.of::<ServiceAccount>(), queue.clone(), |account: &ServiceAccount| {
        account.metadata.namespace.clone().filter(|_| account.metadata.name.as_deref() == Some(NAME))
    });
    join3(namespaces, accounts, queue.work("ServiceAccount", |name| reconcile(&context, name))).await;
}

async fn reconcile(context: &Context, namespace: String) -> Result<Option<Duration>, Error> {
    let accounts = context.caches.of::<ServiceAccount>();
    accounts.synced().await;
    let there = accounts.get(&Key::new(&*namespace, NAME)).is_some();
    if there || !namespace::is_active(context, &namespace) {
        return Ok(None);
    }
    let metadata =
        ObjectMeta { name: Some(NAME.into()), namespace: Some(namespace), ..ObjectMeta::default() };
    match context.client().create(&ServiceAccount { metadata, ..ServiceAccount::default() }).await {
        Err(error) if !error.is_already_exists() && !error.is_namespace_terminating() => Err(error),
        _ => Ok(None),
    }
}
