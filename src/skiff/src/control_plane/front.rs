//! What the port of the API answers beside the API: which authority we stand under, who may join, and the tunnels of nodes.

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::status::Status;
use apiserver::{ApiServer, Body, User};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use task::{Carrier, Panicked, apart};
use tokio::time::timeout;
use tower::Service;
use tracing::{debug, info};
use transport::tunnel::{self, Stream};
use transport::{AUTHORITY_PATH, Peer};

use super::admission::Admissions;
use crate::cluster::{Application, JOIN_PATH, TUNNEL_PATH, user_of_node};

const LARGEST_APPLICATION: usize = 64 * 1024;
/// As long as the listener waits for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Upstream's words.
const PANICKED: &str = "This request caused apiserver to panic. Look in the logs for details.";

/// The body of a request, whoever sends it.
trait Sent: hyper::body::Body<Error: Into<Box<dyn Error + Send + Sync>>> {}
impl<B: hyper::body::Body<Error: Into<Box<dyn Error + Send + Sync>>>> Sent for B {}

#[derive(Clone)]
pub(super) struct Front(Arc<Parts>);

struct Parts {
    api: ApiServer,
    admissions: Admissions,
    /// Connections that nodes keep open.
    kept: Arc<Carrier>,
}

impl Front {
    pub(super) fn new(api: ApiServer, admissions: Admissions, kept: Arc<Carrier>) -> Self {
        Self(Arc::new(Parts { api, admissions, kept }))
    }
}

/// An answer to come. Boxed where it is made: it is moved about, and what the API needs for one is large.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Parts {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        let path = request.uri().path();
        if path == JOIN_PATH {
            return Box::pin(async move { Ok(or_refusal(self.join(request).await)) });
        }
        if path == AUTHORITY_PATH {
            let authority = reply(StatusCode::OK, "application/x-pem-file", self.admissions.authority());
            return Box::pin(ready(Ok(authority)));
        }
        match path.strip_prefix(TUNNEL_PATH) {
            Some(number) => {
                let number = number.strip_prefix('/').map(str::to_owned);
                Box::pin(async move { Ok(or_refusal(self.tunnel(request, number).await)) })
            }
            None => self.api.clone().call(request),
        }
    }

    async fn join<B: Sent>(&self, request: Request<B>) -> Result<Response<Body>, Status> {
        if request.method() != Method::POST {
            return Err(Status::method_not_allowed());
        }
        let address = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
        // Before anything is waited for: strangers are sent away at once.
        let invited = self.admissions.invited(&bearer(&request).ok_or_else(Status::unauthorized)?)?;
        let application = read(request.into_body()).await?;
        let admission = invited.admit(&application).await?;
        info!(node = application.node, ?address, "a machine joined");
        let text = serde_json::to_string(&admission).map_err(|error| Status::internal(&error.to_string()))?;
        Ok(reply(StatusCode::OK, "application/json", text))
    }

    /// A node's connection, or a stream that it was asked for.
    async fn tunnel(
        &self,
        mut request: Request<Incoming>,
        number: Option<String>,
    ) -> Result<Response<Body>, Status> {
        let node = node(&request).ok_or_else(Status::unauthorized)?;
        if request.headers().get(UPGRADE).is_none_or(|protocol| protocol != tunnel::PROTOCOL) {
            return Err(Status::bad_request(format!("this is for streams in {}", tunnel::PROTOCOL)));
        }
        let number: Option<u64> = match number.map(|number| number.parse()) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => return Err(Status::no_such_resource()),
        };
        let (tunnels, upgraded) = (self.api.tunnels().clone(), hyper::upgrade::on(&mut request));
        let work = async move {
            let stream = match upgraded.await {
                Ok(upgraded) => Stream::new(TokioIo::new(upgraded)),
                Err(error) => return debug!(node, %error, "a node's stream did not come about"),
            };
            let ended = match number {
                None => tunnels.keep(&node, stream).await.map_err(|error| error.to_string()),
                Some(number) => tunnels.bring(&node, number, stream).map_err(|error| error.to_string()),
            };
            if let Err(error) = ended {
                debug!(node, error, "a node's stream ended");
            }
        };
        self.kept.carry(work).await.map_err(|error| Status::unavailable(&error.to_string()))?;
        let mut answer = reply(StatusCode::SWITCHING_PROTOCOLS, "", "");
        answer.headers_mut().remove(CONTENT_TYPE);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static(tunnel::PROTOCOL));
        Ok(answer)
    }
}

