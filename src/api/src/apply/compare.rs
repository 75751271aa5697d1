//! What changed between two values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element;
use super::set::{Element, Set};
use super::typed::{Form, items, member, members};
use crate::schema::{ListKind, Node};

/// No field is in more than one of the three.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: Set,
    pub(super) modified: Set,
    pub(super) added: Set,
}

impl Comparison {
    pub(super) fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    fn ignoring(self, ignored: &Set) -> Self {
        Self {
            removed: self.removed.recursive_difference(ignored),
            modified: self.modified.recursive_difference(ignored),
            added: self.added.recursive_difference(ignored),
        }
    }
}

/// Compares two objects, leaving out the fields in `ignored` and all below them.
pub(super) fn compare(old: &Value, new: &Value, node: Node<'_>, ignored: &Set) -> Comparison {
    let mut walk = Walk { path: Vec::new(), found: Comparison::default() };
    walk.compare(Some(old), Some(new), node);
    walk.found.ignoring(ignored)
}

struct Walk {
    path: Vec<Element>,
    found: Comparison,
}

impl Walk {
    fn compare(&mut self, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) {
        match Form::of(node, [old, new]) {
            Form::Map(node) if !(is_empty(old) && is_empty(new)) => {
                self.members(old, new, node);
                self.appeared(old, new);
            }
            Form::List(node, list) if !(is_empty(old) && is_empty(new)) => {
                self.items(old, new, node, list);
                self.appeared(old, new);
            }
            _ if old.is_some() && new.is_some() && old != new => self.found.modified.insert(&self.path),
            _ => self.appeared(old, new),
        }
    }

    fn appeared(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, Some(_)) => self.found.added.insert(&self.path),
            (Some(_), None) => self.found.removed.insert(&self.path),
            _ => {}
        }
    }

    fn members(&mut self, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) {
        let (old, new) = (members(old), members(new));
        for (key, before) in old.into_iter().flatten() {
            let after = new.and_then(|new| new.get(key));
            self.below(Element::field(key), Some(before), after, member(node, key));
        }
        for (key, after) in new.into_iter().flatten() {
            if old.is_none_or(|old| !old.contains_key(key)) {
                self.below(Element::field(key), None, Some(after), member(node, key));
            }
        }
    }

    fn below(&mut self, element: Element, old: Option<&Value>, new: Option<&Value>, node: Node<'_>) {
        self.path.push(element);
        self.compare(old, new, node);
        self.path.pop();
    }

    fn items(&mut self, old: Option<&Value>, new: Option<&Value>, node: Node<'_>, list: ListKind<'_>) {
        let mut elements: BTreeMap<Element, [Vec<&Value>; 2]> = BTreeMap::new();
        for (side, values) in [items(old), items(new)].into_iter().enumerate() {
            for value in values {
                if let Ok(element) = element::of(value, list, node) {
                    elements.entry(element).or_default()[side].push(value);
                }
            }
        }
        for (element, [old, new]) in elements {
            self.same_element(element, &old, &new, node);
        }
    }

    /// An element that is in a list more than once is owned as a whole.
    fn same_element(&mut self, element: Element, old: &[&Value], new: &[&Value], node: Node<'_>) {
        if old.len() <= 1 && new.len() <= 1 {
            return self.below(element, old.first().copied(), new.first().copied(), node);
        }
        if old.len() == 1 {
            self.below(element.clone(), Some(old[0]), None, node);
        } else if new.len() == 1 {
            self.below(element.clone(), None, Some(new[0]), node);
        }
        self.path.push(element);
        match (old.len(), new.len()) {
            (2.., 2..) if old == new => {}
            (2.., 2..) => self.found.modified.insert(&self.path),
            (2.., _) => self.found.removed.insert(&self.path),
            _ => self.found.added.insert(&self.path),
        }
        self.path.pop();
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}
