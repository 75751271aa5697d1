//! The label-selector grammar of query strings: `a=b,c!=d,e in (f,g),h notin (),i,!j,k>1`.
//!
//! Accepts what upstream accepts, oddities included (`a in (,)` lists the empty value), and refuses in its words.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::FromStr;

use thiserror::Error;

use super::lexer::{Token, tokens};
use super::{LabelSelector, Operator, Requirement};

/// Why a text is no label selector.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LabelSelectorError {
    #[error("unable to parse requirement: {0}")]
    Requirement(#[source] RequirementError),
    #[error("found '{found}', expected: {expected}")]
    Unexpected { found: String, expected: &'static str },
}

/// Why a requirement cannot be met by any object, or be read at all.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequirementError {
    #[error("found '{found}', expected: {expected}")]
    Unexpected { found: String, expected: &'static str },
    #[error("<nil>: Invalid value: {key:?}: {problems}")]
    Key { key: String, problems: String },
    #[error("values[{index}][{key}]: Invalid value: {value:?}: {problems}")]
    Value { index: usize, key: String, value: String, problems: String },
    #[error("values: Invalid value: {}: {sentence}", serde_json::Value::from(values.clone()))]
    Values { values: Vec<String>, sentence: &'static str },
    #[error("values[0]: Invalid value: {0:?}: for 'Gt', 'Lt' operators, the value must be an integer")]
    NotAnInteger(String),
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
}

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

impl FromStr for LabelSelector {
    type Err = LabelSelectorError;

    fn from_str(text: &str) -> Result<Self, LabelSelectorError> {
        let mut parser = Parser { tokens: tokens(text).peekable() };
        parser.selector().map(Self::new)
    }
}

struct Parser<'a, I: Iterator<Item = Token<'a>>> {
    tokens: Peekable<I>,
}

impl<'a, I: Iterator<Item = Token<'a>>> Parser<'a, I> {
    fn peek(&mut self) -> Token<'a> {
        self.tokens.peek().copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'a> {
        self.tokens.next().unwrap_or(Token::End)
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, LabelSelectorError> {
        let unexpected = |found: Token<'_>, expected| {
            Err(LabelSelectorError::Unexpected { found: found.literal().to_owned(), expected })
        };
        let mut requirements = Vec::new();
        match self.peek() {
            Token::End => return Ok(requirements),
            Token::Word(_) | Token::Not => {}
            other => return unexpected(other, "!, identifier, or 'end of string'"),
        }
        loop {
            requirements.push(self.requirement().map_err(LabelSelectorError::Requirement)?);
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Comma if matches!(self.peek(), Token::Word(_) | Token::Not) => {}
                Token::Comma => return unexpected(self.peek(), "identifier after ','"),
                other => return unexpected(other, "',' or 'end of string'"),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, RequirementError> {
        let negated = self.peek() == Token::Not;
        if negated {
            self.take();
        }
        let key = self.word()?.to_owned();
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => BTreeSet::from([self.exact_value()?]),
        };
        Requirement::new(key, operator, values.into_iter().map(str::to_owned).collect())
    }

    fn word(&mut self) -> Result<&'a str, RequirementError> {
        match self.take() {
            Token::Word(word) => Ok(word),
            other => Err(unexpected(other, "identifier")),
        }
    }

    fn operator(&mut self) -> Result<Operator, RequirementError> {
        match self.take() {
            Token::Word("in") => Ok(Operator::In),
            Token::Word("notin") => Ok(Operator::NotIn),
            Token::Equals => Ok(Operator::Equals),
            Token::DoubleEquals => Ok(Operator::DoubleEquals),
            Token::NotEquals => Ok(Operator::NotEquals),
            Token::Greater => Ok(Operator::Greater),
            Token::Less => Ok(Operator::Less),
            other => Err(unexpected(other, OPERATORS)),
        }
    }

    /// `=` may be followed by nothing: the empty value.
    fn exact_value(&mut self) -> Result<&'a str, RequirementError> {
        match self.peek() {
            Token::End | Token::Comma => Ok(""),
            _ => self.word(),
        }
    }

    /// `(a,b)`; an empty place between commas is the empty value.
    fn values(&mut self) -> Result<BTreeSet<&'a str>, RequirementError> {
        match self.take() {
            Token::Open => {}
            other => return Err(unexpected(other, "'('")),
        }
        let mut values = BTreeSet::new();
        loop {
            match self.peek() {
                Token::Word(word) => {
                    self.take();
                    values.insert(word);
                }
                Token::Comma | Token::Close => drop(values.insert("")),
                other => return Err(unexpected(other, "',', ')' or identifier")),
            }
            match self.take() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(unexpected(other, "',' or ')'")),
            }
        }
    }
}

