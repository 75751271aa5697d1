//! The `continue` token: which list it belongs to, and how far that has come.

use std::fmt;

use api::status::Status;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::Revision;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Continue {
    /// The moment that the list is of; none for the present one, when that moment is no longer known.
    pub(crate) revision: Option<Revision>,
    /// The last key that was shown.
    pub(crate) after: String,
}

#[derive(Deserialize, Serialize)]
struct Token {
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

/// As upstream writes it, so that a token of something else is noticed.
const VERSION: &str = "meta.k8s.io/v1";
const PRESENT: i64 = -1;

impl Continue {
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let invalid = |why: &str| {
            Status::bad_request(format!("invalid continue token: continue key is not valid{why}"))
        };
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| invalid(""))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| invalid(""))?;
        if token.v != VERSION {
            return Err(invalid(": server does not recognize this encoded version"));
        }
        if token.start.is_empty() {
            return Err(invalid(": encoded start key empty (version meta.k8s.io/v1)"));
        }
        let revision = match token.rv {
            0 => {
                return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
            }
            known => u64::try_from(known).ok().map(Revision::new),
        };
        Ok(Self { revision, after: token.start })
    }
}

impl fmt::Display for Continue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rv = self.revision.and_then(|revision| i64::try_from(revision.get()).ok()).unwrap_or(PRESENT);
        let token = Token { v: VERSION.into(), rv, start: self.after.clone() };
        let json = serde_json::to_vec(&token).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_and_nothing_else_is_one() {
        for revision in [Some(Revision::new(7)), None] {
            let token = Continue { revision, after: "/pods/a/b".into() };
            assert_eq!(Continue::parse(&token.to_string()).unwrap(), token);
        }
        let of = |token: &str| Continue::parse(&URL_SAFE_NO_PAD.encode(token)).unwrap_err().message;
        let why = "invalid continue token: continue key is not valid";
        assert_eq!(of("x"), why);
        assert_eq!(of(r#"{"v":"2"}"#), format!("{why}: server does not recognize this encoded version"));
        assert_eq!(
            of(r#"{"v":"meta.k8s.io/v1","start":"a"}"#),
            format!("{why}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
        );
        assert_eq!(
            of(r#"{"v":"meta.k8s.io/v1","rv":1}"#),
            format!("{why}: encoded start key empty (version meta.k8s.io/v1)")
        );
        for text in ["?", "e30", ""] {
            assert_eq!(Continue::parse(text).unwrap_err().code, 400, "{text}");
        }
    }
}
