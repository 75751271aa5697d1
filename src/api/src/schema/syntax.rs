//! What is wrong with text that is no JSON, in the words of upstream's reader, which is Go's: people and tests compare
//! these messages. Only for text that our own reader has refused.

/// Containers within containers that Go's reader takes.
const DEEPEST: usize = 10_000;

/// What Go's reader would say; none if it finds nothing wrong.
pub(super) fn complaint(json: &[u8]) -> Option<String> {
    let mut reader = Reader { rest: json, open: Vec::new() };
    reader.read().err()
}

type Read = Result<(), String>;

struct Reader<'a> {
    rest: &'a [u8],
    open: Vec<Container>,
}

#[derive(Clone, Copy)]
enum Container {
    Object,
    Array,
}

/// What may come next.
#[derive(Clone, Copy)]
enum Next {
    Value,
    ElementOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    AfterValue,
}

impl Reader<'_> {
    fn read(&mut self) -> Read {
        let mut next = Next::Value;
        loop {
            self.skip_spaces();
            if self.rest.is_empty() {
                let complete = matches!(next, Next::AfterValue) && self.open.is_empty();
                return if complete { Ok(()) } else { Err("unexpected end of JSON input".into()) };
            }
            next = self.step(next)?;
        }
    }

    fn skip_spaces(&mut self) {
        let text = self.rest.iter().position(|byte| !b" \t\r\n".contains(byte));
        self.rest = &self.rest[text.unwrap_or(self.rest.len())..];
    }

    fn step(&mut self, next: Next) -> Result<Next, String> {
        let byte = self.take()?;
        match (next, byte) {
            (Next::ElementOrEnd, b']') | (Next::KeyOrEnd, b'}') => self.close(),
            (Next::Value | Next::ElementOrEnd, _) => self.value(byte),
            (Next::KeyOrEnd | Next::Key, b'"') => self.string().map(|()| Next::Colon),
            (Next::KeyOrEnd | Next::Key, _) => refuse(byte, "looking for beginning of object key string"),
            (Next::Colon, b':') => Ok(Next::Value),
            (Next::Colon, _) => refuse(byte, "after object key"),
            (Next::AfterValue, _) => match (self.open.last(), byte) {
                (Some(Container::Object), b',') => Ok(Next::Key),
                (Some(Container::Array), b',') => Ok(Next::Value),
                (Some(Container::Object), b'}') | (Some(Container::Array), b']') => self.close(),
                (Some(Container::Object), _) => refuse(byte, "after object key:value pair"),
                (Some(Container::Array), _) => refuse(byte, "after array element"),
                (None, _) => refuse(byte, "after top-level value"),
            },
        }
    }

    fn value(&mut self, first: u8) -> Result<Next, String> {
        match first {
            b'{' => return self.begin(Container::Object, Next::KeyOrEnd),
            b'[' => return self.begin(Container::Array, Next::ElementOrEnd),
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number(first)?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            other => return refuse(other, "looking for beginning of value"),
        }
        Ok(Next::AfterValue)
    }

    fn begin(&mut self, container: Container, next: Next) -> Result<Next, String> {
        self.open.push(container);
        if self.open.len() > DEEPEST { Err("exceeded max depth".into()) } else { Ok(next) }
    }

    fn close(&mut self) -> Result<Next, String> {
        self.open.pop();
        Ok(Next::AfterValue)
    }

    fn take(&mut self) -> Result<u8, String> {
        let (first, rest) = self.rest.split_first().ok_or("unexpected end of JSON input")?;
        self.rest = rest;
        Ok(*first)
    }

    fn literal(&mut self, word: &str) -> Read {
        for wanted in word.bytes().skip(1) {
            let byte = self.take()?;
            if byte != wanted {
                return refuse(byte, &format!("in literal {word} (expecting {})", quoted(wanted)));
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Read {
        loop {
            match self.take()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control @ ..0x20 => return refuse(control, "in string literal"),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Read {
        match self.take()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.take()? {
                digit if digit.is_ascii_hexdigit() => Ok(()),
                other => refuse(other, "in \\u hexadecimal character escape"),
            }),
            other => refuse(other, "in string escape code"),
        }
    }

    fn number(&mut self, first: u8) -> Read {
        let leading = if first == b'-' { self.digit("in numeric literal")? } else { first };
        if leading != b'0' {
            self.digits();
        }
        if self.takes(b".") {
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if self.takes(b"eE") {
            self.takes(b"+-");
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Result<u8, String> {
        match self.take()? {
            digit @ b'0'..=b'9' => Ok(digit),
            other => refuse(other, place),
        }
    }

    fn digits(&mut self) {
        while self.takes(b"0123456789") {}
    }

    fn takes(&mut self, one_of: &[u8]) -> bool {
        let found = self.rest.first().is_some_and(|byte| one_of.contains(byte));
        self.rest = &self.rest[usize::from(found)..];
        found
    }
}

fn refuse<T>(byte: u8, place: &str) -> Result<T, String> {
    Err(format!("invalid character {} {place}", quoted(byte)))
}

/// As Go quotes a byte that it takes for a character.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".into(),
        b'\\' => r"'\\'".into(),
        b'\n' => r"'\n'".into(),
        b'\r' => r"'\r'".into(),
        b'\t' => r"'\t'".into(),
        0x07 => r"'\a'".into(),
        0x08 => r"'\b'".into(),
        0x0b => r"'\v'".into(),
        0x0c => r"'\f'".into(),
        control @ (..0x20 | 0x7f) => format!("'\\x{control:02x}'"),
        unprintable @ (0x80..=0xa0 | 0xad) => format!("'\\u{unprintable:04x}'"),
        printable => format!("'{}'", char::from(printable)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn complaints_are_gos() {
        for (json, expected) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a\":1", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("nonsense", "invalid character 'o' in literal null (expecting 'u')"),
            ("NaN", "invalid character 'N' looking for beginning of value"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("01", "invalid character '1' after top-level value"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\\u00g0\"", "invalid character 'g' in \\u hexadecimal character escape"),
            ("'", "invalid character '\\'' looking for beginning of value"),
            ("\u{0}", "invalid character '\\x00' looking for beginning of value"),
        ] {
            assert_eq!(complaint(json.as_bytes()).as_deref(), Some(expected), "{json:?}");
        }
        assert_eq!(complaint(&b"[".repeat(10_001)).as_deref(), Some("exceeded max depth"));
        assert_eq!(complaint(b" {\"a\": [1, -2.5e+3, \"\\u00e4\", null, true, false, {}, []]} "), None);
    }

    proptest! {
        #[test]
        fn what_our_reader_takes_go_takes_too(text in "[\\[\\]{}\",:0-9eE.+ tfnrualse\\\\-]{0,12}") {
            if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
                prop_assert_eq!(complaint(text.as_bytes()), None);
            }
        }
    }
}
