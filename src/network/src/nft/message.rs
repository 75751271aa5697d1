//! The bytes of an nf_tables transaction: messages between a begin and an end, each made of attributes.
//!
//! The kernel takes the whole batch or nothing. It answers a failed message with an error that carries the message's sequence
//! number, so every message is kept with its [`Subject`].
//!
//! Rejected: netlink-packet-netfilter. It knows neither `nat`, `masq`, `ct`, `fib` nor `numgen`, the very expressions that
//! Services are made of, and what remains is attributes of length, type and value.

use std::fmt;

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const NESTED: u16 = 0x8000;
const LENGTH_AT: usize = 0;
const FLAGS_AT: usize = 6;

/// Of every table: one table serves IPv4 and IPv6.
const INET: u8 = 1;

/// What a message of the transaction is about; names the culprit in errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The batch as a whole: permissions, memory, and what only shows when everything is put together (loops of jumps).
    Transaction,
    Table,
    Chain(String),
    Set(String),
    Elements(String),
    /// A rule by its place in its chain, counted from zero.
    Rule(String, usize),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction => write!(f, "the transaction"),
            Self::Table => write!(f, "the table"),
            Self::Chain(name) => write!(f, "chain {name}"),
            Self::Set(name) => write!(f, "set {name}"),
            Self::Elements(set) => write!(f, "elements of {set}"),
            Self::Rule(chain, place) => write!(f, "rule {place} of chain {chain}"),
        }
    }
}

/// A transaction in the making.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    subjects: Vec<Subject>,
    last: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut batch = Self { bytes: Vec::new(), subjects: Vec::new(), last: 0 };
        batch.begin(BATCH_BEGIN, 0, Subject::Transaction, [0, 0, 0, 10]);
        batch
    }

    /// Appends a message of this nf_tables type and its attributes.
    pub(super) fn push(
        &mut self,
        kind: u16,
        flags: u16,
        subject: Subject,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.begin(SUBSYSTEM | kind, flags, subject, [INET, 0, 0, 0]);
        attributes(&mut Attributes(&mut self.bytes));
        self.close(start);
    }

    fn begin(&mut self, kind: u16, flags: u16, subject: Subject, generation: [u8; 4]) -> usize {
        let start = self.bytes.len();
        self.last = start;
        let sequence = u32::try_from(self.subjects.len()).expect("a batch has fewer than 2^32 messages");
        self.subjects.push(subject);
        self.bytes.extend(20_u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((REQUEST | flags).to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(generation);
        start
    }

    fn close(&mut self, start: usize) {
        let length = u32::try_from(self.bytes.len() - start).expect("elements are sent in chunks");
        self.bytes[start + LENGTH_AT..][..4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Ends the batch. Only its last message asks for an acknowledgement: errors come unasked, and one answer always fits
    /// into the receive buffer, ten thousand do not.
    pub(super) fn finish(mut self) -> Sealed {
        let flags = &mut self.bytes[self.last + FLAGS_AT..][..2];
        let asked = u16::from_ne_bytes([flags[0], flags[1]]) | ACK;
        flags.copy_from_slice(&asked.to_ne_bytes());
        self.begin(BATCH_END, 0, Subject::Transaction, [0, 0, 0, 10]);
        Sealed { bytes: self.bytes, subjects: self.subjects }
    }
}

/// A whole transaction, ready to be sent.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    subjects: Vec<Subject>,
}

impl Sealed {
    pub(super) fn subject(&self, sequence: u32) -> Subject {
        let index = usize::try_from(sequence).unwrap_or(usize::MAX);
        self.subjects.get(index).cloned().unwrap_or(Subject::Transaction)
    }
}

/// Attributes, appended to a message.
#[derive(Debug)]
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.within(kind, |bytes| bytes.extend(value))
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.within(kind, |bytes| {
            bytes.extend(value.as_bytes());
            bytes.push(0);
        })
    }

    /// nf_tables counts in network order.
    pub(super) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) -> &mut Self {
        self.within(kind | NESTED, |bytes| inner(&mut Attributes(bytes)))
    }

    fn within(&mut self, kind: u16, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        write(self.0);
        // Longer ones cannot be said in netlink: the kernel refuses the zero and names the message.
        let length = u16::try_from(self.0.len() - start).unwrap_or(0);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_message_before_the_end_asks_for_an_answer() {
        let mut batch = Batch::new();
        batch.push(0, 0, Subject::Table, |table| {
            table.text(1, "t");
        });
        batch.push(3, 0, Subject::Chain("c".into()), |_| {});
        let sealed = batch.finish();
        let mut rest = &sealed.bytes[..];
        let mut flags = Vec::new();
        while let Some(length) = rest.first_chunk() {
            flags.push(u16::from_ne_bytes([rest[6], rest[7]]) & ACK);
            rest = &rest[usize::try_from(u32::from_ne_bytes(*length)).unwrap()..];
        }
        assert_eq!(flags, [0, 0, ACK, 0]);
        assert_eq!(sealed.subject(2).to_string(), "chain c");
        assert_eq!(sealed.subject(77), Subject::Transaction);
    }

    #[test]
    fn attributes_are_padded_and_nested() {
        let mut bytes = Vec::new();
        Attributes(&mut bytes).nested(4, |inner| {
            inner.text(1, "ab");
        });
        assert_eq!(bytes[..2], 12_u16.to_ne_bytes());
        assert_eq!(bytes[2..4], (4 | NESTED).to_ne_bytes());
        assert_eq!(bytes[4..6], 7_u16.to_ne_bytes());
        assert_eq!(&bytes[8..], b"ab\0\0");
    }
}
