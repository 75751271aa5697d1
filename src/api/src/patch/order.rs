//! The order of a merged list. What the patch lists comes in the patch's order; what only the server has keeps its
//! order, and its place before the first patched element that it preceded.

use std::cmp::Ordering;

use serde_json::Value;

/// Whether two elements are the same one: by merge key, or by value in a list of scalars.
pub(super) fn same(left: &Value, right: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => left.get(key).is_some() && left.get(key) == right.get(key),
        None => left == right,
    }
}

/// Orders `merged`, whose elements come from the patch (those named in `patched`) or from the server's `live` list alone.
pub(super) fn ordered(
    merged: Vec<Value>,
    patched: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item, key));
    let by = |list: &[Value], left: &Value, right: &Value| match (place(list, left), place(list, right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (None, None) => Ordering::Equal,
    };
    let (mut patch_items, mut server_items): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(patched, item).is_some());
    patch_items.sort_by(|left, right| by(patched, left, right));
    server_items.sort_by(|left, right| by(live, left, right));

    let mut result = Vec::with_capacity(patch_items.len() + server_items.len());
    let mut server_items = server_items.into_iter().peekable();
    for item in patch_items {
        let item_place = place(live, &item);
        let before =
            |server: &Value| matches!((place(live, server), item_place), (Some(l), Some(r)) if l < r);
        while let Some(server) = server_items.next_if(|server| before(server)) {
            result.push(server);
        }
        result.push(item);
    }
    result.extend(server_items);
    result
}
