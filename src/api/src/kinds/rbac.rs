//! rbac.authorization.k8s.io: roles and who holds them.

use serde_json::Value;

use super::entry::{GroupVersion, names};
use super::{Kind, NameRule, Strategy};
use crate::field::{Errors, Node};
use crate::names;
use crate::table::{AGE, Column, NAME, Table, age, name};
use crate::value::{at, default_zero_to, items_mut, list, text};

const V1: GroupVersion = GroupVersion::new("rbac.authorization.k8s.io", "v1");
const GROUP: &str = "rbac.authorization.k8s.io";

const ROLE: Strategy = Strategy {
    name: NameRule::PathSegment,
    validate: namespaced_role,
    create_on_update: true,
    ..Strategy::PLAIN
};
const CLUSTER_ROLE: Strategy = Strategy { validate: cluster_role, ..ROLE };
const BINDING: Strategy = Strategy {
    defaults: binding_defaults,
    validate: |binding, errors| self::binding(binding, &["Role", "ClusterRole"], errors),
    validate_update: |new, old, errors| {
        let role = new.at("roleRef");
        if role.value != at(old, "roleRef") {
            errors.push(role.invalid("cannot change roleRef"));
        }
    },
    ..ROLE
};
const CLUSTER_BINDING: Strategy =
    Strategy { validate: |binding, errors| self::binding(binding, &["ClusterRole"], errors), ..BINDING };

pub(super) static KINDS: &[Kind] = &[
    Kind {
        strategy: CLUSTER_BINDING,
        table: &BINDING_TABLE,
        ..V1.cluster(names!("io.k8s.api.rbac.v1", ClusterRoleBinding, "clusterrolebindings"))
    },
    Kind { strategy: CLUSTER_ROLE, ..V1.cluster(names!("io.k8s.api.rbac.v1", ClusterRole, "clusterroles")) },
    Kind {
        strategy: BINDING,
        table: &BINDING_TABLE,
        ..V1.namespaced(names!("io.k8s.api.rbac.v1", RoleBinding, "rolebindings"))
    },
    Kind { strategy: ROLE, ..V1.namespaced(names!("io.k8s.api.rbac.v1", Role, "roles")) },
];

/// Subjects and roles belong to the groups their kinds live in.
fn binding_defaults(binding: &mut Value) {
    for subject in items_mut(binding, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            default_zero_to(subject, "apiGroup", GROUP);
        }
    }
    if let Some(role) = binding.get_mut("roleRef") {
        default_zero_to(role, "apiGroup", GROUP);
    }
}

fn namespaced_role(role: &Node<'_, '_>, errors: &mut Errors) {
    rules(role, true, errors);
}

fn cluster_role(role: &Node<'_, '_>, errors: &mut Errors) {
    rules(role, false, errors);
    let aggregation = role.at("aggregationRule");
    if aggregation.is_set() && aggregation.at("clusterRoleSelectors").list().is_empty() {
        errors.push(
            aggregation
                .at("clusterRoleSelectors")
                .required("at least one clusterRoleSelector required if aggregationRule is non-nil"),
        );
    }
    for selector in aggregation.at("clusterRoleSelectors").items() {
        let before = errors.len();
        crate::selector_rules::validate(&selector, errors);
        if errors.len() > before {
            errors.push(selector.invalid_as(Value::Null, "invalid label selector."));
        }
    }
}

fn rules(role: &Node<'_, '_>, namespaced: bool, errors: &mut Errors) {
    for rule in role.at("rules").items() {
        let (verbs, urls) = (rule.at("verbs"), rule.at("nonResourceURLs"));
        let (groups, resources) = (rule.at("apiGroups"), rule.at("resources"));
        if verbs.list().is_empty() {
            errors.push(verbs.required("verbs must contain at least one value"));
        }
        if !urls.list().is_empty() {
            if namespaced {
                errors.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
            }
            if !groups.is_zero() || !resources.is_zero() || !rule.at("resourceNames").is_zero() {
                errors
                    .push(urls.invalid("rules cannot apply to both regular resources and non-resource URLs"));
            }
            continue;
        }
        if groups.list().is_empty() {
            errors.push(groups.required("resource rules must supply at least one api group"));
        }
        if resources.list().is_empty() {
            errors.push(resources.required("resource rules must supply at least one resource"));
        }
    }
}

fn binding(binding: &Node<'_, '_>, kinds: &[&str], errors: &mut Errors) {
    let role = binding.at("roleRef");
    let (group, kind, name) = (role.at("apiGroup"), role.at("kind"), role.at("name"));
    if group.text() != GROUP {
        errors.push(group.unsupported(&[GROUP]));
    }
    if !kinds.contains(&kind.text()) {
        errors.push(kind.unsupported(kinds));
    }
    name.must_be(names::path_segment, errors);
    let namespaced = kinds.contains(&"Role");
    for subject in binding.at("subjects").items() {
        self::subject(&subject, namespaced, errors);
    }
}

