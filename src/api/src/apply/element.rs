//! What names an element of a list.

use serde_json::{Map, Value};

use super::set::Element;
use crate::schema::{Keys, ListKind, Node};

/// The element's name in a set or a keyed list, or why it has none.
pub(super) fn of(item: &Value, list: ListKind<'_>, items: Node<'_>) -> Result<Element, String> {
    match list {
        ListKind::Keyed(keys) => keyed(item, keys, items),
        ListKind::Set | ListKind::Atomic => scalar(item),
    }
}

fn keyed(item: &Value, keys: Keys<'_>, items: Node<'_>) -> Result<Element, String> {
    let Value::Object(members) = item else {
        let what = if item.is_null() { "a null element" } else { "non-map elements" };
        return Err(format!("associative list with keys may not have {what}"));
    };
    let mut name = Map::new();
    let mut missing = None;
    for key in keys.iter() {
        match members.get(key).cloned().or_else(|| items.field(key)?.default()) {
            Some(value) => drop(name.insert(key.to_owned(), value)),
            None => missing = missing.or(Some(key)),
        }
    }
    match missing {
        Some(key) if !is_optional(items, key) || name.is_empty() => Err(format!(
            "associative list with keys has an element that omits key field {key:?} (and doesn't have default value)"
        )),
        _ => Ok(Element::keys(name)),
    }
}

/// A key behind a pointer may be left out: the element is named by the others.
fn is_optional(items: Node<'_>, key: &str) -> bool {
    items.field(key).is_some_and(|field| !field.required())
}

fn scalar(item: &Value) -> Result<Element, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        value => Ok(Element::value(value)),
    }
}
