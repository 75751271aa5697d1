//! Numbers, port numbers and port names.

use super::{Problems, range, too_long};

const NAME_MAX: usize = 15;

pub fn port_number(port: i64) -> Problems {
    if (1..=65535).contains(&port) { Problems::new() } else { vec![range(1, 65535)] }
}

/// A number written as people write it: no plus, no zeros in front.
pub fn decimal_integer(text: &str) -> Problems {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let spelled =
        text == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    match (text.is_empty(), spelled && !digits.is_empty()) {
        (true, _) => vec!["must be non-empty".into()],
        (_, true) => Problems::new(),
        (_, false) => vec!["must be a valid decimal integer in canonical form".into()],
    }
}

/// An IANA service name: `http-alt`.
pub fn port_name(name: &str) -> Problems {
    let mut problems = Problems::new();
    if name.len() > NAME_MAX {
        problems.push(too_long(NAME_MAX));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.bytes().all(allowed) {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".into());
    }
    if name.contains("--") {
        problems.push("must not contain consecutive hyphens".into());
    }
    if name.starts_with('-') || name.ends_with('-') {
        problems.push("must not begin or end with a hyphen".into());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for good in ["0", "7", "-7", "100"] {
            assert_eq!(decimal_integer(good), Problems::new(), "{good}");
        }
        for bad in ["-0", "07", "+7", "-", "1e3", "7 "] {
            assert_eq!(decimal_integer(bad), ["must be a valid decimal integer in canonical form"], "{bad}");
        }
        assert_eq!(decimal_integer(""), ["must be non-empty"]);
    }

    #[test]
    fn ports() {
        assert_eq!(port_number(1), Problems::new());
        assert_eq!(port_number(0), ["must be between 1 and 65535, inclusive"]);
        assert_eq!(port_name("http"), Problems::new());
        assert_eq!(port_name("8080"), ["must contain at least one letter (a-z)"]);
        assert_eq!(port_name("a--b"), ["must not contain consecutive hyphens"]);
        assert_eq!(port_name("-a"), ["must not begin or end with a hyphen"]);
        assert_eq!(port_name(&"a".repeat(16)), ["must be no more than 15 bytes"]);
    }
}
