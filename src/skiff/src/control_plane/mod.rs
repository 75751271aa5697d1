//! The control plane of a server: identities, store, API server and its listener, made into one component.
//!
//! The order matters to a board that lost power: identities first, because nothing works without them and they are small;
//! then the store, which checks and if need be restores itself; then the socket. Only then are the objects of every
//! cluster made, through the API like any other client's.

mod bootstrap;
mod identity;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use apiserver::{ApiServer, User};
use client::{Caches, Client};
use controllers::{Cluster, run_all};
use jiff::Timestamp;
use store::{Config, Store};
use task::{ReadySignal, Shutdown, readiness};
use tokio::net::{TcpListener, TcpSocket};
use tower::util::MapRequest;
use transport::{Certificate, Listener};

use self::identity::Identities;
use crate::config::ServerConfig;
use crate::lifecycle::Component;

/// Who the controllers are to the API; `bootstrap` says what they may.
const CONTROLLERS: &str = "system:kube-controller-manager";

/// Connections that wait while the server is busy with others.
const BACKLOG: u32 = 1024;

/// Opens everything; called in the runtime, before anything runs.
pub(crate) fn component(config: &ServerConfig) -> anyhow::Result<Component> {
    let identities = Identities::open(config, now()).context("prepare the identities of the cluster")?;
    let store = open_store(config)?;
    let tcp = listen(config.https_listen_port)?;
    let certificate = Certificate::new(&identities.api).context("use the certificate of the API server")?;
    let listener = Listener::new(tcp, certificate, identities.clients.certificate())?;
    identities.write_kubeconfig(config)?;
    let path = config.kubeconfig.path.display();
    tracing::info!("the API is at {}; try: kubectl --kubeconfig {path} get namespaces", config.address());
    let cluster = Cluster {
        certificate_authority: identities.servers.certificate().into(),
        pod_networks: config.network.cluster_cidr.clone(),
    };
    let api = ApiServer::new(store.clone(), Arc::new(identities.tokens));
    let plane = ControlPlane { store, api, listener, cluster };
    let (signal, ready) = readiness();
    Ok(Component::new("control plane", ready, move |shutdown| plane.run(signal, shutdown)))
}

struct ControlPlane {
    store: Store,
    api: ApiServer,
    listener: Listener,
    cluster: Cluster,
}

impl ControlPlane {
    async fn run(self, ready: ReadySignal, shutdown: Shutdown) -> anyhow::Result<()> {
        bootstrap::bootstrap(&in_process(&self.api, User::new("system:apiserver", ["system:masters"])))
            .await
            .context("make the objects that every cluster has")?;
        // The controllers would be refused, and try again, until the first roles are heard of.
        self.api.read_access_rights();
        let client = in_process(&self.api, User::new(CONTROLLERS, [""; 0]));
        let mut controllers = run_all(&client, &Caches::new(client.clone()), self.cluster);
        ready.set();
        let requested = shutdown.clone();
        let serving = self.listener.serve(
            self.api.clone(),
            async move { requested.requested().await },
            crate::lifecycle::DRAIN,
        );
        tokio::select! {
            () = serving => {}
            // Follows the store until it stops, which it does below and not before.
            () = self.api.run() => {}
            ended = controllers.next() => anyhow::bail!("a controller ended: {ended:?}"),
        }
        self.store.stop().await.context("write what was still in memory to disk")
    }
}

/// A client of the API server of this process, as `user`: no socket, no TLS, the same code path.
fn in_process(api: &ApiServer, user: User) -> Client {
    let service = MapRequest::new(api.clone(), move |mut request: http::Request<kube::client::Body>| {
        request.extensions_mut().insert(user.clone());
        request
    });
    kube::Client::new(service, "default").into()
}

fn open_store(config: &ServerConfig) -> anyhow::Result<Store> {
    let directory = config.data_dir.join("server/db");
    let (store, restored) = Store::open(&Config::new(&directory))
        .with_context(|| format!("open the store in {}", directory.display()))?;
    if let Some(restored) = restored {
        tracing::error!("the database was damaged: {restored:?}");
    }
    Ok(store)
}

/// On every address, of both families where the machine has both.
fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let bind = |socket: std::io::Result<TcpSocket>, address: IpAddr| {
        let socket = socket?;
        // A restart must not wait for the connections of the process before.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(address, port))?;
        socket.listen(BACKLOG)
    };
    bind(TcpSocket::new_v6(), Ipv6Addr::UNSPECIFIED.into())
        .or_else(|_| bind(TcpSocket::new_v4(), [0, 0, 0, 0].into()))
        .with_context(|| format!("listen on port {port}; `skiff check-config` names who holds it"))
}

fn now() -> Timestamp {
    Timestamp::now()
}
