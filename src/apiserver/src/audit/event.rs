//! One request, as the log tells of it.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
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

/// Who asks, as far as the request came.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    pub(crate) user: Option<User>,
    /// Whom the user acts as.
    pub(crate) acts_as: Option<User>,
    /// The name of a new object.
    pub(crate) name: Option<String>,
}

/// What is known of a request before it is answered.
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
}

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
    response_status: &'a Value,
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
        }
    }

    /// Tells of the answer; of one that goes on, when it begins and when it ends.
    pub(crate) fn answered(
        mut self,
        answer: Answer,
        refused: Option<&Status>,
        asker: Asker,
        goes_on: bool,
    ) -> Answer {
        if let Some(object) = self.object.as_mut().filter(|object| object.name.is_none()) {
            object.name.clone_from(&asker.name);
        }
        let ended =
            Ended { status: outcome(answer.status(), refused), code: answer.status(), asker, record: self };
        if !goes_on {
            return answer;
        }
        ended.tell("ResponseStarted");
        answer.map(|body| body::held(body, ended))
    }
}

/// An answer whose end is told when this is dropped.
struct Ended {
    record: Record,
    asker: Asker,
    code: StatusCode,
    status: Value,
}

impl Ended {
    fn tell(&self, stage: &'static str) {
        let Record { audit, id, received, uri, verb, agent, sources, object } = &self.record;
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: "Metadata",
            id,
            stage,
            uri,
            verb,
            user: self.asker.user.as_ref().map_or_else(|| json!({}), info),
            impersonated_user: self.asker.acts_as.as_ref().map(info),
            sources,
            user_agent: agent,
            object_ref: object.as_ref(),
            response_status: &self.status,
            request_received_timestamp: micros(*received),
            stage_timestamp: micros(Timestamp::now()),
            annotations: self
                .decision()
                .map(|said| ("authorization.k8s.io/decision", said))
                .into_iter()
                .collect(),
        };
        let mut line = serde_json::to_vec(&event).expect("texts and trees of JSON are JSON");
        line.push(b'\n');
        audit.append(&line);
    }

    /// Nothing is decided about somebody who is not known.
    fn decision(&self) -> Option<&'static str> {
        self.asker.user.as_ref()?;
        Some(if self.code == StatusCode::FORBIDDEN { "forbid" } else { "allow" })
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.tell("ResponseComplete");
    }
}

fn outcome(code: StatusCode, refused: Option<&Status>) -> Value {
    let mut status = refused.map_or_else(|| json!({"metadata": {}}), Status::to_value);
    if let Some(members) = status.as_object_mut() {
        members.remove("kind");
        members.remove("apiVersion");
    }
    status["code"] = code.as_u16().into();
    status
}

fn info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
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
