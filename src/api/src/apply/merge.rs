//! The live object with a configuration laid over it.

use serde_json::{Map, Value};

use super::element;
use super::set::Element;
use super::typed::{Form, items, member, members};
use crate::schema::{ListKind, Node};

/// Lays `config` over `live`.
pub(super) fn merge(live: &Value, config: &Value, node: Node<'_>) -> Value {
    merged(Some(live), Some(config), node).unwrap_or_else(|| live.clone())
}

fn merged(live: Option<&Value>, config: Option<&Value>, node: Node<'_>) -> Option<Value> {
    match Form::of(node, [live, config]) {
        Form::Map(node)
            if !(members(live).is_none_or(Map::is_empty) && members(config).is_none_or(Map::is_empty)) =>
        {
            Some(Value::Object(merged_members(members(live), members(config), node)))
        }
        Form::List(node, list) if !(items(live).is_empty() && items(config).is_empty()) => {
            Some(Value::Array(merged_items(items(live), items(config), node, list)))
        }
        _ => config.or(live).cloned(),
    }
}

type Members = Map<String, Value>;

fn merged_members(live: Option<&Members>, config: Option<&Members>, node: Node<'_>) -> Members {
    let mut all = Members::new();
    for (key, before) in live.into_iter().flatten() {
        let laid = config.and_then(|config| config.get(key));
        all.extend(merged(Some(before), laid, member(node, key)).map(|value| (key.clone(), value)));
    }
    for (key, laid) in config.into_iter().flatten() {
        if !all.contains_key(key) {
            all.extend(merged(None, Some(laid), member(node, key)).map(|value| (key.clone(), value)));
        }
    }
    all
}

/// Configured elements come in the configuration's order; those that only the live list has keep their places among
/// the ones around them.
fn merged_items(live: &[Value], config: &[Value], node: Node<'_>, list: ListKind<'_>) -> Vec<Value> {
    let live = named(live, node, list);
    let config = named(config, node, list);
    let in_live =
        |element: &Element| live.iter().find(|(other, _)| other == element).map(|(_, value)| *value);
    let in_config = |element: &Element| config.iter().any(|(other, _)| other == element);
    let mut shared =
        config.iter().map(|(element, _)| element).filter(|element| in_live(element).is_some()).peekable();
    let mut rest = live.iter().peekable();
    let mut all = Vec::with_capacity(live.len() + config.len());
    for (element, value) in &config {
        // What precedes this element, or else the next one both have, in the live list goes first.
        while let Some((before, live_value)) = rest.peek() {
            if !in_config(before) {
                all.push((*live_value).clone());
            } else if before != element && shared.peek() == Some(&before) {
                break;
            }
            let found = before == element;
            rest.next();
            if found {
                break;
            }
        }
        shared.next_if_eq(&element);
        all.extend(merged(in_live(element), Some(value), node));
    }
    let left = rest.filter(|(element, _)| !in_config(element));
    all.extend(left.map(|(_, value)| (*value).clone()));
    all
}

fn named<'v>(values: &'v [Value], node: Node<'_>, list: ListKind<'_>) -> Vec<(Element, &'v Value)> {
    values.iter().filter_map(|value| Some((element::of(value, list, node).ok()?, value))).collect()
}
