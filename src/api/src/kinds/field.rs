//! The fields a field selector may name, kind by kind.

use serde_json::Value;
use thiserror::Error;

use super::Kind;
use crate::value;

/// A field selector names a field that its kind cannot be selected by.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnknownField {
    #[error("field label not supported: {0}")]
    Unsupported(String),
    /// The wording for kinds that offer nothing beyond their name.
    #[error("\"{0}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")]
    OnlyMetadata(String),
}

/// The selectable fields of a kind beside its name and namespace.
#[derive(Debug, Clone, Copy)]
pub struct Selectable(pub(super) &'static [Field]);

/// One label of the field-selector grammar and where its value stands.
#[derive(Debug)]
pub(super) struct Field {
    label: &'static str,
    path: &'static [&'static str],
    /// Where the value stands in an object in which the field is absent.
    otherwise: &'static [&'static str],
    /// What selects an object in which it is absent there too.
    absent: &'static str,
}

impl Field {
    pub(super) const fn new(label: &'static str, path: &'static [&'static str]) -> Self {
        Self { label, path, otherwise: &[], absent: "" }
    }

    pub(super) const fn or_at(self, otherwise: &'static [&'static str]) -> Self {
        Self { otherwise, ..self }
    }

    pub(super) const fn or(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }
}

impl Selectable {
    pub const METADATA: Self = Self(&[]);

    fn find(self, label: &str) -> Option<&'static Field> {
        self.0.iter().find(|field| field.label == label)
    }
}

impl Kind {
    /// Refuses a selector label this kind does not support, in upstream's words.
    pub fn check_field(&self, label: &str) -> Result<(), UnknownField> {
        let known = match label {
            "metadata.name" => true,
            "metadata.namespace" => self.namespaced || self.fields.0.is_empty(),
            label => self.fields.find(label).is_some(),
        };
        match known {
            true => Ok(()),
            false if self.fields.0.is_empty() => Err(UnknownField::OnlyMetadata(label.to_owned())),
            false => Err(UnknownField::Unsupported(label.to_owned())),
        }
    }

    /// The value a selector compares for `label`: empty where the object has none.
    pub fn field_value(&self, object: &Value, label: &str) -> String {
        match self.fields.find(label) {
            Some(field) => [field.path, field.otherwise]
                .into_iter()
                .map(|path| scalar(value::walk(object, path)))
                .find(|text| !text.is_empty())
                .unwrap_or_else(|| field.absent.to_owned()),
            None => scalar(value::at(object, label)),
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}
