//! One request over one stream, and its answer back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use api::status::{self, Status};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use task::Carrier;
use tokio::io::copy_bidirectional;
use tracing::debug;
use transport::tunnel::Stream;

use super::route::{Place, Route};
use crate::answer::Answer;
use crate::body::{self, Body};
use crate::request::Resource;

/// How much of a refusal is shown.
const LARGEST_REFUSAL: usize = 2048;

/// Headers that are between two machines, not between the ends.
const HOP_BY_HOP: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authorization"),
];

/// HTTP over the stream: moves when it is polled, ends when there is nothing more to say, or with an upgrade. May be polled
/// after its end: several wait for it, one after the other.
struct Connection(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

impl Future for Connection {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let Some(connection) = &mut self.0 else { return Poll::Ready(Ok(())) };
        let ended = ready!(connection.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(ended)
    }
}

pub(super) struct Outgoing<'a, B> {
    pub(super) stream: Stream,
    pub(super) route: Route,
    pub(super) parts: Parts,
    pub(super) body: B,
    pub(super) resource: Resource,
    pub(super) streams: &'a Carrier,
}

pub(super) async fn forward<B: body::Incoming>(mut outgoing: Outgoing<'_, B>) -> Result<Answer, Status> {
    let failed = |error: hyper::Error| Status::internal(&format!("error dialing backend: {error}"));
    let client = outgoing.parts.extensions.remove::<OnUpgrade>();
    let request = request(&outgoing.route, &outgoing.parts, outgoing.body)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(outgoing.stream)).await.map_err(failed)?;
    let mut connection = Connection(Some(Box::pin(connection.with_upgrades())));
    let mut answer = driven(&mut connection, sender.send_request(request)).await.map_err(failed)?;
    let by_node = matches!(outgoing.route.place, Place::Node(_));
    match answer.status() {
        StatusCode::SWITCHING_PROTOCOLS => {
            let client =
                client.ok_or_else(|| Status::bad_request("unable to upgrade: the connection cannot be"))?;
            let reply = switched(&mut answer);
            let carried = outgoing.streams.carry(join(connection, answer, client)).await;
            carried.map_err(|error| Status::unavailable(&error.to_string()))?;
            Ok(reply)
        }
        // What a pod says is its own affair; what a node's agent refuses is told as the API tells it.
        code if by_node && !code.is_success() && outgoing.resource.subresource_name() != Some("proxy") => {
            Err(refusal(passed(answer, connection), &outgoing.resource).await)
        }
        _ => Ok(passed(answer, connection)),
    }
}

fn request<B: body::Incoming>(route: &Route, parts: &Parts, body: B) -> Result<Request<Body>, Status> {
    let host = match &route.place {
        Place::Node(node) => node.clone(),
        Place::Address(address) => address.to_string(),
    };
    let mut request = Request::builder()
        .method(parts.method.clone())
        .uri(&route.path)
        .body(body::passed(body))
        .map_err(|error| Status::bad_request(error.to_string()))?;
    let headers = request.headers_mut();
    copy_headers(&parts.headers, headers);
    // Who asks is known here; nobody further on shall be able to ask in their name.
    headers.remove(AUTHORIZATION);
    headers.insert(HOST, HeaderValue::from_str(&host).map_err(|error| Status::internal(&error.to_string()))?);
    if let Some(protocol) = parts.headers.get(UPGRADE) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    Ok(request)
}

fn copy_headers(from: &HeaderMap, to: &mut HeaderMap) {
    let between_ends = from.iter().filter(|(name, _)| !HOP_BY_HOP.contains(name));
    for (name, value) in between_ends {
        to.append(name.clone(), value.clone());
    }
}

/// Waits for something that comes over a connection, which moves only while it is polled.
async fn driven<T>(connection: &mut Connection, wanted: impl Future<Output = T>) -> T {
    tokio::pin!(wanted);
    tokio::select! {
        wanted = &mut wanted => wanted,
        // Its end is told by what is waited for, with the reason.
        _ = connection => wanted.await,
    }
}

/// What the client is told of an upgrade that the node agreed to.
fn switched(answer: &mut Response<Incoming>) -> Answer {
    let mut reply = Response::new(body::whole(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *reply.headers_mut() = std::mem::take(answer.headers_mut());
    reply
}

/// Copies between both connections until one of them ends.
async fn join(connection: Connection, answer: Response<Incoming>, client: OnUpgrade) {
    let joined = async {
        // The connection is over for HTTP when its stream is handed out.
        let (_, node, client) = tokio::try_join!(
            async { connection.await.map_err(io::Error::other) },
            async { hyper::upgrade::on(answer).await.map_err(io::Error::other) },
            async { client.await.map_err(io::Error::other) },
        )?;
        let (mut node, mut client) = (TokioIo::new(node), TokioIo::new(client));
        copy_bidirectional(&mut client, &mut node).await?;
        Ok::<(), io::Error>(())
    };
    if let Err(error) = joined.await {
        debug!(%error, "a stream to a node ended");
    }
}

fn passed(answer: Response<Incoming>, connection: Connection) -> Answer {
    let (parts, body) = answer.into_parts();
    let mut reply = Response::new(body::passed(Relayed { connection, body }));
    *reply.status_mut() = parts.status;
    copy_headers(&parts.headers, reply.headers_mut());
    reply
}

/// A body with the connection that it comes over.
struct Relayed {
    connection: Connection,
    body: Incoming,
}

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Its end is told by the body, with the reason.
        let _ended = Pin::new(&mut self.connection).poll(context).is_ready();
        Pin::new(&mut self.body).poll_frame(context)
    }
}

async fn refusal(answer: Answer, resource: &Resource) -> Status {
    let code = answer.status();
    let text = Limited::new(answer.into_body(), LARGEST_REFUSAL).collect().await;
    let text = text.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let subject = status::Resource { group: resource.kind.group, name: resource.kind.plural };
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => {
            let mut status = Status::not_found(subject, resource.name.as_deref().unwrap_or_default());
            status.message = text;
            status
        }
        _ => Status::internal(&text),
    }
}
