//! One repository at one endpoint, as one user.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use task::Backoff;
use tokio::sync::mpsc;

use super::challenge::Challenge;
use super::connection::{Connection, Query};
use super::error::Error;
use super::token::Tokens;
use crate::image::credentials::Login;
use crate::image::digest::Digest;
use crate::image::document::{self, Descriptor};
use crate::image::reference::Reference;
use crate::image::registries::Endpoint;

/// How often in a row a layer's download may fail without having got anywhere.
const ATTEMPTS: u32 = 6;
/// A connection that gave less than this got nowhere.
const HEADWAY: u64 = 64 << 10;

pub(crate) struct Session {
    endpoint: Endpoint,
    repository: String,
    login: Option<Login>,
    connection: Connection,
    tokens: Arc<Tokens>,
    /// What the registry was last content with.
    authorization: Mutex<Option<HeaderValue>>,
}

/// A document as the registry sent it.
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
}

impl Session {
    /// Reads certificates: blocks for a moment.
    pub(crate) fn open(
        endpoint: Endpoint,
        reference: &Reference,
        login: Option<Login>,
        tokens: Arc<Tokens>,
    ) -> Result<Self, Error> {
        let connection = Connection::new(&endpoint)?;
        let repository = reference.repository().to_owned();
        Ok(Self { endpoint, repository, login, connection, tokens, authorization: Mutex::default() })
    }

    /// An index or a manifest by tag or digest. Its digest is that of what came, and of what was asked for if that was a digest.
    pub(crate) async fn manifest(&self, version: &str) -> Result<Fetched, Error> {
        let accept = HeaderValue::try_from(document::accepted()).expect("media types are plain text");
        let headers = HeaderMap::from_iter([(ACCEPT, accept)]);
        let response = self.get(&format!("manifests/{version}"), headers).await?;
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = self.connection.read_all(response.into_body(), document::MAX_SIZE).await?;
        let digest = Digest::of(&bytes);
        if version.contains(':') && version != digest.as_str() {
            return Err(self
                .connection
                .nonsense(&format!("a manifest with the digest {digest} for {version}")));
        }
        Ok(Fetched { bytes, media_type, digest })
    }

    /// A small blob: an image's configuration.
    pub(crate) async fn small_blob(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        let response = self.get(&format!("blobs/{}", descriptor.digest), HeaderMap::new()).await?;
        let bytes = self.connection.read_all(response.into_body(), document::MAX_SIZE).await?;
        let digest = Digest::of(&bytes);
        if digest == descriptor.digest {
            return Ok(bytes);
        }
        Err(self.connection.nonsense(&format!("a blob with the digest {digest} for {}", descriptor.digest)))
    }

    /// Sends a blob's bytes to `sink`, across lost connections. Ends early, and without a complaint, when nobody reads them:
    /// whoever does not will say why.
    pub(crate) async fn blob(
        &self,
        descriptor: &Descriptor,
        sink: mpsc::Sender<Bytes>,
        progress: impl Fn(u64),
    ) -> Result<(), Error> {
        let mut download = Download { session: self, descriptor, sink, progress, received: 0 };
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut failures = 0;
        loop {
            let before = download.received;
            match download.attempt().await {
                Err(error) if error.is_passing() => {
                    let headway = download.received - before >= HEADWAY;
                    failures = if headway { 1 } else { failures + 1 };
                    if failures >= ATTEMPTS {
                        return Err(error);
                    }
                    if headway {
                        backoff.reset();
                    }
                }
                done => return done,
            }
            backoff.wait().await;
        }
    }

    /// A token that is still good by its own word may be refused all the same: then another one is asked for, once.
    async fn get(&self, path: &str, headers: HeaderMap) -> Result<Response<Incoming>, Error> {
        let query = self.query(path, headers)?;
        let mut said = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for _ in 0..2 {
            let response = self.connection.send(authorized(query.clone(), said.clone())).await?;
            let answer = match challenge(&response) {
                Some(challenge) => self.answer(challenge, said.as_ref()).await?,
                None => return check(&self.connection, response).await,
            };
            if answer == said {
                return check(&self.connection, response).await;
            }
            said.clone_from(&answer);
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        }
        let response = self.connection.send(authorized(query, said)).await?;
        check(&self.connection, response).await
    }

