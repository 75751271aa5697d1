//! JSON patch, RFC 6902.

use serde_json::Value;

use super::{Error, nest, type_word};

/// More operations than this are refused, as upstream.
pub const MAX_OPERATIONS: usize = 10_000;
/// More bytes than this may not be added by copying: what an object may have at all.
pub const MAX_COPIED: usize = 3 << 20;

/// Applies the operations one after the other; all or nothing.
pub fn json(original: Value, operations: &Value) -> Result<Value, Error> {
    let Value::Array(operations) = operations else {
        return Err(Error::WrongType { found: type_word(operations), wanted: "jsonpatch.Patch" });
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(Error::TooManyOperations(operations.len()));
    }
    let mut document = Document { root: original, copied: 0 };
    for operation in operations {
        document.apply(operation)?;
    }
    Ok(document.root)
}

struct Document {
    root: Value,
    copied: usize,
}

impl Document {
    fn apply(&mut self, operation: &Value) -> Result<(), Error> {
        match operation["op"].as_str() {
            Some("add") => self.add("add", path("add", operation)?, given(operation)?.clone()),
            Some("remove") => self.remove("remove", path("remove", operation)?).map(drop),
            Some("replace") => self.replace(path("replace", operation)?, given(operation)?),
            Some("move") => {
                let value = self.remove("move", from("move", operation)?)?;
                self.add("move", path("move", operation)?, value)
            }
            Some("copy") => self.copy(from("copy", operation)?, path("copy", operation)?),
            Some("test") => self.test(path("test", operation)?, &operation["value"]),
            other => Err(Error::UnknownOperation(other.unwrap_or("unknown").to_owned())),
        }
    }

    fn add(&mut self, operation: &'static str, path: &str, value: Value) -> Result<(), Error> {
        let Some((parent, key)) = split(path) else {
            self.root = nest(value, 0)?;
            return Ok(());
        };
        let value = nest(value, path.matches('/').count())?;
        let missing = || Error::MissingPath { operation, path: path.to_owned() };
        match self.root.pointer_mut(parent).ok_or_else(missing)? {
            Value::Object(members) => {
                members.insert(unescape(key), value);
                Ok(())
            }
            Value::Array(items) => {
                let at = if key == "-" { Some(items.len()) } else { index(key) };
                let at = at.filter(|at| *at <= items.len()).ok_or_else(|| bad_index(operation, path, key))?;
                items.insert(at, value);
                Ok(())
            }
            _ => Err(missing()),
        }
    }

    fn remove(&mut self, operation: &'static str, path: &str) -> Result<Value, Error> {
        let missing = || Error::MissingPath { operation, path: path.to_owned() };
        let (parent, key) = split(path).ok_or_else(missing)?;
        match self.root.pointer_mut(parent).ok_or_else(missing)? {
            Value::Object(members) => members
                .remove(&unescape(key))
                .ok_or_else(|| Error::MissingKey { operation, path: path.to_owned() }),
            Value::Array(items) => match index(key).filter(|at| *at < items.len()) {
                Some(at) => Ok(items.remove(at)),
                None => Err(bad_index(operation, path, key)),
            },
            _ => Err(missing()),
        }
    }

    fn replace(&mut self, path: &str, value: &Value) -> Result<(), Error> {
        let value = nest(value.clone(), path.matches('/').count())?;
        let missing = || Error::MissingKey { operation: "replace", path: path.to_owned() };
        *self.root.pointer_mut(path).ok_or_else(missing)? = value;
        Ok(())
    }

    fn copy(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let missing = || Error::MissingPath { operation: "copy", path: from.to_owned() };
        let value = self.root.pointer(from).ok_or_else(missing)?.clone();
        self.copied += value.to_string().len();
        if self.copied > MAX_COPIED {
            return Err(Error::CopiedTooMuch(self.copied));
        }
        self.add("copy", to, value)
    }

    /// A test for null also passes where there is nothing.
    fn test(&self, path: &str, value: &Value) -> Result<(), Error> {
        let found = self.root.pointer(path).unwrap_or(&Value::Null);
        if same(found, value) { Ok(()) } else { Err(Error::TestFailed(path.to_owned())) }
    }
}

/// Numbers are the same by value: 1 is 1.0.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

fn path<'a>(operation: &'static str, from: &'a Value) -> Result<&'a str, Error> {
    pointer(operation, "path", &from["path"])
}

fn from<'a>(operation: &'static str, from: &'a Value) -> Result<&'a str, Error> {
    pointer(operation, "from", &from["from"])
}

fn pointer<'a>(operation: &'static str, member: &'static str, value: &'a Value) -> Result<&'a str, Error> {
    value
        .as_str()
        .filter(|path| path.is_empty() || path.starts_with('/'))
        .ok_or(Error::IncompleteOperation(operation, member))
}

fn given(operation: &Value) -> Result<&Value, Error> {
    operation.get("value").ok_or(Error::IncompleteOperation("add", "value"))
}

/// The parent's path and the last key.
fn split(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once('/')
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn index(key: &str) -> Option<usize> {
    let plain = key == "0" || (!key.starts_with(['0', '+']) && !key.is_empty());
    key.parse().ok().filter(|_| plain)
}

fn bad_index(operation: &'static str, path: &str, index: &str) -> Error {
    Error::BadIndex { operation, path: path.to_owned(), index: index.to_owned() }
}
