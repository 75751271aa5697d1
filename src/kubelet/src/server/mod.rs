//! What a node answers: its pods, their logs, and streams into their containers.
//!
//! ```text
//! API server ──tunnel──▶ Server ── /containerLogs ──▶ the log file, followed by inotify
//!                               ── /exec /attach ───▶ oci, over WebSocket channels or SPDY streams
//!                               ── /portForward ────▶ the pod's network namespace
//! ```
//!
//! Paths, options and answers are upstream's. It asks [`Workloads`] what there is. Nobody is asked who they are: the way here
//! is a tunnel, at whose other end is the API server, which has decided already what a person may do.
//!
//! An answer that ends in a stream goes on after the answer: its work is handed to a [`Carrier`], whose owner runs it.

mod body;
mod exec;
mod forward;
mod log;
mod query;
mod route;
mod session;
mod status;
mod tail;
mod upgrade;

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::codec::Typed;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::api::core::v1::Pod;
use task::Carrier;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::body::Body;
use self::query::Query;
use self::route::Route;

type Answer = Response<Body>;

/// Why a request is refused: an HTTP code and upstream's sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: StatusCode,
    pub message: String,
}

impl Refusal {
    pub fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message.to_string())
    }
}

/// One container as the runtime knows it.
#[derive(Debug, Clone)]
pub struct Container {
    pub pod: oci::Pod,
    pub id: String,
}

/// A container that runs.
#[derive(Debug, Clone)]
pub struct Running {
    pub container: Container,
    /// What it runs: an exec has the same user, rights, environment and folder.
    pub process: oci::Process,
}

/// A container's log.
#[derive(Debug, Clone)]
pub struct Log {
    pub path: PathBuf,
    /// Whose log it is, while there may be more: to be followed until that has ended.
    pub writer: Option<Container>,
}

/// Where a pod's own address is: its network namespace, or the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    Own(PathBuf),
    Host,
}

/// What this node runs.
pub trait Workloads: Send + Sync + 'static {
    fn pods(&self) -> Vec<Arc<Pod>>;

    /// The log of a container, or of its previous run.
    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<Log, Refusal>;

    /// A container to run a command in or to attach to.
    fn running(
        &self,
        namespace: &str,
        pod: &str,
        uid: Option<&str>,
        container: &str,
    ) -> Result<Running, Refusal>;

    fn network(&self, namespace: &str, pod: &str, uid: Option<&str>) -> Result<Network, Refusal>;
}

/// Answers requests. Cheap to clone.
pub struct Server<W> {
    workloads: Arc<W>,
    carrier: Arc<Carrier>,
}

impl<W> Clone for Server<W> {
    fn clone(&self) -> Self {
        Self { workloads: self.workloads.clone(), carrier: self.carrier.clone() }
    }
}

impl<W> fmt::Debug for Server<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl<W: Workloads> Server<W> {
    /// Streams go on for as long as `carrier` is run.
    pub fn new(workloads: Arc<W>, carrier: Arc<Carrier>) -> Self {
        Self { workloads, carrier }
    }

    async fn answer(self, request: Request<Incoming>) -> Answer {
        self.dispatch(request).await.unwrap_or_else(|refusal| body::refusal(&refusal))
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let path = request.uri().path().to_owned();
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match route::of(&path)? {
            Route::Health if reading => Ok(body::text("ok")),
            Route::Pods if reading => Ok(body::json(self.pods()?)),
            Route::Log { namespace, pod, container } if reading => {
                let options = log::Options::parse(&query)?;
                let log = self.workloads.log(namespace, pod, container, options.previous)?;
                tail::answer(request, &self.carrier, log, options).await
            }
            Route::Exec(target) => {
                let running = self.running(&target)?;
                let wanted = session::Wanted::parse(&query)?;
                let command: Vec<_> = query.all("command").map(str::to_owned).collect();
                if command.is_empty() {
                    return Err(Refusal::bad_request("you must specify at least 1 command"));
                }
                let work = move |ends| exec::exec(running, command, wanted, ends);
                upgrade::session(request, &self.carrier, wanted, work, std::future::ready(())).await
            }
            Route::Attach(target) => {
                let running = self.running(&target)?;
                let wanted = session::Wanted::parse(&query)?;
                let after = exec::detach(running.container.clone(), wanted);
                let work = move |ends| exec::attach(running, wanted, ends);
                upgrade::session(request, &self.carrier, wanted, work, after).await
            }
            Route::PortForward { namespace, pod, uid } => {
                let network = self.workloads.network(namespace, pod, uid)?;
                let subject = format!("{namespace}/{pod}");
                forward::answer(request, &self.carrier, &query, forward::Target { network, subject }).await
            }
            Route::Health | Route::Pods | Route::Log { .. } => {
                Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed"))
            }
        }
    }

    fn running(&self, target: &route::Target<'_>) -> Result<Running, Refusal> {
        self.workloads.running(target.namespace, target.pod, target.uid, target.container)
    }

    fn pods(&self) -> Result<String, Refusal> {
        let mut items = Vec::new();
        for pod in self.workloads.pods() {
            let encoded = pod.encode().map_err(Refusal::internal)?;
            items.push(String::from_utf8(encoded).map_err(Refusal::internal)?);
        }
        let items = items.join(",");
        Ok(format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[{items}]}}"#))
    }
}

impl<W: Workloads> tower::Service<Request<Incoming>> for Server<W> {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { Ok(server.answer(request).await) })
    }
}

/// Serves one connection that is there already, such as one end of a tunnel, until it ends.
pub async fn serve_stream<W: Workloads>(
    server: Server<W>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> hyper::Result<()> {
    let http = hyper::server::conn::http1::Builder::new();
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(server)).with_upgrades().await
}
