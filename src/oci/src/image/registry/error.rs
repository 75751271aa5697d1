//! What goes wrong with registries, in words that say what to do.

use std::time::Duration;

use http::StatusCode;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach {registry}{}", remedy(&**source))]
    Unreachable {
        registry: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{registry} did not answer within {} s", patience.as_secs())]
    Silent { registry: String, patience: Duration },
    #[error("{registry} answers {status}{}{}", detail(said), advice(*status))]
    Status { registry: String, status: StatusCode, said: String },
    #[error("{registry} closed the connection in the middle of an answer")]
    Broken {
        registry: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{registry} sent {what}")]
    Nonsense { registry: String, what: String },
    #[error("{registry} wants a password over plain HTTP at {realm}, where anybody could read it")]
    Exposed { registry: String, realm: String },
    #[error("cannot use {path} for {registry}: {problem}")]
    Tls { registry: String, path: String, problem: String },
    #[error(
        "this machine trusts no certificate authority: install ca-certificates, or name a ca_file for {registry} in registries.yaml"
    )]
    NoRoots { registry: String },
}

impl Error {
    /// Whether somebody else's login may do better.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. })
    }

    /// Whether the same request may do better in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error()
                    || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(status)
            }
            Self::Nonsense { .. } | Self::Exposed { .. } | Self::Tls { .. } | Self::NoRoots { .. } => false,
        }
    }
}

/// What an administrator can do when the other side's TLS is not what it should be.
fn remedy(error: &(dyn std::error::Error + 'static)) -> &'static str {
    use rustls::{CertificateError, Error as Tls};
    match find_tls(error) {
        Some(Tls::InvalidMessage(_)) => {
            " (it does not seem to speak TLS: if plain HTTP is meant, name http://… as its endpoint in registries.yaml)"
        }
        Some(Tls::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            " (if its authority can be trusted, name it as ca_file in registries.yaml)"
        }
        Some(Tls::InvalidCertificate(CertificateError::NotValidYetContext { .. })) => {
            " (is this machine's clock right?)"
        }
        _ => "",
    }
}

/// Input and output errors hide what they are made of from `source`.
fn find_tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let hidden = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = hidden.map(|hidden| hidden as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

fn detail(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ": check that the image exists and that the pod's imagePullSecrets may read it"
        }
        StatusCode::NOT_FOUND => ": check the image's name and tag",
        StatusCode::TOO_MANY_REQUESTS => ": it limits requests, pulling with a login may help",
        _ => "",
    }
}
