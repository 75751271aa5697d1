//! A table as a whole: chains, sets, maps and their elements.

use std::time::Duration;

use super::expression::{Rule, Verdict};
use super::message::{Attributes, Batch, Sealed, Subject};
use super::value::{Data, Type, Value, joined};

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const DELETE_SET: u16 = 11;
pub(super) const NEW_ELEMENTS: u16 = 12;
pub(super) const DELETE_ELEMENTS: u16 = 14;
pub(super) const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// What a memory holds at most: a flood of clients must not eat the machine's.
const REMEMBERED: u32 = 65_536;
/// An attribute counts its bytes in 16 bits; an element has at most some 200.
const CHUNK: usize = 200;

/// When a base chain runs among those of its hook, by the names of nft.
pub mod priority {
    pub const DESTINATION_NAT: i32 = -100;
    pub const FILTER: i32 = 0;
    pub const SOURCE_NAT: i32 = 100;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Filter,
    Nat,
    Route,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// Where a chain hangs. Packets that no rule decides on are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    pub kind: Kind,
    pub hook: Hook,
    pub priority: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    /// None: only reached by jumps.
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
}

/// What a set holds for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    Nothing,
    Verdict,
    Data(Vec<Type>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub name: String,
    pub key: Vec<Type>,
    pub stored: Stored,
    /// Keys may be ranges; they must not overlap.
    pub intervals: bool,
    /// Rules put elements in, which leave after this time; none are put in from here.
    pub memory: Option<Duration>,
    pub elements: Vec<Element>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    One(Data),
    /// From the first to the last, both included; for concatenated keys in each field.
    Range(Data, Data),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Element {
    Member(Key),
    Verdict(Key, Verdict),
    Data(Key, Data),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    pub table: String,
    pub sets: Vec<Set>,
    pub chains: Vec<Chain>,
}

impl Ruleset {
    pub(super) fn encode(&self) -> Sealed {
        let mut batch = Batch::new();
        clear(&mut batch, &self.table);
        table(&mut batch, NEW_TABLE, CREATE, &self.table);
        // Elements and rules name chains and sets: these come first.
        for chain in &self.chains {
            chain.encode(&mut batch, &self.table);
        }
        for (id, set) in (1..).zip(&self.sets) {
            set.encode(&mut batch, &self.table, id);
            elements(&mut batch, NEW_ELEMENTS, &self.table, &set.name, set.shape(), &set.elements);
        }
        for chain in &self.chains {
            chain.encode_rules(&mut batch, &self.table);
        }
        batch.finish()
    }
}

/// Removes the table; made first, so that there is one to remove.
pub(super) fn removal(name: &str) -> Sealed {
    let mut batch = Batch::new();
    clear(&mut batch, name);
    batch.finish()
}

fn clear(batch: &mut Batch, name: &str) {
    table(batch, NEW_TABLE, CREATE, name);
    table(batch, DELETE_TABLE, 0, name);
}

fn table(batch: &mut Batch, kind: u16, flags: u16, name: &str) {
    batch.push(kind, flags, Subject::Table, |it| {
        it.text(1, name);
    });
}

impl Chain {
    pub(super) fn encode(&self, batch: &mut Batch, table: &str) {
        batch.push(NEW_CHAIN, CREATE, Subject::Chain(self.name.clone()), |it| {
            it.text(1, table).text(3, &self.name);
            if let Some(base) = self.base {
                base.encode(it);
            }
        });
    }

    pub(super) fn encode_rules(&self, batch: &mut Batch, table: &str) {
        for (place, rule) in self.rules.iter().enumerate() {
            rule_message(batch, table, &self.name, place, rule);
        }
    }
}

/// Takes all rules out of the chain.
pub(super) fn clear_chain(batch: &mut Batch, table: &str, name: &str) {
    batch.push(DELETE_RULE, 0, Subject::Chain(name.to_owned()), |it| {
        it.text(1, table).text(2, name);
    });
}

pub(super) fn remove_chain(batch: &mut Batch, table: &str, name: &str) {
    batch.push(DELETE_CHAIN, 0, Subject::Chain(name.to_owned()), |it| {
        it.text(1, table).text(3, name);
    });
}

pub(super) fn remove_set(batch: &mut Batch, table: &str, name: &str) {
    batch.push(DELETE_SET, 0, Subject::Set(name.to_owned()), |it| {
        it.text(1, table).text(2, name);
    });
}

impl Base {
    fn encode(self, chain: &mut Attributes<'_>) {
        let kind = match self.kind {
            Kind::Filter => "filter",
            Kind::Nat => "nat",
            Kind::Route => "route",
        };
        chain.nested(4, |hook| {
            hook.be32(1, self.hook as u32).bytes(2, &self.priority.to_be_bytes());
        });
        chain.text(7, kind);
    }
}

fn rule_message(batch: &mut Batch, table: &str, chain: &str, place: usize, rule: &Rule) {
    batch.push(NEW_RULE, CREATE | APPEND, Subject::Rule(chain.to_owned(), place), |it| {
        it.text(1, table).text(2, chain).nested(4, |list| rule.encode(list));
    });
}

/// How a set's elements are written: intervals of one field are two elements, of several fields one with two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Points,
    Ranges,
    Boxes,
}

