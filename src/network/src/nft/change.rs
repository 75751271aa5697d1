//! Changes in place to a table: what Services and endpoints do all day.

use super::message::{Batch, Sealed};
use super::ruleset::{
    Chain, DELETE_ELEMENTS, Element, NEW_ELEMENTS, Set, clear_chain, elements, remove_chain, remove_set,
};

/// A change to a table. Of the set whose elements change its name and types count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An element that is there already with other data is refused: remove it first, in the same transaction.
    Add(Set, Vec<Element>),
    /// Refused if one of them is not there.
    Remove(Set, Vec<Element>),
    /// Makes the chain, without its rules.
    AddChain(Chain),
    /// Makes these the rules of the chain.
    Rules(Chain),
    /// Refused while something leads to it.
    RemoveChain(String),
    /// Makes the set, without its elements.
    AddSet(Set),
    /// Refused while a rule uses it.
    RemoveSet(String),
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Add(_, list) | Self::Remove(_, list) if list.is_empty())
    }
}

pub(super) fn encode(table: &str, changes: &[Change]) -> Sealed {
    let mut batch = Batch::new();
    for (id, change) in (1..).zip(changes) {
        match change {
            Change::Add(set, list) => {
                elements(&mut batch, NEW_ELEMENTS, table, &set.name, set.shape(), list);
            }
            Change::Remove(set, list) => {
                elements(&mut batch, DELETE_ELEMENTS, table, &set.name, set.shape(), list);
            }
            Change::AddChain(chain) => chain.encode(&mut batch, table),
            Change::Rules(chain) => {
                clear_chain(&mut batch, table, &chain.name);
                chain.encode_rules(&mut batch, table);
            }
            Change::RemoveChain(name) => remove_chain(&mut batch, table, name),
            Change::AddSet(set) => set.encode(&mut batch, table, id),
            Change::RemoveSet(name) => remove_set(&mut batch, table, name),
        }
    }
    batch.finish()
}
