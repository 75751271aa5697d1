//! How a machine becomes a member: by its token the first time, by what it kept when its server is away.
//!
//! Everything it learns is kept on disk, so that a machine that lost power starts its pods again with no server to ask.
//! Its certificate lasts a year, and boards run for years: it asks for the next one long before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use pki::token::Token;
use pki::{Identity, Key, file};
use task::{Backoff, ClockSettings};
use time::OffsetDateTime;
use tokio::sync::watch;
use tower::{Service, ServiceExt};
use tracing::{info, warn};
use transport::Connector;

use super::ways::{Way, Ways};
use crate::clock;
use crate::cluster::{Admission, Application, Cluster, JOIN_PATH};
use crate::config::{Join, ServerUrl};

const LARGEST_ANSWER: usize = 256 * 1024;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A certificate is asked for months before it is needed.
const LONGEST_WAIT_TO_RENEW: Duration = Duration::from_secs(60 * 60);

/// What a member has: whom it trusts, who it is, and where it is.
#[derive(Debug)]
pub(crate) struct Member {
    /// PEM of the authority of the cluster's servers.
    pub(crate) authority: String,
    pub(crate) identity: Identity,
    pub(crate) cluster: Cluster,
}

/// A machine before its server.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    server: ServerUrl,
    token: Token,
    node: String,
    key: Arc<Key>,
    place: Place,
}

impl Joining {
    pub(crate) fn open(folder: &Path, join: &Join, node: String) -> anyhow::Result<Self> {
        let place = Place { folder: folder.to_path_buf() };
        let key = Arc::new(place.key()?);
        Ok(Self { server: join.server.clone(), token: join.token.clone(), node, key, place })
    }

    /// Joins, again and again until it works; what cannot change by itself is an error at once.
    pub(crate) async fn join(&self) -> anyhow::Result<Member> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let refused = match self.ask().await {
                Ok(member) => {
                    info!("joined the cluster");
                    return Ok(member);
                }
                Err(refused) => refused,
            };
            match (refused, self.place.kept(&self.key)) {
                (Refused::ForGood(error), _) => return Err(error),
                (Refused::ForNow(error), Some(member)) => {
                    warn!("{} cannot be asked, going on with what was kept: {error:#}", self.server);
                    return Ok(member);
                }
                (Refused::ForNow(error), None) => {
                    warn!(
                        "cannot join {} yet, trying again; is the server up, and its port open to this machine? {error:#}",
                        self.server
                    );
                    backoff.wait().await;
                }
            }
        }
    }

    async fn ask(&self) -> Result<Member, Refused> {
        let application = self.place.application(&self.node, &self.key).map_err(Refused::ForGood)?;
        let (authority, admission) = ask(&self.server, &self.token, &application).await?;
        self.place.keep(&self.key, authority, admission).map_err(Refused::ForGood)
    }

    /// What keeps the certificate good, and the ways to the server that show it.
    pub(super) fn renewal(self, member: &Member) -> anyhow::Result<(Renewal, Ways)> {
        let (ways, told) = watch::channel(Way::new(&self.server, member)?);
        Ok((Renewal { joining: self, identity: member.identity.clone(), ways }, told))
    }
}

/// The certificate of a member, for as long as it runs.
#[derive(Debug)]
pub(crate) struct Renewal {
    joining: Joining,
    identity: Identity,
    ways: watch::Sender<Way>,
}

impl Renewal {
    /// Asks for another certificate whenever this one is soon over. Ends only if nobody tells when the clock is set.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut settings = ClockSettings::watch().context("learn when the clock is set")?;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT_TO_RENEW);
        loop {
            match self.look(clock::now()).await {
                Ok(()) => {
                    backoff.reset();
                    clock::next_look(&mut settings).await;
                }
                Err(error) => {
                    warn!("cannot renew the certificate of this node, trying again: {error:#}");
                    backoff.wait().await;
                }
            }
        }
    }

    async fn look(&mut self, now: OffsetDateTime) -> anyhow::Result<()> {
        if !self.identity.is_due(now) {
            return Ok(());
        }
        let member = self.joining.ask().await.map_err(Refused::into_error)?;
        self.ways.send_replace(Way::new(&self.joining.server, &member)?);
        self.identity = member.identity;
        info!("the certificate of this node is a new one");
        Ok(())
    }
}

