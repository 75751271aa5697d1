//! k8s-openapi's JSON schemas and the facts about Go's types, made into rows.

use serde_json::{Map, Value};

use crate::builder::Builder;
use crate::facts;
use crate::places::Places;
use crate::row::{Definition, FieldRow, Index, ListRow, Merge, Row, Scalar, Span, Text, Unknown, Zero};
use crate::zero;

pub fn convert(definitions: &Map<String, Value>) -> Builder {
    let mut builder = Builder::new(Places::read());
    for (name, schema) in definitions {
        let (name, doc) = (builder.text(name), description(&mut builder, schema));
        let node = builder.reserve();
        builder.definitions.push(Definition { name, node, doc });
    }
    for (at, (name, schema)) in definitions.iter().enumerate() {
        let row = definition(&mut builder, definitions, at, name, schema);
        let node = builder.definitions[at].node;
        builder.nodes[node as usize] = row;
    }
    facts::check(definitions);
    zero::check(definitions);
    builder.places.check(definitions);
    builder
}

fn description(builder: &mut Builder, schema: &Value) -> u32 {
    builder.docs.add(schema["description"].as_str())
}

/// Types whose JSON form is special.
fn special(name: &str) -> Option<Row> {
    Some(match name.rsplit('.').next()? {
        "Quantity" => Row::Scalar(Scalar::Quantity),
        "IntOrString" => Row::Scalar(Scalar::IntOrString),
        "Time" => Row::Scalar(Scalar::Time),
        "MicroTime" => Row::Scalar(Scalar::MicroTime),
        "FieldsV1" | "RawExtension" => Row::AnyObject,
        "JSON" => Row::Any,
        _ => return None,
    })
}

fn definition(builder: &mut Builder, all: &Map<String, Value>, at: usize, name: &str, schema: &Value) -> Row {
    if let Some(row) = special(name) {
        return row;
    }
    let short = short_name(name);
    if let Some(choices) = schema["oneOf"].as_array() {
        let mut nodes = choices.iter().map(|choice| node(builder, all, short, "", choice));
        let (first, second) = (nodes.next(), nodes.next());
        return Row::Either { first: first.expect("two choices"), second: second.expect("two choices") };
    }
    assert_eq!(schema["type"], "object", "{name} is neither special nor an object");
    let fields = fields(builder, all, short, schema);
    Row::Object {
        fields,
        name: u32::try_from(at).expect("few definitions"),
        unknown: Unknown::Pruned,
        atomic: facts::ATOMIC_TYPES.contains(&short),
        patch: Merge::default(),
    }
}

fn fields(builder: &mut Builder, all: &Map<String, Value>, short: &str, schema: &Value) -> Span {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let mut rows: Vec<(&str, FieldRow)> = Vec::with_capacity(properties.len());
    for (field, property) in properties {
        let node = node(builder, all, short, field, property);
        let required = required(schema, field) && !is_metadata(property) && !zero::is_dropped(short, field);
        let row = FieldRow {
            name: builder.text(field),
            node,
            doc: description(builder, property),
            default: builder.text(facts::default(short, field)),
            required,
            nullable: false,
            zero: zero(property, builder.nodes[node as usize], short, field, required),
            place: builder.places.of(short, field),
        };
        rows.push((field, row));
    }
    rows.sort_by_key(|(name, _)| *name);
    let rows: Vec<FieldRow> = rows.into_iter().map(|(_, row)| row).collect();
    builder.fields(&rows)
}

fn required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field))
}

/// k8s-openapi makes metadata a plain struct member and calls it required; upstream does not.
fn is_metadata(property: &Value) -> bool {
    reference(property).is_some_and(|name| name.ends_with(".ObjectMeta") || name.ends_with(".ListMeta"))
}

