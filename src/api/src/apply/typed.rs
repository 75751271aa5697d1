//! A value seen through its schema, as server-side apply sees it: leaves that have one owner, and maps and lists whose
//! members have owners of their own.

use serde_json::{Map, Value};

use super::element;
use super::set::{Element, Set};
use crate::schema::{ListKind, Node, Shape};

/// How a node's value, or two values of it, are to be walked.
#[derive(Clone, Copy)]
pub(super) enum Form<'s> {
    /// Owned whole: scalars, atomic maps and lists, and what has no common form.
    Leaf,
    Map(Node<'s>),
    List(Node<'s>, ListKind<'s>),
}

impl<'s> Form<'s> {
    /// The form for these values; null and absent ones fit every form.
    pub(super) fn of(node: Node<'s>, values: [Option<&Value>; 2]) -> Self {
        let all = |fits: fn(&Value) -> bool| {
            let mut present = values.iter().flatten().filter(|value| !value.is_null()).peekable();
            present.peek().is_some() && present.all(|value| fits(value))
        };
        match node.shape() {
            Shape::Object { atomic: false, .. }
            | Shape::Map { atomic: false, .. }
            | Shape::Any
            | Shape::AnyObject
                if all(Value::is_object) =>
            {
                Form::Map(node)
            }
            Shape::Either { first, .. } if all(Value::is_object) => Form::of(first, values),
            Shape::List { items, list: list @ (ListKind::Set | ListKind::Keyed(_)) }
                if all(Value::is_array) =>
            {
                Form::List(items, list)
            }
            _ => Form::Leaf,
        }
    }
}

/// The node of a map's member. Untyped maps go on untyped; a field that the schema does not name is untyped, too.
pub(super) fn member<'s>(node: Node<'s>, key: &str) -> Node<'s> {
    node.member(key).unwrap_or(node)
}

pub(super) fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

pub(super) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The fields that a configuration sets.
pub(super) fn fields(value: &Value, node: Node<'_>) -> Set {
    let mut set = Set::default();
    match Form::of(node, [Some(value), None]) {
        Form::Leaf => {}
        Form::Map(node) => {
            for (key, value) in members(Some(value)).into_iter().flatten() {
                let below = fields(value, member(node, key));
                let is_leaf = matches!(Form::of(member(node, key), [Some(value), None]), Form::Leaf);
                let is_empty = value.as_object().is_some_and(Map::is_empty);
                let own = is_leaf || is_empty || node.field(key).is_none();
                set.put(Element::field(key), own, below);
            }
        }
        Form::List(node, list) => {
            for item in items(Some(value)) {
                if let Ok(element) = element::of(item, list, node) {
                    set.put(element, true, fields(item, node));
                }
            }
        }
    }
    set
}

/// `value` without the fields in `gone`; null where nothing is left.
pub(super) fn without(value: &Value, gone: &Set, node: Node<'_>) -> Value {
    match Form::of(node, [Some(value), None]) {
        Form::Leaf => Value::Null,
        Form::Map(node) => {
            let mut rest = Map::new();
            for (key, value) in members(Some(value)).into_iter().flatten() {
                let element = Element::field(key);
                if !gone.has(&element) {
                    rest.insert(key.clone(), below(value, gone, &element, member(node, key)));
                }
            }
            if rest.is_empty() { Value::Null } else { Value::Object(rest) }
        }
        Form::List(node, list) => {
            let mut rest = Vec::new();
            for item in items(Some(value)) {
                match element::of(item, list, node) {
                    Ok(element) if gone.has(&element) => {}
                    Ok(element) => rest.push(below(item, gone, &element, node)),
                    Err(_) => rest.push(item.clone()),
                }
            }
            if rest.is_empty() { Value::Null } else { Value::Array(rest) }
        }
    }
}

fn below(value: &Value, gone: &Set, element: &Element, node: Node<'_>) -> Value {
    match gone.below(element) {
        Some(gone) => without(value, gone, node),
        None => value.clone(),
    }
}
