//! Who is it? A client certificate of our authority, or a service account's token. Nobody is anonymous.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::status::Status;
use http::{Extensions, HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use store::Store;
use tracing::debug;
use transport::Peer;

use crate::certificates::Certificates;
use crate::issuer::Issuer;
use crate::user::User;

/// What is being deleted for this long is gone, to the tokens that are bound to it.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// Tells users by what they show.
#[derive(Debug)]
pub(crate) struct Authenticator {
    pub(crate) store: Store,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) certificates: Certificates,
}

impl Authenticator {
    /// The user behind a request. A component of this process is named by an extension that nothing from outside can
    /// bring.
    pub(crate) fn user(&self, extensions: &Extensions, headers: &HeaderMap) -> Result<User, Status> {
        if let Some(user) = extensions.get::<User>() {
            return Ok(user.clone());
        }
        let shown = extensions.get::<Peer>().and_then(|peer| peer.certificate.as_ref());
        if let Some(certificate) = shown {
            return self.certificates.user(certificate, Timestamp::now()).ok_or_else(Status::unauthorized);
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(Status::unauthorized)?;
        self.of_token(token.trim()).ok_or_else(Status::unauthorized)
    }

    fn of_token(&self, token: &str) -> Option<User> {
        self.review(token, &[]).map(|(user, _)| user)
    }

    /// Whose token this is, and for which of the wanted audiences (ours, if none is) it is.
    pub(crate) fn review(&self, token: &str, wanted: &[&str]) -> Option<(User, Vec<String>)> {
        let claims = self.issuer.claims(token, Timestamp::now());
        let claims = claims.inspect_err(|why| debug!(%why, "a token is refused")).ok()?;
        let wanted = if wanted.is_empty() { &[self.issuer.url()] } else { wanted };
        let named = claims["aud"].as_array()?.iter().filter_map(Value::as_str);
        let audiences: Vec<String> = named.filter(|named| wanted.contains(named)).map(Into::into).collect();
        if audiences.is_empty() { None } else { Some((self.account(&claims)?, audiences)) }
    }

    /// The account that claims name, while it, and what they are bound to, are the same.
    fn account(&self, claims: &Value) -> Option<User> {
        let bound = &claims["kubernetes.io"];
        let namespace = bound["namespace"].as_str()?;
        let account = &bound["serviceaccount"];
        let name = account["name"].as_str()?;
        self.still_there(&format!("/serviceaccounts/{namespace}/{name}"), account)?;
        self.holds(bound, namespace)?;
        let mut user = User::service_account(namespace, name);
        user.uid = account["uid"].as_str().unwrap_or_default().into();
        user.extra = extra(claims);
        Some(user)
    }

    /// A token that is bound to a pod says where that runs; it does not end with the node.
    fn holds(&self, bound: &Value, namespace: &str) -> Option<()> {
        let (pod, secret, node) = (&bound["pod"], &bound["secret"], &bound["node"]);
        let key = |plural: &str, reference: &Value| {
            Some(format!("/{plural}/{namespace}/{}", reference["name"].as_str()?))
        };
        match (pod, secret, node) {
            (pod, _, _) if !pod.is_null() => self.still_there(&key("pods", pod)?, pod),
            (_, secret, _) if !secret.is_null() => self.still_there(&key("secrets", secret)?, secret),
            (_, _, node) if !node.is_null() => {
                self.still_there(&format!("/nodes/{}", node["name"].as_str()?), node)
            }
            _ => Some(()),
        }
    }

    fn still_there(&self, key: &str, reference: &Value) -> Option<()> {
        let entry = self.store.get(key)?;
        let found: Kept = serde_json::from_slice(entry.value()).ok()?;
        let going = |end: Timestamp| end.checked_add(LEEWAY).is_ok_and(|end| end < Timestamp::now());
        let gone = found.metadata.deletion_timestamp.is_some_and(going);
        (!gone && reference["uid"] == found.metadata.uid).then_some(())
    }
}

/// What a token's binding needs to know of an object.
#[derive(Deserialize)]
struct Kept {
    metadata: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    uid: String,
    deletion_timestamp: Option<Timestamp>,
}

/// What else a token says of its holder.
fn extra(claims: &Value) -> BTreeMap<String, Vec<String>> {
    let bound = &claims["kubernetes.io"];
    let said = [
        ("credential-id", claims["jti"].as_str().map(|id| format!("JTI={id}"))),
        ("node-name", bound["node"]["name"].as_str().map(Into::into)),
        ("node-uid", bound["node"]["uid"].as_str().map(Into::into)),
        ("pod-name", bound["pod"]["name"].as_str().map(Into::into)),
        ("pod-uid", bound["pod"]["uid"].as_str().map(Into::into)),
    ];
    let named = |(name, value): (&str, Option<String>)| {
        Some((format!("authentication.kubernetes.io/{name}"), vec![value?]))
    };
    said.into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use store::{InMemory, Limits, Precondition, Write};

    use super::*;
    use crate::issuer::{Grant, Reference};

    async fn authenticator(folder: &tempfile::TempDir) -> Authenticator {
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let account = Bytes::from(json!({"metadata": {"uid": "u1"}}).to_string());
        store.write(Write::create("/serviceaccounts/shop/till", account)).await.unwrap();
        let signer = pki::jwt::Signer::open(&folder.path().join("key")).unwrap();
        let (issuer, certificates) = (Arc::new(Issuer::new(signer, "https://here")), Certificates::default());
        Authenticator { store, issuer, certificates }
    }

    fn with_token(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn a_token_is_good_while_its_account_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let authenticator = authenticator(&folder).await;
        let issue = |audience: &str| {
            let account = Reference { name: "till", uid: "u1" };
            let audiences = json!([audience]);
            let grant = Grant {
                namespace: "shop",
                account,
                bound: vec![],
                audiences: &audiences,
                seconds: 60,
                warn_after: None,
            };
            with_token(&authenticator.issuer.issue(&grant, Timestamp::now()).unwrap())
        };
        let elsewhere = authenticator.user(&Extensions::new(), &issue("https://elsewhere"));
        assert_eq!(elsewhere.unwrap_err().code, 401, "a token for somebody else");
        let headers = issue("https://here");
        let user = authenticator.user(&Extensions::new(), &headers).unwrap();
        assert_eq!(user.name, "system:serviceaccount:shop:till");
        assert!(user.is_in("system:serviceaccounts:shop") && user.is_in("system:authenticated"));
        let another = Bytes::from(json!({"metadata": {"uid": "u2"}}).to_string());
        let update = Write::update("/serviceaccounts/shop/till", another, Precondition::Exists);
        authenticator.store.write(update).await.unwrap();
        assert_eq!(authenticator.user(&Extensions::new(), &headers).unwrap_err().code, 401);
    }

    #[tokio::test]
    async fn nobody_is_anonymous() {
        let folder = tempfile::tempdir().unwrap();
        let authenticator = authenticator(&folder).await;
        for headers in [HeaderMap::new(), with_token(""), with_token("a.b.c")] {
            assert_eq!(authenticator.user(&Extensions::new(), &headers).unwrap_err().code, 401);
        }
    }

    #[test]
    fn a_certificate_names_user_and_group() {
        let folder = tempfile::tempdir().unwrap();
        let now = time::OffsetDateTime::now_utc();
        let authority = pki::Authority::open(folder.path(), "client", now).unwrap();
        let identity =
            authority.issue(&pki::Leaf::client("system:node:a", Some("system:nodes")), now).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(identity.certificate.as_bytes()).unwrap();
        let user = User::of_certificate(&pem.contents, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(user, User::new("system:node:a", ["system:nodes"]));
    }
}
