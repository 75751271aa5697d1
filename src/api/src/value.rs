//! Reading and writing JSON trees whose shape is not guaranteed.
//!
//! The API server checks objects against their schema first, but this crate's functions must survive any tree: a missing or
//! ill-typed field reads as null, as zero or as empty, the way a Go struct would show it.

use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// The field `path` (names joined by dots) of `value`, null where any step is missing.
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(value, |value, name| value.get(name)).unwrap_or(&NULL)
}

/// [`at`] for names that may hold dots themselves.
pub fn walk<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&NULL)
}

/// The string at `path`, empty where there is none.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

/// The number at `path`, zero where there is none.
pub fn int(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or_default()
}

pub fn flag(value: &Value, path: &str) -> bool {
    at(value, path).as_bool().unwrap_or_default()
}

/// The list at `path`, empty where there is none.
pub fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The members of the object at `path`.
pub fn members<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + Clone {
    at(value, path).as_object().into_iter().flatten()
}

/// Whether `value` is what an absent field means: null, false, 0, "", [] or {}.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The object at `field`, made if it is missing; none where `value` or the field is something else than an object.
pub fn object<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Map<String, Value>> {
    let entry = value.as_object_mut()?.entry(field).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut()
}

/// The items of the list at `field`, none where there is no list.
pub fn items_mut<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets `field` unless it is there already with another value than null.
pub fn default_to(value: &mut Value, field: &str, default: impl Into<Value>) {
    if let Some(fields) = value.as_object_mut() {
        let entry = fields.entry(field).or_insert(Value::Null);
        if entry.is_null() {
            *entry = default.into();
        }
    }
}

/// Sets `field` where it is absent, empty or zero: for fields whose zero value means "not given".
pub fn default_zero_to(value: &mut Value, field: &str, default: impl Into<Value>) {
    if let Some(fields) = value.as_object_mut()
        && fields.get(field).is_none_or(is_zero)
    {
        fields.insert(field.to_owned(), default.into());
    }
}

/// Removes `field` and returns what it held.
pub fn remove(value: &mut Value, field: &str) -> Option<Value> {
    value.as_object_mut()?.remove(field)
}

/// Sets `field` to `new`, or removes it where `new` is absent.
pub fn replace(value: &mut Value, field: &str, new: Option<Value>) {
    if let Some(fields) = value.as_object_mut() {
        match new {
            Some(new) => drop(fields.insert(field.to_owned(), new)),
            None => drop(fields.remove(field)),
        }
    }
}
