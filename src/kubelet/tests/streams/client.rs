//! Clients: plain requests, and upgrades.

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use task::Tasks;
use tokio::io::{AsyncReadExt, DuplexStream};
use transport::websocket::{Channels, Coding, Role};
use transport::{Incoming as FromServer, Outgoing};

/// An answer that is read while it comes.
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    body: Incoming,
    seen: String,
    _connection: Tasks<()>,
}

impl Answer {
    /// Reads until `text` has come.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let frame = self.body.frame().await.expect("more is expected").unwrap();
            self.seen.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    pub(crate) async fn rest(mut self) -> String {
        let rest = self.body.collect().await.unwrap().to_bytes();
        self.seen.push_str(std::str::from_utf8(&rest).unwrap());
        self.seen
    }
}

async fn send(stream: DuplexStream, request: Request<Empty<Bytes>>) -> (http::Response<Incoming>, Tasks<()>) {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut tasks = Tasks::new();
    tasks.spawn("http", async move {
        let _ended_by_either = connection.with_upgrades().await;
    });
    (sender.send_request(request).await.unwrap(), tasks)
}

pub(crate) async fn get(stream: DuplexStream, target: &str) -> Answer {
    let request = Request::get(target).header("host", "node").body(Empty::new()).unwrap();
    let (response, connection) = send(stream, request).await;
    Answer {
        code: response.status(),
        body: response.into_body(),
        seen: String::new(),
        _connection: connection,
    }
}

/// An upgraded connection and what the server said with it.
pub(crate) async fn upgrade(
    stream: DuplexStream,
    target: &str,
    headers: &[(&'static str, &'static str)],
) -> (TokioIo<Upgraded>, HeaderMap, Tasks<()>) {
    let mut request = Request::get(target).header("host", "node").body(Empty::new()).unwrap();
    request.headers_mut().insert("connection", HeaderValue::from_static("Upgrade"));
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let (response, connection) = send(stream, request).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers().clone();
    (TokioIo::new(hyper::upgrade::on(response).await.unwrap()), headers, connection)
}

/// What asks for a WebSocket.
pub(crate) fn websocket(protocol: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", protocol),
    ]
}

/// A client's streams over a WebSocket.
pub(crate) struct Session {
    pub(crate) stdin: Option<Outgoing>,
    pub(crate) stdout: FromServer,
    pub(crate) stderr: FromServer,
    pub(crate) error: FromServer,
    pub(crate) resize: Outgoing,
    _carrying: Tasks<()>,
}

impl Session {
    pub(crate) async fn open(stream: DuplexStream, target: &str, protocol: &'static str) -> Self {
        let (connection, headers, mut carrying) = upgrade(stream, target, &websocket(protocol)).await;
        assert_eq!(headers["sec-websocket-protocol"], protocol);
        let mut channels = Channels::new(Coding::Binary, protocol.starts_with("v5"));
        let mut session = Self {
            stdin: Some(channels.outgoing(0)),
            stdout: channels.incoming(1),
            stderr: channels.incoming(2),
            error: channels.incoming(3),
            resize: channels.outgoing(4),
            _carrying: Tasks::new(),
        };
        carrying.spawn("channels", async move {
            let _ended_by_either = channels.run(connection, Role::Client).await;
        });
        session._carrying = carrying;
        session
    }

    /// Standard output, standard error, and how it ended, once it has.
    pub(crate) async fn end(mut self) -> (String, String, String) {
        let texts = tokio::join!(text(&mut self.stdout), text(&mut self.stderr), text(&mut self.error));
        drop((self.stdin, self.resize));
        texts
    }
}

pub(crate) async fn text(from: &mut FromServer) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).await.unwrap();
    text
}

/// Reads until `wanted` has come.
pub(crate) async fn until(from: &mut FromServer, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let more = from.next().await.unwrap_or_else(|| panic!("{wanted:?} never came, only {text:?}"));
        text.push_str(std::str::from_utf8(&more).unwrap());
    }
    text
}
