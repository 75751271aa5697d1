//! Keys and values of labels, annotations, configuration and environments.

use super::{Problems, pattern, subdomain, too_long};

const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_SENTENCE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const NAME_MAX: usize = 63;
const KEY_MAX: usize = 253;

/// A label or annotation key: a name with an optional DNS prefix, `example.com/MyName`.
pub fn qualified_name(name: &str) -> Problems {
    let parts: Vec<&str> = name.split('/').collect();
    let mut problems = Problems::new();
    let name = match parts[..] {
        [name] => name,
        ["", name] => {
            problems.push("prefix part must be non-empty".into());
            name
        }
        [prefix, name] => {
            problems.extend(subdomain(prefix).into_iter().map(|problem| format!("prefix part {problem}")));
            name
        }
        _ => {
            let sentence = pattern(QUALIFIED_SENTENCE, QUALIFIED, &["MyName", "my.name", "123-abc"]);
            problems.push(format!(
                "a qualified name {sentence} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
            return problems;
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".into());
    } else if name.len() > NAME_MAX {
        problems.push(format!("name part {}", too_long(NAME_MAX)));
    }
    if !is_qualified(name) {
        let sentence = pattern(QUALIFIED_SENTENCE, QUALIFIED, &["MyName", "my.name", "123-abc"]);
        problems.push(format!("name part {sentence}"));
    }
    problems
}

pub fn label_value(value: &str) -> Problems {
    let mut problems = Problems::new();
    if value.len() > NAME_MAX {
        problems.push(too_long(NAME_MAX));
    }
    if !value.is_empty() && !is_qualified(value) {
        problems.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

fn is_qualified(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// A key of a ConfigMap or Secret: it becomes a file name.
pub fn config_key(key: &str) -> Problems {
    let mut problems = Problems::new();
    if key.len() > KEY_MAX {
        problems.push(too_long(KEY_MAX));
    }
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        problems.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match key {
        "." => problems.push("must not be '.'".into()),
        ".." => problems.push("must not be '..'".into()),
        key if key.starts_with("..") => problems.push("must not start with '..'".into()),
        _ => {}
    }
    problems
}

/// The name of an environment variable: any printable ASCII but `=`.
pub fn env_name(name: &str) -> Problems {
    match !name.is_empty() && name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=') {
        true => Problems::new(),
        false => vec![pattern(
            "a valid environment variable name must consist only of printable ASCII characters other than '='",
            "[ -<>-~]+",
            &[],
        )],
    }
}

pub fn header_name(name: &str) -> Problems {
    match !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        true => Problems::new(),
        false => vec![pattern(
            "a valid HTTP header must consist of alphanumeric characters or '-'",
            "[-A-Za-z0-9]+",
            &["X-Header-Name"],
        )],
    }
}

/// Why a condition holds, in one word.
pub fn condition_reason(reason: &str) -> Problems {
    let bytes = reason.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let fits = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(word)
        && bytes.iter().all(|byte| word(byte) || b",:".contains(byte));
    match fits {
        true => Problems::new(),
        false => vec![pattern(
            "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
             characters or '_,:', and must end with an alphanumeric character or '_'",
            "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
            &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
        )],
    }
}

/// A name as in the language C.
pub fn c_identifier(name: &str) -> Problems {
    let letter = |first: char| first == '_' || first.is_ascii_alphabetic();
    match name.starts_with(letter) && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        true => Problems::new(),
        false => vec![pattern(
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric \
             characters or '_'",
            "[A-Za-z_][A-Za-z0-9_]*",
            &["my_name", "MY_NAME", "MyName"],
        )],
    }
}

/// What can follow the host in a URL.
pub fn http_path(path: &str) -> Problems {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    match !path.is_empty() && path.bytes().all(allowed) {
        true => Problems::new(),
        false => vec![pattern("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[])],
    }
}

/// Anything that can stand between two slashes of a URL.
pub fn path_segment(name: &str) -> Problems {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        name => ["/", "%"]
            .into_iter()
            .filter(|banned| name.contains(banned))
            .map(|banned| format!("may not contain '{banned}'"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualified_names() {
        for good in ["a", "A.b_c-9", "example.com/Name"] {
            assert_eq!(qualified_name(good), Problems::new(), "{good}");
        }
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert!(qualified_name("a/")[0].starts_with("name part must be non-empty"));
        assert!(qualified_name("A_/a")[0].starts_with("prefix part a lowercase RFC 1123 subdomain"));
        assert!(qualified_name("a/b/c")[0].starts_with("a qualified name must consist"));
        assert_eq!(qualified_name(&"a".repeat(64)), ["name part must be no more than 63 bytes"]);
    }

    #[test]
    fn keys_values_and_variables() {
        assert_eq!(label_value(""), Problems::new());
        assert_ne!(label_value("-a"), Problems::new());
        assert_eq!(config_key("..a"), ["must not start with '..'"]);
        assert_eq!(config_key("nginx.conf"), Problems::new());
        assert_ne!(config_key("a/b"), Problems::new());
        assert_eq!(env_name("a b"), Problems::new());
        assert_ne!(env_name("a=b"), Problems::new());
        assert_eq!(path_segment("a/b%"), ["may not contain '/'", "may not contain '%'"]);
        assert_eq!(path_segment("system:node"), Problems::new());
    }
}
