//! What a test stands on: a cluster in memory, a node agent that can be stopped and started, and proof that nothing is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apiserver::{ApiServer, Issuer, User};
use client::{Caches, Client, DeleteOptions, Key, Object, Patch, Recorder};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Namespace, Node, Pod, ServiceAccount};
use kubelet::{Config, Kubelet, Parts};
use network::{PodNetwork, PodNetworkConfig};
use oci::cgroup::{Cgroup, Hierarchy};
use oci::image::Images;
use pki::jwt::Signer;
use serde_json::{Value, json};
use store::{InMemory, Limits, Store};
use task::{ShutdownTrigger, Tasks, shutdown};
use tokio::sync::watch;
use tower::util::MapRequest;

use crate::harness::Stand;

pub(crate) struct Ground {
    folder: tempfile::TempDir,
    cgroup: PathBuf,
    pub(crate) client: Client,
    images: Images,
    caches: Caches,
}

static GROUNDS: AtomicU32 = AtomicU32::new(0);
const NODE: &str = "board";

/// A running node agent.
pub(crate) struct Agent {
    trigger: ShutdownTrigger,
    tasks: Tasks<()>,
    network: watch::Sender<Option<PodNetwork>>,
}

impl Agent {
    /// Gives the node addresses for its pods.
    pub(crate) fn open(&self, network: PodNetwork) {
        self.network.send_replace(Some(network));
    }

    pub(crate) async fn stop(mut self) {
        self.trigger.begin(Duration::from_secs(3600));
        while let Some(ended) = self.tasks.next().await {
            if ended.name == "kubelet" {
                return;
            }
        }
    }
}

impl Stand for Ground {
    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("kubelet-").tempdir().unwrap();
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let cgroup = PathBuf::from(format!("/kubelet-test-{}-{number}", std::process::id()));
        let client = cluster(folder.path());
        // Not this machine's own: it may say anything.
        fs::write(folder.path().join("resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
        let images = Images::open(folder.path().join("images")).unwrap();
        images.import(&crate::image::archive(folder.path())).await.unwrap();
        let ground = Self { folder, cgroup, caches: Caches::new(client.clone()), client, images };
        for namespace in ["shop", "kube-node-lease"] {
            ground.create::<Namespace>(json!({"metadata": {"name": namespace}})).await;
        }
        let account = json!({"metadata": {"name": "default", "namespace": "shop"}});
        ground.create::<ServiceAccount>(account).await;
        ground
    }

    async fn clear(&self) {
        let pods = self
            .client
            .list::<Pod>(&client::Path::all::<Pod>(), &client::ListOptions::default())
            .await
            .unwrap();
        for pod in pods.items {
            let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
            let _may_be_going = self.client.delete::<Pod>(&Key::of(&pod), &now).await;
        }
        let (sandboxes, _) = oci::Pods::open(self.path().join("sandboxes")).unwrap().adopt().await.unwrap();
        let ids: Vec<String> = sandboxes.iter().map(|pod| pod.id().to_owned()).collect();
        drop(sandboxes);
        // An agent clears away what a test left: pods that nobody knows any more.
        if !ids.is_empty() || self.has_left_something() {
            let agent = self.agent().await;
            self.cleared().await;
            agent.stop().await;
        }
        let hierarchy = Hierarchy::detect().unwrap();
        Cgroup::new(&hierarchy, &self.cgroup).remove().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "a mount is left: {mounts}");
    }
}

impl Ground {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn agent(&self) -> Agent {
        self.agent_of(self.client.clone()).await
    }

    pub(crate) async fn agent_of(&self, client: Client) -> Agent {
        let agent = self.agent_without_network(client);
        agent.open(self.network().await);
        agent
    }

    pub(crate) async fn network(&self) -> PodNetwork {
        let network = PodNetworkConfig {
            state: self.path().join("addresses"),
            pod_cidrs: vec!["10.42.0.0/24".parse().unwrap()],
            cluster_cidrs: vec![],
            mtu: 1400,
        };
        PodNetwork::open(network).await.unwrap()
    }

