//! Service-account tokens for pods: asked of the API server, bound to the pod, renewed well before they end.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Client;
use k8s_openapi::api::core::v1::{Pod, ServiceAccountTokenProjection};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tracing::warn;

use super::Cause;

/// What upstream asks for when the pod does not say.
const USUAL_LIFE: i64 = 3600;
/// No server grants more.
const LONGEST_LIFE: Duration = Duration::from_secs(1 << 32);
/// However long a token lives: a new one each day.
const LONGEST_USE: Duration = Duration::from_secs(24 * 3600);
/// After a renewal that failed, while the old token is still good.
const RETRY: Duration = Duration::from_secs(60);

/// A pod's tokens, by volume and path.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<(String, String), Token>);

struct Token {
    text: Vec<u8>,
    /// On the clock that runs from the machine's start: the other one may be wrong.
    renew: Instant,
    ends: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("renew", &self.renew).finish_non_exhaustive()
    }
}

/// The part of a TokenRequest's answer that counts.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    spec: Granted,
    #[serde(default)]
    status: Issued,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Granted {
    expiration_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issued {
    token: String,
}

impl Tokens {
    /// When the first of them must be renewed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().map(|token| token.renew).min()
    }

    /// The token for one file, and whether it was fetched now. While a new one cannot be had the old one serves.
    pub(super) async fn get(
        &mut self,
        client: &Client,
        pod: &Pod,
        volume: &str,
        source: &ServiceAccountTokenProjection,
    ) -> Result<(Vec<u8>, bool), Cause> {
        let file = (volume.to_owned(), source.path.clone());
        if let Some(token) = self.0.get(&file).filter(|token| Instant::now() < token.renew) {
            return Ok((token.text.clone(), false));
        }
        match (fetch(client, pod, source).await, self.0.get_mut(&file)) {
            (Ok(token), _) => {
                let text = token.text.clone();
                self.0.insert(file, token);
                Ok((text, true))
            }
            (Err(error), Some(old)) if Instant::now() < old.ends => {
                warn!(%error, "cannot renew a token, the old one serves a while longer");
                old.renew = Instant::now() + RETRY;
                Ok((old.text.clone(), false))
            }
            (Err(error), _) => Err(error),
        }
    }
}

async fn fetch(client: &Client, pod: &Pod, source: &ServiceAccountTokenProjection) -> Result<Token, Cause> {
    let asked = Instant::now();
    let answer = client.send_json(http::Method::POST, &target(pod), Some(request(pod, source))).await;
    let answer: Answer =
        serde_json::from_slice(&answer.map_err(Cause::Token)?).map_err(|_| Cause::NoToken)?;
    if answer.status.token.is_empty() {
        return Err(Cause::NoToken);
    }
    let granted = answer.spec.expiration_seconds.unwrap_or(USUAL_LIFE.unsigned_abs());
    let life = Duration::from_secs(granted).min(LONGEST_LIFE);
    let renew = asked + (life * 4 / 5).min(LONGEST_USE);
    Ok(Token { text: answer.status.token.into_bytes(), renew, ends: asked + life })
}

fn target(pod: &Pod) -> String {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    let account = account.filter(|name| !name.is_empty()).unwrap_or("default");
    format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token")
}

fn request(pod: &Pod, source: &ServiceAccountTokenProjection) -> Vec<u8> {
    let audience = source.audience.as_deref().filter(|audience| !audience.is_empty());
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audience.map_or(Vec::new(), |audience| vec![audience]),
            "expirationSeconds": source.expiration_seconds.unwrap_or(USUAL_LIFE),
            "boundObjectRef": {
                "apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid,
            },
        },
    });
    request.to_string().into_bytes()
}
