//! Strategic merge patch: a merge patch that knows the keys of lists and obeys directives.
//!
//! `$patch: replace` and `$patch: delete` on an object or an element, `$retainKeys`, `$deleteFromPrimitiveList/field` and
//! `$setElementOrder/field`.

use serde_json::{Map, Value};

use super::order::{ordered, same};
use super::{Error, type_word};
use crate::schema::{Node, PatchStrategy, Shape};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE: &str = "$deleteFromPrimitiveList";
const ORDER: &str = "$setElementOrder";

/// Merges `patch` into `original`, an object of this schema.
pub fn strategic(original: Value, patch: &Value, node: Node<'_>) -> Result<Value, Error> {
    let Value::Object(patch) = patch else {
        return Err(Error::WrongType { found: type_word(patch), wanted: "map[string]interface {}" });
    };
    let original = match original {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    merge_object(original, patch, Some(node)).map(Value::Object)
}

type Members = Map<String, Value>;

fn merge_object(mut original: Members, patch: &Members, node: Option<Node<'_>>) -> Result<Members, Error> {
    match patch.get(PATCH) {
        None => {}
        Some(directive) if directive == "replace" => return Ok(stripped(patch)),
        Some(directive) if directive == "delete" => return Ok(Members::new()),
        Some(directive) => return Err(bad_directive(directive, patch)),
    }
    retain_keys(&mut original, patch)?;
    // Lists with an order are merged with it, before and instead of the plain merge.
    let orders = patch.iter().filter_map(|(key, order)| Some((directive(key, ORDER)?, order)));
    let mut done: Vec<&str> = Vec::new();
    for (field, order) in orders {
        let field = field.ok_or(Error::BadElementOrder)?;
        merge_ordered(&mut original, patch, field, order, node)?;
        done.push(field);
    }
    for (key, value) in patch {
        if key == RETAIN_KEYS || directive(key, ORDER).is_some() || done.contains(&key.as_str()) {
            continue;
        }
        match directive(key, DELETE) {
            Some(field) => delete_scalars(&mut original, field.ok_or(Error::BadPrimitiveList)?, value)?,
            None => merge_member(&mut original, key, value, node)?,
        }
    }
    Ok(original)
}

/// Where `key` is this directive: the field it is about, if it names one.
fn directive<'a>(key: &'a str, prefix: &str) -> Option<Option<&'a str>> {
    let rest = key.strip_prefix(prefix)?;
    Some(rest.strip_prefix('/').filter(|field| !field.is_empty()))
}

fn retain_keys(original: &mut Members, patch: &Members) -> Result<(), Error> {
    let Some(retained) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let retained = retained.as_array().ok_or(Error::BadRetainKeys)?;
    let is_retained = |key: &str| retained.iter().any(|name| name == key);
    let listed = |(key, value): (&String, &Value)| {
        value.is_null()
            || key.starts_with(DELETE)
            || key.starts_with(ORDER)
            || key == RETAIN_KEYS
            || is_retained(key)
    };
    if !patch.iter().all(listed) {
        return Err(Error::BadRetainKeys);
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

fn merge_member(
    original: &mut Members,
    key: &str,
    value: &Value,
    node: Option<Node<'_>>,
) -> Result<(), Error> {
    if value.is_null() {
        original.remove(key);
        return Ok(());
    }
    let merged = match (original.remove(key), value) {
        (Some(Value::Object(before)), Value::Object(patch)) => {
            let member = member(node, key)?;
            if strategy(member).replace {
                Value::Object(stripped(patch))
            } else {
                Value::Object(merge_object(before, patch, member)?)
            }
        }
        (Some(Value::Array(before)), Value::Array(patch)) => {
            Value::Array(merge_list(&before, patch, member(node, key)?)?)
        }
        _ => clean(value),
    };
    original.insert(key.to_owned(), merged);
    Ok(())
}

/// The node of a member, where the schema goes on. A field that the schema does not name cannot be merged.
fn member<'s>(node: Option<Node<'s>>, key: &str) -> Result<Option<Node<'s>>, Error> {
    let Some(node) = node else { return Ok(None) };
    match (node.member(key), node.shape()) {
        (Some(member), _) => Ok(Some(member)),
        (None, Shape::Object { .. }) => Err(Error::UnknownField {
            owner: node.type_name().and_then(|name| name.rsplit('.').next()).unwrap_or_default().to_owned(),
            field: key.to_owned(),
        }),
        (None, _) => Ok(None),
    }
}

