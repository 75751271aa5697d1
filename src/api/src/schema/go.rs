//! How upstream's decoder, written in Go, names a place and a type when a value has the wrong type: people and tests
//! compare these messages.

use super::strict::{Path, Step};
use super::{Node, Scalar, Shape};

/// The sentence for a value of JSON type `found` where `wanted` belongs.
pub(super) fn mismatch(path: &Path<'_, '_>, found: &str, wanted: Node<'_>) -> String {
    let go_type = type_name(wanted);
    let mut fields = Vec::new();
    let mut owner = None;
    let mut at = Some(path);
    while let Some(step) = at {
        if let Step::Field(name, object) = step.step {
            owner = owner.or(Some(object));
            fields.push(name);
        }
        at = step.outer;
    }
    let Some(owner) = owner else {
        return format!("json: cannot unmarshal {found} into Go value of type {go_type}");
    };
    fields.reverse();
    let owner = owner.type_name().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
    let field = fields.join(".");
    format!("json: cannot unmarshal {found} into Go struct field {owner}.{field} of type {go_type}")
}

fn type_name(node: Node<'_>) -> String {
    match node.shape() {
        Shape::Object { .. } => struct_name(node.type_name().unwrap_or("struct {}")),
        Shape::Map { values, .. } => format!("map[string]{}", type_name(values)),
        Shape::List { items, .. } => format!("[]{}", type_name(items)),
        Shape::Any | Shape::AnyObject => "map[string]interface {}".to_owned(),
        Shape::Either { first, .. } => type_name(first),
        Shape::Scalar(scalar) => scalar_name(scalar).to_owned(),
    }
}

/// The package is the last part of its path, the version: `v1.PodSpec`.
fn struct_name(name: &str) -> String {
    let start = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
    name[start..].to_owned()
}

fn scalar_name(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::String => "string",
        Scalar::Bytes => "[]uint8",
        Scalar::Bool => "bool",
        Scalar::Int32 => "int32",
        Scalar::Int64 => "int64",
        Scalar::Number => "float64",
        Scalar::IntOrString => "intstr.IntOrString",
        Scalar::Quantity => "resource.Quantity",
        Scalar::Time => "v1.Time",
        Scalar::MicroTime => "v1.MicroTime",
    }
}
