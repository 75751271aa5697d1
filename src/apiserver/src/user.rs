//! Who asks.

use std::collections::BTreeMap;

use x509_parser::prelude::{FromDer, X509Certificate};

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

    /// Whom a client certificate (DER) stands for: the common name is the user, each organization a group. Whoever took
    /// the connection has checked who signed it.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next()?.as_str().ok()?;
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
        Some(Self::new(name, groups))
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|ours| ours == group)
    }
}
