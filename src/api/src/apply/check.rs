//! Whether a configuration fits its schema, in the words that server-side apply has for it.

use serde_json::Value;

use super::element;
use super::set::Element;
use super::typed::{items, members};
use crate::schema::{ListKind, Node, Scalar, Shape, Unknown};

pub(super) const UNDECLARED: &str = "field not declared in schema";

/// What does not fit, each with its path; all of it, as upstream.
pub(super) fn check(value: &Value, node: Node<'_>) -> Vec<String> {
    let mut check = Check { path: String::new(), errors: Vec::new() };
    check.value(value, node);
    check.errors
}

struct Check {
    path: String,
    errors: Vec<String>,
}

impl Check {
    fn value(&mut self, value: &Value, node: Node<'_>) {
        if value.is_null() {
            return;
        }
        match node.shape() {
            Shape::Any | Shape::AnyObject => {}
            Shape::Either { first, .. } if value.is_object() => self.value(value, first),
            Shape::Either { .. } => {}
            Shape::Object { .. } | Shape::Map { .. } if !value.is_object() => self.wrong("map", value),
            Shape::Object { .. } | Shape::Map { .. } => self.members(value, node),
            Shape::List { .. } if !value.is_array() => self.wrong("list", value),
            Shape::List { items, list } => self.items(value, items, list),
            Shape::Scalar(scalar) => self.scalar(scalar, value),
        }
    }

    fn members(&mut self, value: &Value, node: Node<'_>) {
        let keeps = matches!(node.shape(), Shape::Object { unknown: Unknown::Kept, .. });
        for (key, value) in members(Some(value)).into_iter().flatten() {
            let element = Element::field(key);
            match node.member(key) {
                Some(member) => self.below(&element, |check| check.value(value, member)),
                None if keeps => {}
                None => self.below(&element, |check| check.error(UNDECLARED)),
            }
        }
    }

    fn items(&mut self, value: &Value, node: Node<'_>, list: ListKind<'_>) {
        let mut seen: Vec<Element> = Vec::new();
        for (at, item) in items(Some(value)).iter().enumerate() {
            if matches!(list, ListKind::Atomic) {
                self.below(&format!("[{at}]"), |check| check.value(item, node));
                continue;
            }
            match element::of(item, list, node) {
                Err(error) => return self.error(&format!("element {at}: {error}")),
                Ok(element) => {
                    if seen.contains(&element) {
                        self.error(&format!("duplicate entries for key {element}"));
                    }
                    self.below(&element, |check| check.value(item, node));
                    seen.push(element);
                }
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) {
        let (fits, wanted) = match scalar {
            Scalar::String | Scalar::Bytes | Scalar::Time | Scalar::MicroTime => {
                (value.is_string(), "string")
            }
            Scalar::Bool => (value.is_boolean(), "boolean"),
            Scalar::Int32 | Scalar::Int64 | Scalar::Number => (value.is_number(), "numeric (int or float)"),
            Scalar::IntOrString | Scalar::Quantity => {
                (value.is_string() || value.is_number(), "untyped scalar")
            }
        };
        if !fits {
            self.wrong(wanted, value);
        }
    }

    fn wrong(&mut self, wanted: &str, found: &Value) {
        self.error(&format!("expected {wanted}, got {found}"));
    }

    fn below(&mut self, element: &impl ToString, walk: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&element.to_string());
        walk(self);
        self.path.truncate(length);
    }

    fn error(&mut self, message: &str) {
        let separator = if self.path.is_empty() { "" } else { ": " };
        self.errors.push(format!("{}{separator}{message}", self.path));
    }
}
