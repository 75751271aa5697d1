//! Asking a web server in a pod whether it is well.
//!
//! One request on a connection of its own. Certificates are not looked at: whoever probes a pod knows whom he asks, and pods sign
//! their own.

mod trust;

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Uri};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hook::Target;

/// So much of an answer is read, as it is shown in events.
const BODY: usize = 10 << 10;
const REDIRECTS: usize = 10;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: HeaderMap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
}

/// What a server sees of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Probe,
    Hook,
}

impl Asker {
    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Probe => "kube-probe/1.37",
            Self::Hook => "kube-lifecycle/1.37",
        })
    }
}

impl Request {
    pub(crate) fn new(target: &Target<'_>, action: &HTTPGetAction, asker: Asker) -> Result<Self, String> {
        let path = action.path.clone().unwrap_or_default();
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        Ok(Self {
            tls: action.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: target.host(action.host.as_deref()),
            port: target.port(&action.port)?,
            path,
            headers: headers(action, asker)?,
        })
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }

    /// The same server, elsewhere; none for another server.
    fn redirected(&self, location: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let Some(host) = uri.host() else { return Some(Self { path, ..self.clone() }) };
        let tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        (host.trim_matches(['[', ']']) == self.host).then(|| Self { tls, port, path, ..self.clone() })
    }
}

/// The action's headers, and those that upstream's probes have where it says nothing. An empty one is left out.
fn headers(action: &HTTPGetAction, asker: Asker) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for given in action.http_headers.iter().flatten() {
        let name: HeaderName =
            given.name.parse().map_err(|_| format!("invalid header name \"{}\"", given.name))?;
        let value: HeaderValue =
            given.value.parse().map_err(|_| format!("invalid value of header {name}"))?;
        headers.append(name, value);
    }
    for (name, usual) in [(ACCEPT, HeaderValue::from_static("*/*")), (USER_AGENT, asker.name())] {
        match headers.get(&name) {
            None => drop(headers.insert(name, usual)),
            Some(value) if value.is_empty() => drop(headers.remove(name)),
            Some(_) => {}
        }
    }
    Ok(headers)
}

/// The answer, after redirections on the same server. The error reads like Go's.
pub(crate) async fn get(request: &Request, patience: Duration) -> Result<Answer, String> {
    let all = async {
        let mut request = request.clone();
        for _ in 0..REDIRECTS {
            let (answer, location) = once(&request).await?;
            let next = location.filter(|_| (300..400).contains(&answer.code));
            match next.and_then(|location| request.redirected(&location)) {
                Some(next) => request = next,
                None => return Ok(answer),
            }
        }
        Err(format!("Get \"{}\": stopped after {REDIRECTS} redirects", request.url()))
    };
    match timeout(patience, all).await {
        Ok(done) => done,
        Err(_) => Err(format!(
            "Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            request.url()
        )),
    }
}

async fn once(request: &Request) -> Result<(Answer, Option<String>), String> {
    let failed = |error: String| format!("Get \"{}\": {error}", request.url());
    let stream = connect(&request.host, request.port).await.map_err(failed)?;
    if request.tls {
        let stream = trust::wrap(stream, &request.host).await.map_err(|error| failed(error.to_string()))?;
        exchange(request, stream).await.map_err(failed)
    } else {
        exchange(request, stream).await.map_err(failed)
    }
}

/// The error reads like Go's.
pub(crate) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let connected = TcpStream::connect((host, port)).await;
    connected.map_err(|error| {
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let text = error.to_string().to_lowercase();
        let why = text.split(" (os error").next().unwrap_or(&text);
        format!("dial tcp {place}: connect: {why}")
    })
}

async fn exchange<S>(request: &Request, stream: S) -> Result<(Answer, Option<String>), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let words = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let asked = async {
        let mut answer = sender.send_request(build(request)?).await.map_err(words)?;
        let location =
            answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while body.len() < BODY
            && let Some(Ok(frame)) = answer.frame().await
        {
            let data = frame.into_data().unwrap_or_default();
            body.extend_from_slice(&data[..data.len().min(BODY - body.len())]);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok((Answer { code: answer.status().as_u16(), body }, location))
    };
    // The connection lives no longer than the exchange.
    tokio::pin!(asked, connection);
    tokio::select! {
        done = &mut asked => done,
        ended = &mut connection => match ended {
            Ok(()) => asked.await,
            Err(error) => Err(words(error)),
        },
    }
}

fn build(request: &Request) -> Result<hyper::Request<Empty<Bytes>>, String> {
    let mut built =
        hyper::Request::get(&request.path).body(Empty::new()).map_err(|error| error.to_string())?;
    *built.headers_mut() = request.headers.clone();
    let headers = built.headers_mut();
    if !headers.contains_key(HOST) {
        let host = request.authority().parse().map_err(|_| "invalid host".to_owned())?;
        headers.insert(HOST, host);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(built)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn request(port: u16, path: &str) -> Request {
        let action = HTTPGetAction::default();
        let headers = headers(&action, Asker::Probe).unwrap();
        Request { tls: false, host: "127.0.0.1".into(), port, path: path.into(), headers }
    }

    /// Gives each answer once, to one connection each, and returns what it was asked.
    async fn serve(listener: TcpListener, answers: &[&str]) -> Vec<String> {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"\r\n\r\n") {
                text.push(stream.read_u8().await.unwrap());
            }
            asked.push(String::from_utf8(text).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    }

    #[tokio::test]
    async fn answers_and_redirections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = [
            "HTTP/1.1 302 Found\r\nLocation: /b?c=d\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry",
        ];
        let request = request(port, "/a");
        let (asked, answer) = tokio::join!(serve(listener, &answers), get(&request, Duration::from_secs(60)));
        assert_eq!(answer, Ok(Answer { code: 503, body: "sorry".into() }));
        assert!(
            asked[0].starts_with("GET /a HTTP/1.1\r\n") && asked[1].starts_with("GET /b?c=d HTTP/1.1\r\n")
        );
        assert!(asked[0].contains("user-agent: kube-probe/1.37\r\n") && asked[0].contains("accept: */*\r\n"));
    }

    #[tokio::test]
    async fn nobody_there() {
        // Bound, so that nobody else gets it, and not listened on.
        let taken = tokio::net::TcpSocket::new_v4().unwrap();
        taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = get(&request(port, "/a"), Duration::from_secs(60)).await.unwrap_err();
        let expected = format!(
            "Get \"http://127.0.0.1:{port}/a\": dial tcp 127.0.0.1:{port}: connect: connection refused"
        );
        assert_eq!(refused, expected);
    }

    #[test]
    fn only_the_same_server_is_followed() {
        let request = request(80, "/a");
        assert_eq!(request.redirected("https://127.0.0.1/x").unwrap().url(), "https://127.0.0.1:443/x");
        assert!(request.redirected("http://example.com/x").is_none());
    }
}
