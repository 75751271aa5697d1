//! One configuration file: a YAML mapping from option names to scalars or lists of scalars.
//!
//! The file is read as the parser's events instead of a tree: values keep their line, and a scalar stays the text that was
//! written (`0600` is a file mode, not the number 384 or 600).

use std::path::Path;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{Error, Origin};

/// One key of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Written `key+`: adds to what the files before gave.
    pub(super) appends: bool,
    pub(super) at: Origin,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing behind the colon, or `null`.
    Missing,
    Scalar(String),
    List(Vec<(Origin, String)>),
}

/// The entries of a file in their order. An empty file has none.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Error> {
    let mut reader = Reader { events: Parser::new_from_str(text), path };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::Scalar(text, style, ..), _) if is_null(&text, style) => {}
            (Event::MappingStart(..), _) => return reader.mapping(),
            (Event::DocumentEnd | Event::StreamEnd, _) => return Ok(Vec::new()),
            (_, at) => return Err(Error::Shape { at, expected: "expected options as `name: value` lines" }),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    path: &'a Path,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Origin), Error> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, self.origin(&span))),
                Some(Err(error)) => return Err(self.syntax(&error)),
                None => return Ok((Event::StreamEnd, self.origin(&Span::default()))),
            }
        }
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(key, ..), at) => entries.push(self.entry(&key, at)?),
                (_, at) => return Err(Error::Shape { at, expected: "expected the name of an option" }),
            }
        }
        self.end()?;
        Ok(entries)
    }

    fn entry(&mut self, key: &str, at: Origin) -> Result<Entry, Error> {
        let (key, appends) = key.strip_suffix('+').map_or((key, false), |key| (key, true));
        Ok(Entry { key: key.to_owned(), appends, at, value: self.value()? })
    }

    fn value(&mut self) -> Result<Value, Error> {
        match self.next()? {
            (Event::Scalar(text, style, ..), _) if is_null(&text, style) => Ok(Value::Missing),
            (Event::Scalar(text, ..), _) => Ok(Value::Scalar(text.into_owned())),
            (Event::SequenceStart(..), _) => self.list(),
            (_, at) => Err(Error::Shape { at, expected: "expected a value or a list of values" }),
        }
    }

    fn list(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (Event::Scalar(text, style, ..), at) if !is_null(&text, style) => {
                    items.push((at, text.into_owned()));
                }
                (_, at) => return Err(Error::Shape { at, expected: "expected a value in the list" }),
            }
        }
    }

    /// A second document would otherwise be dropped without a word.
    fn end(&mut self) -> Result<(), Error> {
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, at) => return Err(Error::Shape { at, expected: "expected one document in the file" }),
            }
        }
    }

    fn origin(&self, span: &Span) -> Origin {
        Origin::File { path: self.path.to_owned(), line: span.start.line() }
    }

    fn syntax(&self, error: &ScanError) -> Error {
        let at = Origin::File { path: self.path.to_owned(), line: error.marker().line() };
        Error::Syntax { at, message: error.info().to_owned() }
    }
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        parse(Path::new("c.yaml"), text).unwrap()
    }

    fn error(text: &str) -> String {
        parse(Path::new("c.yaml"), text).unwrap_err().to_string()
    }

    fn line(line: usize) -> Origin {
        Origin::File { path: "c.yaml".into(), line }
    }

    #[test]
    fn values_keep_their_line_and_their_text() {
        let read = entries("# first\nmode: 0600\n\nlist+:\n  - a\n  - 'true'\nname: \"~\"\nnone:\n");
        let list = Value::List(vec![(line(5), "a".into()), (line(6), "true".into())]);
        let expected = [
            ("mode", false, 2, Value::Scalar("0600".into())),
            ("list", true, 4, list),
            ("name", false, 7, Value::Scalar("~".into())),
            ("none", false, 8, Value::Missing),
        ];
        let expected =
            expected.map(|(key, appends, at, value)| Entry { key: key.into(), appends, at: line(at), value });
        assert_eq!(read, expected);
    }

    #[test]
    fn an_empty_file_is_no_error() {
        for text in ["", "---\n", "# only a comment\n", "~\n"] {
            assert_eq!(entries(text), [], "{text:?}");
        }
    }

    #[test]
    fn what_is_not_options_is_refused_with_its_line() {
        let cases = [
            ("- a\n", "c.yaml:1: expected options as `name: value` lines"),
            ("a: 1\n---\nb: 2\n", "c.yaml:2: expected one document in the file"),
            ("a: 1\nb:\n  c: 2\n", "c.yaml:3: expected a value or a list of values"),
            ("a:\n- - b\n", "c.yaml:2: expected a value in the list"),
            ("a: &x 1\nb: *x\n", "c.yaml:2: expected a value or a list of values"),
            ("? [a]\n: b\n", "c.yaml:1: expected the name of an option"),
        ];
        for (text, expected) in cases {
            assert_eq!(error(text), expected, "{text:?}");
        }
        assert_eq!(error("a: 1\nb: [\n"), "c.yaml:2: unclosed bracket '['");
    }
}
