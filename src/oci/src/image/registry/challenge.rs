//! What a registry demands before it answers: the `WWW-Authenticate` header.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token, to be had at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The first that can be met.
    pub(super) fn find(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(WWW_AUTHENTICATE).iter().find_map(|value| Self::parse(value.to_str().ok()?))
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        let mut take = |name: &str| parameters.remove(name).filter(|value| !value.is_empty());
        Some(Self::Bearer { realm: take("realm")?, service: take("service"), scope: take("scope") })
    }
}

/// `name="value", name=value`: a comma may stand in a quoted value.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, rest) = rest.split_once(',').unwrap_or((rest, ""));
                (value.trim().to_owned(), rest)
            }
        };
        let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        parameters.insert(name, value);
        text = rest;
    }
    parameters
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[position + 1..]),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_quotes_may_stand_in_values() {
        let text = r#"Bearer realm="https://auth.example.com/token?a=b",service="a \"quoted\" one", scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example.com/token?a=b".to_owned(),
            service: Some(r#"a "quoted" one"#.to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(Challenge::parse(text), Some(bearer));
    }

    #[test]
    fn the_first_that_can_be_met_is_taken() {
        let mut headers = HeaderMap::new();
        for value in ["Negotiate", "Bearer service=x", "basic realm=\"r\""] {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        assert_eq!(Challenge::find(&headers), Some(Challenge::Basic));
        assert_eq!(Challenge::find(&HeaderMap::new()), None);
    }

    #[test]
    fn nothing_that_comes_from_outside_panics() {
        for text in [
            "",
            "Bearer",
            "Bearer =",
            "Bearer realm=",
            "Bearer realm=\"",
            "Bearer realm=\"\\",
            "Bearer é=\"é",
        ] {
            assert_eq!(Challenge::parse(text), None, "{text}");
        }
    }
}
