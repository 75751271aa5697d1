//! The control plane of a server: identities, store, API server and its listener, made into one component.
//!
//! The order matters to a board that lost power: identities first, because nothing works without them and they are small;
//! then the store, which checks and if need be restores itself; then the socket. Only then are the objects of every
//! cluster made, through the API like any other client's.

mod admission;
mod bootstrap;
mod front;
mod identity;
mod role;
mod services;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use apiserver::{ApiServer, Audit, AuditConfig, Issuer, User};
use client::{Caches, Client, Recorder};
use http::HeaderValue;
use http::header::USER_AGENT;
use pki::Authority;
use pki::token::Token;
use store::{Config, Store};
use task::{Carrier, ClockSettings, Ready, ReadySignal, Shutdown, Tasks, readiness};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::util::MapRequest;
use transport::Listener;

use self::admission::Admissions;
use self::front::Front;
use self::identity::{Authorities, Identities, Own};
use crate::clock;
use crate::cluster::Cluster;
use crate::config::ServerConfig;
use crate::lifecycle::{self, Component};
use crate::token::TOKEN_FILE;

/// Its own part of the data directory.
pub(crate) const FOLDER: &str = "server";

/// Who the controllers are to the API; `bootstrap` says what they may.
const CONTROLLERS: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";

/// What clients have under way when we stop is finished for this long, and the other parts of the process are waited for as long, so
/// that the store has time left to write what is in memory.
const DRAIN: Duration = Duration::from_secs(10);
const _: () = assert!(2 * DRAIN.as_secs() < lifecycle::DRAIN.as_secs(), "the store stops after the drain");

/// Connections that wait while the server is busy with others.
const BACKLOG: u32 = 1024;

/// What the other parts of the process need of the control plane.
pub(crate) struct Access {
    api: ApiServer,
    /// The process's caches, which see everything.
    pub(crate) caches: Caches,
    /// Before that nobody is let in: the first roles are not there.
    pub(crate) ready: Ready,
    /// Held by whoever relies on the control plane: it goes on until they have let go.
    pub(crate) held: watch::Receiver<()>,
}

impl Access {
    /// A client of the API as this user, for this program.
    pub(crate) fn client(&self, user: &str, groups: &[&str], program: &'static str) -> Client {
        in_process(&self.api, User::new(user, groups.iter().copied()), program)
    }

    pub(crate) fn tunnels(&self) -> &transport::tunnel::Tunnels {
        self.api.tunnels()
    }
}

/// Opens everything; called in the runtime, before anything runs.
pub(crate) fn component(config: &ServerConfig, address: IpAddr) -> anyhow::Result<(Component, Access)> {
    let identities =
        Identities::open(config, address, clock::now()).context("prepare the identities of the cluster")?;
    let Authorities { servers, clients } = identities.authorities;
    let store = open_store(config)?;
    let tcp = listen(config.https_listen_port)?;
    let listener = Listener::new(tcp, identities.own.certificate(), clients.certificate())?;
    identities.own.write_kubeconfig()?;
    tell_what_to_do_next(config, address);
    let issuer = Issuer::new(
        identities.tokens,
        format!("https://kubernetes.default.svc.{}", config.network.cluster_domain),
    );
    let api = ApiServer::audited(store.clone(), issuer, audit(config)?);
    let caches = Caches::new(in_process(&api, User::new(CONTROLLERS, [""; 0]), "kube-controller-manager"));
    let (users, held) = watch::channel(());
    let plane = ControlPlane {
        api: api.clone(),
        caches: caches.clone(),
        users,
        clock: ClockSettings::watch().context("learn when the clock is set")?,
        store,
        listener,
        servers,
        clients,
        own: identities.own,
        join: identities.join,
        cluster: Cluster::of(config),
        address: SocketAddr::new(address, config.https_listen_port),
        node: config.node.as_ref().map(|node| node.name.to_string()),
    };
    let (signal, ready) = readiness();
    let access = Access { api, caches, ready: ready.clone(), held };
    let component = Component::new("control plane", ready, move |shutdown| plane.run(signal, shutdown));
    Ok((component, access))
}

fn tell_what_to_do_next(config: &ServerConfig, address: IpAddr) {
    let path = config.kubeconfig.path.display();
    tracing::info!("the API is at {}; try: kubectl --kubeconfig {path} get nodes", config.address());
    let (token, port) = (config.data_dir.join(TOKEN_FILE), config.https_listen_port);
    let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    tracing::info!(
        "to add a machine, run there: skiff agent --server https://{host}:{port} --token-file FILE, with a copy of {} as FILE",
        token.display()
    );
}

