//! `roles.txt`, as the objects it stands for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

const TABLE: &str = include_str!("roles.txt");

const GROUP: &str = "rbac.authorization.k8s.io";
const CONTROLLER: &str = "system:controller:";

/// One object to make or keep up, and where.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) collection: String,
    pub(super) object: Value,
}

/// All roles, then all bindings.
pub(super) fn objects() -> Vec<Wanted> {
    let roles: Vec<Role<'_>> = blocks(TABLE).map(Role::parse).collect();
    let mut wanted: Vec<Wanted> = roles.iter().map(|role| role.object(&roles)).collect();
    wanted.extend(roles.iter().filter_map(Role::binding));
    wanted
}

/// A role with its rules: the lines from one that is not indented to the next.
fn blocks(table: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let lines = table.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in lines {
        match (line.starts_with(' '), blocks.last_mut()) {
            (true, Some((_, rules))) => rules.push(line),
            _ => blocks.push((line, Vec::new())),
        }
    }
    blocks.into_iter()
}

struct Role<'a> {
    namespace: Option<&'a str>,
    name: &'a str,
    holders: Vec<&'a str>,
    /// The word of the roles that this one is made of.
    made_of: Option<&'a str>,
    part_of: Option<&'a str>,
    rules: Vec<Value>,
}

impl<'a> Role<'a> {
    fn parse((head, rules): (&'a str, Vec<&'a str>)) -> Self {
        let words: Vec<&str> = head.split_whitespace().collect();
        let after = |arrow: &str| {
            let at = words.iter().position(|word| *word == arrow)?;
            words.get(at + 1).copied()
        };
        let full = words.first().copied().unwrap_or_default();
        let (namespace, name) = match full.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, full),
        };
        Self {
            namespace,
            name,
            holders: words.iter().filter_map(|word| word.strip_prefix('@')).collect(),
            made_of: after("<="),
            part_of: after("=>"),
            rules: rules.into_iter().flat_map(self::rules).collect(),
        }
    }

    fn object(&self, all: &[Self]) -> Wanted {
        let mut object = json!({"metadata": self.metadata(), "rules": self.all_rules(all)});
        if let Some(part) = self.part_of {
            object["metadata"]["labels"][aggregated(part)] = "true".into();
        }
        if let Some(made_of) = self.made_of {
            let selector = json!({"matchLabels": {aggregated(made_of): "true"}});
            object["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
        }
        Wanted { collection: self.collection("roles"), object }
    }

    /// The rules that the role says, or that those say which it is made of.
    fn all_rules(&self, all: &[Self]) -> Vec<Value> {
        let Some(word) = self.made_of else { return self.rules.clone() };
        all.iter().filter(|part| part.part_of == Some(word)).flat_map(|part| part.all_rules(all)).collect()
    }

    fn binding(&self) -> Option<Wanted> {
        let account = self.name.strip_prefix(CONTROLLER).map(|name| format!("account:kube-system/{name}"));
        let holders = self.holders.iter().copied().chain(account.as_deref());
        let subjects: Vec<Value> = holders.map(subject).collect();
        if subjects.is_empty() {
            return None;
        }
        let kind = if self.namespace.is_some() { "Role" } else { "ClusterRole" };
        let object = json!({
            "metadata": self.metadata(), "subjects": subjects,
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": self.name},
        });
        Some(Wanted { collection: self.collection("rolebindings"), object })
    }

    fn metadata(&self) -> Value {
        json!({
            "name": self.name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        })
    }

    fn collection(&self, plural: &str) -> String {
        match self.namespace {
            Some(namespace) => format!("/apis/{GROUP}/v1/namespaces/{namespace}/{plural}"),
            None => format!("/apis/{GROUP}/v1/cluster{plural}"),
        }
    }
}

fn aggregated(word: &str) -> String {
    format!("{GROUP}/aggregate-to-{word}")
}

fn subject(holder: &str) -> Value {
    match holder.split_once(':').unwrap_or_default() {
        ("account", account) => {
            let (namespace, name) = account.split_once('/').unwrap_or_default();
            json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
        }
        ("user", name) => json!({"apiGroup": GROUP, "kind": "User", "name": name}),
        (_, name) => json!({"apiGroup": GROUP, "kind": "Group", "name": name}),
    }
}

