//! What can go wrong on the way to the API and back, with what callers decide on.

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server answered, and said no.
    #[error("{}", .0.message.as_deref().unwrap_or("the API server gave no reason"))]
    Status(Box<Status>),
    /// No answer: the server is away, or the connection broke.
    #[error("no answer from the API server to {request}")]
    Transport {
        request: String,
        #[source]
        source: kube::Error,
    },
    /// The answer broke off, or ran past what a single object may measure.
    #[error("the answer to {request} broke off")]
    Body {
        request: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the answer to {request} is not what was asked for")]
    Decode {
        request: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object of ours that is no JSON: a map of it has keys that are not strings.
    #[error("the object of {request} cannot be sent")]
    Encode {
        request: String,
        #[source]
        source: api::codec::Error,
    },
    #[error("{request} is not a request that can be sent")]
    Request {
        request: String,
        #[source]
        source: http::Error,
    },
}

impl Error {
    /// A `Status` for an answer whose body is not one.
    pub(crate) fn of_answer(code: StatusCode, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<Status>(body).ok().filter(|status| status.status.is_some());
        Self::Status(Box::new(parsed.unwrap_or_else(|| Status {
            code: Some(i32::from(code.as_u16())),
            message: Some(format!("the server answered {code}: {}", String::from_utf8_lossy(body).trim())),
            ..Status::default()
        })))
    }

    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Status(status) => status.code,
            _ => None,
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Status(status) => status.reason.as_deref(),
            _ => None,
        }
    }

    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Someone else wrote first: read again and decide again.
    pub fn is_conflict(&self) -> bool {
        self.reason() == Some("Conflict")
    }

    pub fn is_already_exists(&self) -> bool {
        self.reason() == Some("AlreadyExists")
    }

    /// The revision asked for is no longer known, or not yet, because the server was restored to an older state: list again.
    pub fn is_expired(&self) -> bool {
        self.code() == Some(410) || self.is_caused_by("ResourceVersionTooLarge")
    }

    /// The namespace is being deleted and takes nothing new: not worth a retry.
    pub fn is_namespace_terminating(&self) -> bool {
        self.is_caused_by("NamespaceTerminating")
    }

    fn is_caused_by(&self, reason: &str) -> bool {
        let Self::Status(status) = self else {
            return false;
        };
        let causes =
            status.details.as_ref().and_then(|details| details.causes.as_deref()).unwrap_or_default();
        causes.iter().any(|cause| cause.reason.as_deref() == Some(reason))
    }
}
