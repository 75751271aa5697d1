//! How a machine becomes a member: by its token the first time, by what it kept when its server is away.
//!
//! Everything it learns is kept on disk, so that a machine that lost power starts its pods again with no server to ask.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use pki::token::Token;
use pki::{Identity, Key, file};
use task::Backoff;
use tower::{Service, ServiceExt};
use tracing::{info, warn};
use transport::Connector;

use crate::cluster::{Admission, Application, Cluster, JOIN_PATH};
use crate::config::{Join, ServerUrl};

const LARGEST_ANSWER: usize = 256 * 1024;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What a member has: whom it trusts, who it is, and where it is.
#[derive(Debug)]
pub(crate) struct Member {
    /// PEM of the authority of the cluster's servers.
    pub(crate) authority: String,
    pub(crate) identity: Identity,
    pub(crate) cluster: Cluster,
}

/// Joins, again and again until it works; what cannot change by itself is an error at once.
pub(crate) async fn join(folder: &Path, join: &Join, node: &str) -> anyhow::Result<Member> {
    let place = Place { folder: folder.to_path_buf() };
    let token = Token::parse(join.token.as_str()).context("read --token")?;
    let key = place.key()?;
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let refused = match ask(&join.server, &token, &place.application(node, &key)?).await {
            Ok((authority, admission)) => return place.keep(&key, authority, admission),
            Err(refused) => refused,
        };
        match (refused, place.kept(&key)) {
            (Refused::ForGood(error), _) => return Err(error),
            (Refused::ForNow(error), Some(member)) => {
                warn!("{} cannot be asked, going on with what was kept: {error:#}", join.server);
                return Ok(member);
            }
            (Refused::ForNow(error), None) => {
                warn!(
                    "cannot join {} yet, trying again; is the server up, and its port open to this machine? {error:#}",
                    join.server
                );
                backoff.wait().await;
            }
        }
    }
}

/// Why a server did not admit us, and whether asking again may help.
enum Refused {
    ForNow(anyhow::Error),
    ForGood(anyhow::Error),
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
        info!("joined the cluster");
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
