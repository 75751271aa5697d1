//! Who asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const AUTHENTICATED: &str = "system:authenticated";
pub(crate) const MASTERS: &str = "system:masters";

/// The user behind a request, as authentication found it. An extension of each request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of `groups`, and of the group of everyone who is known.
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().map(Into::into).collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        Self { name: name.into(), groups, ..Self::default() }
    }

    /// A service account, as its tokens name it.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::new(format!("system:serviceaccount:{namespace}:{name}"), Self::groups_of_accounts(namespace))
    }

    pub(crate) fn groups_of_accounts(namespace: &str) -> [String; 2] {
        ["system:serviceaccounts".to_string(), format!("system:serviceaccounts:{namespace}")]
    }

    /// Namespace and name of a service account.
    pub(crate) fn account(name: &str) -> Option<(&str, &str)> {
        name.strip_prefix("system:serviceaccount:")?.split_once(':')
    }

    /// As the API tells of users.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|ours| ours == group)
    }
}
