//! The definitions that a set of resources needs, each as its JSON schema.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec;

use serde_json::{Map, Value, json};

use super::{Dialect, Resource};
use crate::schema::{self, Descriptions, Field, ListKind, Node, PatchStrategy, Scalar, Shape, Unknown};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Yields every definition by name, in order.
pub(super) struct Definitions<'a> {
    dialect: Dialect,
    names: Peekable<vec::IntoIter<(String, Source<'a>)>>,
    descriptions: Descriptions<'a>,
    of: &'a schema::Schema,
    kinds: BTreeMap<String, Vec<Value>>,
}

/// Where a definition comes from.
enum Source<'a> {
    Type(Node<'a>),
    Scalar(Scalar),
    List { kind: &'a str, item: &'a str, node: Node<'a> },
}

impl<'a> Definitions<'a> {
    pub(super) fn new(resources: &[Resource<'a>], dialect: Dialect) -> Self {
        let mut found: BTreeMap<String, Source<'a>> = BTreeMap::new();
        let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut name = |name: &str, group: &str, version: &str, kind: &str| {
            let entry = json!({ "group": group, "version": version, "kind": kind });
            let entries = kinds.entry(name.to_owned()).or_default();
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        };
        for resource in resources {
            let Some(definition) = resource.node.type_name() else { continue };
            collect(resource.node, &mut found);
            name(definition, resource.group, resource.version, resource.kind);
            if resource.verbs.contains(&"list") {
                let list = list_name(definition);
                name(&list, resource.group, resource.version, resource.list_kind);
                let (kind, node) = (resource.list_kind, resource.node);
                found.insert(list, Source::List { kind, item: definition, node });
            }
            for sub in &resource.subresources {
                collect(sub.node, &mut found);
                name(sub.node.type_name().unwrap_or_default(), sub.group, sub.version, sub.kind);
            }
        }
        for meta in ["Status", "DeleteOptions", "ListMeta"].map(|kind| format!("{META}{kind}")) {
            schema::by_name(&meta).into_iter().for_each(|node| collect(node, &mut found));
        }
        name(&format!("{META}Status"), "", "v1", "Status");
        name(&format!("{META}DeleteOptions"), "", "v1", "DeleteOptions");
        let names: Vec<_> = found.into_iter().collect();
        let of = schema::builtin();
        Self { dialect, names: names.into_iter().peekable(), descriptions: of.descriptions(), of, kinds }
    }
}

/// `…v1.Pod` to `…v1.PodList`.
pub(super) fn list_name(definition: &str) -> String {
    format!("{definition}List")
}

/// The named types that a node refers to, itself included.
fn collect<'a>(node: Node<'a>, found: &mut BTreeMap<String, Source<'a>>) {
    match node.shape() {
        Shape::Object { .. } => {
            if let Some(name) = node.type_name()
                && found.insert(name.to_owned(), Source::Type(node)).is_some()
            {
                return;
            }
            node.fields().for_each(|field| collect(field.node(), found));
        }
        Shape::Map { values, .. } => collect(values, found),
        Shape::List { items, .. } => collect(items, found),
        Shape::Scalar(scalar) => {
            if let Some(name) = scalar_name(scalar) {
                found.insert(name.to_owned(), Source::Scalar(scalar));
            }
        }
        Shape::Either { .. } | Shape::Any | Shape::AnyObject => {}
    }
}

impl Iterator for Definitions<'_> {
    type Item = (String, Value);

    fn next(&mut self) -> Option<(String, Value)> {
        let (name, source) = self.names.next()?;
        let mut definition = match source {
            Source::Type(node) => self.object(node),
            Source::Scalar(scalar) => scalar_definition(scalar, self.dialect),
            Source::List { kind, item, node } => self.list(kind, item, node),
        };
        let description = match source {
            Source::Type(node) => self.descriptions_of(node).definition(&name),
            _ => self.descriptions.definition(&name),
        };
        if let Some(description) = description {
            definition.insert("description".to_owned(), description.into());
        }
        if let Some(kinds) = self.kinds.remove(&name) {
            definition.insert("x-kubernetes-group-version-kind".to_owned(), kinds.into());
        }
        Some((name, Value::Object(definition)))
    }
}

type Members = Map<String, Value>;

impl<'a> Definitions<'a> {
    fn object(&mut self, node: Node<'a>) -> Members {
        let mut object = members(json!({ "type": "object" }));
        let mut properties = Members::new();
        for field in node.fields() {
            properties.insert(field.name().to_owned(), Value::Object(self.field(node, field)));
        }
        if !properties.is_empty() {
            object.insert("properties".to_owned(), properties.into());
        }
        let required: Vec<&str> = node.fields().filter(|field| field.required()).map(Field::name).collect();
        if !required.is_empty() {
            object.insert("required".to_owned(), required.into());
        }
        match node.shape() {
            Shape::Object { atomic: true, .. } => {
                drop(object.insert("x-kubernetes-map-type".to_owned(), "atomic".into()));
            }
            Shape::Object { unknown: Unknown::Kept, .. } => {
                object.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
            }
            _ => {}
        }
        object
    }

