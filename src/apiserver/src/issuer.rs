//! Tokens of service accounts: what their claims say, and how long that holds.

use jiff::Timestamp;
use pki::jwt::{self, Refused, Signer};
use serde_json::{Map, Value, json};

use crate::verb::uid;

/// Issues tokens in the name of a cluster, and knows them again.
#[derive(Debug)]
pub struct Issuer {
    signer: Signer,
    url: String,
}

/// What is told of an issuer to whoever checks its tokens elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Document {
    Configuration,
    Keys,
}

/// What a token grants.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) account: Reference<'a>,
    /// The token ends with these: `pod`, `node`, `secret`.
    pub(crate) bound: Vec<(&'static str, Reference<'a>)>,
    pub(crate) audiences: &'a Value,
    pub(crate) seconds: i64,
    /// When its holder should have asked for another, if that is before it ends.
    pub(crate) warn_after: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

impl Reference<'_> {
    fn claim(self) -> Value {
        let mut claim = json!({"name": self.name});
        if !self.uid.is_empty() {
            claim["uid"] = self.uid.into();
        }
        claim
    }
}

impl Issuer {
    /// `url` names the issuer in its tokens, and this API as the audience of tokens that name none.
    pub fn new(signer: Signer, url: impl Into<String>) -> Self {
        Self { signer, url: url.into() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// OpenID discovery: where the keys are, and the keys.
    pub(crate) fn tell(&self, document: Document) -> Value {
        match document {
            Document::Configuration => json!({
                "issuer": self.url, "jwks_uri": format!("{}/openid/v1/jwks", self.url),
                "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
            Document::Keys => self.signer.key_set(),
        }
    }

    pub(crate) fn issue(&self, grant: &Grant<'_>, now: Timestamp) -> Result<String, jwt::Error> {
        let now = now.as_second();
        let mut bound = Map::new();
        bound.insert("namespace".into(), grant.namespace.into());
        bound.insert("serviceaccount".into(), grant.account.claim());
        bound.extend(grant.bound.iter().map(|(what, reference)| ((*what).to_owned(), reference.claim())));
        bound.extend(grant.warn_after.map(|seconds| ("warnafter".to_owned(), (now + seconds).into())));
        self.signer.sign(&json!({
            "iss": self.url, "sub": format!("system:serviceaccount:{}:{}", grant.namespace, grant.account.name),
            "aud": grant.audiences, "iat": now, "nbf": now, "exp": now.saturating_add(grant.seconds), "jti": uid(),
            "kubernetes.io": bound,
        }))
    }

    /// The claims of a token of ours that is good now, whoever it is for.
    pub(crate) fn claims(&self, token: &str, now: Timestamp) -> Result<Value, Refused> {
        let claims = self.signer.verify(token, now.as_second())?;
        if claims["iss"] == self.url.as_str() { Ok(claims) } else { Err(Refused::Signature) }
    }
}