    pub(crate) fn agent_without_network(&self, client: Client) -> Agent {
        let caches = Caches::new(client.clone());
        let (recorder, events) = Recorder::new(client, "kubelet", NODE);
        let (network, opened) = watch::channel(None);
        let parts = Parts {
            caches,
            recorder,
            pods: oci::Pods::open(self.path().join("sandboxes")).unwrap(),
            images: self.images.clone(),
            network: opened,
        };
        let kubelet = Kubelet::new(self.config(), parts).unwrap();
        let (trigger, shutdown) = shutdown();
        let mut tasks = Tasks::new();
        tasks.spawn("events", events);
        tasks.spawn("kubelet", async move { Box::pin(kubelet.run(shutdown)).await.unwrap() });
        Agent { trigger, tasks, network }
    }

    fn config(&self) -> Config {
        Config {
            node_name: NODE.into(),
            node_ips: vec![[192, 168, 9, 9].into()],
            labels: BTreeMap::new(),
            taints: Vec::new(),
            cluster_dns: vec![[10, 43, 0, 10].into()],
            cluster_domain: "cluster.local".into(),
            pods_dir: self.path().join("pods"),
            run_dir: self.path().join("run"),
            log_dir: self.path().join("logs"),
            cgroup_root: self.cgroup.clone(),
            resolv_conf: self.path().join("resolv.conf"),
            port: 10250,
            max_pods: 110,
            version: "v1.37.0".into(),
        }
    }

    pub(crate) async fn create<K: Object<Scope: client::Scoped>>(&self, mut object: Value) -> K {
        object["apiVersion"] = K::API_VERSION.into();
        object["kind"] = K::KIND.into();
        self.client.create(&K::decode(object.to_string().as_bytes()).unwrap()).await.unwrap()
    }

