//! Who is it? A client certificate of our authority, or a service account's token. Nobody is anonymous.

use std::sync::Arc;

use api::status::Status;
use http::{Extensions, HeaderMap, header};
use jiff::Timestamp;
use pki::jwt::Signer;
use serde_json::Value;
use store::Store;
use tracing::debug;
use transport::Peer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::user::User;

/// Tells users by what they show.
#[derive(Debug)]
pub(crate) struct Authenticator {
    pub(crate) store: Store,
    pub(crate) tokens: Arc<Signer>,
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
            return of_certificate(certificate).ok_or_else(Status::unauthorized);
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(Status::unauthorized)?;
        self.of_token(token.trim()).ok_or_else(Status::unauthorized)
    }

    /// The account of a token that we signed, while the account, and what the token is bound to, are the same.
    fn of_token(&self, token: &str) -> Option<User> {
        let claims = self.tokens.verify(token, Timestamp::now().as_second());
        let claims = claims.inspect_err(|why| debug!(%why, "a token is refused")).ok()?;
        let bound = &claims["kubernetes.io"];
        let namespace = bound["namespace"].as_str()?;
        let account = bound["serviceaccount"]["name"].as_str()?;
        self.still_there(
            &format!("/serviceaccounts/{namespace}/{account}"),
            &bound["serviceaccount"]["uid"],
        )?;
        let mut user = User::service_account(namespace, account);
        user.uid = bound["serviceaccount"]["uid"].as_str().unwrap_or_default().into();
        if let Some(pod) = bound["pod"]["name"].as_str() {
            self.still_there(&format!("/pods/{namespace}/{pod}"), &bound["pod"]["uid"])?;
            let extra = |what: &str| bound["pod"][what].as_str().unwrap_or_default().to_string();
            user.extra.insert("authentication.kubernetes.io/pod-name".into(), vec![extra("name")]);
            user.extra.insert("authentication.kubernetes.io/pod-uid".into(), vec![extra("uid")]);
        }
        Some(user)
    }

    fn still_there(&self, key: &str, uid: &Value) -> Option<()> {
        let entry = self.store.get(key)?;
        let object: Value = serde_json::from_slice(entry.value()).ok()?;
        (object["metadata"]["uid"] == *uid).then_some(())
    }
}

/// The common name is the user, each organization a group. The transport has checked who signed it.
fn of_certificate(der: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    Some(User::new(name, groups))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use store::{InMemory, Limits, Precondition, Write};

    use super::*;

    async fn authenticator(folder: &tempfile::TempDir) -> Authenticator {
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let account = Bytes::from(json!({"metadata": {"uid": "u1"}}).to_string());
        store.write(Write::create("/serviceaccounts/shop/till", account)).await.unwrap();
        Authenticator { store, tokens: Arc::new(Signer::open(&folder.path().join("key")).unwrap()) }
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
        let exp = Timestamp::now().as_second() + 60;
        let claims = json!({"exp": exp, "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "till", "uid": "u1"}}});
        let headers = with_token(&authenticator.tokens.sign(&claims).unwrap());
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
        let now = pki::BUILT;
        let authority = pki::Authority::open(folder.path(), "client", now).unwrap();
        let identity =
            authority.issue(&pki::Leaf::client("system:node:a", Some("system:nodes")), now).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(identity.certificate.as_bytes()).unwrap();
        let user = of_certificate(&pem.contents).unwrap();
        assert_eq!(user, User::new("system:node:a", ["system:nodes"]));
    }
}
