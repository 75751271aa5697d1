//! Field errors: what validation finds, where, and in which words.
//!
//! Validation walks a [`Node`], a value that knows its path. Paths are linked through the stack and become text only when
//! there is something to report.

mod check;
mod error;
mod node;
#[cfg(test)]
pub(crate) mod said;

pub use error::{Errors, FieldError, Reason};
pub use node::{Node, Path};
