//! The rows a schema is made of, and the builder that lays them out.
//!
//! Everything is an index into one of four flat arrays, so that the built-in schemas are plain read-only data: no heap,
//! no start-up work and no relocations in a position-independent binary. `build.rs` includes this very file, builds the
//! rows of the built-in kinds and prints them with `Debug`, whose output is the Rust source of the same value. A CRD
//! builds the same rows at run time.

/// Where a string lies in the schema's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) len: u16,
}

/// A run of rows: the fields of an object, or the keys of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u16,
}

/// The index of a node.
pub(crate) type Index = u32;

/// "No such row", where a row is optional.
pub(crate) const NONE: u32 = u32::MAX;

/// What a value may be. Equal rows are one row: nodes are shared by all the fields that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Row {
    /// Named fields; `name` is an index into the definitions (`NONE` for an anonymous object of a CRD).
    Object {
        fields: Span,
        name: u32,
        unknown: Unknown,
        atomic: bool,
        patch: Merge,
    },
    /// Free keys, all values alike.
    Map {
        values: Index,
        atomic: bool,
        patch: Merge,
    },
    List {
        items: Index,
        list: ListRow,
        patch: Merge,
    },
    Scalar(Scalar),
    /// Any JSON value whatever.
    Any,
    /// Any JSON object whatever.
    AnyObject,
    /// One thing or the other, told apart by their JSON type: `JSONSchemaPropsOrBool` and its like.
    Either {
        first: Index,
        second: Index,
    },
}

/// How server-side apply merges a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListRow {
    Atomic,
    Set,
    Keyed { keys: Span },
}

/// How a strategic merge patch treats a value: the `patchStrategy` and `patchMergeKey` of upstream's field tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Merge {
    pub(crate) merge: bool,
    pub(crate) replace: bool,
    pub(crate) retain_keys: bool,
    /// The merge key of a list of objects; empty for a list of scalars.
    pub(crate) key: Text,
}

/// What becomes of fields that the schema does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    Pruned,
    Kept,
}

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    String,
    /// base64, a `[]byte` in Go.
    Bytes,
    Bool,
    Int32,
    Int64,
    Number,
    IntOrString,
    Quantity,
    /// RFC 3339 to the second.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
}

/// One field of an object. Fields of an object are sorted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldRow {
    pub(crate) name: Text,
    pub(crate) node: Index,
    /// Index of the description, `NONE` without.
    pub(crate) doc: u32,
    /// JSON of the default that the schema publishes, empty without.
    pub(crate) default: Text,
    pub(crate) required: bool,
    pub(crate) nullable: bool,
    pub(crate) zero: Zero,
    pub(crate) place: Place,
}

/// Where a field stands in the protobuf form of its object: the numbers that lead to it, outermost first, each a byte.
/// More than one where the field is inlined from another message; zero where there are no more, and all zero where it has
/// no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place(pub(crate) [u8; 3]);

impl Place {
    /// This place with one more number.
    pub(crate) fn within(mut self, number: u32) -> Option<Self> {
        let free = self.0.iter_mut().find(|known| **known == 0)?;
        *free = u8::try_from(number).ok().filter(|number| *number > 0)?;
        Some(self)
    }

    pub(crate) fn numbers(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.0.iter().copied().filter(|number| *number > 0).map(u32::from)
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether `other` lies in the message at this place.
    pub(crate) fn holds(self, other: Self) -> bool {
        self != other && self.0.iter().zip(other.0).all(|(outer, inner)| *outer == 0 || *outer == inner)
    }
}

/// What becomes of a field's zero value (`""`, `0`, `false`, an empty list or map) when an object is stored: what a
/// round trip through upstream's Go struct would make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zero {
    /// `omitempty`: an empty value is the same as none.
    Dropped,
    /// A pointer: an empty value says something else than none.
    Kept,
    /// Not `omitempty`: written even when nobody set it.
    Written,
}

/// A named type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Definition {
    pub(crate) name: Text,
    pub(crate) node: Index,
    pub(crate) doc: u32,
}

/// Where a description lies in the unpacked text of all descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DocRow {
    pub(crate) start: u32,
    pub(crate) len: u16,
}
