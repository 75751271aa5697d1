//! What is asked, in the words of HTTP: targets and bodies. Nothing is sent here.

use serde::Serialize;

use crate::Path;

/// What to list or watch. Empty selectors select all.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub labels: String,
    pub fields: String,
    /// Objects per page; 0 for all at once.
    pub limit: u32,
    pub continue_token: String,
}

/// A patch by its media type.
#[derive(Clone, Debug)]
pub enum Patch {
    Json(serde_json::Value),
    Merge(serde_json::Value),
    Strategic(serde_json::Value),
    /// Server-side apply, as the named field manager.
    Apply {
        manager: String,
        force: bool,
        object: serde_json::Value,
    },
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i64>,
    /// `Foreground`, `Background` or `Orphan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preconditions: Option<Preconditions>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preconditions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    /// Deletes only the very object that was looked at, not a later one of the same name.
    pub fn of_uid(uid: impl Into<String>) -> Self {
        let preconditions = Preconditions { uid: Some(uid.into()), ..Preconditions::default() };
        Self { preconditions: Some(preconditions), ..Self::default() }
    }

    pub(crate) fn content(&self) -> Content {
        Content::json(serde_json::to_vec(self).expect("options of strings and numbers are JSON"))
    }
}

/// A body and what it is.
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    pub(crate) fn json(bytes: Vec<u8>) -> Self {
        Self { media_type: "application/json", bytes }
    }
}

impl Patch {
    pub(crate) fn content(&self) -> Content {
        let (media_type, value) = match self {
            Self::Json(value) => ("application/json-patch+json", value),
            Self::Merge(value) => ("application/merge-patch+json", value),
            Self::Strategic(value) => ("application/strategic-merge-patch+json", value),
            Self::Apply { object, .. } => ("application/apply-patch+yaml", object),
        };
        Content { media_type, bytes: value.to_string().into_bytes() }
    }

    pub(crate) fn target(&self, path: &Path) -> String {
        let Self::Apply { manager, force, .. } = self else {
            return path.as_str().to_owned();
        };
        let mut query = Query::default();
        query.pair("fieldManager", manager);
        query.pair("force", if *force { "true" } else { "false" });
        query.of(path)
    }
}

impl ListOptions {
    pub(crate) fn list_target(&self, path: &Path) -> String {
        self.query().of(path)
    }

    /// Every change after `revision`.
    pub(crate) fn watch_target(&self, path: &Path, revision: &str) -> String {
        let mut query = self.query();
        query.pair("watch", "true");
        query.pair("allowWatchBookmarks", "true");
        query.pair("resourceVersion", revision);
        query.of(path)
    }

    fn query(&self) -> Query {
        let mut query = Query::default();
        for (name, value) in [
            ("labelSelector", &self.labels),
            ("fieldSelector", &self.fields),
            ("continue", &self.continue_token),
        ] {
            if !value.is_empty() {
                query.pair(name, value);
            }
        }
        if self.limit > 0 {
            query.pair("limit", &self.limit.to_string());
        }
        query
    }
}

/// The part of a target after the question mark.
#[derive(Default)]
struct Query(String);

impl Query {
    fn pair(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    self.0.push(char::from(byte));
                }
                _ => self.0.push_str(&format!("%{byte:02X}")),
            }
        }
    }

    fn of(&self, path: &Path) -> String {
        format!("{}?{}", path.as_str(), self.0)
    }
}
