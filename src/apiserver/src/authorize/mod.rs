//! May this user do that? Nodes, by the pods that they run; everybody by RBAC, on a policy in memory that follows the store.

mod escalation;
mod node;
mod policy;
mod references;
mod rule;

use std::sync::{Arc, PoisonError, RwLock};

use store::{RevisionError, Store, Watch, WatchError};
use tracing::warn;

pub(crate) use self::escalation::{quoted, uncovered};
use self::node::Nodes;
pub(crate) use self::node::name_of as node_of;
use self::policy::{BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, Policy, ROLES};
pub(crate) use self::references::{Referred, of_pod as references_of};
pub(crate) use self::rule::{Access, Attempt, RoleRef, Rule};
use crate::user::{MASTERS, User};

#[derive(Debug)]
pub(crate) struct Authorizer {
    store: Store,
    policy: RwLock<Arc<Policy>>,
    nodes: Nodes,
}

impl Authorizer {
    pub(crate) fn new(store: Store) -> Self {
        let policy = RwLock::new(Arc::new(Policy::read(&store)));
        Self { nodes: Nodes::new(store.clone()), store, policy }
    }

    pub(crate) fn allows(&self, user: &User, attempt: &Attempt<'_>) -> bool {
        let policy = self.current();
        user.is_in(MASTERS) || self.nodes.allow(&policy, user, attempt) || policy.allows(user, attempt)
    }

    /// Why it is allowed; nothing where no binding is the reason.
    pub(crate) fn reason(&self, user: &User, attempt: &Attempt<'_>) -> String {
        if user.is_in(MASTERS) {
            String::new()
        } else {
            self.current().reason(user, attempt).unwrap_or_default()
        }
    }

    /// All that a user may do in a namespace, or everywhere.
    pub(crate) fn rules_for(&self, user: &User, namespace: Option<&str>) -> Vec<Rule> {
        if user.is_in(MASTERS) {
            Rule::everything().into()
        } else {
            self.current().rules_for(user, namespace)
        }
    }

    /// What a role allows that a binding in `namespace` refers to, if it is there.
    pub(crate) fn rules_of(&self, role: &RoleRef, namespace: Option<&str>) -> Option<Vec<Rule>> {
        self.current().rules_of(role, namespace).map(|rules| rules.to_vec())
    }

