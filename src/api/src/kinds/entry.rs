//! What one entry of the kind table says.

use std::time::Duration;

use serde_json::Value;

use super::{Selectable, Strategy};
use crate::field::{Errors, Node};
use crate::table::{self, Table};
use crate::value::{items_mut, remove};

/// One resource: a kind under one group and version, with everything the generic request path needs to serve it.
#[derive(Debug)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub list_kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    /// In the order discovery shows them.
    pub verbs: &'static [Verb],
    pub subresources: &'static [Subresource],
    /// The definition's name in the OpenAPI document.
    pub schema: &'static str,
    pub strategy: Strategy,
    pub table: &'static Table,
    /// What the rows of that table stand by, before their names.
    pub row_order: Option<fn(&Value) -> i64>,
    /// Fields a field selector may name besides `metadata.name` and `metadata.namespace`.
    pub fields: Selectable,
    /// Kept in memory and written out rarely: changes often and losing the last seconds of it harms nobody.
    pub soft: bool,
    /// Objects of this kind vanish this long after their last write.
    pub ttl: Option<Duration>,
    /// Set where this entry is another view of a resource stored under a different group or version.
    pub conversion: Option<Conversion>,
    pub deprecation: Option<Deprecation>,
}

/// Since when clients should use something else.
#[derive(Debug)]
pub struct Deprecation {
    pub since: &'static str,
    /// The release that upstream serves it no more from.
    pub removed: Option<&'static str>,
    /// Group, version and kind to use instead.
    pub replacement: Option<(&'static str, &'static str, &'static str)>,
}

/// The stored form of a resource that is served under several groups or versions.
#[derive(Debug)]
pub struct Conversion {
    /// Group, version and plural of the stored form.
    pub hub: (&'static str, &'static str, &'static str),
    pub to_hub: fn(&mut Value),
    pub from_hub: fn(&mut Value),
    /// Fields of the stored form that this one does not have, under whatever name: `spec.rules[].host`.
    pub later: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

impl Verb {
    /// The verb as discovery and RBAC spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// A path segment below an object and the kind it speaks.
#[derive(Debug)]
pub struct Subresource {
    pub name: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub verbs: &'static [Verb],
    /// Set where the subresource is the object itself, of which it may change a part.
    pub rules: Option<&'static PartRules>,
}

/// What a write through a subresource does, where it is neither the object nor its status.
#[derive(Debug)]
pub struct PartRules {
    /// Carries over from the old object all that this write may not touch.
    pub prepare: fn(&mut Value, &Value),
    pub validate: fn(&Node<'_, '_>, &Value, &mut Errors),
}

impl Subresource {
    /// `v1`, `policy/v1`.
    pub fn api_version(&self) -> String {
        api_version(self.group, self.version)
    }

    /// The definition's name in the OpenAPI document.
    pub fn schema(&self) -> String {
        let package = match self.group {
            "" => "core",
            group => group.split('.').next().unwrap_or(group),
        };
        format!("io.k8s.api.{package}.{}.{}", self.version, self.kind)
    }

    pub(super) const fn with(self, rules: &'static PartRules) -> Self {
        Self { rules: Some(rules), ..self }
    }
}

impl Kind {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(self.group, self.version)
    }

    /// `pods`, `deployments.apps`: how error messages name the resource.
    pub fn qualified_resource(&self) -> String {
        qualified(self.plural, self.group)
    }

    /// `Pod`, `Deployment.apps`: how error messages name the kind.
    pub fn qualified_kind(&self) -> String {
        qualified(self.kind, self.group)
    }

    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    pub fn allows(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// The entry whose rules, defaults and table hold for objects of this one: itself, or the stored form it is a view of.
    pub fn stored(&'static self) -> &'static Kind {
        let hub = self.conversion.as_ref().and_then(|conversion| {
            let (group, version, plural) = conversion.hub;
            super::by_resource(group, version, plural)
        });
        hub.unwrap_or(self)
    }

    /// Makes an object of this view one of the stored form.
    pub fn to_stored(&'static self, object: &mut Value) {
        if let Some(conversion) = &self.conversion {
            (conversion.to_hub)(object);
            crate::value::replace(object, "apiVersion", Some(self.stored().api_version().into()));
        }
    }

    /// Makes an object of the stored form one of this view.
    pub fn from_stored(&'static self, object: &mut Value) {
        if let Some(conversion) = &self.conversion {
            (conversion.from_hub)(object);
            crate::value::replace(object, "apiVersion", Some(self.api_version().into()));
        }
    }

    /// Takes out of an object of this view what only the stored form has, and says where that was: its clients do not know it.
    pub fn take_later(&self, object: &mut Value) -> Vec<String> {
        let mut found = Vec::new();
        for path in self.conversion.iter().flat_map(|conversion| conversion.later) {
            take(object, path, "", &mut found);
        }
        found
    }

    /// The type of its objects; none for an old version, whose objects are read as those of the stored form.
    pub fn own_schema(&'static self) -> Option<crate::schema::Node<'static>> {
        let own = self.conversion.is_none() || self.schema != self.stored().schema;
        crate::schema::by_name(self.schema).filter(|_| own)
    }

    /// The warning for everybody who uses it, in upstream's words.
    pub fn deprecation_warning(&self) -> Option<String> {
        let Deprecation { since, removed, replacement } = self.deprecation.as_ref()?;
        let mut warning = format!("{} {} is deprecated in v{since}+", self.api_version(), self.kind);
        if let Some(removed) = removed {
            warning.push_str(&format!(", unavailable in v{removed}+"));
        }
        if let Some((group, version, kind)) = replacement {
            warning.push_str(&format!("; use {} {kind}", api_version(group, version)));
        }
        Some(warning)
    }

    /// Whether `/status` is written apart from the rest of the object.
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }
}

/// Removes what stands at `path` below the place that is called `here`.
fn take(value: &mut Value, path: &str, here: &str, found: &mut Vec<String>) {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, is_list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
    let place = if here.is_empty() { name.to_owned() } else { format!("{here}.{name}") };
    if is_list {
        for (index, item) in items_mut(value, name).enumerate() {
            take(item, rest, &format!("{place}[{index}]"), found);
        }
    } else if rest.is_empty() {
        found.extend(remove(value, name).map(|_| place));
    } else if let Some(inner) = value.get_mut(name) {
        take(inner, rest, &place, found);
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

pub(super) const ALL_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];
pub(super) const CREATE: &[Verb] = &[Verb::Create];
pub(super) const GET_WRITE: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

/// The names a kind goes by; [`names!`] derives what Kubernetes derives.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) kind: &'static str,
    pub(super) list_kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) schema: &'static str,
}

/// `names!("io.k8s.api.core.v1", Pod, "pods")`
macro_rules! names {
    ($package:literal, $kind:ident, $plural:literal) => {{
        const KIND: &str = stringify!($kind);
        const SINGULAR: &[u8] = &$crate::kinds::entry::lower::<{ KIND.len() }>(KIND);
        $crate::kinds::entry::Names {
            kind: KIND,
            list_kind: concat!(stringify!($kind), "List"),
            plural: $plural,
            singular: match std::str::from_utf8(SINGULAR) {
                Ok(singular) => singular,
                Err(_) => panic!("a kind's name is ASCII"),
            },
            schema: concat!($package, ".", stringify!($kind)),
        }
    }};
}
pub(super) use names;

pub(super) const fn lower<const LEN: usize>(name: &str) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let mut index = 0;
    while index < LEN {
        bytes[index] = name.as_bytes()[index].to_ascii_lowercase();
        index += 1;
    }
    bytes
}

/// A group and version: what the entries of one file share.
#[derive(Clone, Copy)]
pub(super) struct GroupVersion {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
}

impl GroupVersion {
    pub(super) const fn new(group: &'static str, version: &'static str) -> Self {
        Self { group, version }
    }

    /// An entry in a namespace with every verb and nothing special about it.
    pub(super) const fn namespaced(self, names: Names) -> Kind {
        self.entry(names, true)
    }

    /// The same for the whole cluster.
    pub(super) const fn cluster(self, names: Names) -> Kind {
        self.entry(names, false)
    }

    const fn entry(self, names: Names, namespaced: bool) -> Kind {
        Kind {
            group: self.group,
            version: self.version,
            kind: names.kind,
            list_kind: names.list_kind,
            plural: names.plural,
            singular: names.singular,
            short_names: &[],
            categories: &[],
            namespaced,
            verbs: ALL_VERBS,
            subresources: &[],
            schema: names.schema,
            strategy: Strategy::PLAIN,
            table: &table::PLAIN,
            row_order: None,
            fields: Selectable::METADATA,
            soft: false,
            ttl: None,
            conversion: None,
            deprecation: None,
        }
    }

    /// A subresource that speaks a kind of this group and version.
    pub(super) const fn sub(
        self,
        name: &'static str,
        kind: &'static str,
        verbs: &'static [Verb],
    ) -> Subresource {
        Subresource { name, group: self.group, version: self.version, kind, verbs, rules: None }
    }

    pub(super) const fn status(self, kind: &'static str) -> Subresource {
        self.sub("status", kind, GET_WRITE)
    }
}

/// `/scale`: every scalable kind speaks the one Scale.
pub(super) const SCALE: Subresource = GroupVersion::new("autoscaling", "v1").sub("scale", "Scale", GET_WRITE);
