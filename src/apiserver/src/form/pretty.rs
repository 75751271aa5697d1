//! JSON for people: indented by two spaces, as it goes by.
//!
//! Nothing is parsed: what is laid out is what stands between the values, and a list is laid out chunk by chunk.

/// The layout so far.
#[derive(Debug, Default)]
pub(super) struct Layout {
    depth: usize,
    within_text: bool,
    escaped: bool,
    /// A bracket was just opened, and nothing stands in it yet.
    opened: bool,
}

impl Layout {
    pub(super) fn lay_out(&mut self, json: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(json.len() + json.len() / 2);
        for byte in json {
            self.push(*byte, &mut out);
        }
        out
    }

    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.within_text {
            self.within_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return out.push(byte);
        }
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !std::mem::take(&mut self.opened) {
                    self.begin_line(out);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                self.begin_line(out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                if std::mem::take(&mut self.opened) {
                    self.begin_line(out);
                }
                self.within_text = byte == b'"';
                if matches!(byte, b'{' | b'[') {
                    self.depth += 1;
                    self.opened = true;
                }
                out.push(byte);
            }
        }
    }

    fn begin_line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_layout_is_the_usual_one_however_it_is_cut() {
        let value = json!({"a": {}, "b": [], "c": [1, {"d\"}": "x, \\\"y: {"}, [true, null]], "e": -1.5});
        let (text, expected) = (value.to_string(), serde_json::to_vec_pretty(&value).unwrap());
        assert_eq!(Layout::default().lay_out(text.as_bytes()), expected);
        for cut in 0..text.len() {
            let (mut layout, (first, rest)) = (Layout::default(), text.as_bytes().split_at(cut));
            let mut laid_out = layout.lay_out(first);
            laid_out.extend(layout.lay_out(rest));
            assert_eq!(laid_out, expected, "cut at {cut}");
        }
        assert_eq!(Layout::default().lay_out(&expected), expected, "laid out already");
    }
}