    fn field(&mut self, owner: Node<'a>, field: Field<'a>) -> Members {
        let mut property = self.reference(field.node());
        if let Some(description) = self.descriptions_of(owner).field(field) {
            property.insert("description".to_owned(), description.into());
        }
        if let Some(default) = field.default() {
            property.insert("default".to_owned(), default);
        }
        if field.nullable() && self.dialect == Dialect::V3 {
            property.insert("nullable".to_owned(), true.into());
        }
        property.extend(patch(field.node().patch()));
        property
    }

    /// The type of a field or element: a reference where the type has a name.
    fn reference(&mut self, node: Node<'a>) -> Members {
        match node.shape() {
            Shape::Object { .. } => match node.type_name() {
                Some(name) => self.refer(name),
                None => self.object(node),
            },
            Shape::Map { values, atomic } => {
                let values = self.reference(values);
                let mut map = members(json!({ "type": "object", "additionalProperties": values }));
                if atomic {
                    map.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
                }
                map
            }
            Shape::List { items, list } => {
                let items = self.reference(items);
                let mut array = members(json!({ "type": "array", "items": items }));
                array.extend(list_type(list));
                array
            }
            Shape::Scalar(scalar) => match scalar_name(scalar) {
                Some(name) => self.refer(name),
                None => scalar_definition(scalar, self.dialect),
            },
            Shape::AnyObject => members(json!({ "type": "object" })),
            Shape::Any | Shape::Either { .. } => Members::new(),
        }
    }

    /// In version 3 nothing may stand beside a `$ref`.
    fn refer(&self, name: &str) -> Members {
        let reference = reference(name, self.dialect);
        match self.dialect {
            Dialect::V2 => members(reference),
            Dialect::V3 => members(json!({ "allOf": [reference] })),
        }
    }

    fn list(&mut self, kind: &str, item: &str, node: Node<'a>) -> Members {
        let mut properties = Members::new();
        for field in node.fields().filter(|field| matches!(field.name(), "apiVersion" | "kind")) {
            properties.insert(field.name().to_owned(), Value::Object(self.field(node, field)));
        }
        let items = self.refer(item);
        properties.insert("items".to_owned(), json!({ "type": "array", "items": items }));
        properties.insert("metadata".to_owned(), self.refer(&format!("{META}ListMeta")).into());
        members(json!({
            "description": format!("{kind} is a list of {}.", item.rsplit('.').next().unwrap_or(item)),
            "type": "object",
            "properties": properties,
            "required": ["items"],
        }))
    }

    fn descriptions_of(&mut self, node: Node<'a>) -> &mut Descriptions<'a> {
        if !std::ptr::eq(self.of, node.schema()) {
            self.of = node.schema();
            self.descriptions = self.of.descriptions();
        }
        &mut self.descriptions
    }
}

pub(super) fn reference(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::V2 => json!({ "$ref": format!("#/definitions/{name}") }),
        Dialect::V3 => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

fn members(value: Value) -> Members {
    match value {
        Value::Object(members) => members,
        _ => Members::new(),
    }
}

fn list_type(list: ListKind<'_>) -> Members {
    members(match list {
        ListKind::Atomic => json!({ "x-kubernetes-list-type": "atomic" }),
        ListKind::Set => json!({ "x-kubernetes-list-type": "set" }),
        ListKind::Keyed(keys) => {
            let keys: Vec<&str> = keys.iter().collect();
            json!({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys })
        }
    })
}

fn patch(patch: PatchStrategy<'_>) -> Members {
    let mut extensions = Members::new();
    let flags = [(patch.merge, "merge"), (patch.replace, "replace"), (patch.retain_keys, "retainKeys")];
    let flags: Vec<&str> = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    if !flags.is_empty() {
        extensions.insert("x-kubernetes-patch-strategy".to_owned(), flags.join(",").into());
    }
    if let Some(key) = patch.key {
        extensions.insert("x-kubernetes-patch-merge-key".to_owned(), key.into());
    }
    extensions
}

/// Scalars that are types of their own.
fn scalar_name(scalar: Scalar) -> Option<&'static str> {
    match scalar {
        Scalar::IntOrString => Some("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        Scalar::Quantity => Some("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        Scalar::Time => Some("io.k8s.apimachinery.pkg.apis.meta.v1.Time"),
        Scalar::MicroTime => Some("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"),
        _ => None,
    }
}

fn scalar_definition(scalar: Scalar, dialect: Dialect) -> Members {
    members(match (scalar, dialect) {
        (Scalar::String, _) | (Scalar::Quantity, Dialect::V2) => json!({ "type": "string" }),
        (Scalar::Bytes, _) => json!({ "type": "string", "format": "byte" }),
        (Scalar::Time | Scalar::MicroTime, _) => json!({ "type": "string", "format": "date-time" }),
        (Scalar::Bool, _) => json!({ "type": "boolean" }),
        (Scalar::Int32, _) => json!({ "type": "integer", "format": "int32" }),
        (Scalar::Int64, _) => json!({ "type": "integer", "format": "int64" }),
        (Scalar::Number, _) => json!({ "type": "number", "format": "double" }),
        (Scalar::IntOrString, Dialect::V2) => json!({ "type": "string", "format": "int-or-string" }),
        (Scalar::IntOrString, Dialect::V3) => {
            json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] })
        }
        (Scalar::Quantity, Dialect::V3) => json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
    })
}