/// Why a server did not admit us, and whether asking again may help.
enum Refused {
    ForNow(anyhow::Error),
    ForGood(anyhow::Error),
}

impl Refused {
    fn into_error(self) -> anyhow::Error {
        let (Self::ForNow(error) | Self::ForGood(error)) = self;
        error
    }
}

async fn ask(
    server: &ServerUrl,
    token: &Token,
    application: &Application,
) -> Result<(String, Admission), Refused> {
    let authority = transport::ask_authority(&server.host, server.port).await;
    let authority = authority.context("ask which authority it stands under").map_err(Refused::ForNow)?;
    // Before the secret is said: this is the right server.
    token.check_authority(&authority).map_err(|error| Refused::ForGood(error.into()))?;
    if token.authority.is_none() {
        warn!("the token is a short one: whoever answers at {server} is trusted");
    }
    let (code, answer) = send(server, &authority, token, application).await.map_err(Refused::ForNow)?;
    match code {
        StatusCode::OK => match serde_json::from_slice(&answer).context("read the server's answer") {
            Ok(admission) => Ok((authority, admission)),
            Err(error) => Err(Refused::ForNow(error)),
        },
        StatusCode::UNAUTHORIZED => Err(Refused::ForGood(anyhow::anyhow!(
            "{server} does not know this token; `skiff token` on the server prints the right one"
        ))),
        code if code.is_client_error() => {
            Err(Refused::ForGood(anyhow::anyhow!("{server}: {}", message(&answer))))
        }
        code => Err(Refused::ForNow(anyhow::anyhow!("it answered {code}: {}", message(&answer)))),
    }
}

async fn send(
    server: &ServerUrl,
    authority: &str,
    token: &Token,
    application: &Application,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let mut connector: Connector<Full<Bytes>> = Connector::new(authority, None)?;
    let request = Request::post(format!("{server}{JOIN_PATH}"))
        .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::from(serde_json::to_vec(application)?))?;
    let answer = connector.ready().await?.call(request).await?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
    Ok((code, body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes()))
}

/// The reason in a Status, or whatever else was said.
fn message(answer: &[u8]) -> String {
    let status: Option<serde_json::Value> = serde_json::from_slice(answer).ok();
    let message = status.as_ref().and_then(|status| status["message"].as_str());
    message.map_or_else(|| String::from_utf8_lossy(answer).trim().to_owned(), ToOwned::to_owned)
}

