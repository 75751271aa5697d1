//! What the API publishes about itself: `/openapi/v3`, its documents per group and version, and `/openapi/v2`.
//!
//! All are written from the schemas when they are asked for, definition by definition: a tree of the whole would take ten
//! megabytes. Clients keep what they got for as long as its hash stays the same.

mod definition;
mod operation;
mod protobuf;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::schema::{self, Node};
use definition::Definitions;

/// One resource as the documents describe it.
#[derive(Clone, Debug)]
pub struct Resource<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub list_kind: &'a str,
    pub plural: &'a str,
    pub namespaced: bool,
    pub node: Node<'a>,
    /// As discovery spells them.
    pub verbs: Vec<&'a str>,
    pub subresources: Vec<Subresource<'a>>,
}

#[derive(Clone, Debug)]
pub struct Subresource<'a> {
    pub name: &'a str,
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub node: Node<'a>,
    pub verbs: Vec<&'a str>,
}

impl Resource<'static> {
    /// The resource of an entry of the kind table; old versions are served and not described, as upstream no longer does.
    /// Subresources that are streams have no schema and are left out.
    pub fn of(kind: &'static Kind) -> Option<Self> {
        let subresources = kind.subresources.iter().filter_map(|sub| {
            let node = if sub.kind == kind.kind {
                schema::by_name(kind.schema)
            } else {
                named(sub.version, sub.kind)
            };
            let verbs = sub.verbs.iter().map(|verb| verb.as_str()).collect();
            Some(Subresource {
                name: sub.name,
                group: sub.group,
                version: sub.version,
                kind: sub.kind,
                node: node?,
                verbs,
            })
        });
        Some(Self {
            group: kind.group,
            version: kind.version,
            kind: kind.kind,
            list_kind: kind.list_kind,
            plural: kind.plural,
            namespaced: kind.namespaced,
            node: kind.own_schema()?,
            verbs: kind.verbs.iter().map(|verb| verb.as_str()).collect(),
            subresources: subresources.collect(),
        })
    }
}

/// The built-in type of a kind that has no entry of its own: `Scale`, `Eviction`, `TokenRequest`.
fn named(version: &str, kind: &str) -> Option<Node<'static>> {
    let suffix = format!(".{version}.{kind}");
    schema::builtin().definitions().find(|(name, _)| name.ends_with(&suffix)).map(|(_, node)| node)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

impl Resource<'_> {
    /// `api/v1`, `apis/apps/v1`: where the group and version are served, and their key in the index.
    pub fn root(&self) -> String {
        match self.group {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }
}

/// `/openapi/v3`: where the documents are, each with the [`hash`] of what all of them say.
pub fn index(resources: &[Resource<'_>], hash: &str) -> Value {
    let entry = |resource: &Resource<'_>| {
        let root = resource.root();
        let url = format!("/openapi/v3/{root}?hash={hash}");
        (root, json!({ "serverRelativeURL": url }))
    };
    let paths: BTreeMap<String, Value> = resources.iter().map(entry).collect();
    json!({ "paths": paths })
}

/// Changes when any document does: with the schemas this program was built with, and with what is served.
pub fn hash(resources: &[Resource<'_>]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    schema::FINGERPRINT.hash(&mut hasher);
    for resource in resources {
        format!("{resource:?}").hash(&mut hasher);
    }
    format!("{:016X}", hasher.finish())
}

/// `/openapi/v3/{root}`: the document of one group and version, as JSON.
pub fn v3(resources: &[Resource<'_>]) -> Vec<u8> {
    let mut out = wire::Object::new();
    out.member("openapi", &json!("3.0.0"));
    out.member("info", &info());
    out.members("paths", operation::paths(resources, Dialect::V3));
    let mut components = wire::Object::new();
    components.members("schemas", Definitions::new(resources, Dialect::V3));
    out.raw("components", &components.finish());
    out.finish()
}

/// `/openapi/v2`, as JSON.
pub fn v2(resources: &[Resource<'_>]) -> Vec<u8> {
    let mut out = wire::Object::new();
    out.member("swagger", &json!("2.0"));
    out.member("info", &info());
    out.members("paths", operation::paths(resources, Dialect::V2));
    out.members("definitions", Definitions::new(resources, Dialect::V2));
    out.finish()
}

/// `/openapi/v2`, in the protobuf form that kubectl asks for.
pub fn v2_protobuf(resources: &[Resource<'_>]) -> Vec<u8> {
    let paths = operation::paths(resources, Dialect::V2);
    protobuf::document(&info(), paths, Definitions::new(resources, Dialect::V2))
}

fn info() -> Value {
    json!({ "title": "Kubernetes", "version": "v1.37.0" })
}
