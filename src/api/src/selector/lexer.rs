//! Tokens of the label-selector grammar.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key, a value, or the words `in` and `notin`, which are operators only where one is expected.
    Word(&'a str),
    Open,
    Close,
    Comma,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    End,
}

impl Token<'_> {
    /// The token as error messages show it.
    pub(super) const fn literal(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::End => "",
        }
    }
}

/// Splits a selector. Like upstream, the first NUL byte ends it.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text.split('\0').next().unwrap_or_default();
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let (token, length) = next(rest);
        rest = &rest[length..];
        Some(token)
    })
}

fn next(rest: &str) -> (Token<'_>, usize) {
    let bytes = rest.as_bytes();
    match (bytes.first(), bytes.get(1)) {
        (None, _) => (Token::End, 0),
        (Some(b'='), Some(b'=')) => (Token::DoubleEquals, 2),
        (Some(b'!'), Some(b'=')) => (Token::NotEquals, 2),
        (Some(b'='), _) => (Token::Equals, 1),
        (Some(b'!'), _) => (Token::Not, 1),
        (Some(b'('), _) => (Token::Open, 1),
        (Some(b')'), _) => (Token::Close, 1),
        (Some(b','), _) => (Token::Comma, 1),
        (Some(b'>'), _) => (Token::Greater, 1),
        (Some(b'<'), _) => (Token::Less, 1),
        (Some(_), _) => {
            let length = rest.find(ends_word).unwrap_or(rest.len());
            (Token::Word(&rest[..length]), length)
        }
    }
}

fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '=' | '!' | '(' | ')' | ',' | '>' | '<')
}
