//! A control plane in this process, and the hands of a person and of a kubelet on it.

use std::sync::Arc;

use apiserver::{ApiServer, Issuer, User};
use client::{Caches, Client, DeleteOptions, Key, Object, Patch, Scoped};
use controllers::run_all;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use pki::jwt::Signer;
use serde_json::{Value, json};
use store::{InMemory, Limits, Store};
use task::{ClockSettings, Tasks};
use tower::util::MapRequest;

pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) caches: Caches,
    _controllers: Tasks<()>,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// With the namespace `shop`, and every controller running.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let signer = Signer::open(&folder.path().join("key")).unwrap();
        let issuer = Issuer::new(signer, "https://kubernetes.default.svc.cluster.local");
        let client = in_process(ApiServer::new(store, issuer));
        let caches = Caches::new(client.clone());
        let cluster = controllers::Cluster {
            certificate_authority: "THE CA".into(),
            pod_networks: vec!["10.42.0.0/16".parse().unwrap()],
        };
        let controllers = run_all(&client, &caches, cluster, ClockSettings::watch().unwrap());
        let cluster = Self { client, caches, _controllers: controllers, _folder: folder };
        cluster.create::<Namespace>(json!({"metadata": {"name": "shop"}})).await;
        cluster
    }

    /// Creates an object in `shop`, unless it says otherwise.
    pub(crate) async fn create<K: Object<Scope: Scoped>>(&self, mut object: Value) -> K {
        object["apiVersion"] = K::API_VERSION.into();
        object["kind"] = K::KIND.into();
        if <K::Scope as Scoped>::NAMESPACED && object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = "shop".into();
        }
        self.client.create(&K::decode(object.to_string().as_bytes()).unwrap()).await.unwrap()
    }

    pub(crate) async fn patch<K: Object<Scope: Scoped>>(&self, name: &str, patch: Value) -> K {
        self.client.patch(&key::<K>(name), None, &Patch::Merge(patch)).await.unwrap()
    }

    pub(crate) async fn delete<K: Object<Scope: Scoped>>(&self, name: &str, propagation: &str) {
        let options =
            DeleteOptions { propagation_policy: Some(propagation.into()), ..DeleteOptions::default() };
        self.client.delete::<K>(&key::<K>(name), &options).await.unwrap();
    }

    /// What a kubelet does.
    pub(crate) async fn set_status<K: Object<Scope: Scoped>>(&self, name: &str, status: Value) -> K {
        let patch = Patch::Merge(json!({"status": status}));
        self.client.patch(&key::<K>(name), Some("status"), &patch).await.unwrap()
    }

    /// What a kubelet does at the end of a pod.
    pub(crate) async fn remove(&self, pod: &str) {
        let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        self.client.delete::<Pod>(&key::<Pod>(pod), &now).await.unwrap();
    }

    pub(crate) async fn run_pod(&self, pod: &str, ip: &str) {
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": now});
        self.set_status::<Pod>(
            pod,
            json!({"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [ready]}),
        )
        .await;
    }

    /// Waits until the object, or its absence, is as wanted.
    pub(crate) async fn until<K: Object<Scope: Scoped>>(
        &self,
        name: &str,
        wanted: impl Fn(Option<&K>) -> bool,
    ) -> Option<Arc<K>> {
        let key = key::<K>(name);
        let all = self
            .until_all::<K>(|all| wanted(all.iter().find(|it| Key::of(&***it) == key).map(|it| &**it)))
            .await;
        all.into_iter().find(|it| Key::of(&**it) == key)
    }

    /// Waits until all objects of a kind are as wanted, in every namespace.
    pub(crate) async fn until_all<K: Object>(&self, wanted: impl Fn(&[Arc<K>]) -> bool) -> Vec<Arc<K>> {
        let cache = self.caches.of::<K>();
        let mut changes = cache.changes();
        loop {
            changes.next().await;
            let all = cache.list();
            if wanted(&all) {
                return all;
            }
        }
    }

    pub(crate) async fn gone<K: Object<Scope: Scoped>>(&self, name: &str) {
        self.until::<K>(name, |object| object.is_none()).await;
    }
}

fn key<K: Object<Scope: Scoped>>(name: &str) -> Key {
    match name.split_once('/') {
        Some((namespace, name)) => Key::new(namespace, name),
        None if <K::Scope as Scoped>::NAMESPACED => Key::new("shop", name),
        None => Key::new("", name),
    }
}

fn in_process(api: ApiServer) -> Client {
    let service = MapRequest::new(api, |mut request: http::Request<kube::client::Body>| {
        request.extensions_mut().insert(User::new("root", ["system:masters"]));
        request
    });
    kube::Client::new(service, "default").into()
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(crate) fn names<K: Object>(objects: &[Arc<K>]) -> Vec<&str> {
    objects.iter().map(|object| object.metadata().name.as_deref().unwrap()).collect()
}

/// A pod template's or pod's spec.
pub(crate) fn pod_spec() -> Value {
    json!({"containers": [{"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}]})
}