/// What a machine says of itself; it has no reason to take its time.
async fn read(body: impl Sent) -> Result<Application, Status> {
    let body = timeout(PATIENCE, Limited::new(body, LARGEST_APPLICATION).collect()).await;
    let body = body.map_err(|_| Status::timeout("the application did not come in time", 0))?;
    let body = body.map_err(|error| Status::bad_request(format!("the application broke off: {error}")))?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Status::bad_request(format!("the application cannot be read: {error}")))
}

/// The node that a connection's certificate stands for.
fn node(request: &Request<Incoming>) -> Option<String> {
    let certificate = request.extensions().get::<Peer>()?.certificate.as_ref()?;
    let user = User::of_certificate(certificate, Timestamp::now())?;
    let name = user.name.strip_prefix(&user_of_node(""))?;
    Some(name.to_owned())
}

fn bearer<B>(request: &Request<B>) -> Option<String> {
    let (scheme, token) =
        request.headers().get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// An answer, or that making it panicked: the last that is heard of this process.
async fn answered(answer: Answering) -> Result<Response<Body>, Infallible> {
    apart(answer).await.unwrap_or_else(|Panicked| Ok(refusal(&Status::internal(PANICKED))))
}

fn or_refusal(answer: Result<Response<Body>, Status>) -> Response<Body> {
    answer.unwrap_or_else(|status| refusal(&status))
}

fn refusal(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply(code, "application/json", status.to_value().to_string())
}

fn reply(code: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let parts = self.0.clone();
        Box::pin(answered(parts.answer(request)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use apiserver::Issuer;
    use futures_util::{FutureExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use pki::{Authority, jwt::Signer, token::Token};
    use store::{InMemory, Limits, Store};
    use time::OffsetDateTime;

    use super::super::in_process;
    use super::*;
    use crate::cluster::Cluster;

    /// A server, with a token that admits to it.
    fn parts(folder: &Path) -> (Parts, String) {
        let authority = |name: &str| Authority::open(folder, name, OffsetDateTime::UNIX_EPOCH).unwrap();
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let issuer = Issuer::new(Signer::open(&folder.join("key")).unwrap(), "https://here");
        let (api, servers) = (ApiServer::new(store, issuer), authority("server").certificate().to_owned());
        let token = Token::generate("server", &servers).unwrap();
        let shown = token.to_string();
        let client = in_process(&api, User::new("root", ["system:masters"]), "test");
        let cluster = Cluster::without_networks();
        let admissions = Admissions::new(servers, authority("client").into(), token, client, cluster);
        (Parts { api, admissions, kept: Arc::default() }, shown)
    }

    /// An application that is announced and never comes.
    fn asking(token: &str) -> Request<impl Sent> {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        Request::post(JOIN_PATH).header("authorization", format!("Bearer {token}")).body(body).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_answered() {
        let Ok(answer) = answered(Box::pin(async { panic!("the message of a panic that is meant") })).await;
        assert_eq!(answer.status(), 500);
        let told = answer.into_body().collect().await.unwrap().to_bytes();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((&told["kind"], &told["reason"]), (&"Status".into(), &"InternalError".into()));
        assert!(told["message"].as_str().unwrap().ends_with(PANICKED), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_without_a_token_and_with_one_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let (parts, token) = parts(folder.path());
        let stranger = parts.join(asking("x")).now_or_never().expect("nothing is waited for");
        assert_eq!(stranger.unwrap_err().code, 401);
        let invited = timeout(1000 * PATIENCE, parts.join(asking(&token))).await;
        assert_eq!(invited.expect("it is not waited for").unwrap_err().code, 504);
    }
}
