//! What the port of the API answers beside the API: which authority we stand under, who may join, and the tunnels of nodes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::status::Status;
use apiserver::{ApiServer, Body, User};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use task::Carrier;
use tower::Service;
use tracing::{debug, info};
use transport::tunnel::{self, Stream};
use transport::{AUTHORITY_PATH, Peer};

use super::admission::Admissions;
use crate::cluster::{JOIN_PATH, TUNNEL_PATH, user_of_node};

const LARGEST_APPLICATION: usize = 64 * 1024;

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

impl Parts {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let answer = match path.strip_prefix(TUNNEL_PATH) {
            Some(number) => {
                let number = number.strip_prefix('/').map(str::to_owned);
                self.tunnel(request, number).await
            }
            None if path == JOIN_PATH => self.join(request).await,
            None if path == AUTHORITY_PATH => {
                Ok(reply(StatusCode::OK, "application/x-pem-file", self.admissions.authority()))
            }
            None => return self.api.clone().call(request).await.unwrap_or_else(|never| match never {}),
        };
        answer.unwrap_or_else(|status| {
            let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            reply(code, "application/json", status.to_value().to_string())
        })
    }

    async fn join(&self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        if request.method() != Method::POST {
            return Err(Status::method_not_allowed());
        }
        let address = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
        let token = bearer(&request).ok_or_else(Status::unauthorized)?;
        let body = Limited::new(request.into_body(), LARGEST_APPLICATION).collect().await;
        let body =
            body.map_err(|error| Status::bad_request(format!("the application broke off: {error}")))?;
        let application = serde_json::from_slice(&body.to_bytes())
            .map_err(|error| Status::bad_request(format!("the application cannot be read: {error}")))?;
        let admission = self.admissions.admit(&token, &application).await?;
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

/// The node that a connection's certificate stands for.
fn node(request: &Request<Incoming>) -> Option<String> {
    let certificate = request.extensions().get::<Peer>()?.certificate.as_ref()?;
    let user = User::of_certificate(certificate)?;
    let name = user.name.strip_prefix(&user_of_node(""))?;
    Some(name.to_owned())
}

fn bearer<B>(request: &Request<B>) -> Option<String> {
    let (scheme, token) =
        request.headers().get(http::header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
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
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let parts = self.0.clone();
        Box::pin(async move { Ok(parts.answer(request).await) })
    }
}
