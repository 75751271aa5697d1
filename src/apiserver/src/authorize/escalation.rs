//! Nobody gives away what they do not have: whether rules are covered by other rules, and how those that are not read.

use super::rule::Rule;

impl Rule {
    /// The rules that allow everything.
    pub(crate) fn everything() -> [Self; 2] {
        let all = || vec!["*".to_owned()];
        let resources = Self { verbs: all(), api_groups: all(), resources: all(), ..Self::default() };
        [resources, Self { verbs: all(), paths: all(), ..Self::default() }]
    }

    /// The rule as single permissions: one verb on one resource, one object or one path each.
    fn singly(&self) -> Vec<Self> {
        let one = |value: &String| vec![value.clone()];
        let mut found = Vec::new();
        for verb in &self.verbs {
            for path in &self.paths {
                found.push(Self { verbs: one(verb), paths: one(path), ..Self::default() });
            }
            for group in &self.api_groups {
                for resource in &self.resources {
                    let whole = Self {
                        verbs: one(verb),
                        api_groups: one(group),
                        resources: one(resource),
                        ..Self::default()
                    };
                    match &self.resource_names[..] {
                        [] => found.push(whole),
                        names => found.extend(
                            names.iter().map(|name| Self { resource_names: one(name), ..whole.clone() }),
                        ),
                    }
                }
            }
        }
        found
    }

    /// Whether this rule allows all of `single`, which is one permission.
    fn covers(&self, single: &Self) -> bool {
        has_all(&self.verbs, &single.verbs)
            && has_all(&self.api_groups, &single.api_groups)
            && single.resources.iter().all(|resource| self.covers_resource(resource))
            && (self.resource_names.is_empty()
                || !single.resource_names.is_empty()
                    && has_each(&self.resource_names, &single.resource_names))
            && single.paths.iter().all(|path| self.covers_path(path))
    }

    fn covers_resource(&self, resource: &str) -> bool {
        self.resources.iter().any(|ours| {
            let part = |of: &str| resource.split_once('/').is_some_and(|(_, part)| of == part);
            ours == "*" || ours == resource || ours.strip_prefix("*/").is_some_and(part)
        })
    }

    fn covers_path(&self, path: &str) -> bool {
        self.paths
            .iter()
            .any(|ours| ours == path || ours.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix)))
    }
}

fn has_all(ours: &[String], wanted: &[String]) -> bool {
    ours.iter().any(|one| one == "*") || has_each(ours, wanted)
}

fn has_each(ours: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|one| ours.contains(one))
}

/// The permissions of `wanted` that `held` do not cover, as upstream shows them; nothing if all are.
pub(crate) fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<String> {
    let single = wanted.iter().flat_map(Rule::singly);
    let missing = single.filter(|single| !held.iter().any(|rule| rule.covers(single))).collect();
    let mut shown: Vec<String> = compact(missing).iter().map(text).collect();
    shown.sort();
    shown.dedup();
    shown
}

/// Permissions that differ in their verb alone are told as one.
fn compact(single: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for one in single {
        let same = |rule: &&mut Rule| {
            rule.api_groups == one.api_groups
                && rule.resources == one.resources
                && rule.resource_names == one.resource_names
                && rule.paths == one.paths
        };
        match rules.iter_mut().find(same) {
            Some(rule) => rule.verbs.extend(one.verbs),
            None => rules.push(one),
        }
    }
    rules
}

fn text(rule: &Rule) -> String {
    let parts = [
        ("APIGroups", &rule.api_groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.paths),
        ("ResourceNames", &rule.resource_names),
        ("Verbs", &rule.verbs),
    ];
    let shown = parts.into_iter().filter(|(_, values)| !values.is_empty());
    let shown: Vec<String> = shown.map(|(name, values)| format!("{name}:{}", quoted(values))).collect();
    format!("{{{}}}", shown.join(", "))
}

/// `["a" "b"]`
pub(crate) fn quoted(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", values.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(rules: serde_json::Value) -> Vec<Rule> {
        serde_json::from_value(rules).unwrap()
    }

    #[test]
    fn what_is_not_held_is_told() {
        let held = rules(json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/scale"]},
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["a"]},
            {"verbs": ["get"], "nonResourceURLs": ["/logs/*"]},
        ]));
        let covered = json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "deployments/scale"], "resourceNames": ["x"]},
            {"verbs": ["delete"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["a"]},
            {"verbs": ["get"], "nonResourceURLs": ["/logs/x"]},
        ]);
        assert_eq!(uncovered(&held, &rules(covered)), [""; 0]);
        let more = json!([
            {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]},
            {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
        ]);
        assert_eq!(
            uncovered(&held, &rules(more)),
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}"#,
                r#"{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}"#,
                r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#,
            ]
        );
        assert_eq!(uncovered(&Rule::everything(), &Rule::everything()), [""; 0]);
    }
}
