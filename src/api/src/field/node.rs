//! A value together with the path that leads to it.

use std::fmt;

use serde_json::Value;

use super::{FieldError, Reason};
use crate::value::at;

/// `spec.containers[0].env`: a chain of steps on the stack.
#[derive(Debug, Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
    Key(&'p str),
}

impl<'p> Path<'p> {
    pub const ROOT: Self = Self { parent: None, step: Step::Root };

    /// One field or several joined by dots.
    pub fn field<'c>(&'c self, name: &'c str) -> Path<'c> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    pub fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    pub fn key<'c>(&'c self, key: &'c str) -> Path<'c> {
        Path { parent: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nested = match self.parent {
            Some(parent) => {
                parent.fmt(f)?;
                !matches!(parent.step, Step::Root)
            }
            None => false,
        };
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if nested => write!(f, ".{name}"),
            Step::Field(name) => f.write_str(name),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// A value and its path. Absent fields are nodes too: they hold null.
#[derive(Debug, Clone, Copy)]
pub struct Node<'v, 'p> {
    pub value: &'v Value,
    pub path: Path<'p>,
}

impl<'v, 'p> Node<'v, 'p> {
    pub fn root(value: &'v Value) -> Self {
        Self { value, path: Path::ROOT }
    }

    /// The field `path` (one name, or several joined by dots).
    pub fn at<'c>(&'c self, path: &'c str) -> Node<'v, 'c> {
        Node { value: at(self.value, path), path: self.path.field(path) }
    }

    /// The items of a list; nothing if this is none.
    pub fn items(&self) -> impl Iterator<Item = Node<'v, '_>> {
        self.list().iter().enumerate().map(|(index, value)| Node { value, path: self.path.index(index) })
    }

    /// The value here, spoken of under another name of its parent's.
    pub fn named<'c>(self, path: Path<'c>) -> Node<'v, 'c> {
        Node { value: self.value, path }
    }

    /// The first item, null where there is none.
    pub fn first(&self) -> Node<'v, '_> {
        Node { value: self.list().first().unwrap_or(&Value::Null), path: self.path.index(0) }
    }

    /// The member `key` of a map, shown in brackets.
    pub fn key<'c>(&'c self, key: &'c str) -> Node<'v, 'c> {
        Node { value: self.value.get(key).unwrap_or(&Value::Null), path: self.path.key(key) }
    }

    /// The members of a map with the key in brackets; nothing if this is none.
    pub fn entries(&self) -> impl Iterator<Item = (&'v String, Node<'v, '_>)> {
        self.value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key, Node { value, path: self.path.key(key) }))
    }

    pub fn list(&self) -> &'v [Value] {
        self.value.as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The string here, empty if there is none.
    pub fn text(&self) -> &'v str {
        self.value.as_str().unwrap_or_default()
    }

    pub fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// Whether a flag stands here and is up.
    pub fn flag(&self) -> bool {
        self.value.as_bool().unwrap_or_default()
    }

    pub fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Null, "", [], {}, 0 or false.
    pub fn is_zero(&self) -> bool {
        crate::value::is_zero(self.value)
    }

    pub fn required(&self, detail: impl Into<String>) -> FieldError {
        self.error(Reason::Required, None, detail)
    }

    pub fn forbidden(&self, detail: impl Into<String>) -> FieldError {
        self.error(Reason::Forbidden, None, detail)
    }

    pub fn invalid(&self, detail: impl Into<String>) -> FieldError {
        self.error(Reason::Invalid, Some(self.value.clone()), detail)
    }

    /// [`Node::invalid`] without the value: it is too large, or not what matters.
    pub fn invalid_unshown(&self, detail: impl Into<String>) -> FieldError {
        self.error(Reason::Invalid, None, detail)
    }

    /// [`Node::invalid`] where the value to show is not the one that stands here.
    pub fn invalid_as(&self, value: impl Into<Value>, detail: impl Into<String>) -> FieldError {
        self.error(Reason::Invalid, Some(value.into()), detail)
    }

    pub fn duplicate(&self) -> FieldError {
        self.error(Reason::Duplicate, Some(self.value.clone()), "")
    }

    pub fn duplicate_as(&self, value: impl Into<Value>) -> FieldError {
        self.error(Reason::Duplicate, Some(value.into()), "")
    }

    pub fn not_found(&self) -> FieldError {
        self.error(Reason::NotFound, Some(self.text().into()), "")
    }

    /// The choices are shown in the order given.
    pub fn unsupported(&self, supported: &[&str]) -> FieldError {
        let quoted: Vec<String> = supported.iter().map(|choice| format!("{choice:?}")).collect();
        let value = if self.is_set() { self.value.clone() } else { "".into() };
        self.error(Reason::NotSupported, Some(value), format!("supported values: {}", quoted.join(", ")))
    }

    pub fn too_long(&self, max: usize) -> FieldError {
        self.error(Reason::TooLong, None, format!("may not be more than {max} bytes"))
    }

    pub fn too_many(&self, actual: usize, max: usize) -> FieldError {
        self.error(
            Reason::TooMany,
            Some(actual.into()),
            format!("must have at most {max} {}", if max == 1 { "item" } else { "items" }),
        )
    }

    fn error(&self, reason: Reason, value: Option<Value>, detail: impl Into<String>) -> FieldError {
        FieldError { reason, field: self.path.to_string(), value, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_read_as_upstream_words_them() {
        let pod = json!({"spec": {"containers": [{"name": "a"}], "n": 3, "sel": {"a": "b"}},
            "labels": {"x/y": "1"}});
        let root = Node::root(&pod);
        let spec = root.at("spec");
        let containers = spec.at("containers");
        let first = containers.items().next().unwrap();
        assert_eq!(first.at("image").required("").to_string(), "spec.containers[0].image: Required value");
        assert_eq!(
            spec.at("n").invalid("must be less than 2").to_string(),
            "spec.n: Invalid value: 3: must be less than 2"
        );
        assert_eq!(
            spec.at("sel").invalid("field is immutable").to_string(),
            "spec.sel: Invalid value: {\"a\":\"b\"}: field is immutable"
        );
        assert_eq!(
            first.at("name").unsupported(&["b", "z"]).to_string(),
            "spec.containers[0].name: Unsupported value: \"a\": supported values: \"b\", \"z\""
        );
        assert_eq!(
            first.at("name").duplicate().to_string(),
            "spec.containers[0].name: Duplicate value: \"a\""
        );
        assert_eq!(spec.at("n").too_many(3, 2).to_string(), "spec.n: Too many: 3: must have at most 2 items");
        let labels = root.at("labels");
        let (_, label) = labels.entries().next().unwrap();
        assert_eq!(label.forbidden("no").to_string(), "labels[x/y]: Forbidden: no");
        assert_eq!(spec.at("x").invalid("y").to_string(), "spec.x: Invalid value: \"null\": y");
    }
}
