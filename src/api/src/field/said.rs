//! What was found, as tests compare it.

use serde_json::Value;

use super::Errors;

pub(crate) fn sentences(errors: &Errors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// A sentence ending in `…` stands for its beginning.
pub(crate) fn compare(case: &Value, found: &[String], expected: &[&str]) {
    let same = |(found, expected): (&String, &&str)| match expected.strip_suffix('…') {
        Some(start) => found.starts_with(start),
        None => found == expected,
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(same);
    assert!(all, "{case}\nfound: {found:#?}\nexpected: {expected:#?}");
}