/// Where a member keeps what it has.
#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn key(&self) -> anyhow::Result<Key> {
        Ok(Key::open(&self.path("client-node.key"))?)
    }

    fn application(&self, node: &str, key: &Key) -> anyhow::Result<Application> {
        let path = self.path("node-password");
        let password = match file::read(&path).with_context(|| format!("read {}", path.display()))? {
            Some(password) => password,
            None => {
                let password = Token::generate("node", "")?.secret;
                file::write(&path, password.as_bytes(), file::SECRET)
                    .with_context(|| format!("write {}", path.display()))?;
                password
            }
        };
        Ok(Application { node: node.to_owned(), password, request: key.request()? })
    }

    fn keep(&self, key: &Key, authority: String, admission: Admission) -> anyhow::Result<Member> {
        let cluster = serde_json::to_string_pretty(&admission.cluster)?;
        for (name, text) in [
            ("server-ca.crt", &authority),
            ("cluster.json", &cluster),
            ("client-node.crt", &admission.certificate),
        ] {
            let path = self.path(name);
            // A restart that learns nothing new writes nothing.
            if file::read(&path).ok().flatten().as_ref() != Some(text) {
                file::write(&path, text.as_bytes(), file::PUBLIC)
                    .with_context(|| format!("write {}", path.display()))?;
            }
        }
        Ok(Member { authority, identity: key.with(admission.certificate), cluster: admission.cluster })
    }

    /// What was kept, if all of it is there.
    fn kept(&self, key: &Key) -> Option<Member> {
        let read = |name| file::read(&self.path(name)).ok().flatten();
        Some(Member {
            authority: read("server-ca.crt")?,
            identity: key.with(read("client-node.crt")?),
            cluster: serde_json::from_str(&read("cluster.json")?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::Response;
    use hyper::body::Incoming;
    use pki::{Authority, Leaf};
    use task::Tasks;
    use tokio::net::TcpListener;
    use transport::{AUTHORITY_PATH, Certificate, Listener, Peer};

    use super::*;

    /// A server that admits whoever asks.
    struct Server {
        servers: Authority,
        clients: Authority,
        admitted: AtomicU32,
    }

    impl Server {
        async fn start(folder: &Path) -> (Arc<Self>, ServerUrl, Tasks<()>) {
            let authority = |name| Authority::open(folder, name, clock::now()).unwrap();
            let (servers, clients) = (authority("server"), authority("client"));
            let leaf = Leaf::server("server", vec![], vec!["127.0.0.1".parse().unwrap()]);
            let shown = Certificate::new(&servers.issue(&leaf, clock::now()).unwrap()).unwrap();
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let listener = Listener::new(tcp, shown, clients.certificate()).unwrap();
            let url = format!("https://{}", listener.address().unwrap()).parse().unwrap();
            let server = Arc::new(Self { servers, clients, admitted: AtomicU32::new(0) });
            let answering = server.clone();
            let service = tower::service_fn(move |request| answer(answering.clone(), request));
            let mut tasks = Tasks::new();
            tasks.spawn("server", listener.serve(service, pending(), Duration::ZERO));
            (server, url, tasks)
        }
    }

    async fn answer(
        server: Arc<Server>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() == "/who" {
            let shown = request.extensions().get::<Peer>().and_then(|peer| peer.certificate.as_ref());
            return Ok(Response::new(shown.unwrap().to_vec().into()));
        }
        if request.uri().path() == AUTHORITY_PATH {
            return Ok(Response::new(server.servers.certificate().to_owned().into()));
        }
        assert_eq!(request.uri().path(), JOIN_PATH);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let application: Application = serde_json::from_slice(&body).unwrap();
        let leaf = Leaf::client("system:node:a", None);
        let certificate = server.clients.sign(&application.request, &leaf, clock::now()).unwrap();
        let cluster = Cluster::without_networks();
        server.admitted.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(serde_json::to_vec(&Admission { certificate, cluster }).unwrap().into()))
    }

    #[tokio::test]
    async fn a_certificate_that_is_soon_over_is_asked_for_anew() {
        let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (server, url, _serving) = Server::start(theirs.path()).await;
        let token = Token::generate("server", server.servers.certificate()).unwrap();
        let join = Join { server: url, token };
        let joining = Joining::open(ours.path(), &join, "a".into()).unwrap();
        let member = joining.join().await.unwrap();
        let (mut renewal, ways) = joining.renewal(&member).unwrap();
        let client = super::super::ways::client(&join.server, ways);
        let all = async || {
            let shown = client.stream(http::Method::GET, "/who").await.unwrap().collect().await.unwrap();
            let shown = shown.to_bytes();
            let kept = std::fs::read_to_string(ours.path().join("client-node.crt")).unwrap();
            (server.admitted.load(Ordering::Relaxed), shown, kept)
        };
        let first = all().await;
        let months = |months: i64| clock::now() + time::Duration::days(30 * months);
        renewal.look(months(7)).await.unwrap();
        assert_eq!(all().await, first);
        renewal.look(months(9)).await.unwrap();
        let second = all().await;
        assert_eq!((first.0, second.0), (1, 2));
        assert_ne!(second.1, first.1, "the next request shows another certificate");
        assert_ne!(second.2, first.2, "a restart finds it");
        renewal.look(clock::now()).await.unwrap();
        assert_eq!(all().await, second);
    }
}
