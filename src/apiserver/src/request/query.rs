//! The options after the question mark, read once and checked.

use std::num::{IntErrorKind, ParseIntError};

use api::selector::{FieldSelector, FieldSelectorError, LabelSelector, LabelSelectorError};
use api::status::Status;
use percent_encoding::percent_decode_str;
use store::Revision;

/// The options of every verb; each reads those it knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// Which objects of a list or a watch are meant.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

/// What becomes of fields that the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl Query {
    pub(crate) fn parse(query: &str) -> Result<Self, Status> {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decoded(name)?, decoded(value)?))
        });
        let pairs = pairs.collect::<Option<_>>();
        Ok(Self { pairs: pairs.ok_or_else(|| Status::bad_request("the query of the request is not UTF-8"))? })
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of an option; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// As Go reads a boolean: present without a value is true, and so is everything but `false` and `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.is_some_and(|(_, value)| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }

    /// As Go reads a number, and refuses it.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        let wrong =
            |text: &str, error: &ParseIntError| Status::bad_request(go_refusal("ParseInt", text, error));
        let parsed = self.text(name).map(|text| text.parse().map_err(|error| wrong(text, &error)));
        parsed.transpose()
    }

    /// The revision that is named; the one before all others for `0`.
    pub(crate) fn revision(&self) -> Result<Option<Revision>, String> {
        let wrong = |text: &str, error: &ParseIntError| go_refusal("ParseUint", text, error);
        let parsed =
            self.text("resourceVersion").map(|text| text.parse().map_err(|error| wrong(text, &error)));
        Ok(parsed.transpose()?.map(Revision::new))
    }

    pub(crate) fn selection(&self) -> Result<Selection, Status> {
        let labels = self.text("labelSelector").unwrap_or_default().parse();
        let fields = self.text("fieldSelector").unwrap_or_default().parse();
        Ok(Selection {
            labels: labels.map_err(|error: LabelSelectorError| Status::bad_request(error.to_string()))?,
            fields: fields.map_err(|error: FieldSelectorError| Status::bad_request(error.to_string()))?,
        })
    }

    /// Only `All` is a dry run; others were refused.
    pub(crate) fn dry_run(&self) -> bool {
        self.pairs().any(|pair| pair == ("dryRun", "All"))
    }

    pub(crate) fn field_validation(&self) -> FieldValidation {
        match self.text("fieldValidation") {
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        }
    }
}

impl Selection {
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }
}

fn go_refusal(function: &str, text: &str, error: &ParseIntError) -> String {
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing {text:?}: {why}")
}

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_decoded_and_checked() {
        let query =
            Query::parse("labelSelector=app%3Dweb%2Ctier+in+%28a%29&limit=5&watch&dryRun=All&x=").unwrap();
        assert_eq!(query.text("labelSelector"), Some("app=web,tier in (a)"));
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert!(query.flag("watch") && query.dry_run());
        assert_eq!(query.text("x"), None);
        let refused = |text: &str| Query::parse(text).unwrap().number("limit").unwrap_err().message;
        assert_eq!(refused("limit=x"), "strconv.ParseInt: parsing \"x\": invalid syntax");
        let large = "99999999999999999999";
        assert_eq!(
            refused(&format!("limit={large}")),
            format!("strconv.ParseInt: parsing {large:?}: value out of range")
        );
        assert!(!Query::parse("dryRun=Some").unwrap().dry_run());
        assert_eq!(Query::parse("%ff=1").unwrap_err().code, 400);
    }
}
