//! Changes in place to the elements of a table's sets: what Services and endpoints do all day.

use super::message::{Batch, Sealed};
use super::ruleset::{DELETE_ELEMENTS, Element, NEW_ELEMENTS, Set, elements};

/// A change to the elements of a set. Of the set its name and types count, not its elements.
#[derive(Debug, Clone)]
pub enum Change {
    /// An element that is there already with other data is refused: remove it first, in the same transaction.
    Add(Set, Vec<Element>),
    /// Refused if one of them is not there.
    Remove(Set, Vec<Element>),
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        let (Self::Add(_, list) | Self::Remove(_, list)) = self;
        list.is_empty()
    }
}

pub(super) fn encode(table: &str, changes: &[Change]) -> Sealed {
    let mut batch = Batch::new();
    for change in changes {
        let (kind, set, list) = match change {
            Change::Add(set, list) => (NEW_ELEMENTS, set, list),
            Change::Remove(set, list) => (DELETE_ELEMENTS, set, list),
        };
        elements(&mut batch, kind, table, &set.name, set.shape(), list);
    }
    batch.finish()
}
