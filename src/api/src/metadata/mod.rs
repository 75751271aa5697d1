//! The metadata every object has, and its rules.

mod prepare;
mod rules;

pub use prepare::{Birth, begin_deletion, generated_name, prepare_create, prepare_update};
pub(crate) use prepare::{keep_described, seconds};
pub(crate) use rules::annotations as validate_annotations;
pub(crate) use rules::label_key as validate_label_key;
pub(crate) use rules::labels as validate_labels;
pub(crate) use rules::standard_finalizer as validate_standard_finalizer;
pub use rules::{validate, validate_update};
