//! One request over one stream, and its answer back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::time::timeout;
use tracing::debug;
use transport::tunnel::Stream;

use super::route::{Place, Route};
use crate::answer::Answer;
use crate::body::{self, Body};
use crate::impersonate;
use crate::request::Resource;

/// How long one direction may go on when the other has ended.
const FAREWELL: Duration = Duration::from_secs(10);
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
    // Who asks, and as whom, is known here; nobody further on shall be able to ask in their name.
    headers.remove(AUTHORIZATION);
    headers.insert(HOST, HeaderValue::from_str(&host).map_err(|error| Status::internal(&error.to_string()))?);
    if let Some(protocol) = parts.headers.get(UPGRADE) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
    Ok(request)
}

fn copy_headers(from: &HeaderMap, to: &mut HeaderMap) {
    let between_ends =
        from.iter().filter(|(name, _)| !HOP_BY_HOP.contains(name) && !impersonate::is_header(name));
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

/// Joins both connections, once they are streams of bytes.
async fn join(connection: Connection, answer: Response<Incoming>, client: OnUpgrade) {
    let joined = async {
        // The connection is over for HTTP when its stream is handed out.
        let (_, node, client) = tokio::try_join!(
            async { connection.await.map_err(io::Error::other) },
            async { hyper::upgrade::on(answer).await.map_err(io::Error::other) },
            async { client.await.map_err(io::Error::other) },
        )?;
        between(TokioIo::new(client), TokioIo::new(node)).await
    };
    if let Err(error) = joined.await {
        debug!(%error, "a stream to a node ended");
    }
}

/// Copies in both directions until one ends. Upstream closes both then; here what is still under way in the other direction
/// gets a while to arrive.
async fn between(client: impl AsyncRead + AsyncWrite, node: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let ((mut from_client, mut to_client), (mut from_node, mut to_node)) = (split(client), split(node));
    let (up, down) = (one_way(&mut from_client, &mut to_node), one_way(&mut from_node, &mut to_client));
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut up => {
            ended?;
            timeout(FAREWELL, down).await.unwrap_or(Ok(()))
        }
        ended = &mut down => {
            ended?;
            timeout(FAREWELL, up).await.unwrap_or(Ok(()))
        }
    }
}

async fn one_way(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    copy(from, to).await?;
    to.shutdown().await
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[test]
    fn what_was_said_to_this_server_alone_goes_no_further() {
        let all = ["impersonate-user", "impersonate-extra-scopes", "transfer-encoding", "accept"];
        let told = all.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")));
        let mut passed = HeaderMap::new();
        copy_headers(&told.into_iter().collect(), &mut passed);
        assert_eq!(passed.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_arrives_when_one_end_hangs_up_and_nobody_stays_for_ever() {
        let ((mut client, ours), (mut node, theirs)) = (duplex(64), duplex(64));
        let talk = async {
            client.write_all(b"bye").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = String::new();
            node.read_to_string(&mut heard).await.unwrap();
            node.write_all(b"goodbye").await.unwrap();
            // The node never closes its end.
            let mut answer = [0; 7];
            client.read_exact(&mut answer).await.unwrap();
            (heard, answer)
        };
        let joined = timeout(1000 * FAREWELL, between(ours, theirs));
        let (joined, (heard, answer)) = tokio::join!(joined, talk);
        assert!(joined.is_ok_and(|ended| ended.is_ok()));
        assert_eq!((heard.as_str(), &answer), ("bye", b"goodbye"));
    }
}
