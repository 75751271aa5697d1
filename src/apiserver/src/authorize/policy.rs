//! All of RBAC's objects, read into what answers a question fast.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use store::{Snapshot, Store};
use tracing::warn;

use super::rule::{Attempt, Binding, Role, RoleRef, Rule, Subject};
use crate::user::User;

pub(super) const CLUSTER_ROLES: &str = "/clusterroles.rbac.authorization.k8s.io/";
pub(super) const CLUSTER_BINDINGS: &str = "/clusterrolebindings.rbac.authorization.k8s.io/";
pub(super) const ROLES: &str = "/roles.rbac.authorization.k8s.io/";
pub(super) const BINDINGS: &str = "/rolebindings.rbac.authorization.k8s.io/";

/// The role that says what nodes may do. It is bound to nobody: the node authorizer reads it.
const NODE_ROLE: &str = "system:node";

pub(super) type Rules = Arc<[Rule]>;

/// Who may do what, as of one moment.
#[derive(Debug, Default)]
pub(super) struct Policy {
    grants: HashMap<Subject, Vec<Grant>>,
    cluster: HashMap<String, Rules>,
    local: HashMap<(String, String), Rules>,
}

#[derive(Debug)]
struct Grant {
    /// Everywhere, if none.
    namespace: Option<String>,
    rules: Rules,
    /// The binding's own name, and that of its role.
    binding: String,
    role: RoleRef,
}

impl Policy {
    pub(super) fn read(store: &Store) -> Self {
        let cluster: HashMap<String, Rules> = read::<Role>(&store.snapshot(CLUSTER_ROLES))
            .map(|role| (role.metadata.name.clone(), rules(role)))
            .collect();
        let local: HashMap<(String, String), Rules> = read::<Role>(&store.snapshot(ROLES))
            .map(|role| ((role.metadata.namespace.clone(), role.metadata.name.clone()), rules(role)))
            .collect();
        let mut policy = Self { grants: HashMap::new(), cluster, local };
        for binding in read::<Binding>(&store.snapshot(CLUSTER_BINDINGS)) {
            // A binding to a role that is not there grants nothing until it is.
            if let Some(rules) = policy.rules_of(&binding.role_ref, None) {
                policy.grant(binding, None, &rules);
            }
        }
        for binding in read::<Binding>(&store.snapshot(BINDINGS)) {
            let namespace = binding.metadata.namespace.clone();
            if let Some(rules) = policy.rules_of(&binding.role_ref, Some(&namespace)) {
                policy.grant(binding, Some(&namespace), &rules);
            }
        }
        policy
    }

    /// What a role that is there allows, as a binding in `namespace` refers to it.
    pub(super) fn rules_of(&self, role: &RoleRef, namespace: Option<&str>) -> Option<Rules> {
        match (role.kind.as_str(), namespace) {
            ("ClusterRole", _) | (_, None) => self.cluster.get(&role.name).cloned(),
            (_, Some(namespace)) => self.local.get(&(namespace.to_owned(), role.name.clone())).cloned(),
        }
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
            let grant = Grant {
                namespace: namespace.map(Into::into),
                rules: rules.clone(),
                binding: binding.metadata.name.clone(),
                role: binding.role_ref.clone(),
            };
            self.grants.entry(subject).or_default().push(grant);
        }
    }

    pub(super) fn allows(&self, user: &User, attempt: &Attempt<'_>) -> bool {
        self.grant_for(user, attempt).is_some()
    }

    /// Which binding allows it, in upstream's words.
    pub(super) fn reason(&self, user: &User, attempt: &Attempt<'_>) -> Option<String> {
        let (subject, grant) = self.grant_for(user, attempt)?;
        let (kind, role) =
            (if grant.namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" }, &grant.role);
        let place = grant.namespace.as_ref().map(|namespace| format!("/{namespace}")).unwrap_or_default();
        let whom = match subject.kind.as_str() {
            "ServiceAccount" => format!("ServiceAccount \"{}/{}\"", subject.name, subject.namespace),
            kind => format!("{kind} {:?}", subject.name),
        };
        let binding = format!("{}{place}", grant.binding);
        Some(format!("RBAC: allowed by {kind} {binding:?} of {} {:?} to {whom}", role.kind, role.name))
    }

    fn grant_for(&self, user: &User, attempt: &Attempt<'_>) -> Option<(Subject, &Grant)> {
        let place = match attempt {
            Attempt::Resource(access) => access.namespace,
            Attempt::Path { .. } => None,
        };
        subjects(user).find_map(|subject| {
            let mut granted = self.grants.get(&subject)?.iter().filter(|grant| grant.counts_in(place));
            let grant = granted.find(|grant| grant.rules.iter().any(|rule| rule.allows(attempt)))?;
            Some((subject, grant))
        })
    }

    /// All that a user may do in a namespace, or everywhere.
    pub(super) fn rules_for(&self, user: &User, namespace: Option<&str>) -> Vec<Rule> {
        let grants = subjects(user).filter_map(|subject| self.grants.get(&subject)).flatten();
        let here = grants.filter(|grant| grant.counts_in(namespace));
        here.flat_map(|grant| grant.rules.iter().cloned()).collect()
    }

    /// What nodes may do beside what the pods that they run entitle them to.
    pub(super) fn node_allows(&self, attempt: &Attempt<'_>) -> bool {
        let rules = self.cluster.get(NODE_ROLE);
        rules.is_some_and(|rules| rules.iter().any(|rule| rule.allows(attempt)))
    }
}

impl Grant {
    fn counts_in(&self, place: Option<&str>) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| Some(namespace) == place)
    }
}

/// Everything a binding may call this user.
fn subjects(user: &User) -> impl Iterator<Item = Subject> {
    let subject = |kind: &str, name: &str, namespace: &str| Subject {
        kind: kind.into(),
        name: name.into(),
        namespace: namespace.into(),
    };
    let account =
        User::account(&user.name).map(|(namespace, name)| subject("ServiceAccount", name, namespace));
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
