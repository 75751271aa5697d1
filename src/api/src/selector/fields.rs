//! Field selectors: `status.phase=Running,spec.nodeName!=a`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

use crate::kinds::{Kind, UnknownField};

/// A conjunction of comparisons with fixed values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// `field=value` or `field!=value`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldTerm {
    pub field: String,
    pub value: String,
    pub negated: bool,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum FieldSelectorError {
    #[error("invalid selector: '{selector}'; can't understand '{part}'")]
    Term { selector: String, part: String },
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    /// Upstream shows the character as its number.
    #[error("invalid field selector: unescaped character in value: {}", u32::from(*.0))]
    Unescaped(char),
}

impl FieldSelector {
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Refuses terms the kind cannot be selected by.
    pub fn check(&self, kind: &Kind) -> Result<(), UnknownField> {
        self.terms.iter().try_for_each(|term| kind.check_field(&term.field))
    }

    pub fn matches(&self, kind: &Kind, object: &Value) -> bool {
        self.terms.iter().all(|term| (kind.field_value(object, &term.field) == term.value) != term.negated)
    }

    /// The one value `field` must have: lets a list look up `metadata.name` instead of scanning.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.field == field && !term.negated)?;
        Some(&term.value)
    }
}

impl FromStr for FieldSelector {
    type Err = FieldSelectorError;

    fn from_str(text: &str) -> Result<Self, FieldSelectorError> {
        let mut parts: Vec<&str> = split(text, ',').filter(|part| !part.is_empty()).collect();
        parts.sort_unstable();
        let terms = parts.into_iter().map(|part| term(text, part)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }
}

/// Splits at every `separator` that no backslash precedes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let splits = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
}

fn term(selector: &str, part: &str) -> Result<FieldTerm, FieldSelectorError> {
    let (field, negated, value) = operator(part)
        .ok_or_else(|| FieldSelectorError::Term { selector: selector.to_owned(), part: part.to_owned() })?;
    Ok(FieldTerm { field: field.to_owned(), value: unescape(value)?, negated })
}

/// The first operator that no backslash precedes.
fn operator(part: &str) -> Option<(&str, bool, &str)> {
    let mut escaped = false;
    for (index, c) in part.char_indices() {
        let rest = &part[index..];
        if !escaped {
            for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
                if let Some(value) = rest.strip_prefix(operator) {
                    return Some((&part[..index], negated, value));
                }
            }
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn unescape(value: &str) -> Result<String, FieldSelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    return Err(FieldSelectorError::Escape(std::iter::once('\\').chain(other).collect()));
                }
            },
            ',' | '=' => return Err(FieldSelectorError::Unescaped(c)),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, FieldTerm { field, value, negated }) in self.terms.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = if *negated { "!=" } else { "=" };
            let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{field}{operator}{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::kinds::by_resource;

    #[test]
    fn terms_select_by_the_fields_of_the_kind() {
        let pods = by_resource("", "v1", "pods").unwrap();
        let pod = json!({"metadata": {"name": "a", "namespace": "b"}, "status": {"phase": "Running"}});
        for (text, matches) in [
            ("", true),
            ("status.phase=Running", true),
            ("status.phase!=Running", false),
            ("status.phase==Running,metadata.name=a", true),
            ("spec.nodeName=", true),
            ("spec.hostNetwork=false", true),
            ("metadata.namespace=c", false),
        ] {
            let selector: FieldSelector = text.parse().unwrap();
            assert_eq!(selector.check(pods), Ok(()), "{text}");
            assert_eq!(selector.matches(pods, &pod), matches, "{text}");
        }
    }

    /// Events of the newer API name their component in one place, those of the older in another.
    #[test]
    fn the_source_of_an_event_is_found_where_it_is_named() {
        let events = by_resource("", "v1", "events").unwrap();
        let selector: FieldSelector = "source=kubelet".parse().unwrap();
        for (event, selected) in [
            (json!({"source": {"component": "kubelet"}, "reportingComponent": "other"}), true),
            (json!({"source": {}, "reportingComponent": "kubelet"}), true),
            (json!({"source": {"component": "other"}, "reportingComponent": "kubelet"}), false),
            (json!({}), false),
        ] {
            assert_eq!(selector.matches(events, &event), selected, "{event}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_in_upstreams_words() {
        let check = |plural, group, text: &str| {
            let selector: FieldSelector = text.parse().unwrap();
            selector.check(by_resource(group, "v1", plural).unwrap()).unwrap_err().to_string()
        };
        assert_eq!(check("pods", "", "spec.foo=x"), "field label not supported: spec.foo");
        assert_eq!(
            check("deployments", "apps", "spec.foo=x"),
            "\"spec.foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        assert_eq!(
            "a,b=c".parse::<FieldSelector>().unwrap_err().to_string(),
            "invalid selector: 'a,b=c'; can't understand 'a'"
        );
    }

    #[test]
    fn values_may_be_escaped() {
        let selector: FieldSelector = "a=b\\,c\\=d\\\\".parse().unwrap();
        assert_eq!(selector.terms()[0].value, "b,c=d\\");
        assert_eq!(selector.to_string(), "a=b\\,c\\=d\\\\");
        let refused = |text: &str| text.parse::<FieldSelector>().unwrap_err().to_string();
        assert_eq!(refused("a=b\\c"), "invalid field selector: invalid escape sequence: \\c");
        assert_eq!(refused("a=b=c"), "invalid field selector: unescaped character in value: 61");
    }

    proptest! {
        #[test]
        fn round_trip(terms in proptest::collection::vec(("[a-z.]{1,5}", "\\PC{0,5}", any::<bool>()), 0..3)) {
            let mut terms: Vec<FieldTerm> =
                terms.into_iter().map(|(field, value, negated)| FieldTerm { field, value, negated }).collect();
            terms.sort();
            let selector = FieldSelector { terms };
            let mut again: FieldSelector = selector.to_string().parse().unwrap();
            again.terms.sort();
            prop_assert_eq!(again, selector);
        }

        #[test]
        fn anything_is_parsed_or_refused(text in "\\PC{0,20}|[a=!,\\\\]{0,12}") {
            let _ = text.parse::<FieldSelector>();
        }
    }
}
