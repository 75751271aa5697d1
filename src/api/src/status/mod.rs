//! `Status`: how the API says that something failed.
//!
//! One constructor per failure, with upstream's code, reason, message and details; nobody else writes these sentences.

mod invalid;
mod refused;
mod request;

use serde_json::{Map, Value, json};

/// A failure as the API reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    pub code: u16,
    /// Upstream's machine-readable word; empty where it has none.
    pub reason: &'static str,
    pub message: String,
    pub details: Details,
    /// How a list that cannot be continued as it was goes on.
    pub list: Option<Box<ListMeta>>,
}

/// The metadata of a failure that is about a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMeta {
    pub continue_token: String,
}

/// What the failure is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    pub name: String,
    pub group: String,
    /// Kind or resource, whichever upstream puts there.
    pub kind: String,
    pub uid: String,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: u32,
}

/// One of several reasons for one failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub reason: String,
    pub message: String,
    pub field: String,
}

/// The resource a failure names: `pods`, `deployments.apps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    pub group: &'a str,
    pub name: &'a str,
}

impl std::fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group {
            "" => f.write_str(self.name),
            group => write!(f, "{}.{group}", self.name),
        }
    }
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Details::default(), list: None }
    }

    fn about(mut self, resource: Resource<'_>, name: &str) -> Self {
        self.details.group = resource.group.to_owned();
        self.details.kind = resource.name.to_owned();
        self.details.name = name.to_owned();
        self
    }

    fn caused(mut self, reason: &str, message: impl Into<String>, field: &str) -> Self {
        self.details.causes.push(Cause {
            reason: reason.to_owned(),
            message: message.into(),
            field: field.to_owned(),
        });
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.details.retry_after_seconds = seconds;
        self
    }

    /// The object that goes into the response body.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
        });
        if let Some(list) = &self.list {
            status["metadata"]["continue"] = list.continue_token.as_str().into();
        }
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if self.details != Details::default() {
            status["details"] = self.details.to_value();
        }
        status["code"] = self.code.into();
        status
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

impl Details {
    fn to_value(&self) -> Value {
        let mut details = Map::new();
        for (field, value) in
            [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)]
        {
            if !value.is_empty() {
                details.insert(field.to_owned(), value.as_str().into());
            }
        }
        if !self.causes.is_empty() {
            details.insert("causes".to_owned(), self.causes.iter().map(Cause::to_value).collect());
        }
        if self.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".to_owned(), self.retry_after_seconds.into());
        }
        Value::Object(details)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut cause = Map::new();
        for (field, value) in [("reason", &self.reason), ("message", &self.message), ("field", &self.field)] {
            if !value.is_empty() {
                cause.insert(field.to_owned(), value.as_str().into());
            }
        }
        Value::Object(cause)
    }
}

/// The body of a request that succeeded and has no object to show, such as a delete.
pub fn success(resource: Resource<'_>, name: &str, uid: &str) -> Value {
    let details = Details {
        name: name.to_owned(),
        group: resource.group.to_owned(),
        kind: resource.name.to_owned(),
        uid: uid.to_owned(),
        ..Details::default()
    };
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details.to_value()})
}
