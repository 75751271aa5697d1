//! Netlink messages and attributes as they are read: what is cut off or wrong ends the reading.

/// A message behind its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    /// The socket whose request it answers, or tells others of.
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram.
pub(crate) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(word(rest, 0)?).ok()?;
        let message = rest.get(..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([*message.get(4)?, *message.get(5)?]);
        Some(Message { kind, port: word(message, 12)?, body: message.get(16..)? })
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
    /// All its bytes, as they can be sent back.
    pub(crate) whole: &'a [u8],
}

pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes([*rest.get(2)?, *rest.get(3)?]) & 0x3fff;
        let value = rest.get(4..length)?;
        let whole = rest.get(..length.next_multiple_of(4)).unwrap_or(rest);
        rest = rest.get(whole.len()..).unwrap_or_default();
        Some(Attribute { kind, value, whole })
    })
}

/// The value of the first attribute of this kind.
pub(crate) fn value(list: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(list).find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_ends_the_reading() {
        let mut bytes = Vec::new();
        bytes.extend([8_u16.to_ne_bytes(), 5_u16.to_ne_bytes()].concat());
        bytes.extend(b"abcd");
        bytes.extend([200_u16.to_ne_bytes(), 6_u16.to_ne_bytes()].concat());
        assert_eq!(attributes(&bytes).map(|it| it.kind).collect::<Vec<_>>(), [5]);
        assert_eq!(value(&bytes, 5), Some(&b"abcd"[..]));
        // Shorter than its own head: without an end to the reading this would go on for ever.
        assert_eq!(attributes(&[0; 8]).count(), 0);
        assert_eq!(messages(&[0; 32]).count(), 0);
        assert_eq!(messages(&[16, 0, 0]).count(), 0);
    }
}
