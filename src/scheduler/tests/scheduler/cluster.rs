//! A control plane of an API server and a scheduler, in this process.

use std::sync::Arc;

use apiserver::{ApiServer, Issuer, User};
use client::{Caches, Client, DeleteOptions, Key, Object, Patch, Recorder, Scoped};
use k8s_openapi::api::core::v1::{Event, Namespace, Node, Pod, PodCondition, ServiceAccount};
use pki::jwt::Signer;
use serde_json::{Value, json};
use store::{InMemory, Limits, Store};
use task::Tasks;
use tower::util::MapRequest;

pub(crate) struct Cluster {
    pub(crate) client: Client,
    caches: Caches,
    _tasks: Tasks<()>,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// With the namespace `shop` and no node.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let signer = Signer::open(&folder.path().join("key")).unwrap();
        let client = in_process(ApiServer::new(store, Issuer::new(signer, "https://kubernetes.default.svc")));
        let caches = Caches::new(client.clone());
        let mut tasks = Tasks::new();
        let (recorder, events) = Recorder::new(client.clone(), "default-scheduler", "");
        tasks.spawn("events", events);
        tasks.spawn("scheduler", scheduler::run(caches.clone(), recorder));
        let cluster = Self { client, caches, _tasks: tasks, _folder: folder };
        cluster.create::<Namespace>(json!({"metadata": {"name": "shop"}})).await;
        cluster.create::<ServiceAccount>(json!({"metadata": {"name": "default"}})).await;
        cluster
    }

    /// Creates an object, in `shop` if in a namespace.
    pub(crate) async fn create<K: Object<Scope: Scoped>>(&self, mut object: Value) -> K {
        object["apiVersion"] = K::API_VERSION.into();
        object["kind"] = K::KIND.into();
        if <K::Scope as Scoped>::NAMESPACED {
            object["metadata"]["namespace"] = "shop".into();
        }
        self.client.create(&K::decode(object.to_string().as_bytes()).unwrap()).await.unwrap()
    }

    /// A node of so many cores and 110 pods, as it is when its kubelet has said so and it was found ready.
    pub(crate) async fn node(&self, name: &str, cpu: &str, spec: Value) {
        self.create::<Node>(json!({"metadata": {"name": name}})).await;
        let resources = json!({"cpu": cpu, "memory": "8Gi", "pods": "110"});
        let status = json!({"status": {"capacity": resources, "allocatable": resources}});
        let key = Key::new("", name);
        self.client.patch::<Node>(&key, Some("status"), &Patch::Merge(status)).await.unwrap();
        let mut ready = json!({"spec": {"taints": null}});
        ready["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        self.patch::<Node>(&key, ready).await;
    }

    pub(crate) async fn pod(&self, name: &str, cpu: &str, more: Value) -> Pod {
        let mut spec =
            json!({"containers": [{"name": "c", "image": "c", "resources": {"requests": {"cpu": cpu}}}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.create::<Pod>(json!({"metadata": {"name": name}, "spec": spec})).await
    }

    pub(crate) async fn patch<K: Object<Scope: Scoped>>(&self, key: &Key, patch: Value) {
        self.client.patch::<K>(key, None, &Patch::Merge(patch)).await.unwrap();
    }

    /// What a kubelet does at the end of a pod.
    pub(crate) async fn remove(&self, pod: &str) {
        let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        self.client.delete::<Pod>(&Key::new("shop", pod), &now).await.unwrap();
    }

    /// Waits until a pod is as wanted.
    pub(crate) async fn until(&self, pod: &str, wanted: impl Fn(&Pod) -> bool) -> Arc<Pod> {
        let key = Key::new("shop", pod);
        self.until_all::<Pod>(|all| all.iter().any(|pod| Key::of(&**pod) == key && wanted(pod))).await;
        self.caches.of::<Pod>().get(&key).unwrap()
    }

    /// Waits until a pod has a node, and tells which.
    pub(crate) async fn placed(&self, pod: &str) -> String {
        let pod = self.until(pod, |pod| node_of(pod).is_some()).await;
        node_of(&pod).unwrap().to_string()
    }

    /// Waits until a pod says why it has no node.
    pub(crate) async fn refused(&self, pod: &str, message: &str) {
        let says = |pod: &Pod| {
            placement(pod).is_some_and(|condition| {
                condition.reason.as_deref() == Some("Unschedulable")
                    && condition.message.as_deref() == Some(message)
            })
        };
        self.until(pod, says).await;
    }

    pub(crate) async fn event(&self, reason: &str, message: &str) {
        let is = |event: &Arc<Event>| {
            event.reason.as_deref() == Some(reason) && event.message.as_deref() == Some(message)
        };
        self.until_all::<Event>(|all| all.iter().any(is)).await;
    }

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
}

pub(crate) fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

pub(crate) fn placement(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, "PodScheduled")
}

pub(crate) fn condition<'a>(pod: &'a Pod, name: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == name)
}

fn in_process(api: ApiServer) -> Client {
    let service = MapRequest::new(api, |mut request: http::Request<kube::client::Body>| {
        request.extensions_mut().insert(User::new("root", ["system:masters"]));
        request
    });
    kube::Client::new(service, "default").into()
}