impl Set {
    pub(super) fn shape(&self) -> Shape {
        match (self.intervals, self.key.len()) {
            (false, _) => Shape::Points,
            (true, 1) => Shape::Ranges,
            (true, _) => Shape::Boxes,
        }
    }

    fn flags(&self) -> u32 {
        let map = if self.stored == Stored::Nothing { 0 } else { 8 };
        let memory = if self.memory.is_some() { 0x10 | 0x20 } else { 0 };
        let intervals = match self.shape() {
            Shape::Points => 0,
            Shape::Ranges => 4,
            Shape::Boxes => 4 | 0x80,
        };
        map | memory | intervals
    }

    pub(super) fn encode(&self, batch: &mut Batch, table: &str, id: u32) {
        batch.push(NEW_SET, CREATE, Subject::Set(self.name.clone()), |it| {
            it.text(1, table).text(2, &self.name).be32(3, self.flags());
            it.be32(4, code(&self.key)).be32(5, length(&self.key)).be32(10, id);
            match &self.stored {
                Stored::Nothing => {}
                Stored::Verdict => {
                    it.be32(6, 0xffff_ff00);
                }
                Stored::Data(types) => {
                    it.be32(6, code(types)).be32(7, length(types));
                }
            }
            if let Some(lifetime) = self.memory {
                it.be64(11, u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX));
                it.nested(9, |description| {
                    description.be32(1, REMEMBERED);
                });
            }
            if self.key == [Type::Number] {
                it.bytes(13, &[&[0, 4][..], &1_u32.to_ne_bytes()].concat()); // for nft: keys in the host's order
            }
            if self.shape() == Shape::Boxes {
                self.describe(it);
            }
        });
    }

    fn describe(&self, set: &mut Attributes<'_>) {
        set.nested(9, |description| {
            description.nested(2, |fields| {
                for field in &self.key {
                    fields.nested(1, |it| {
                        it.be32(1, u32::try_from(field.length()).expect("at most 16"));
                    });
                }
            });
        });
    }
}

fn code(types: &[Type]) -> u32 {
    types.iter().fold(0, |code, kind| code << 6 | kind.code())
}

fn length(types: &[Type]) -> u32 {
    let padded = types.iter().map(|kind| kind.length().next_multiple_of(4)).sum();
    let length = if let [only] = types { only.length() } else { padded };
    u32::try_from(length).unwrap_or(0) // too long for the kernel anyway: it refuses and names the set
}

pub(super) fn elements(
    batch: &mut Batch,
    kind: u16,
    table: &str,
    set: &str,
    shape: Shape,
    elements: &[Element],
) {
    let flags = if kind == NEW_ELEMENTS { CREATE } else { 0 };
    for chunk in elements.chunks(CHUNK) {
        batch.push(kind, flags, Subject::Elements(set.to_owned()), |it| {
            it.text(1, table).text(2, set).nested(3, |list| {
                for element in chunk {
                    element.encode(list, shape);
                }
            });
        });
    }
}

impl Element {
    fn encode(&self, list: &mut Attributes<'_>, shape: Shape) {
        let (Self::Member(key) | Self::Verdict(key, _) | Self::Data(key, _)) = self;
        let (first, last) = match key {
            Key::One(only) => (joined(only), joined(only)),
            Key::Range(first, last) => (joined(first), joined(last)),
        };
        list.nested(1, |it| {
            value(it, 1, &first);
            if shape == Shape::Boxes {
                value(it, 10, &last);
            }
            match self {
                Self::Member(_) => {}
                Self::Verdict(_, verdict) => {
                    it.nested(2, |data| verdict.encode(data));
                }
                Self::Data(_, data) => value(it, 2, &joined(data)),
            }
        });
        if let (Shape::Ranges, Some(end)) = (shape, successor(last)) {
            list.nested(1, |it| {
                value(it, 1, &end);
                it.be32(3, 1);
            });
        }
    }
}

fn value(element: &mut Attributes<'_>, kind: u16, bytes: &[u8]) {
    element.nested(kind, |data| {
        data.bytes(1, bytes);
    });
}

/// The first key behind the range; behind the very last there is none.
fn successor(mut last: Vec<u8>) -> Option<Vec<u8>> {
    let carries = last.iter_mut().rev().all(|byte| {
        *byte = byte.wrapping_add(1);
        *byte == 0
    });
    (!carries).then_some(last)
}

impl From<Value> for Key {
    fn from(only: Value) -> Self {
        Self::One(vec![only])
    }
}