/// The rules of one line: one for each API group and each object that is named.
fn rules(line: &str) -> Vec<Value> {
    let mut words = line.split_whitespace();
    let verbs: Vec<&str> = words.next().unwrap_or_default().split(',').flat_map(verbs).collect();
    let mut paths = Vec::new();
    let mut resources = BTreeMap::<(&str, Option<&str>), Vec<String>>::new();
    for word in words {
        if word == "*" || word.starts_with('/') {
            paths.push(word);
            continue;
        }
        let (target, object) = match word.split_once('=') {
            Some((target, object)) => (target, Some(object)),
            None => (word, None),
        };
        let (whole, below) = target.split_once('/').unwrap_or((target, ""));
        let (resource, group) = whole.split_once('.').unwrap_or((whole, ""));
        let resource = if below.is_empty() { resource.to_owned() } else { format!("{resource}/{below}") };
        resources.entry((group, object)).or_default().push(resource);
    }
    let mut rules: Vec<Value> = resources
        .into_iter()
        .map(|((group, object), resources)| {
            let mut rule = Map::from_iter([
                ("apiGroups".to_owned(), json!([group])),
                ("resources".to_owned(), json!(resources)),
                ("verbs".to_owned(), json!(verbs)),
            ]);
            rule.extend(object.map(|object| ("resourceNames".to_owned(), json!([object]))));
            Value::Object(rule)
        })
        .collect();
    if !paths.is_empty() {
        rules.push(json!({"nonResourceURLs": paths, "verbs": verbs}));
    }
    rules
}

/// The verbs that a word stands for.
fn verbs(word: &str) -> Vec<&str> {
    match word {
        "read" => vec!["get", "list", "watch"],
        "write" => vec!["create", "update", "patch", "delete", "deletecollection"],
        _ => vec![word],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(objects: &'a [Wanted], collection: &str, name: &str) -> &'a Value {
        let found = objects.iter().find(|wanted| {
            wanted.collection.ends_with(collection) && wanted.object["metadata"]["name"] == name
        });
        &found.unwrap_or_else(|| panic!("no {name}")).object
    }

    #[test]
    fn every_resource_of_a_rule_is_one_that_is_served() {
        let elsewhere =
            ["metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io", "extensions", "*"];
        for wanted in objects() {
            for rule in wanted.object["rules"].as_array().into_iter().flatten() {
                let group = rule["apiGroups"][0].as_str().unwrap_or("*");
                for resource in rule["resources"].as_array().into_iter().flatten() {
                    let resource = resource.as_str().unwrap().split('/').next().unwrap();
                    // Names of access rights that are no resources.
                    let known = matches!(resource, "*" | "signers" | "clustertrustbundles")
                        || elsewhere.contains(&group)
                        || api::kinds::all().any(|kind| kind.group == group && kind.plural == resource);
                    assert!(known, "{} names {resource} of {group:?}", wanted.object["metadata"]["name"]);
                }
            }
        }
    }

    #[test]
    fn roles_are_made_of_others_and_held() {
        let objects = objects();
        let edit = named(&objects, "/clusterroles", "edit");
        assert_eq!(edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"], "true");
        let rules = edit["rules"].as_array().unwrap();
        let viewing = |rule: &&Value| rule["resources"][0] == "pods" && rule["verbs"][0] == "get";
        assert!(rules.iter().any(|rule| viewing(&rule)), "what may be edited may be seen");
        let admin = named(&objects, "/clusterroles", "admin")["rules"].as_array().unwrap();
        assert!(admin.len() > rules.len());
        let binding = named(&objects, "/clusterrolebindings", "system:controller:job-controller");
        assert_eq!(
            binding["subjects"],
            json!([{"kind": "ServiceAccount", "namespace": "kube-system", "name": "job-controller"}])
        );
        let all = named(&objects, "/clusterroles", "cluster-admin");
        assert_eq!(all["rules"][0], json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}));
        assert_eq!(all["rules"][1], json!({"nonResourceURLs": ["*"], "verbs": ["*"]}));
        let local = named(&objects, "/kube-system/rolebindings", "extension-apiserver-authentication-reader");
        assert_eq!(local["roleRef"]["kind"], "Role");
    }

    #[test]
    fn a_line_is_one_rule_for_each_group_and_object() {
        assert_eq!(
            rules("    get,update pods/log leases.coordination.k8s.io=a nodes /x"),
            [
                json!({"apiGroups": [""], "resources": ["pods/log", "nodes"], "verbs": ["get", "update"]}),
                json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["a"],
                    "verbs": ["get", "update"]}),
                json!({"nonResourceURLs": ["/x"], "verbs": ["get", "update"]}),
            ]
        );
    }
}