    /// A pod on this node with one container `app` that runs this.
    pub(crate) async fn pod(&self, name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
            "spec": {
                "nodeName": NODE,
                "terminationGracePeriodSeconds": 30,
                "automountServiceAccountToken": false,
                "containers": [{"name": "app", "image": crate::image::NAME, "args": [script]}],
            },
        });
        change(&mut pod["spec"]);
        self.create(pod).await
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.client.delete::<Pod>(&Key::new("shop", name), &DeleteOptions::default()).await.unwrap();
    }

    /// Asks for other amounts for the container of a pod.
    pub(crate) async fn resize(&self, name: &str, resources: Value) {
        let patch = json!([{"op": "replace", "path": "/spec/containers/0/resources", "value": resources}]);
        let key = Key::new("shop", name);
        self.client.patch::<Pod>(&key, Some("resize"), &Patch::Json(patch)).await.unwrap();
    }

    pub(crate) fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Deletes it, and gives the first of its states since then that is as wanted. Every one is looked at: a cache may be passed by
    /// the last ones in an instant.
    pub(crate) async fn delete_until(&self, name: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let (path, options) = (client::Path::all::<Pod>(), client::ListOptions::default());
        let now = self.client.list::<Pod>(&path, &options).await.unwrap().revision;
        let mut watch = self.client.watch::<Pod>(&path, &options, &now).await.unwrap();
        self.delete(name).await;
        loop {
            let event = watch.next().await.unwrap().unwrap();
            let (client::Event::Applied(pod) | client::Event::Deleted(pod)) = event else { continue };
            if pod.metadata.name.as_deref() == Some(name) && wanted(&pod) {
                return pod;
            }
        }
    }

    pub(crate) async fn patch(&self, name: &str, patch: Value) {
        self.client.patch::<Pod>(&Key::new("shop", name), None, &Patch::Json(patch)).await.unwrap();
    }

    /// Waits until the pod is as wanted.
    pub(crate) async fn until(&self, name: &str, wanted: impl Fn(&Pod) -> bool) -> Arc<Pod> {
        let cache = self.caches.of::<Pod>();
        let mut changes = cache.changes();
        loop {
            changes.next().await;
            if let Some(pod) = cache.get(&Key::new("shop", name)).filter(|pod| wanted(pod)) {
                return pod;
            }
        }
    }

    pub(crate) async fn gone(&self, name: &str) {
        let cache = self.caches.of::<Pod>();
        let mut changes = cache.changes();
        while {
            changes.next().await;
            cache.get(&Key::new("shop", name)).is_some()
        } {}
    }

    /// Waits until the pod has had an event of that reason, and gives its message.
    pub(crate) async fn event(&self, pod: &str, reason: &str) -> String {
        self.event_that(pod, reason, |_| true).await
    }

    /// The same for one of several.
    pub(crate) async fn event_that(&self, pod: &str, reason: &str, says: impl Fn(&str) -> bool) -> String {
        let cache = self.caches.of::<Event>();
        let mut changes = cache.changes();
        loop {
            changes.next().await;
            let all = cache.list();
            let of_pod = all.iter().filter(|event| event.involved_object.name.as_deref() == Some(pod));
            let found = of_pod.filter(|event| event.reason.as_deref() == Some(reason));
            let mut messages = found.filter_map(|event| event.message.clone());
            if let Some(message) = messages.find(|message| says(message)) {
                return message;
            }
        }
    }

    pub(crate) async fn node(&self, wanted: impl Fn(&Node) -> bool) -> Arc<Node> {
        let cache = self.caches.of::<Node>();
        let mut changes = cache.changes();
        loop {
            changes.next().await;
            if let Some(node) = cache.get(&Key::new("", NODE)).filter(|node| wanted(node)) {
                return node;
            }
        }
    }

    /// What the container has said until now, without times and streams.
    pub(crate) fn log(&self, pod: &Pod, container: &str, attempt: u32) -> Vec<String> {
        let metadata = &pod.metadata;
        let folder = format!("shop_{}_{}", metadata.name.as_ref().unwrap(), metadata.uid.as_ref().unwrap());
        let path = self.path().join("logs").join(folder).join(container).join(format!("{attempt}.log"));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| Some(line.splitn(4, ' ').nth(3)?.to_owned())).collect()
    }

    /// Waits until the container has said this and nothing else. Where a signal follows it must: before it has set its trap, the
    /// first process of a container hears of none.
    pub(crate) async fn said(&self, pod: &Pod, attempt: u32, words: &str) {
        until(|| self.log(pod, "app", attempt) == [words]).await;
    }

    pub(crate) fn has_left_something(&self) -> bool {
        let names = ["sandboxes", "pods", "run", "logs", "images/containers"];
        names.iter().any(|name| {
            fs::read_dir(self.path().join(name)).is_ok_and(|mut entries| entries.next().is_some())
        })
    }

    /// Waits until nothing of any pod is left on the disk.
    pub(crate) async fn cleared(&self) {
        until(|| !self.has_left_something()).await;
    }
}

fn cluster(folder: &Path) -> Client {
    let backend = InMemory::default();
    let contents = backend.contents();
    let store = Store::over(backend, contents, Limits::default()).unwrap();
    let signer = Signer::open(&folder.join("key")).unwrap();
    let api = ApiServer::new(store, Issuer::new(signer, "https://kubernetes.default.svc.cluster.local"));
    let service = MapRequest::new(api, |mut request: http::Request<kube::client::Body>| {
        request.extensions_mut().insert(User::new("root", ["system:masters"]));
        request
    });
    kube::Client::new(service, "default").into()
}

/// Not a measure of time: files are looked at again until they are as wanted.
pub(crate) async fn until(wanted: impl Fn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while !wanted() {
        look.tick().await;
    }
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(crate) fn condition<'a>(pod: &'a Pod, type_: &str) -> &'a str {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .find(|condition| condition.type_ == type_)
        .map_or("", |condition| &condition.status)
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready") == "True"
}

pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.into_iter().find(|status| status.name == name)
}

/// The reason why the container waits, if it does.
pub(crate) fn waits<'a>(pod: &'a Pod, name: &str) -> &'a str {
    let state =
        container(pod, name).and_then(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    state.unwrap_or_default()
}