fn unexpected(found: Token<'_>, expected: &'static str) -> RequirementError {
    RequirementError::Unexpected { found: found.literal().to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<LabelSelector>() {
            Ok(selector) => selector.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn the_grammar() {
        for (text, canonical) in [
            ("", ""),
            ("a=b", "a=b"),
            ("a==b", "a==b"),
            (" c != d , a", "a,c!=d"),
            ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
            ("a in (,)", "a in ()"),
            ("!a", "!a"),
            ("! a,b", "!a,b"),
            ("a=", "a="),
            ("a=,b", "a=,b"),
            ("a>1,b<2", "a>1,b<2"),
            ("in in (in)", "in in (in)"),
            ("example.com/a=b", "example.com/a=b"),
        ] {
            assert_eq!(shown(text), canonical, "{text}");
        }
    }

    #[test]
    fn refusals_are_worded_as_upstream_words_them() {
        for (text, error) in [
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a in b", "unable to parse requirement: found 'b', expected: '('"),
            ("a near b", "unable to parse requirement: found 'near', expected: in, notin, =, ==, !=, gt, lt"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ] {
            assert_eq!(shown(text), format!("error: {error}"), "{text}");
        }
        assert!(shown("a>b").contains("the value must be an integer"));
        assert!(shown("-a=b").contains("Invalid value: \"-a\": name part must consist"));
    }

    #[test]
    fn ordering_requirements_compare_numbers() {
        let selector: LabelSelector = "a>9".parse().unwrap();
        assert!(selector.matches(&json!({"a": "10"})));
        assert!(!selector.matches(&json!({"a": "9"})));
        assert!(!selector.matches(&json!({"a": "x"})));
    }

    proptest! {
        #[test]
        fn round_trip(text in "(!?[a-c]|[a-c](=|!=|==)[a-z0-9]{0,2}|[a-c] (in|notin) \\([a-z]{0,2}(,[a-z]{0,2}){0,2}\\)|[a-c][<>][0-9])(,[d-f])?") {
            let selector: LabelSelector = text.parse().unwrap();
            prop_assert_eq!(selector.to_string().parse::<LabelSelector>(), Ok(selector));
        }

        #[test]
        fn anything_is_parsed_or_refused(text in "[ -~]{0,20}|\\PC{0,10}|[a-c!=(),<> in]{0,20}") {
            if let Ok(selector) = text.parse::<LabelSelector>() {
                selector.matches(&json!({"a": "b"}));
            }
        }

        #[test]
        fn a_negation_is_the_opposite(value in "[a-z]{1,2}", label in proptest::option::of("[a-z]{1,2}")) {
            let labels = label.map_or(json!({}), |label| json!({"k": label}));
            let matches = |text: String| text.parse::<LabelSelector>().unwrap().matches(&labels);
            prop_assert_ne!(matches(format!("k={value}")), matches(format!("k!={value}")));
            prop_assert_ne!(matches(format!("k in ({value},x)")), matches(format!("k notin ({value},x)")));
            prop_assert_ne!(matches("k".into()), matches("!k".into()));
        }
    }
}
