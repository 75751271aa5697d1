//! The consumers' view of a schema: handles to nodes and fields.

use std::fmt;

use serde_json::Value;

use super::row::{FieldRow, Index, ListRow, Merge, NONE, Place, Row, Scalar, Text, Unknown, Zero};
use super::{Schema, range};

/// One node of a schema.
#[derive(Clone, Copy)]
pub struct Node<'s> {
    schema: &'s Schema,
    index: Index,
}

/// What a node says a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'s> {
    /// Named fields: [`Node::fields`]. An atomic one has one owner in server-side apply.
    Object {
        unknown: Unknown,
        atomic: bool,
    },
    Map {
        values: Node<'s>,
        atomic: bool,
    },
    List {
        items: Node<'s>,
        list: ListKind<'s>,
    },
    Scalar(Scalar),
    Any,
    AnyObject,
    Either {
        first: Node<'s>,
        second: Node<'s>,
    },
}

/// How the elements of a list are told apart.
#[derive(Clone, Copy, Debug)]
pub enum ListKind<'s> {
    Atomic,
    Set,
    Keyed(Keys<'s>),
}

/// The fields that name an element of a list.
#[derive(Clone, Copy)]
pub struct Keys<'s> {
    schema: &'s Schema,
    keys: &'s [Text],
}

impl<'s> Keys<'s> {
    pub fn iter(self) -> impl Iterator<Item = &'s str> {
        self.keys.iter().map(move |key| self.schema.text(*key))
    }
}

/// How a strategic merge patch treats a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy<'s> {
    pub merge: bool,
    pub replace: bool,
    pub retain_keys: bool,
    /// Names the elements of a list of objects.
    pub key: Option<&'s str>,
}

/// A field of an object.
#[derive(Clone, Copy)]
pub struct Field<'s> {
    schema: &'s Schema,
    row: &'s FieldRow,
}

impl<'s> Node<'s> {
    pub(super) fn new(schema: &'s Schema, index: Index) -> Self {
        Self { schema, index }
    }

    pub fn schema(self) -> &'s Schema {
        self.schema
    }

    pub fn shape(self) -> Shape<'s> {
        match self.schema.row(self.index) {
            Row::Object { unknown, atomic, .. } => Shape::Object { unknown, atomic },
            Row::Map { values, atomic, .. } => Shape::Map { values: self.schema.node(values), atomic },
            Row::List { items, list, .. } => {
                Shape::List { items: self.schema.node(items), list: self.list_kind(list) }
            }
            Row::Scalar(scalar) => Shape::Scalar(scalar),
            Row::Any => Shape::Any,
            Row::AnyObject => Shape::AnyObject,
            Row::Either { first, second } => {
                Shape::Either { first: self.schema.node(first), second: self.schema.node(second) }
            }
        }
    }

    fn list_kind(self, list: ListRow) -> ListKind<'s> {
        match list {
            ListRow::Atomic => ListKind::Atomic,
            ListRow::Set => ListKind::Set,
            ListRow::Keyed { keys } => {
                ListKind::Keyed(Keys { schema: self.schema, keys: &self.schema.keys[range(keys)] })
            }
        }
    }

    /// The fields of an object, sorted by name; none for everything else.
    pub fn fields(self) -> impl ExactSizeIterator<Item = Field<'s>> {
        let rows = match self.schema.row(self.index) {
            Row::Object { fields, .. } => self.schema.fields(fields),
            _ => &[],
        };
        rows.iter().map(move |row| Field { schema: self.schema, row })
    }

    /// The field of this name, where the node is an object.
    pub fn field(self, name: &str) -> Option<Field<'s>> {
        let Row::Object { fields, .. } = self.schema.row(self.index) else { return None };
        let rows = self.schema.fields(fields);
        let at = rows.binary_search_by(|row| self.schema.text(row.name).cmp(name)).ok()?;
        Some(Field { schema: self.schema, row: &rows[at] })
    }

    /// The node of a member: a field of an object or any key of a map.
    pub fn member(self, name: &str) -> Option<Node<'s>> {
        match self.shape() {
            Shape::Map { values, .. } => Some(values),
            _ => self.field(name).map(Field::node),
        }
    }

    /// The node of a list's elements.
    pub fn items(self) -> Option<Node<'s>> {
        match self.shape() {
            Shape::List { items, .. } => Some(items),
            _ => None,
        }
    }

    /// The OpenAPI name of an object's type.
    pub fn type_name(self) -> Option<&'s str> {
        match self.schema.row(self.index) {
            Row::Object { name, .. } if name != NONE => {
                Some(self.schema.text(self.schema.definitions[name as usize].name))
            }
            _ => None,
        }
    }

    pub fn patch(self) -> PatchStrategy<'s> {
        let (Row::Object { patch, .. } | Row::Map { patch, .. } | Row::List { patch, .. }) =
            self.schema.row(self.index)
        else {
            return PatchStrategy::default();
        };
        let Merge { merge, replace, retain_keys, key } = patch;
        let key = Some(self.schema.text(key)).filter(|key| !key.is_empty());
        PatchStrategy { merge, replace, retain_keys, key }
    }
}

impl<'s> Field<'s> {
    pub fn name(self) -> &'s str {
        self.schema.text(self.row.name)
    }

    pub fn node(self) -> Node<'s> {
        self.schema.node(self.row.node)
    }

    pub fn required(self) -> bool {
        self.row.required
    }

    pub fn nullable(self) -> bool {
        self.row.nullable
    }

    /// Where the field stands in the protobuf form of its object.
    pub(crate) fn place(self) -> Place {
        self.row.place
    }

    /// What becomes of the field's empty value.
    pub fn zero(self) -> Zero {
        self.row.zero
    }

    /// The default that the schema publishes.
    pub fn default(self) -> Option<Value> {
        let json = self.schema.text(self.row.default);
        serde_json::from_str(json).ok()
    }

    pub fn description(self) -> Option<String> {
        self.schema.descriptions().field(self).map(str::to_owned)
    }

    pub(super) fn doc(self) -> u32 {
        self.row.doc
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.schema.row(self.index)).finish()
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.name()).field(&self.node()).finish()
    }
}
