//! All of RBAC's objects, read into what answers a question fast.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use store::{Snapshot, Store};
use tracing::warn;

use super::rule::{Attempt, Binding, Role, Rule, Subject};
use crate::user::User;

pub(super) const CLUSTER_ROLES: &str = "/clusterroles.rbac.authorization.k8s.io/";
pub(super) const CLUSTER_BINDINGS: &str = "/clusterrolebindings.rbac.authorization.k8s.io/";
pub(super) const ROLES: &str = "/roles.rbac.authorization.k8s.io/";
pub(super) const BINDINGS: &str = "/rolebindings.rbac.authorization.k8s.io/";

type Rules = Arc<[Rule]>;

/// Who may do what, as of one moment.
#[derive(Debug, Default)]
pub(super) struct Policy {
    grants: HashMap<Subject, Vec<Grant>>,
}

#[derive(Debug)]
struct Grant {
    /// Everywhere, if none.
    namespace: Option<String>,
    rules: Rules,
}

impl Policy {
    pub(super) fn read(store: &Store) -> Self {
        let cluster: HashMap<String, Rules> = read::<Role>(&store.snapshot(CLUSTER_ROLES))
            .map(|role| (role.metadata.name.clone(), rules(role)))
            .collect();
        let local: HashMap<(String, String), Rules> = read::<Role>(&store.snapshot(ROLES))
            .map(|role| ((role.metadata.namespace.clone(), role.metadata.name.clone()), rules(role)))
            .collect();
        let mut policy = Self::default();
        for binding in read::<Binding>(&store.snapshot(CLUSTER_BINDINGS)) {
            // A binding to a role that is not there grants nothing until it is.
            if let Some(rules) = cluster.get(&binding.role_ref.name) {
                policy.grant(binding, None, rules);
            }
        }
        for binding in read::<Binding>(&store.snapshot(BINDINGS)) {
            let namespace = binding.metadata.namespace.clone();
            let rules = match binding.role_ref.kind.as_str() {
                "ClusterRole" => cluster.get(&binding.role_ref.name),
                _ => local.get(&(namespace.clone(), binding.role_ref.name.clone())),
            };
            if let Some(rules) = rules {
                policy.grant(binding, Some(&namespace), rules);
            }
        }
        policy
    }

    fn grant(&mut self, binding: Binding, namespace: Option<&str>, rules: &Rules) {
        for mut subject in binding.subjects.unwrap_or_default() {
            match (subject.kind.as_str(), namespace) {
                // A service account without a namespace is one of the binding's.
                ("ServiceAccount", Some(namespace)) if subject.namespace.is_empty() => {
                    subject.namespace = namespace.into();
                }
                ("ServiceAccount", _) => {}
                _ => subject.namespace.clear(),
            }
            let grant = Grant { namespace: namespace.map(Into::into), rules: rules.clone() };
            self.grants.entry(subject).or_default().push(grant);
        }
    }

    pub(super) fn allows(&self, user: &User, attempt: &Attempt<'_>) -> bool {
        let place = match attempt {
            Attempt::Resource { namespace, .. } => *namespace,
            Attempt::Path { .. } => None,
        };
        subjects(user).filter_map(|subject| self.grants.get(&subject)).flatten().any(|grant| {
            let here = grant.namespace.as_deref().is_none_or(|namespace| Some(namespace) == place);
            here && grant.rules.iter().any(|rule| rule.allows(attempt))
        })
    }
}

/// Everything a binding may call this user.
fn subjects(user: &User) -> impl Iterator<Item = Subject> {
    let subject = |kind: &str, name: &str, namespace: &str| Subject {
        kind: kind.into(),
        name: name.into(),
        namespace: namespace.into(),
    };
    let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let account = account.map(|(namespace, name)| subject("ServiceAccount", name, namespace));
    let groups = user.groups.iter().map(move |group| subject("Group", group, ""));
    std::iter::once(subject("User", &user.name, "")).chain(account).chain(groups)
}

fn rules(role: Role) -> Rules {
    role.rules.unwrap_or_default().into()
}

fn read<T: DeserializeOwned>(snapshot: &Snapshot) -> impl Iterator<Item = T> {
    snapshot.iter().filter_map(|entry| {
        let parsed = serde_json::from_slice(entry.value());
        parsed
            .inspect_err(
                |error| warn!(key = entry.key(), %error, "an RBAC object that cannot be read grants nothing"),
            )
            .ok()
    })
}
