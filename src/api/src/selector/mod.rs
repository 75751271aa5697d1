//! Label and field selectors: the query-string grammar and the selectors inside objects.

mod fields;
mod labels;
mod lexer;
mod parse;
mod typed;

pub use fields::{FieldSelector, FieldSelectorError, FieldTerm};
pub use labels::{LabelSelector, Operator, Requirement};
pub use parse::{LabelSelectorError, RequirementError};
