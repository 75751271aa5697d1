//! RBAC's own objects, as far as a decision needs them, and what a rule allows.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<String>,
}

/// A Role or a ClusterRole.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Role {
    pub(crate) metadata: Named,
    /// Null where someone wrote `rules: null`.
    pub(crate) rules: Option<Vec<Rule>>,
}

/// A RoleBinding or a ClusterRoleBinding.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Binding {
    pub(crate) metadata: Named,
    pub(crate) subjects: Option<Vec<Subject>>,
    pub(crate) role_ref: RoleRef,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) namespace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(crate) struct Subject {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RoleRef {
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt<'a> {
    Resource(Access<'a>),
    Path { verb: &'a str, path: &'a str },
}

/// A verb on objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    /// Of a list too, where a field selector leaves but one.
    pub(crate) name: Option<&'a str>,
    /// The node whose pods a list is limited to by its field selector.
    pub(crate) node: Option<&'a str>,
}

impl Rule {
    pub(crate) fn allows(&self, attempt: &Attempt<'_>) -> bool {
        match *attempt {
            Attempt::Resource(access) => {
                has(&self.verbs, access.verb)
                    && has(&self.api_groups, access.group)
                    && self.names_resource(access.resource, access.subresource)
                    && self.names_object(access.name)
            }
            Attempt::Path { verb, path } => {
                has(&self.verbs, verb) && self.paths.iter().any(|pattern| matches_path(pattern, path))
            }
        }
    }

    fn names_resource(&self, resource: &str, subresource: Option<&str>) -> bool {
        self.resources.iter().any(|allowed| match (allowed.as_str(), subresource) {
            ("*", _) => true,
            (allowed, None) => allowed == resource,
            (allowed, Some(subresource)) => allowed
                .split_once('/')
                .is_some_and(|(of, part)| (of == "*" || of == resource) && part == subresource),
        })
    }

    /// A rule without names is about all objects; one with names is about none whose name is not known yet.
    fn names_object(&self, name: Option<&str>) -> bool {
        let name = name.unwrap_or_default();
        self.resource_names.is_empty() || self.resource_names.iter().any(|allowed| allowed == name)
    }
}

fn has(allowed: &[String], wanted: &str) -> bool {
    allowed.iter().any(|allowed| allowed == "*" || allowed == wanted)
}

fn matches_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(json: serde_json::Value) -> Rule {
        serde_json::from_value(json).unwrap()
    }

    fn on<'a>(
        verb: &'a str,
        resource: &'a str,
        subresource: Option<&'a str>,
        name: Option<&'a str>,
    ) -> Attempt<'a> {
        Attempt::Resource(Access { verb, resource, subresource, name, ..Access::default() })
    }

    #[test]
    fn a_rule_allows_what_it_names_and_no_more() {
        let pods = rule(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}));
        assert!(pods.allows(&on("get", "pods", None, Some("a"))));
        assert!(!pods.allows(&on("list", "pods", None, None)));
        assert!(!pods.allows(&on("get", "pods", Some("log"), Some("a"))), "a subresource is named by itself");
        let apps =
            Attempt::Resource(Access { verb: "get", group: "apps", resource: "pods", ..Access::default() });
        assert!(!pods.allows(&apps));
        let logs = rule(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["pods/log", "*/scale"]}));
        assert!(logs.allows(&on("get", "pods", Some("log"), None)));
        assert!(logs.allows(&on("update", "deployments", Some("scale"), None)));
        assert!(!logs.allows(&on("get", "pods", None, None)));
    }

    #[test]
    fn names_bind_to_objects() {
        let one =
            rule(json!({"verbs": ["*"], "apiGroups": [""], "resources": ["*"], "resourceNames": ["a"]}));
        assert!(one.allows(&on("get", "secrets", None, Some("a"))));
        assert!(!one.allows(&on("get", "secrets", None, Some("b"))));
        assert!(!one.allows(&on("list", "secrets", None, None)), "a list has no name");
    }

    #[test]
    fn paths_end_in_a_star_or_match_as_they_are() {
        let paths = rule(json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]}));
        for (path, expected) in
            [("/healthz", true), ("/healthz/x", false), ("/apis/apps", true), ("/api", false)]
        {
            assert_eq!(paths.allows(&Attempt::Path { verb: "get", path }), expected, "{path}");
        }
        assert!(!paths.allows(&on("get", "healthz", None, None)));
    }
}
