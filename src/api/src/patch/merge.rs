//! JSON merge patch, RFC 7386.

use serde_json::{Map, Value};

use super::{Error, type_word};

/// Merges `patch` into `original`: null removes, objects merge, everything else replaces.
pub fn merge(original: Value, patch: &Value) -> Result<Value, Error> {
    if !patch.is_object() {
        return Err(Error::WrongType { found: type_word(patch), wanted: "map[string]interface {}" });
    }
    Ok(merged(original, patch))
}

fn merged(original: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut members = match original {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (key, value) in patch {
        let before = members.remove(key);
        if !value.is_null() {
            members.insert(key.clone(), merged(before.unwrap_or(Value::Null), value));
        }
    }
    Value::Object(members)
}