fn subject(subject: &Node<'_, '_>, in_namespace: bool, errors: &mut Errors) {
    let (kind, name, group, namespace) =
        (subject.at("kind"), subject.at("name"), subject.at("apiGroup"), subject.at("namespace"));
    if name.text().is_empty() {
        errors.push(name.required(""));
    }
    match kind.text() {
        "ServiceAccount" => {
            name.check_given(names::subdomain, errors);
            if !group.text().is_empty() {
                errors.push(group.unsupported(&[""]));
            }
            if !in_namespace && namespace.text().is_empty() {
                errors.push(namespace.required(""));
            }
        }
        "User" | "Group" => {
            if group.text() != GROUP {
                errors.push(group.unsupported(&[GROUP]));
            }
        }
        _ => errors.push(kind.unsupported(&["ServiceAccount", "User", "Group"])),
    }
}

static BINDING_TABLE: Table = Table {
    columns: &[
        NAME,
        Column::text("Role"),
        AGE,
        Column::text("Users").wide(),
        Column::text("Groups").wide(),
        Column::text("ServiceAccounts").wide(),
    ],
    cells: |binding, now| {
        let role = format!("{}/{}", text(binding, "roleRef.kind"), text(binding, "roleRef.name"));
        let mut cells = vec![name(binding), role.into(), age(binding, now)];
        cells.extend(["User", "Group", "ServiceAccount"].map(|kind| subjects(binding, kind).into()));
        cells
    },
};

fn subjects(binding: &Value, kind: &str) -> String {
    let shown = |subject: &Value| match (kind, text(subject, "namespace"), text(subject, "name")) {
        ("ServiceAccount", namespace, name) if !namespace.is_empty() => format!("{namespace}/{name}"),
        (_, _, name) => name.to_owned(),
    };
    let found: Vec<String> =
        list(binding, "subjects").iter().filter(|subject| text(subject, "kind") == kind).map(shown).collect();
    found.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sentences(strategy: &Strategy, mut object: Value) -> Vec<String> {
        (strategy.defaults)(&mut object);
        let mut errors = Errors::new();
        (strategy.validate)(&Node::root(&object), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_name_verbs_groups_and_resources() {
        assert_eq!(
            sentences(&ROLE, json!({"rules": [{}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}]})),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
                "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
            ]
        );
    }

    #[test]
    fn bindings_default_their_groups() {
        let binding = |subject: Value, kind: &str| json!({"roleRef": {"kind": kind, "name": "r"}, "subjects": [subject]});
        assert_eq!(sentences(&BINDING, binding(json!({"kind": "User", "name": "u"}), "Role")), [""; 0]);
        assert_eq!(
            sentences(&CLUSTER_BINDING, binding(json!({"kind": "ServiceAccount", "name": "u"}), "Role")),
            [
                "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                "subjects[0].namespace: Required value",
            ]
        );
    }

    #[test]
    fn odd_bindings() {
        let found = |change: Value| {
            let base = json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]});
            sentences(&BINDING, crate::patch::merge(base, &change).unwrap())
        };
        for (change, expected) in [
            (
                json!({"roleRef": {"apiGroup": "x"}}),
                "roleRef.apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"",
            ),
            (
                json!({"roleRef": {"kind": "X"}}),
                "roleRef.kind: Unsupported value: \"X\": supported values: \"Role\", \"ClusterRole\"",
            ),
            (json!({"roleRef": {"name": ""}}), "roleRef.name: Required value"),
            (
                json!({"roleRef": {"name": "a/b"}}),
                "roleRef.name: Invalid value: \"a/b\": may not contain '/'",
            ),
            (json!({"subjects": [{"kind": "User"}]}), "subjects[0].name: Required value"),
            (
                json!({"subjects": [{"kind": "Robot", "name": "r"}]}),
                "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
            ),
            (
                json!({"subjects": [{"kind": "ServiceAccount", "name": "r", "apiGroup": "x"}]}),
                "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"\"",
            ),
        ] {
            assert_eq!(found(change), [expected]);
        }
        let old = json!({"roleRef": {"kind": "Role", "name": "r"}});
        let mut errors = Errors::new();
        (BINDING.validate_update)(
            &Node::root(&json!({"roleRef": {"kind": "Role", "name": "s"}})),
            &old,
            &mut errors,
        );
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["roleRef: Invalid value: {\"kind\":\"Role\",\"name\":\"s\"}: cannot change roleRef"]
        );
    }
}