    fn current(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the policy again whenever an object of RBAC has changed, until the store stops.
    ///
    /// All of it: there are a hundred or two, they change when people change them, and a rebuilt policy cannot drift.
    pub(crate) async fn follow(&self) {
        while let Ok(mut watches) = self.watch() {
            self.read_again();
            match watches.changed().await {
                Err(WatchError::Stopped) => return,
                Ok(()) | Err(WatchError::Compacted { .. }) => {}
            }
        }
        warn!("the store no longer tells of changes: access rights stay as they are");
    }

    /// Decides by what the store holds now.
    pub(crate) fn read_again(&self) {
        let policy = Arc::new(Policy::read(&self.store));
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    fn watch(&self) -> Result<Watches, RevisionError> {
        let now = self.store.revision();
        let watch = |scope| self.store.watch(scope, now);
        Ok(Watches([watch(CLUSTER_ROLES)?, watch(CLUSTER_BINDINGS)?, watch(ROLES)?, watch(BINDINGS)?]))
    }
}

struct Watches([Watch; 4]);

impl Watches {
    async fn changed(&mut self) -> Result<(), WatchError> {
        let [a, b, c, d] = &mut self.0;
        tokio::select! {
            events = a.next() => events,
            events = b.next() => events,
            events = c.next() => events,
            events = d.next() => events,
        }
        .map(drop)
    }
}

impl Attempt<'_> {
    /// What a refusal says after "is forbidden: ".
    pub(crate) fn refusal(&self, user: &User) -> String {
        let who = &user.name;
        match *self {
            Attempt::Path { verb, path } => format!("User \"{who}\" cannot {verb} path \"{path}\""),
            Attempt::Resource(Access { verb, group, resource, subresource, namespace, .. }) => {
                let resource = match subresource {
                    Some(subresource) => format!("{resource}/{subresource}"),
                    None => resource.to_string(),
                };
                let place = match namespace {
                    Some(namespace) => format!("in the namespace \"{namespace}\""),
                    None => "at the cluster scope".to_string(),
                };
                format!(
                    "User \"{who}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};
    use store::{InMemory, Limits, Write};

    use super::*;

    fn store() -> Store {
        let backend = InMemory::default();
        let contents = backend.contents();
        Store::over(backend, contents, Limits::default()).unwrap()
    }

    async fn put(store: &Store, scope: &str, name: &str, object: Value) {
        let bytes = Bytes::from(object.to_string());
        store.write(Write::create(format!("{scope}{name}"), bytes)).await.unwrap();
    }

    async fn reader(store: &Store, bindings: &str, prefix: &str, subject: Value) {
        let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
        let name = format!("{prefix}reader");
        put(
            store,
            CLUSTER_ROLES,
            &format!("reader-{}", store.revision()),
            json!({"metadata": {"name": "reader"}, "rules": rules}),
        )
        .await;
        let namespace = prefix.trim_end_matches('/');
        let binding = json!({"metadata": {"name": "reader", "namespace": namespace}, "subjects": [subject],
            "roleRef": {"kind": "ClusterRole", "name": "reader"}});
        put(store, bindings, &name, binding).await;
    }

    fn get_pod<'a>(namespace: Option<&'a str>) -> Attempt<'a> {
        let access =
            Access { verb: "get", resource: "pods", namespace, name: Some("x"), ..Access::default() };
        Attempt::Resource(access)
    }

    #[tokio::test]
    async fn a_binding_grants_where_it_is() {
        let store = store();
        reader(&store, BINDINGS, "shop/", json!({"kind": "User", "name": "ann"})).await;
        let authorizer = Authorizer::new(store);
        let ann = User::new("ann", [""; 0]);
        assert!(authorizer.allows(&ann, &get_pod(Some("shop"))));
        assert!(!authorizer.allows(&ann, &get_pod(Some("other"))));
        assert!(!authorizer.allows(&ann, &get_pod(None)));
        assert!(!authorizer.allows(&User::new("bob", [""; 0]), &get_pod(Some("shop"))));
        assert!(authorizer.allows(&User::new("root", [MASTERS]), &get_pod(None)));
    }

    #[tokio::test]
    async fn accounts_and_groups_are_subjects_too() {
        let store = store();
        reader(&store, BINDINGS, "shop/", json!({"kind": "ServiceAccount", "name": "till"})).await;
        reader(
            &store,
            CLUSTER_BINDINGS,
            "",
            json!({"kind": "Group", "name": "staff", "namespace": "ignored"}),
        )
        .await;
        let authorizer = Authorizer::new(store);
        assert!(authorizer.allows(&User::service_account("shop", "till"), &get_pod(Some("shop"))));
        assert!(!authorizer.allows(&User::service_account("bank", "till"), &get_pod(Some("shop"))));
        assert!(authorizer.allows(&User::new("eve", ["staff"]), &get_pod(Some("any"))));
    }

    #[tokio::test]
    async fn a_change_is_followed() {
        let store = store();
        let authorizer = Arc::new(Authorizer::new(store.clone()));
        let ann = User::new("ann", [""; 0]);
        assert!(!authorizer.allows(&ann, &get_pod(None)));
        reader(&store, CLUSTER_BINDINGS, "", json!({"kind": "User", "name": "ann"})).await;
        store.stop().await.unwrap();
        authorizer.follow().await;
        assert!(authorizer.allows(&ann, &get_pod(None)));
    }

    #[test]
    fn refusals_read_as_upstream() {
        let ann = User::new("ann", [""; 0]);
        assert_eq!(
            get_pod(Some("shop")).refusal(&ann),
            r#"User "ann" cannot get resource "pods" in API group "" in the namespace "shop""#
        );
        assert_eq!(
            Attempt::Path { verb: "get", path: "/x" }.refusal(&ann),
            r#"User "ann" cannot get path "/x""#
        );
    }
}
