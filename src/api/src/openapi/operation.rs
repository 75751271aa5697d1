//! The paths of resources and what may be done there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::definition::{list_name, reference};
use super::{Dialect, Resource};
use crate::schema::Node;

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// Every path of the resources, in order.
pub(super) fn paths(resources: &[Resource<'_>], dialect: Dialect) -> impl Iterator<Item = (String, Value)> {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for resource in resources {
        let root = resource.root();
        let plural = resource.plural;
        let collection = match resource.namespaced {
            true => format!("/{root}/namespaces/{{namespace}}/{plural}"),
            false => format!("/{root}/{plural}"),
        };
        let target = Target::of(resource);
        for verb in &resource.verbs {
            let Some((method, action, scope)) = operation(verb) else { continue };
            let path =
                if scope == Scope::Object { format!("{collection}/{{name}}") } else { collection.clone() };
            let item = paths.entry(path).or_default();
            item.insert(method.to_owned(), target.operation(action, scope, dialect));
        }
        if resource.namespaced && resource.verbs.contains(&"list") {
            let everywhere = target.everywhere();
            let item = paths.entry(format!("/{root}/{plural}")).or_default();
            item.insert("get".to_owned(), everywhere.operation("list", Scope::Collection, dialect));
        }
        for sub in &resource.subresources {
            let target = target.below(sub.name, [sub.group, sub.version, sub.kind], sub.node);
            let item = paths.entry(format!("{collection}/{{name}}/{}", sub.name)).or_default();
            for verb in &sub.verbs {
                let Some((method, action, _)) = operation(verb) else { continue };
                item.insert(method.to_owned(), target.operation(action, Scope::Object, dialect));
            }
        }
    }
    paths.into_iter().filter(|(_, item)| !item.is_empty()).map(|(path, item)| (path, Value::Object(item)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Object,
    Collection,
}

/// The method, `x-kubernetes-action` and place of a verb. Watching is a way to list.
fn operation(verb: &str) -> Option<(&'static str, &'static str, Scope)> {
    Some(match verb {
        "get" => ("get", "get", Scope::Object),
        "list" => ("get", "list", Scope::Collection),
        "create" => ("post", "post", Scope::Collection),
        "update" => ("put", "put", Scope::Object),
        "patch" => ("patch", "patch", Scope::Object),
        "delete" => ("delete", "delete", Scope::Object),
        "deletecollection" => ("delete", "deletecollection", Scope::Collection),
        _ => return None,
    })
}

/// What the operations of a path act on.
#[derive(Clone)]
struct Target<'a> {
    /// Of the resource: operations are named and tagged after it.
    group: &'a str,
    version: &'a str,
    /// Of the object that goes in and out.
    gvk: [&'a str; 3],
    definition: &'a str,
    /// `NamespacedPod`, `NamespacedPodStatus`, `PodForAllNamespaces`.
    name: String,
    namespaced: bool,
}

impl<'a> Target<'a> {
    fn of(resource: &Resource<'a>) -> Self {
        let scope = if resource.namespaced { "Namespaced" } else { "" };
        Self {
            group: resource.group,
            version: resource.version,
            gvk: [resource.group, resource.version, resource.kind],
            definition: resource.node.type_name().unwrap_or_default(),
            name: format!("{scope}{}", resource.kind),
            namespaced: resource.namespaced,
        }
    }

    fn everywhere(&self) -> Self {
        let kind = self.gvk[2];
        Self { name: format!("{kind}ForAllNamespaces"), namespaced: false, ..self.clone() }
    }

    fn below(&self, subresource: &str, gvk: [&'a str; 3], node: Node<'a>) -> Self {
        let name = format!("{}{}", self.name, capitalized(subresource));
        Self { gvk, definition: node.type_name().unwrap_or_default(), name, ..self.clone() }
    }

    fn operation(&self, action: &str, scope: Scope, dialect: Dialect) -> Value {
        let [group, version, kind] = self.gvk;
        let mut operation = json!({
            "operationId": self.id(action),
            "tags": [self.tag()],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind },
        });
        let answer = match action {
            "list" => list_name(self.definition),
            "deletecollection" | "delete" => STATUS.to_owned(),
            _ => self.definition.to_owned(),
        };
        operation["responses"] = responses(action, &reference(&answer, dialect), dialect);
        let mut parameters = self.parameters(action, scope, dialect);
        if let Some((schema, types)) = self.body(action, dialect) {
            match dialect {
                Dialect::V2 => {
                    parameters
                        .push(json!({ "in": "body", "name": "body", "required": true, "schema": schema }));
                    operation["consumes"] = types.into();
                }
                Dialect::V3 => {
                    let content =
                        types.into_iter().map(|kind| (kind.to_owned(), json!({ "schema": schema })));
                    let content: Map<String, Value> = content.collect();
                    operation["requestBody"] = json!({ "content": content, "required": true });
                }
            }
        }
        operation["parameters"] = parameters.into();
        operation
    }

    /// `readCoreV1NamespacedPod`
    fn id(&self, action: &str) -> String {
        let verb = match action {
            "get" => "read",
            "post" => "create",
            "put" => "replace",
            "deletecollection" => "deleteCollection",
            other => other,
        };
        format!("{verb}{}{}{}", capitalized(self.group_word()), capitalized(self.version), self.name)
    }

    fn tag(&self) -> String {
        format!("{}_{}", self.group_word(), self.version)
    }

    fn group_word(&self) -> &str {
        match self.group {
            "" => "core",
            group => group.split('.').next().unwrap_or(group),
        }
    }

    fn body(&self, action: &str, dialect: Dialect) -> Option<(Value, Vec<&'static str>)> {
        match action {
            "post" | "put" => Some((reference(self.definition, dialect), vec!["*/*"])),
            "delete" | "deletecollection" => Some((reference(DELETE_OPTIONS, dialect), vec!["*/*"])),
            "patch" => Some((json!({ "type": "object" }), PATCHES.to_vec())),
            _ => None,
        }
    }

    fn parameters(&self, action: &str, scope: Scope, dialect: Dialect) -> Vec<Value> {
        let mut parameters = Vec::new();
        if scope == Scope::Object {
            parameters.push(parameter("path", "name", "string", dialect));
        }
        if self.namespaced {
            parameters.push(parameter("path", "namespace", "string", dialect));
        }
        let queries = queries(action).iter();
        parameters.extend(queries.map(|(name, kind)| parameter("query", name, kind, dialect)));
        parameters
    }
}

fn queries(action: &str) -> &'static [(&'static str, &'static str)] {
    match action {
        "list" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "post" | "put" => &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        "delete" => {
            &[("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("propagationPolicy", "string")]
        }
        "deletecollection" => &[
            ("dryRun", "string"),
            ("fieldSelector", "string"),
            ("gracePeriodSeconds", "integer"),
            ("labelSelector", "string"),
            ("propagationPolicy", "string"),
        ],
        _ => &[],
    }
}

fn parameter(place: &str, name: &str, kind: &str, dialect: Dialect) -> Value {
    let mut parameter = json!({ "in": place, "name": name });
    match dialect {
        Dialect::V2 => parameter["type"] = kind.into(),
        Dialect::V3 => parameter["schema"] = json!({ "type": kind }),
    }
    if place == "path" {
        parameter["required"] = true.into();
    }
    parameter
}

fn responses(action: &str, schema: &Value, dialect: Dialect) -> Value {
    let code = if action == "post" { "201" } else { "200" };
    let description = if action == "post" { "Created" } else { "OK" };
    let answer = match dialect {
        Dialect::V2 => json!({ "description": description, "schema": schema }),
        Dialect::V3 => {
            json!({ "description": description, "content": { "application/json": { "schema": schema } } })
        }
    };
    json!({ code: answer, "401": { "description": "Unauthorized" } })
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
