//! From a request to streams: WebSocket channels for new clients, SPDY streams for old ones.

use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming as RequestBody;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use task::Carrier;
use tokio::time::timeout;
use tracing::debug;
use transport::spdy::{self, Streams};
use transport::websocket::{self, Channels, Coding, Role};

use super::session::{Ends, Resizes, Wanted};
use super::status::Form;
use super::{Answer, Refusal, body};

/// Protocols of channels over a WebSocket; the empty one is the oldest, for clients that name none.
const CHANNELS: [&str; 6] = [
    "",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "v5.channel.k8s.io",
];
/// Protocols of SPDY streams, the best one first.
const STREAMS: [&str; 4] = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
/// How long an old client may take to open its streams.
const PATIENCE: Duration = Duration::from_secs(30);

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// A connection that speaks HTTP no more.
pub(super) type Connection = TokioIo<Upgraded>;

/// Agrees to what the client offers; `work` then has its streams. `after` is done when the session is over, be it because the
/// client went away.
pub(super) async fn session<F: Future<Output = ()> + Send + 'static>(
    mut request: Request<RequestBody>,
    carrier: &Carrier,
    wanted: Wanted,
    work: impl FnOnce(Ends) -> F + Send + 'static,
    after: impl Future<Output = ()> + Send + 'static,
) -> Result<Answer, Refusal> {
    let upgrade = hyper::upgrade::on(&mut request);
    let headers = request.headers();
    if websocket::is_requested(headers) {
        let (response, protocol) = websocket::accept(headers, &CHANNELS).map_err(|error| refused(&error))?;
        carry(carrier, upgrade, move |connection| async move {
            over_channels(connection, protocol, wanted, work).await;
            after.await;
        })
        .await?;
        return Ok(response.map(|()| body::empty()));
    }
    let (response, protocol) = agree(headers, &STREAMS, "channel.k8s.io")?;
    carry(carrier, upgrade, move |connection| async move {
        over_streams(connection, protocol, wanted, work).await;
        after.await;
    })
    .await?;
    Ok(response)
}

pub(super) fn refused(refused: &websocket::Refused) -> Refusal {
    let code = match refused {
        websocket::Refused::NoHandshake(_) => StatusCode::BAD_REQUEST,
        websocket::Refused::Protocol(_) => StatusCode::FORBIDDEN,
    };
    Refusal::new(code, refused.to_string())
}

/// Hands over what happens on the connection once it has been upgraded.
pub(super) async fn carry<F: Future<Output = ()> + Send + 'static>(
    carrier: &Carrier,
    upgrade: OnUpgrade,
    work: impl FnOnce(Connection) -> F + Send + 'static,
) -> Result<(), Refusal> {
    let carried = carrier.carry(async move {
        match upgrade.await {
            Ok(connection) => work(TokioIo::new(connection)).await,
            Err(error) => debug!(%error, "a client went away before its connection was upgraded"),
        }
    });
    carried.await.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

/// Agrees to SPDY and to one of the protocols inside it.
pub(super) fn agree(
    headers: &HeaderMap,
    supported: &[&'static str],
    if_none: &'static str,
) -> Result<(Answer, &'static str), Refusal> {
    const VERSION: &str = "x-stream-protocol-version";
    let asks = headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"spdy/3.1"));
    if !asks {
        return Err(Refusal::bad_request("Upgrade request required"));
    }
    let offers: Vec<&str> = headers
        .get_all(VERSION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect();
    let protocol = match offers[..] {
        [] => if_none,
        _ => supported.iter().copied().find(|name| offers.contains(name)).ok_or_else(|| {
            let message = format!("unable to upgrade: unable to negotiate protocol: client supports {offers:?}, server accepts {supported:?}");
            Refusal::new(StatusCode::FORBIDDEN, message)
        })?,
    };
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static(spdy::PROTOCOL));
    if !offers.is_empty() {
        answer.insert(VERSION, HeaderValue::from_static(protocol));
    }
    Ok((response, protocol))
}

