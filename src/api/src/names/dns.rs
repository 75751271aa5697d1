//! Names that are DNS labels or made of them.

use super::{Problems, pattern, too_long};

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

/// An RFC 1123 label: `web-1`.
pub fn label(name: &str) -> Problems {
    let mut problems = length(name, LABEL_MAX);
    if !is_label(name) {
        // Whoever meant a name with dots should hear that dots are what is wrong.
        let sentence = match is_subdomain(name) {
            true => return [problems, vec!["must not contain dots".into()]].concat(),
            false => {
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character"
            }
        };
        problems.push(pattern(sentence, LABEL, &["my-name", "123-abc"]));
    }
    problems
}

/// RFC 1123 labels joined by dots: `a.example.com`.
pub fn subdomain(name: &str) -> Problems {
    let mut problems = length(name, SUBDOMAIN_MAX);
    if !is_subdomain(name) {
        problems.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    problems
}

/// [`subdomain`] whose labels may have underscores, as service records have.
pub fn subdomain_with_underscores(name: &str) -> Problems {
    let mut problems = length(name, SUBDOMAIN_MAX);
    let label = |label: &str| {
        let plain = label.strip_prefix('_').unwrap_or(label);
        !plain.starts_with('_') && !plain.ends_with('_') && is_label(&plain.replace('_', "-"))
    };
    if !name.split('.').all(label) {
        problems.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and \
             must start and end with an alphanumeric character",
            "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    problems
}

/// An RFC 1035 label: like [`label`], but it starts with a letter.
pub fn label_1035(name: &str) -> Problems {
    let mut problems = length(name, LABEL_MAX);
    if !is_label(name) || name.starts_with(|first: char| first.is_ascii_digit()) {
        problems.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    problems
}

/// `*.example.com`
pub fn wildcard_subdomain(name: &str) -> Problems {
    let mut problems = length(name, SUBDOMAIN_MAX);
    if !name.strip_prefix("*.").is_some_and(is_subdomain) {
        problems.push(pattern(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist \
             of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!("\\*\\.{SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    problems
}

fn length(name: &str, max: usize) -> Problems {
    if name.len() > max { vec![too_long(max)] } else { Vec::new() }
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match name.as_bytes() {
        [] => false,
        [first, .., last] if !inner(*first) || !inner(*last) => false,
        [only] => inner(*only),
        bytes => bytes.iter().all(|byte| inner(*byte) || *byte == b'-'),
    }
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "a-b", "0", "9-z", &"x".repeat(63)] {
            assert_eq!(label(good), Problems::new(), "{good}");
        }
        for bad in ["", "-", "-a", "a-", "A", "a_b", "ä", "a b", &"x".repeat(64)] {
            assert_ne!(label(bad), Problems::new(), "{bad}");
        }
        assert_eq!(label("a.b"), ["must not contain dots"]);
    }

    #[test]
    fn subdomains_and_the_stricter_label() {
        assert_eq!(subdomain("a.b-c.d"), Problems::new());
        assert_ne!(subdomain("a..b"), Problems::new());
        assert_eq!(label_1035("a1"), Problems::new());
        assert_ne!(label_1035("1a"), Problems::new());
        assert_eq!(wildcard_subdomain("*.a.b"), Problems::new());
        assert_ne!(wildcard_subdomain("*a.b"), Problems::new());
    }

    #[test]
    fn the_sentence_is_upstreams() {
        assert_eq!(
            label("A"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
              and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
    }
}
