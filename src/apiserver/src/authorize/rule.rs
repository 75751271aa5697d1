//! RBAC's own objects, as far as a decision needs them, and what a rule allows.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    pub(super) api_groups: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    pub(super) paths: Vec<String>,
}

/// A Role or a ClusterRole.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Role {
    pub(super) metadata: Named,
    /// Null where someone wrote `rules: null`.
    pub(super) rules: Option<Vec<Rule>>,
}

/// A RoleBinding or a ClusterRoleBinding.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Binding {
    pub(super) metadata: Named,
    pub(super) subjects: Option<Vec<Subject>>,
    pub(super) role_ref: RoleRef,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) namespace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(super) struct Subject {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RoleRef {
    pub(super) kind: String,
    pub(super) name: String,
}

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt<'a> {
    Resource {
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        subresource: Option<&'a str>,
        namespace: Option<&'a str>,
        name: Option<&'a str>,
    },
    Path {
        verb: &'a str,
        path: &'a str,
    },
}

impl Rule {
    pub(super) fn allows(&self, attempt: &Attempt<'_>) -> bool {
        match *attempt {
            Attempt::Resource { verb, group, resource, subresource, name, .. } => {
                has(&self.verbs, verb)
                    && has(&self.api_groups, group)
                    && self.names_resource(resource, subresource)
                    && self.names_object(name)
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
        Attempt::Resource { verb, group: "", resource, subresource, namespace: None, name }
    }

    #[test]
    fn a_rule_allows_what_it_names_and_no_more() {
        let pods = rule(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}));
        assert!(pods.allows(&on("get", "pods", None, Some("a"))));
        assert!(!pods.allows(&on("list", "pods", None, None)));
        assert!(!pods.allows(&on("get", "pods", Some("log"), Some("a"))), "a subresource is named by itself");
        let apps = Attempt::Resource {
            verb: "get",
            group: "apps",
            resource: "pods",
            subresource: None,
            namespace: None,
            name: None,
        };
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
