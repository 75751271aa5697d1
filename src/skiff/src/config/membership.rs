//! Which cluster this machine belongs to: one it founds, or one it joins with a token.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::Uri;
use pki::token::{self, Token};
use serde::{Serialize, Serializer};

use super::typed::MembershipArgs;

/// A server's address: https, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a server: expected https://HOST or https://HOST:PORT")]
pub(crate) struct NotAServer;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Membership {
    /// The first server makes its own token when none is given.
    Found {
        #[serde(serialize_with = "chosen")]
        token: Option<Token>,
    },
    Join(Join),
}

#[derive(Debug, Serialize)]
pub(crate) struct Join {
    pub(crate) server: ServerUrl,
    #[serde(serialize_with = "secret")]
    pub(crate) token: Token,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("--token and --token-file are both given; one is enough")]
    TwoTokens,
    #[error("read --token-file {}", path.display())]
    ReadToken { path: PathBuf, source: io::Error },
    #[error("--token-file {}", path.display())]
    TokenInFile { path: PathBuf, source: token::Error },
    #[error("--token")]
    Token(#[source] token::Error),
    #[error("--server is required: an agent joins the cluster of a server")]
    NoServer,
    #[error("--token or --token-file is required to join the cluster of --server")]
    NoToken,
}

impl MembershipArgs {
    pub(super) fn of_server(self) -> Result<Membership, Error> {
        let token = self.read_token()?;
        match self.server {
            None => Ok(Membership::Found { token }),
            Some(server) => Ok(Membership::Join(Join { server, token: token.ok_or(Error::NoToken)? })),
        }
    }

    pub(super) fn of_agent(self) -> Result<Join, Error> {
        let token = self.read_token()?;
        let server = self.server.ok_or(Error::NoServer)?;
        Ok(Join { server, token: token.ok_or(Error::NoToken)? })
    }

    fn read_token(&self) -> Result<Option<Token>, Error> {
        match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => Err(Error::TwoTokens),
            (Some(typed), None) => Token::parse(&typed.0).map(Some).map_err(Error::Token),
            (None, Some(path)) => token_from(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn token_from(path: &Path) -> Result<Token, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::ReadToken { path: path.to_owned(), source })?;
    Token::parse(&text).map_err(|source| Error::TokenInFile { path: path.to_owned(), source })
}

const HIDDEN: &str = "(secret)";

fn chosen<S: Serializer>(token: &Option<Token>, serializer: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(|_| HIDDEN).serialize(serializer)
}

fn secret<S: Serializer>(_: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(HIDDEN)
}

impl FromStr for ServerUrl {
    type Err = NotAServer;

    fn from_str(text: &str) -> Result<Self, NotAServer> {
        let uri: Uri = text.parse().map_err(|_| NotAServer)?;
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(NotAServer)?;
        let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
        if uri.scheme_str() != Some("https") || !bare || authority.host().is_empty() {
            return Err(NotAServer);
        }
        // `https://host:` has no port but is not `https://host` either.
        let given = authority.as_str().len() > authority.host().len();
        let port =
            if given { authority.port_u16().filter(|port| *port != 0).ok_or(NotAServer)? } else { 6443 };
        Ok(Self { host: authority.host().to_owned(), port })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}", self.host, self.port)
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses() {
        let cases = [
            ("https://a:6443", "https://a:6443"),
            ("https://10.0.0.1:443/", "https://10.0.0.1:443"),
            ("https://[fd00::1]:7", "https://[fd00::1]:7"),
            ("https://a", "https://a:6443"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), expected);
        }
        for text in [
            "",
            "a:6443",
            "http://a",
            "https://",
            "https://a/b",
            "https://a:0",
            "https://a:99999",
            "https://b@a",
        ] {
            assert_eq!(text.parse::<ServerUrl>(), Err(NotAServer), "{text}");
        }
    }
}
