//! Sets of fields, and their encoding as `fieldsV1`.
//!
//! A set is a tree whose edges are path elements, kept in their wire form: `f:name` a field, `k:{"name":"c"}` an element
//! of a keyed list, `v:"x"` an element of a set, `i:0` an index. So encoding is a walk, and comparing elements is comparing
//! strings; keys and values are brought to one form when they come from outside.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde_json::{Map, Value};

use crate::schema::{Node, Shape};

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    children: BTreeMap<Element, Branch>,
}

/// A field and the fields below it. Never neither a member nor a parent of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Branch {
    member: bool,
    below: Set,
}

/// One step of a path, in wire form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element(String);

impl Element {
    pub(super) fn field(name: &str) -> Self {
        Self(format!("f:{name}"))
    }

    pub(super) fn keys(keys: Map<String, Value>) -> Self {
        Self(format!("k:{}", Value::Object(keys)))
    }

    pub(super) fn value(value: &Value) -> Self {
        Self(format!("v:{value}"))
    }

    /// The name, where the element is a field.
    fn name(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    fn parse(wire: &str) -> Option<Self> {
        let (kind, rest) = wire.split_once(':')?;
        match kind {
            "f" => Some(Self(wire.to_owned())),
            "v" => serde_json::from_str(rest).ok().map(|value: Value| Self::value(&value)),
            "k" => serde_json::from_str(rest).ok().map(Self::keys),
            "i" => rest.parse().ok().map(|at: i64| Self(format!("i:{at}"))),
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at(2) {
            ("f:", name) => write!(f, ".{name}"),
            ("v:", value) => write!(f, "[={value}]"),
            ("k:", keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
            (_, index) => write!(f, "[{index}]"),
        }
    }
}

impl Set {
    /// A set of paths that consist of field names alone.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Adds a path; its parents are not added. The whole object is never a member.
    pub(super) fn insert(&mut self, path: &[Element]) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut set = self;
        for element in parents {
            set = &mut set.children.entry(element.clone()).or_default().below;
        }
        set.children.entry(last.clone()).or_default().member = true;
    }

    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    pub(super) fn has(&self, element: &Element) -> bool {
        self.children.get(element).is_some_and(|branch| branch.member)
    }

    /// The fields below an element.
    pub(super) fn below(&self, element: &Element) -> Option<&Set> {
        self.children.get(element).map(|branch| &branch.below).filter(|set| !set.is_empty())
    }

    pub(super) fn put(&mut self, element: Element, member: bool, below: Set) {
        if member || !below.is_empty() {
            self.children.insert(element, Branch { member, below });
        }
    }

    pub fn union(mut self, other: &Set) -> Self {
        self.add(other.clone());
        self
    }

    /// [`Set::union`] in place: every write makes some, and most have nothing in common.
    pub(super) fn add(&mut self, other: Set) {
        for (element, branch) in other.children {
            match self.children.entry(element) {
                Entry::Vacant(none) => drop(none.insert(branch)),
                Entry::Occupied(mut ours) => {
                    ours.get_mut().member |= branch.member;
                    ours.get_mut().below.add(branch.below);
                }
            }
        }
    }

    pub fn intersection(&self, other: &Set) -> Self {
        let mut both = Self::default();
        for (element, ours) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                let below = ours.below.intersection(&theirs.below);
                both.put(element.clone(), ours.member && theirs.member, below);
            }
        }
        both
    }

    /// The members that `other` does not have. A parent in `other` does not take its children along.
    pub fn difference(&self, other: &Set) -> Self {
        let mut rest = self.clone();
        rest.remove(other);
        rest
    }

    /// [`Set::difference`] in place.
    pub(super) fn remove(&mut self, other: &Set) {
        self.subtract(other, false);
    }

    /// The members that neither are in `other` nor lie below one that is.
    pub fn recursive_difference(mut self, other: &Set) -> Self {
        self.subtract(other, true);
        self
    }

    fn subtract(&mut self, other: &Set, recursive: bool) {
        if other.is_empty() {
            return;
        }
        self.children.retain(|element, ours| {
            let Some(theirs) = other.children.get(element) else { return true };
            if recursive && theirs.member {
                return false;
            }
            ours.below.subtract(&theirs.below, recursive);
            ours.member &= !theirs.member;
            ours.member || !ours.below.is_empty()
        });
    }

    /// The set with every field that the schema names, and that has members below it, a member itself.
    pub(super) fn with_named_parents(&self, node: Option<Node<'_>>) -> Self {
        let mut all = Self::default();
        for (element, branch) in &self.children {
            let field = node.zip(element.name()).and_then(|(node, name)| node.field(name));
            let child = match (element.name(), node.map(|node| (node, node.shape()))) {
                (Some(name), Some((node, _))) => node.member(name),
                (None, Some((_, Shape::List { items, .. }))) => Some(items),
                _ => None,
            };
            let below = branch.below.with_named_parents(child);
            all.put(element.clone(), branch.member || field.is_some(), below);
        }
        all
    }

    /// The paths of all members, as messages print them.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), &mut paths);
        paths
    }

    /// Members of a level come before what lies below them.
    fn collect(&self, prefix: &mut String, paths: &mut Vec<String>) {
        let members = self.children.iter().filter(|(_, branch)| branch.member);
        paths.extend(members.map(|(element, _)| format!("{prefix}{element}")));
        for (element, branch) in &self.children {
            let length = prefix.len();
            prefix.push_str(&element.to_string());
            branch.below.collect(prefix, paths);
            prefix.truncate(length);
        }
    }

    /// The `fieldsV1` form.
    pub fn encode(&self) -> Value {
        let encode = |(element, branch): (&Element, &Branch)| {
            let mut below = branch.below.encode();
            if branch.member
                && let Value::Object(members) = &mut below
                && !members.is_empty()
            {
                members.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (element.0.clone(), below)
        };
        self.children.iter().map(encode).collect()
    }

    /// Reads the `fieldsV1` form; `None` where it is none. An element of a kind that we do not know is left out, as
    /// upstream does for the sake of later versions.
    pub fn decode(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (wire, below) in fields.as_object()? {
            if wire == "." {
                continue;
            }
            if !wire.contains(':') {
                return None;
            }
            let Some(element) = Element::parse(wire) else { continue };
            let members = below.as_object()?;
            let member = members.is_empty() || members.contains_key(".");
            set.put(element, member, Self::decode(below)?);
        }
        Some(set)
    }
}