fn zero(property: &Value, row: Row, short: &str, field: &str, required: bool) -> Zero {
    match row {
        _ if is_object(property) && zero::is_struct(short, field) => Zero::Written,
        Row::Scalar(Scalar::Time | Scalar::MicroTime) => Zero::Dropped,
        Row::Scalar(_) if zero::is_dropped(short, field) => Zero::Dropped,
        Row::Scalar(_) if required || zero::is_written(short, field) => Zero::Written,
        Row::Scalar(Scalar::IntOrString | Scalar::Quantity) => Zero::Kept,
        Row::Scalar(_) if zero::is_pointer(short, field) => Zero::Kept,
        Row::Map { .. } | Row::List { .. } if required || zero::is_pointer(short, field) => Zero::Kept,
        Row::Scalar(_) | Row::Map { .. } | Row::List { .. } => Zero::Dropped,
        Row::Object { .. } | Row::Any | Row::AnyObject | Row::Either { .. } => Zero::Kept,
    }
}

/// Whether the field is of a named object type. Its row may not be filled in yet.
fn is_object(property: &Value) -> bool {
    reference(property).is_some_and(|name| special(name).is_none())
}

fn node(builder: &mut Builder, all: &Map<String, Value>, short: &str, field: &str, schema: &Value) -> Index {
    if let Some(name) = reference(schema) {
        return referred(builder, all, short, field, name);
    }
    let row = match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("byte")) => Row::Scalar(Scalar::Bytes),
        (Some("string"), None) => Row::Scalar(Scalar::String),
        (Some("boolean"), None) => Row::Scalar(Scalar::Bool),
        (Some("integer"), Some("int32")) => Row::Scalar(Scalar::Int32),
        (Some("integer"), Some("int64")) => Row::Scalar(Scalar::Int64),
        (Some("number"), _) => Row::Scalar(Scalar::Number),
        (Some("array"), _) => list(builder, all, short, field, schema),
        (Some("object"), _) if schema["additionalProperties"].is_object() => Row::Map {
            values: node(builder, all, short, "", &schema["additionalProperties"]),
            atomic: facts::ATOMIC_MAPS.contains(&(short, field)),
            patch: Merge::default(),
        },
        (Some("object"), _) => Row::AnyObject,
        other => panic!("{short}.{field}: no row for {other:?}"),
    };
    builder.node(row)
}

fn list(builder: &mut Builder, all: &Map<String, Value>, short: &str, field: &str, schema: &Value) -> Row {
    let items = node(builder, all, short, "", &schema["items"]);
    let fact = facts::list(short, field);
    let list = match &fact.keys {
        None if fact.set => ListRow::Set,
        None => ListRow::Atomic,
        Some(keys) => ListRow::Keyed { keys: builder.keys(keys) },
    };
    let key = fact.merge_key.map_or(Text::default(), |key| builder.text(key));
    let patch = Merge { merge: fact.merge, replace: false, retain_keys: fact.retain_keys, key };
    Row::List { items, list, patch }
}

/// The node of a named type, or a variant of it where the field says otherwise than the type.
fn referred(builder: &mut Builder, all: &Map<String, Value>, short: &str, field: &str, name: &str) -> Index {
    let at = all.keys().position(|known| known == name).expect("every reference has a definition");
    let plain = builder.definitions[at].node;
    let replace = facts::PATCH_REPLACES.contains(&(short, field));
    let retain_keys = facts::PATCH_RETAINS_KEYS.contains(&(short, field));
    let granular = facts::GRANULAR.contains(&(short, field));
    if !(replace || retain_keys || granular) {
        // Scalars need no node of their own: `zero` looks at the row, so it must be there already.
        return special(name).map_or(plain, |row| builder.node(row));
    }
    let Row::Object { fields, name, unknown, atomic, .. } = definition(builder, all, at, name, &all[name])
    else {
        panic!("{short}.{field}: only an object can differ from its type");
    };
    let patch = Merge { replace, retain_keys, ..Merge::default() };
    builder.node(Row::Object { fields, name, unknown, atomic: atomic && !granular, patch })
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().map(|at| at.strip_prefix("#/$defs/").expect("references stay in the document"))
}

pub fn short_name(name: &str) -> &str {
    let name = name.strip_prefix("io.k8s.").unwrap_or(name);
    name.strip_prefix("api.").unwrap_or(name)
}