    async fn answer(
        &self,
        challenge: Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Error> {
        let scope = format!("repository:{}:pull", self.repository);
        self.tokens.answer(challenge, &scope, self.login.as_ref(), refused, &self.connection).await
    }

    fn query(&self, path: &str, mut headers: HeaderMap) -> Result<Query, Error> {
        let base = &self.endpoint.base;
        let namespace = self.endpoint.mirrors.as_ref().map(|registry| format!("?ns={registry}"));
        let (repository, namespace) = (&self.repository, namespace.unwrap_or_default());
        let uri = format!("{}://{}{}/{repository}/{path}{namespace}", base.scheme, base.authority, base.path);
        let uri = uri.parse().map_err(|_| self.connection.nonsense("a name that makes no address"))?;
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("skiff/", env!("CARGO_PKG_VERSION"))));
        Ok(Query { method: Method::GET, uri, headers, body: Bytes::new() })
    }
}

fn challenge(response: &Response<Incoming>) -> Option<Challenge> {
    let refused = response.status() == StatusCode::UNAUTHORIZED;
    refused.then(|| Challenge::find(response.headers())).flatten()
}

fn authorized(mut query: Query, authorization: Option<HeaderValue>) -> Query {
    query.headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
    query
}

struct Download<'a, F> {
    session: &'a Session,
    descriptor: &'a Descriptor,
    sink: mpsc::Sender<Bytes>,
    progress: F,
    received: u64,
}

impl<F: Fn(u64)> Download<'_, F> {
    /// Goes on where the last attempt ended.
    async fn attempt(&mut self) -> Result<(), Error> {
        let connection = &self.session.connection;
        let mut headers = HeaderMap::new();
        if self.received > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.received));
            headers.insert(RANGE, range.expect("digits are plain text"));
        }
        let response = self.session.get(&format!("blobs/{}", self.descriptor.digest), headers).await?;
        let mut skip = self.received - self.start_of(&response)?;
        let mut body = response.into_body();
        while let Some(mut bytes) = connection.read(&mut body).await? {
            let known = skip.min(bytes.len() as u64);
            bytes.advance(usize::try_from(known).unwrap_or(bytes.len()));
            skip -= known;
            if !self.pass_on(bytes).await? {
                return Ok(());
            }
        }
        if self.received == self.descriptor.size {
            return Ok(());
        }
        let ended = format!("it ended after {} of {} bytes", self.received, self.descriptor.size);
        Err(Error::Broken { registry: connection.registry().to_owned(), source: ended.into() })
    }

    /// Where in the blob this answer begins: not every registry, nor every store behind one, knows ranges.
    fn start_of(&self, response: &Response<Incoming>) -> Result<u64, Error> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(0);
        }
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let start = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
        let fits = start.filter(|start| *start <= self.received);
        fits.ok_or_else(|| self.session.connection.nonsense("another part of a layer than it was asked for"))
    }

    /// False when nobody wants more.
    async fn pass_on(&mut self, bytes: Bytes) -> Result<bool, Error> {
        let count = bytes.len() as u64;
        if count == 0 {
            return Ok(true);
        }
        if self.received + count > self.descriptor.size {
            let what =
                format!("more than the {} bytes of layer {}", self.descriptor.size, self.descriptor.digest);
            return Err(self.session.connection.nonsense(&what));
        }
        self.received += count;
        (self.progress)(count);
        Ok(self.sink.send(bytes).await.is_ok())
    }
}

/// Turns an answer that is none into an error, with what the registry says about it.
pub(super) async fn check(
    connection: &Connection,
    response: Response<Incoming>,
) -> Result<Response<Incoming>, Error> {
    #[derive(Deserialize)]
    struct Complaints {
        errors: Vec<Complaint>,
    }
    #[derive(Deserialize)]
    struct Complaint {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let bytes = connection.read_all(response.into_body(), 64 << 10).await.unwrap_or_default();
    let complaint =
        serde_json::from_slice(&bytes).ok().and_then(|Complaints { errors }| errors.into_iter().next());
    let said = complaint.map_or_else(
        String::new,
        |Complaint { code, message }| {
            if message.is_empty() { code } else { message }
        },
    );
    Err(Error::Status { registry: connection.registry().to_owned(), status, said })
}
