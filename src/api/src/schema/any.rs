//! Objects at random, for tests of what must hold of all of them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Node, Scalar, Shape};

/// Any object of a type, as a client might send it.
pub(crate) fn any_object(node: Node<'static>, depth: u32) -> BoxedStrategy<Value> {
    match node.shape() {
        Shape::Object { .. } if depth == 0 => Just(json!({})).boxed(),
        Shape::Object { .. } => {
            let fields: Vec<_> = node
                .fields()
                .filter(|field| !field.place().is_none())
                .map(|field| {
                    (Just(field.name()), prop::option::weighted(0.3, any_object(field.node(), depth - 1)))
                })
                .collect();
            let present = |fields: Vec<(&str, Option<Value>)>| {
                let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
                Value::Object(fields.collect())
            };
            fields.prop_map(present).boxed()
        }
        Shape::Map { values, .. } => {
            let entries =
                prop::collection::btree_map("[a-z]{0,3}", any_object(values, depth.saturating_sub(1)), 1..3);
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())).boxed()
        }
        Shape::List { items, .. } => prop::collection::vec(any_object(items, depth.saturating_sub(1)), 1..3)
            .prop_map(Value::Array)
            .boxed(),
        Shape::Any | Shape::AnyObject => Just(json!({"a": [1, "b", null]})).boxed(),
        Shape::Either { first, .. } => any_object(first, depth.saturating_sub(1)),
        Shape::Scalar(scalar) => scalars(scalar),
    }
}

fn scalars(scalar: Scalar) -> BoxedStrategy<Value> {
    match scalar {
        Scalar::String => "\\PC{0,8}".prop_map(Value::from).boxed(),
        Scalar::Bytes => Just(json!("AAH/")).boxed(),
        Scalar::Bool => any_of::<bool>(),
        Scalar::Int32 => any_of::<i32>(),
        Scalar::Int64 => any_of::<i64>(),
        Scalar::Number => prop_oneof![Just(json!(1.5)), Just(json!(-3))].boxed(),
        Scalar::IntOrString => prop_oneof![any_of::<i32>(), Just(json!("25%"))].boxed(),
        Scalar::Quantity => prop_oneof![Just(json!("0")), Just(json!("1500m")), Just(json!("1Gi"))].boxed(),
        Scalar::Time => Just(json!("2026-01-02T03:04:05Z")).boxed(),
        Scalar::MicroTime => Just(json!("2026-01-02T03:04:05.000006Z")).boxed(),
    }
}

fn any_of<T: Arbitrary + Into<Value> + 'static>() -> BoxedStrategy<Value> {
    proptest::arbitrary::any::<T>().prop_map(Into::into).boxed()
}