fn strategy(node: Option<Node<'_>>) -> PatchStrategy<'_> {
    node.map(Node::patch).unwrap_or_default()
}

fn delete_scalars(original: &mut Members, field: &str, gone: &Value) -> Result<(), Error> {
    let gone = gone.as_array().ok_or(Error::BadPrimitiveList)?;
    if let Some(Value::Array(items)) = original.get_mut(field) {
        items.retain(|item| !gone.contains(item));
    }
    Ok(())
}

fn merge_list(live: &[Value], patch: &[Value], node: Option<Node<'_>>) -> Result<Vec<Value>, Error> {
    let strategy = strategy(node);
    if !strategy.merge {
        return Ok(patch.iter().map(clean).collect());
    }
    check_elements(live, patch)?;
    let Some(key) = strategy.key else {
        if live.iter().chain(patch).any(Value::is_object) {
            return Err(Error::NoDeclaredMergeKey("map"));
        }
        return Ok(ordered(union(live, patch), patch, live, None));
    };
    let (merged, patched) = merge_elements(live.to_vec(), patch, key, node.and_then(Node::items))?;
    Ok(ordered(merged, &patched, live, Some(key)))
}

/// Both lists without repetitions.
fn union(live: &[Value], patch: &[Value]) -> Vec<Value> {
    let mut both: Vec<Value> = Vec::new();
    for item in live.iter().chain(patch) {
        if !both.contains(item) {
            both.push(item.clone());
        }
    }
    both
}

/// The merged elements in no particular order, and those of the patch that are not directives.
fn merge_elements(
    mut live: Vec<Value>,
    patch: &[Value],
    key: &str,
    items: Option<Node<'_>>,
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let mut plain = Vec::new();
    let mut replace = false;
    for element in patch {
        let Value::Object(members) = element else {
            return Err(Error::BadArgument { wanted: "map[string]interface {}", found: type_word(element) });
        };
        match members.get(PATCH) {
            None => plain.push(element),
            Some(directive) if directive == "delete" => {
                has_key(members, key)?;
                live.retain(|other| !same(other, element, Some(key)));
            }
            Some(directive) if directive == "replace" => replace = true,
            Some(directive) if directive == "merge" => return Err(Error::MergeDirectiveInList),
            Some(directive) => return Err(bad_directive(directive, members)),
        }
    }
    if replace {
        live.clear();
    }
    for element in &plain {
        let Value::Object(members) = element else { continue };
        has_key(members, key)?;
        match live.iter_mut().find(|other| same(other, element, Some(key))) {
            Some(Value::Object(before)) => {
                *before = merge_object(std::mem::take(before), members, items)?;
            }
            _ => live.push(clean(element)),
        }
    }
    Ok((live, plain.into_iter().cloned().collect()))
}

fn has_key(members: &Members, key: &str) -> Result<(), Error> {
    if members.contains_key(key) {
        return Ok(());
    }
    Err(Error::NoMergeKey { map: go_form(&Value::Object(members.clone())), key: key.to_owned() })
}

fn merge_ordered(
    original: &mut Members,
    patch: &Members,
    field: &str,
    order: &Value,
    node: Option<Node<'_>>,
) -> Result<(), Error> {
    let order = list(order)?;
    let node = member(node, field)?;
    let strategy = strategy(node);
    let patched = patch.get(field).filter(|value| !value.is_null()).map(list).transpose()?;
    check_order(patched.unwrap_or_default(), order, strategy.key)?;
    let live = match original.remove(field) {
        Some(Value::Array(live)) => live,
        Some(other) if patched.is_none() => return Err(not_a_list(&other)),
        // An explicit null next to an order removes the list.
        _ if patched.is_none() => return Ok(()),
        _ => Vec::new(),
    };
    let merged = match patched {
        _ if patch.get(field).is_some_and(Value::is_null) => return Ok(()),
        None => live.clone(),
        Some(patched) => merge_list(&live, patched, node)?,
    };
    let merged = if strategy.merge { ordered(merged, order, &live, strategy.key) } else { merged };
    original.insert(field.to_owned(), Value::Array(merged));
    Ok(())
}

/// The patch's elements must be in the order, and come in it.
fn check_order(patched: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Error> {
    if patched.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    let plain = patched.iter().filter(|element| element.get(PATCH).is_none());
    for element in plain {
        if let (Some(key), Value::Object(members)) = (key, element) {
            has_key(members, key)?;
        }
        if !rest.any(|other| same(other, element, key)) {
            let (patch, order) = (go_list(patched), go_list(order));
            return Err(Error::OrderMismatch { patch, order });
        }
    }
    Ok(())
}

fn check_elements(live: &[Value], patch: &[Value]) -> Result<(), Error> {
    let mut all = live.iter().chain(patch);
    let Some(first) = all.next() else { return Ok(()) };
    if first.is_array() {
        return Err(Error::ListOfLists);
    }
    if all.all(|item| std::mem::discriminant(item) == std::mem::discriminant(first)) {
        return Ok(());
    }
    Err(Error::MixedList(format!("[{} {}]", go_list(live), go_list(patch))))
}

fn list(value: &Value) -> Result<&[Value], Error> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| not_a_list(value))
}

fn not_a_list(value: &Value) -> Error {
    Error::BadArgument { wanted: "[]interface {}", found: type_word(value) }
}

fn bad_directive(directive: &Value, patch: &Members) -> Error {
    Error::BadDirective { directive: go_form(directive), map: go_form(&Value::Object(patch.clone())) }
}

/// A part of a patch as a part of an object: without nulls and directives.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(stripped(members)),
        Value::Array(items) => items.iter().filter(|item| item.get(PATCH).is_none()).map(clean).collect(),
        _ => value.clone(),
    }
}

fn stripped(members: &Members) -> Members {
    let plain = members.iter().filter(|(key, value)| !value.is_null() && !is_directive(key));
    plain.map(|(key, value)| (key.clone(), clean(value))).collect()
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN_KEYS || directive(key, DELETE).is_some() || directive(key, ORDER).is_some()
}

/// As Go prints a value in a message.
fn go_form(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => go_list(items),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{key}:{}", go_form(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

fn go_list(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(go_form).collect();
    format!("[{}]", items.join(" "))
}
