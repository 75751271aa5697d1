//! An API server in this process, and the DNS server that reads it.

use std::net::SocketAddr;
use std::path::PathBuf;

use apiserver::{ApiServer, Issuer, User};
use client::{Caches, Client, Object, Scoped};
use dns::{Config, Dns};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use pki::jwt::Signer;
use serde_json::{Value, json};
use store::{InMemory, Limits, Store};
use task::Tasks;
use tower::util::MapRequest;

pub(crate) const DNS: &str = "10.43.0.10";

pub(crate) struct Cluster {
    client: Client,
    caches: Caches,
    folder: tempfile::TempDir,
    _tasks: Tasks<()>,
}

impl Cluster {
    /// With the namespace `shop`, and DNS that asks the resolvers of `resolv_conf`.
    pub(crate) async fn start(resolv_conf: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("resolv.conf"), resolv_conf).unwrap();
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let issuer =
            Issuer::new(Signer::open(&folder.path().join("key")).unwrap(), "https://kubernetes.default.svc");
        let client = in_process(ApiServer::new(store, issuer));
        give_service_network(&client).await;
        let caches = Caches::new(client.clone());
        let mut tasks = Tasks::new();
        let config = config(folder.path().join("resolv.conf"));
        tasks.spawn("dns", Dns::new(config, &caches).unwrap().run());
        let cluster = Self { client, caches, folder, _tasks: tasks };
        cluster.create::<Namespace>(json!({"metadata": {"name": "shop"}})).await;
        cluster.caches.of::<Service>().synced().await;
        cluster.caches.of::<EndpointSlice>().synced().await;
        cluster
    }

    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.folder.path().join("resolv.conf")
    }

    /// Creates an object in `shop`, and waits until DNS can see it.
    pub(crate) async fn create<K: Object<Scope: Scoped>>(&self, mut object: Value) {
        object["apiVersion"] = K::API_VERSION.into();
        object["kind"] = K::KIND.into();
        if <K::Scope as Scoped>::NAMESPACED {
            object["metadata"]["namespace"] = "shop".into();
        }
        let made = self.client.create(&K::decode(object.to_string().as_bytes()).unwrap()).await.unwrap();
        self.caches.of::<K>().seen(made.metadata()).await;
    }

    pub(crate) async fn service(&self, name: &str, spec: Value) {
        self.create::<Service>(json!({"metadata": {"name": name}, "spec": spec})).await;
    }

    pub(crate) async fn slice(&self, service: &str, family: &str, endpoints: Value) {
        self.create::<EndpointSlice>(json!({
            "metadata": {"name": format!("{service}-{}", family.to_lowercase()), "labels": {"kubernetes.io/service-name": service}},
            "addressType": family, "endpoints": endpoints,
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        }))
        .await;
    }
}

async fn give_service_network(client: &Client) {
    let network = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.43.0.0/16"]},
    });
    let target = "/apis/networking.k8s.io/v1/servicecidrs";
    client.send_json(http::Method::POST, target, Some(network.to_string().into_bytes())).await.unwrap();
}

fn config(resolv_conf: PathBuf) -> Config {
    Config {
        domain: "cluster.local".into(),
        cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap(), "10.43.0.0/16".parse().unwrap()],
        listen: vec![SocketAddr::new(DNS.parse().unwrap(), 53)],
        resolv_conf,
    }
}

fn in_process(api: ApiServer) -> Client {
    let service = MapRequest::new(api, |mut request: http::Request<kube::client::Body>| {
        request.extensions_mut().insert(User::new("root", ["system:masters"]));
        request
    });
    kube::Client::new(service, "default").into()
}