async fn over_channels<F: Future<Output = ()>>(
    connection: Connection,
    protocol: &str,
    wanted: Wanted,
    work: impl FnOnce(Ends) -> F,
) {
    let coding = if protocol.contains("base64") { Coding::Base64 } else { Coding::Binary };
    let form = if protocol.starts_with('v') { Form::Status } else { Form::Text };
    let mut channels = Channels::new(coding, protocol.starts_with("v5"));
    let mut ends = Ends {
        stdin: wanted.stdin.then(|| channels.incoming(STDIN)),
        stdout: wanted.stdout.then(|| channels.outgoing(STDOUT)),
        stderr: wanted.stderr.then(|| channels.outgoing(STDERR)),
        resize: wanted.terminal.then(|| Resizes::new(channels.incoming(RESIZE))),
        error: channels.outgoing(ERROR),
        form,
    };
    let work = async move {
        // An empty message: clients take it for the word that the connection works.
        let Ends { stdout, stderr, error, .. } = &mut ends;
        let first = stdout.as_mut().or(stderr.as_mut()).unwrap_or(error);
        if first.send(bytes::Bytes::new()).await.is_ok() {
            work(ends).await;
        }
    };
    together(channels.run(connection, Role::Server), work).await;
}

/// Until the work is done and all of it is sent, or the client is gone.
pub(super) async fn together(
    carrying: impl Future<Output = std::io::Result<()>>,
    work: impl Future<Output = ()>,
) {
    tokio::pin!(carrying);
    let carried = tokio::select! {
        carried = &mut carrying => carried,
        () = work => carrying.await,
    };
    if let Err(error) = carried {
        debug!(%error, "a stream of a client broke off");
    }
}

async fn over_streams<F: Future<Output = ()>>(
    connection: Connection,
    protocol: &'static str,
    wanted: Wanted,
    work: impl FnOnce(Ends) -> F,
) {
    let (streams, carrying) = spdy::serve(connection);
    let work = async move {
        match timeout(PATIENCE, gather(streams, protocol, wanted)).await {
            Ok(Some((ends, streams))) => {
                // Closed when the last of them is.
                drop(streams);
                work(ends).await;
            }
            Ok(None) | Err(_) => debug!("a client did not open its streams"),
        }
    };
    together(carrying, work).await;
}

/// The streams that the client opens: one for each that it wants, by name.
async fn gather(mut streams: Streams, protocol: &str, wanted: Wanted) -> Option<(Ends, Streams)> {
    let resizes = wanted.terminal && matches!(protocol, "v4.channel.k8s.io" | "v3.channel.k8s.io");
    let (mut stdin, mut stdout, mut stderr, mut resize, mut error) = (None, None, None, None, None);
    let form = if protocol == "v4.channel.k8s.io" { Form::Status } else { Form::Text };
    loop {
        let all = (!wanted.stdin || stdin.is_some())
            && (!wanted.stdout || stdout.is_some())
            && (!wanted.stderr || stderr.is_some())
            && (!resizes || resize.is_some());
        if all && let Some(error) = error {
            let resize = resize.map(Resizes::new);
            return Some((Ends { stdin, stdout, stderr, resize, error, form }, streams));
        }
        let stream = streams.next().await?;
        match stream.headers.get("streamtype").map(String::as_str) {
            Some("stdin") => stdin = Some(stream.incoming),
            Some("stdout") => stdout = Some(stream.outgoing),
            Some("stderr") => stderr = Some(stream.outgoing),
            Some("resize") => resize = Some(stream.incoming),
            Some("error") => error = Some(stream.outgoing),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(versions: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        for version in versions {
            headers.append("x-stream-protocol-version", HeaderValue::from_static(version));
        }
        headers
    }

    #[test]
    fn old_clients_get_the_best_protocol_that_both_know() {
        let agreed =
            |versions: &[&'static str]| agree(&headers(versions), &STREAMS, "channel.k8s.io").unwrap().1;
        assert_eq!(
            agreed(&["channel.k8s.io", "v4.channel.k8s.io", "v2.channel.k8s.io"]),
            "v4.channel.k8s.io"
        );
        assert_eq!(agreed(&["v9.x, v2.channel.k8s.io"]), "v2.channel.k8s.io");
        assert_eq!(agreed(&[]), "channel.k8s.io");
        let refused = agree(&headers(&["v9.x"]), &STREAMS, "channel.k8s.io").unwrap_err();
        assert_eq!(refused.code, StatusCode::FORBIDDEN);
        let plain = agree(&HeaderMap::new(), &STREAMS, "").unwrap_err();
        assert_eq!((plain.code.as_u16(), plain.message.as_str()), (400, "Upgrade request required"));
    }
}
