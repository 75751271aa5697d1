//! A registry on the loopback interface that misbehaves as told. It is a fake: what real ones do is tested in the lab.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::layers::{Blob, Made};

pub(crate) struct Registry {
    address: String,
    state: Arc<State>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct State {
    address: Mutex<String>,
    documents: Mutex<HashMap<String, Blob>>,
    faults: Mutex<HashMap<String, Vec<Fault>>>,
    token: Mutex<Option<Door>>,
    asked: watch::Sender<Vec<String>>,
}

/// What to do wrong, once, when a path is asked for.
pub(crate) enum Fault {
    /// The connection is lost after so many bytes.
    Cut(usize),
    /// The whole from the beginning, whatever was asked for.
    NoRange,
    Status(u16),
    /// Other bytes of the same length.
    Garble,
    /// Nothing until told.
    Hold(Arc<Notify>),
    /// Look for it elsewhere.
    Redirect(String),
}

/// Who gets in.
#[derive(Clone)]
pub(crate) struct Door {
    /// What the `Authorization` header must be; `None`: anybody with a token.
    pub(crate) login: Option<String>,
    /// Seconds for which a token is good.
    pub(crate) expires_in: u64,
    /// Basic in place of tokens.
    pub(crate) basic: bool,
    /// How many tokens were given out; the newest counts.
    pub(crate) given: usize,
}

impl Door {
    pub(crate) fn token(login: Option<&str>) -> Self {
        Self { login: login.map(str::to_owned), expires_in: 300, basic: false, given: 0 }
    }
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { address: Mutex::new(address.clone()), ..State::default() });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, _server: server }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the reference by which it can be pulled.
    pub(crate) fn push(&self, name: &str, image: &Made) -> String {
        for blob in image.layers.iter().chain([&image.config]) {
            self.put(&format!("/v2/{name}/blobs/{}", blob.digest()), blob);
        }
        self.put(&format!("/v2/{name}/manifests/latest"), &image.manifest);
        self.put(&format!("/v2/{name}/manifests/{}", image.manifest.digest()), &image.manifest);
        format!("{}/{name}:latest", self.address)
    }

    pub(crate) fn put(&self, path: &str, blob: &Blob) {
        self.state.documents.lock().unwrap().insert(path.to_owned(), blob.clone());
    }

    pub(crate) fn fault(&self, path: &str, fault: Fault) {
        self.state.faults.lock().unwrap().entry(path.to_owned()).or_default().push(fault);
    }

    pub(crate) fn guard(&self, door: Door) {
        *self.state.token.lock().unwrap() = Some(door);
    }

    /// Makes all tokens given out worthless.
    pub(crate) fn expire(&self) {
        self.state.token.lock().unwrap().as_mut().unwrap().given += 1;
    }

    /// The requests that came, as `METHOD PATH[ range][ authorized]`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.borrow().clone()
    }

    /// Waits for requests.
    pub(crate) async fn until(&self, enough: impl Fn(&[String]) -> bool) {
        self.state.asked.subscribe().wait_for(|asked| enough(asked)).await.unwrap();
    }

    pub(crate) fn asked_for(&self, word: &str) -> usize {
        self.asked().iter().filter(|line| line.contains(word)).count()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let answer = service_fn(move |request| answer(Arc::clone(&state), request));
            // Connections are lost on purpose.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let range = request.headers().get(RANGE).map(|range| range.to_str().unwrap().to_owned());
    let authorized = request.headers().contains_key(AUTHORIZATION).then_some("authorized");
    let line =
        [Some(request.method().as_str()), Some(&request.uri().to_string()), range.as_deref(), authorized]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
    state.asked.send_modify(|asked| asked.push(line));
    if path == "/token" {
        return Ok(state.give_token(request).await);
    }
    if let Some(refusal) = state.refuse(&request) {
        return Ok(refusal);
    }
    let fault = state
        .faults
        .lock()
        .unwrap()
        .get_mut(&path)
        .and_then(|faults| (!faults.is_empty()).then(|| faults.remove(0)));
    let Some(blob) = state.documents.lock().unwrap().get(&path).cloned() else {
        return Ok(status(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#));
    };
    Ok(match fault {
        None => content(&blob, range.as_deref()),
        Some(Fault::NoRange) => content(&blob, None),
        Some(Fault::Status(code)) => status(code, ""),
        Some(Fault::Garble) => {
            let bytes = blob.bytes.iter().map(|byte| !byte).collect();
            content(&Blob { bytes, ..blob }, range.as_deref())
        }
        Some(Fault::Cut(after)) => cut(&blob, range.as_deref(), after),
        Some(Fault::Hold(until)) => {
            until.notified().await;
            content(&blob, range.as_deref())
        }
        Some(Fault::Redirect(to)) => {
            let mut answer = status(307, "");
            answer.headers_mut().insert(LOCATION, to.parse().unwrap());
            answer
        }
    })
}

impl State {
    fn refuse(&self, request: &Request<Incoming>) -> Option<Answer> {
        let door = self.token.lock().unwrap().clone()?;
        let said = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
        let wanted = if door.basic { door.login } else { Some(format!("Bearer token-{}", door.given)) };
        if said.is_some() && said == wanted.as_deref() {
            return None;
        }
        let challenge = if door.basic {
            "Basic realm=\"fake\"".to_owned()
        } else {
            let address = self.address.lock().unwrap();
            format!("Bearer realm=\"http://{address}/token\",service=\"fake\",scope=\"repository:app:pull\"")
        };
        let mut refusal =
            status(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#);
        refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
        Some(refusal)
    }

    async fn give_token(&self, request: Request<Incoming>) -> Answer {
        let said = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let form =
            String::from_utf8(request.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let mut door = self.token.lock().unwrap();
        let door = door.as_mut().unwrap();
        let login = door.login.as_deref();
        if login.is_some() && login != said.as_deref() && login != Some(&form) {
            return status(401, "");
        }
        door.given += 1;
        status(200, &format!(r#"{{"token":"token-{}","expires_in":{}}}"#, door.given, door.expires_in))
    }
}

fn status(code: u16, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text.to_owned())).map_err(|no| match no {}).boxed());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

fn content(blob: &Blob, range: Option<&str>) -> Answer {
    cut(blob, range, usize::MAX)
}

fn cut(blob: &Blob, range: Option<&str>, after: usize) -> Answer {
    let start: usize =
        range.map_or(0, |range| range["bytes=".len()..].trim_end_matches('-').parse().unwrap());
    let rest = Bytes::from(blob.bytes[start..].to_vec());
    let lost = after < rest.len();
    let part = stream::iter([Ok(Frame::data(rest.slice(..rest.len().min(after))))]);
    // Hyper sends what it has when a body makes it wait; after an error it does not.
    let end = stream::once(tokio::task::yield_now()).filter_map(move |()| {
        std::future::ready(lost.then(|| Err(std::io::ErrorKind::ConnectionReset.into())))
    });
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(part.chain(end))));
    answer.headers_mut().insert(CONTENT_TYPE, blob.media_type.parse().unwrap());
    if range.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let total = blob.bytes.len();
        let said = format!("bytes {start}-{}/{total}", total - 1);
        answer.headers_mut().insert(CONTENT_RANGE, said.parse().unwrap());
    }
    answer
}
