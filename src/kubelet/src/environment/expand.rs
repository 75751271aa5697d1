//! `$(NAME)` in values, commands and sub-paths.
//!
//! `$$` stands for one `$`, so `$$(NAME)` is not a reference. What is not a reference stays as it is written.

/// `text` with its references replaced; one that `lookup` does not know stays as it is.
pub(crate) fn expand(text: &str, mut lookup: impl FnMut(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            expanded.push_str(&lookup(name).unwrap_or_else(|| format!("$({name})")));
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text, |name| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("$(A)".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn references_escapes_and_what_is_neither() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "one"),
            ("a$(A)b$(A)", "aonebone"),
            ("$(EMPTY)", ""),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$one"),
            ("$$$$(A)", "$$(A)"),
            ("$A ${A} $", "$A ${A} $"),
            ("$(A", "$(A"),
            ("$(NESTED)", "$(A)"),
            ("$()", "$()"),
            ("$(A$(A)", "$(A$(A)"),
        ] {
            assert_eq!(expanded(text), expected, "{text}");
        }
    }
}
