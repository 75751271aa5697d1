//! What a request says about itself before anybody looks at who sends it.

use std::time::Duration;

use api::status::Status;
use http::request::Parts;
use transport::Peer;

use super::{Query, Target, duration, is_watch};
use crate::form::Form;
use crate::nodes;

/// What a request may take, as upstream. Less if its client says so.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) target: Target,
    pub(crate) query: Result<Query, Status>,
    /// It came over a connection, not from a component of this process.
    pub(crate) outside: bool,
    /// How the client reads what has no kind of its own.
    pub(crate) form: Form,
    long: bool,
}

impl Envelope {
    pub(crate) fn of(parts: &Parts) -> Self {
        let text = parts.uri.query().unwrap_or_default();
        let (target, query) = (Target::of(parts.uri.path()), Query::parse(text));
        let long = match (&target, &query) {
            (Target::Resource(resource), Ok(query)) => {
                nodes::answers(resource) || is_watch(&parts.method, resource, query)
            }
            _ => false,
        };
        let outside = parts.extensions.get::<Peer>().is_some();
        Self { target, query, outside, form: Form::of(&parts.headers, text), long }
    }

    /// Whether its answer goes on for as long as the client likes: a watch, or what a node sends.
    pub(crate) fn is_long(&self) -> bool {
        self.long
    }

    /// How long an answer may be waited for; none for one that goes on, and for a component of this process, which stops
    /// waiting when it wants.
    pub(crate) fn time_limit(&self) -> Result<Option<Duration>, Status> {
        if self.long || !self.outside {
            return Ok(None);
        }
        let said = self.query.as_ref().ok().and_then(|query| query.text("timeout"));
        let said = said.map(duration::parse).transpose().map_err(|why| {
            Status::bad_request(format!("invalid timeout specified in the request URL - {why}"))
        })?;
        // None at all is what `0s` asks for; there is always ours.
        Ok(Some(said.filter(|said| !said.is_zero()).unwrap_or(LONGEST).min(LONGEST)))
    }
}
