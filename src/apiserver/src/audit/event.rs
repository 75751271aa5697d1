//! One request, as the log tells of it.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{HeaderMap, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use transport::Peer;

use super::Audit;
use crate::answer::Answer;
use crate::body;
use crate::request::{Envelope, Target, verb};
use crate::user::User;
use api::status::Status;

/// One request. Its end is told when this is dropped: also when nobody waited for the answer, though what it asked for may
/// have been done.
#[derive(Debug)]
pub(crate) struct Record {
    audit: Audit,
    id: String,
    received: Timestamp,
    uri: String,
    verb: String,
    agent: String,
    sources: Vec<String>,
    object: Option<Object>,
    user: Option<User>,
    acts_as: Option<User>,
    /// None while it is not answered.
    outcome: Option<Value>,
}

/// What proxies answer to who has hung up.
const HUNG_UP: u16 = 499;
const FORBIDDEN: u16 = 403;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_group: &'static str,
    api_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subresource: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    kind: &'static str,
    api_version: &'static str,
    level: &'static str,
    #[serde(rename = "auditID")]
    id: &'a str,
    stage: &'static str,
    #[serde(rename = "requestURI")]
    uri: &'a str,
    verb: &'a str,
    user: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonated_user: Option<Value>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "<[String]>::is_empty")]
    sources: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_ref: Option<&'a Object>,
    response_status: Value,
    request_received_timestamp: String,
    stage_timestamp: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'static str>,
}

impl Record {
    pub(crate) fn begin(audit: &Audit, id: &str, parts: &Parts, envelope: &Envelope) -> Self {
        let object = match &envelope.target {
            Target::Resource(resource) => Some(Object {
                resource: resource.kind.plural,
                namespace: resource.namespace.clone(),
                name: resource.name.clone(),
                api_group: resource.kind.group,
                api_version: resource.kind.version,
                subresource: resource.subresource_name().map(Into::into),
            }),
            _ => None,
        };
        let verb = match (&envelope.target, &envelope.query) {
            (Target::Resource(resource), Ok(query)) => verb(&parts.method, resource, query).to_owned(),
            _ => parts.method.as_str().to_ascii_lowercase(),
        };
        Self {
            audit: audit.clone(),
            id: id.to_owned(),
            received: Timestamp::now(),
            uri: parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string),
            verb,
            agent: text(&parts.headers, header::USER_AGENT.as_str()),
            sources: sources(parts),
            object,
            user: None,
            acts_as: None,
            outcome: None,
        }
    }

    /// Who asks.
    pub(crate) fn comes_from(&mut self, user: &User) {
        self.user = Some(user.clone());
    }

    /// Whom the one who asks acts as, be it themselves.
    pub(crate) fn acts_as(&mut self, user: &User) {
        self.acts_as = Some(user).filter(|user| self.user.as_ref() != Some(user)).cloned();
    }

    /// What a new object is called.
    pub(crate) fn names(&mut self, name: Option<String>) {
        if let Some(object) = self.object.as_mut().filter(|object| object.name.is_none()) {
            object.name = name;
        }
    }

    /// What came of it.
    pub(crate) fn comes_to(&mut self, result: &Result<Answer, Status>) {
        self.outcome = Some(match result {
            Ok(answer) => outcome(answer.status().as_u16(), json!({"metadata": {}})),
            Err(status) => outcome(status.code, status.to_value()),
        });
    }

    /// Tells of an answer that goes on when it begins, and when it ends.
    pub(crate) fn goes_on(self, answer: Answer) -> Answer {
        self.tell("ResponseStarted");
        answer.map(|body| body::held(body, self))
    }

    fn tell(&self, stage: &'static str) {
        let Self { audit, id, received, uri, verb, agent, sources, object, user, acts_as, .. } = self;
        let status = self.outcome.clone().unwrap_or_else(|| outcome(HUNG_UP, json!({"metadata": {}})));
        // Nothing is decided about somebody who is not known.
        let decision = user.as_ref().map(|_| if status["code"] == FORBIDDEN { "forbid" } else { "allow" });
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: "Metadata",
            id,
            stage,
            uri,
            verb,
            user: user.as_ref().map_or_else(|| json!({}), User::info),
            impersonated_user: acts_as.as_ref().map(User::info),
            sources,
            user_agent: agent,
            object_ref: object.as_ref(),
            response_status: status,
            request_received_timestamp: micros(*received),
            stage_timestamp: micros(Timestamp::now()),
            annotations: decision.map(|said| ("authorization.k8s.io/decision", said)).into_iter().collect(),
        };
        let mut line = serde_json::to_vec(&event).expect("texts and trees of JSON are JSON");
        line.push(b'\n');
        audit.append(&line);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.tell("ResponseComplete");
    }
}

/// A status as the log has it.
fn outcome(code: u16, mut status: Value) -> Value {
    if let Some(members) = status.as_object_mut() {
        members.remove("kind");
        members.remove("apiVersion");
    }
    status["code"] = code.into();
    status
}

/// Whom proxies name, and who is at the other end of the connection.
fn sources(parts: &Parts) -> Vec<String> {
    let forwarded = text(&parts.headers, "x-forwarded-for");
    let named =
        forwarded.split(',').map(str::trim).filter_map(|address| address.parse::<std::net::IpAddr>().ok());
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.address.ip().to_canonical());
    let mut sources: Vec<String> = named.chain(peer).map(|address| address.to_string()).collect();
    sources.dedup();
    sources
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

fn micros(at: Timestamp) -> String {
    format!("{at:.6}")
}
