//! What a request says about itself before anybody looks at who sends it.

use std::time::Duration;

use api::status::Status;
use http::request::Parts;
use transport::Peer;

use super::{Accept, Offer, Query, Target, duration, is_watch};
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
    /// What the client wants to read, or why it cannot.
    pub(crate) wanted: Result<(Accept, Form), Status>,
    /// How it reads what has no kind of its own.
    pub(crate) form: Form,
    long: bool,
}

impl Envelope {
    pub(crate) fn of(parts: &Parts) -> Self {
        let text = parts.uri.query().unwrap_or_default();
        let (target, query) = (Target::of(parts.uri.path()), Query::parse(text));
        let (offer, streams) = match (&target, &query) {
            (Target::Resource(resource), query) => {
                let watch = query.as_ref().is_ok_and(|query| is_watch(&parts.method, resource, query));
                (Offer { kind: Some(resource.kind), watch }, nodes::answers(resource))
            }
            _ => (Offer::ALL, false),
        };
        let for_reader = |form: Form| form.for_reader(&parts.headers, text);
        let wanted = Accept::of(&parts.headers, offer).map(|(accept, form)| (accept, for_reader(form)));
        let form = wanted.as_ref().map_or_else(|_| for_reader(Form::Json), |(_, form)| *form);
        let outside = parts.extensions.get::<Peer>().is_some();
        Self { target, query, outside, wanted, form, long: streams || offer.watch }
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