struct ControlPlane {
    store: Store,
    api: ApiServer,
    caches: Caches,
    /// Closed when the other parts of the process have ended.
    users: watch::Sender<()>,
    clock: ClockSettings,
    listener: Listener,
    servers: Arc<Authority>,
    clients: Arc<Authority>,
    own: Own,
    join: Token,
    cluster: Cluster,
    /// Where the API is reached from other machines.
    address: SocketAddr,
    /// The name of this machine's node, if it is one.
    node: Option<String>,
}

impl ControlPlane {
    async fn run(self, ready: ReadySignal, shutdown: Shutdown) -> anyhow::Result<()> {
        let root = in_process(&self.api, User::new("system:apiserver", ["system:masters"]), "kube-apiserver");
        bootstrap::bootstrap(&root).await.context("make the objects that every cluster has")?;
        services::bootstrap(&root, &self.cluster, self.address.ip(), self.address.port())
            .await
            .context("make the Services that every cluster has")?;
        // The controllers would be refused, and try again, until the first roles are heard of.
        self.api.read_access_rights();
        let mut parts = self.parts();
        if let Some(node) = self.node {
            parts.spawn("role of this node", role::keep(root.clone(), self.caches.of(), node));
        }
        let authority = self.servers.certificate().to_owned();
        let admissions = Admissions::new(authority, self.clients, self.join, root, self.cluster);
        let renewal = self.own.renew(self.clock);
        let kept = Arc::new(Carrier::default());
        let front = Front::new(self.api.clone(), admissions, kept.clone());
        ready.set();
        let (requested, leaving) = (shutdown.clone(), self.api.clone());
        let stopped = async move {
            requested.requested().await;
            // Watches end, or the drain would wait for them.
            leaving.leave();
        };
        let serving = self.listener.serve(front, stopped, DRAIN);
        let ended = tokio::select! {
            () = serving => Ok(()),
            // Both follow what goes on until the store stops, which it does below and not before.
            () = self.api.run() => Ok(()),
            () = kept.run() => Ok(()),
            never = renewal => match never {},
            ended = parts.next() => Err(anyhow::anyhow!("a part of the control plane ended: {ended:?}")),
        };
        // Whoever still asked for something would be refused, and complain.
        parts.stop().await;
        if shutdown.is_requested() {
            let _late = timeout(DRAIN, self.users.closed()).await;
        }
        drop(self.caches);
        let stopped = self.store.stop().await.context("write what was still in memory to disk");
        // Last: it waits for as long as the disk takes.
        self.api.finish_audit().await;
        ended.and(stopped)
    }

    /// Starts the controllers and the scheduler, on one set of caches.
    fn parts(&self) -> Tasks<()> {
        let client = self.caches.client();
        let cluster = controllers::Cluster {
            certificate_authority: self.servers.certificate().to_owned(),
            pod_networks: self.cluster.pod_networks.clone(),
        };
        let mut tasks = controllers::run_all(client, &self.caches, cluster, self.clock.clone());
        let scheduler = in_process(&self.api, User::new(SCHEDULER, [""; 0]), "kube-scheduler");
        let (recorder, writing) = Recorder::new(scheduler.clone(), "default-scheduler", "");
        tasks.spawn("events", writing);
        tasks.spawn("scheduler", scheduler::run(self.caches.acting_as(scheduler), recorder));
        tasks
    }
}

/// A client of the API server of this process, as `user`: no socket, no TLS, the same code path. The fields that it
/// writes are managed by `program`.
fn in_process(api: &ApiServer, user: User, program: &'static str) -> Client {
    let service = MapRequest::new(api.clone(), move |mut request: http::Request<kube::client::Body>| {
        request.extensions_mut().insert(user.clone());
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(program));
        request
    });
    kube::Client::new(service, "default").into()
}

fn audit(config: &ServerConfig) -> anyhow::Result<Option<Audit>> {
    let Some(log) = &config.audit else { return Ok(None) };
    let audit = Audit::open(AuditConfig {
        path: log.path.clone(),
        largest: log.largest_bytes,
        backups: log.backups.map(usize::from),
        days: log.days.map(u32::from),
    })?;
    Ok(Some(audit))
}

fn open_store(config: &ServerConfig) -> anyhow::Result<Store> {
    let directory = config.data_dir.join(FOLDER).join("db");
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
