//! The `continue` token: which list it belongs to, and how far that has come.

use std::fmt;

use api::status::Status;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use store::Revision;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Continue {
    pub(crate) revision: Revision,
    /// The last key that was shown.
    pub(crate) after: String,
}

#[derive(Deserialize, Serialize)]
struct Token {
    v: String,
    rv: u64,
    start: String,
}

/// As upstream writes it, so that a token of something else is noticed.
const VERSION: &str = "meta.k8s.io/v1";

impl Continue {
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let invalid = || Status::bad_request("continue key is not valid: it is not a token of this server");
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| invalid())?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        if token.v != VERSION || token.rv == 0 {
            return Err(invalid());
        }
        Ok(Self { revision: Revision::new(token.rv), after: token.start })
    }
}

impl fmt::Display for Continue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = Token { v: VERSION.into(), rv: self.revision.get(), start: self.after.clone() };
        let json = serde_json::to_vec(&token).map_err(|_| fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_and_nothing_else_is_one() {
        let token = Continue { revision: Revision::new(7), after: "/pods/a/b".into() };
        assert_eq!(Continue::parse(&token.to_string()).unwrap(), token);
        for text in ["x", "e30", ""] {
            assert_eq!(Continue::parse(text).unwrap_err().code, 400, "{text}");
        }
    }
}
