//! Where each field stands in the protobuf form of its type: `facts/protobuf.tsv`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::convert::short_name;
use crate::row::Place;

const FACTS: &str = include_str!("../facts/protobuf.tsv");

/// The places of fields, by the short names of their types.
#[derive(Default)]
pub struct Places(HashMap<(&'static str, &'static str), Place>);

impl Places {
    pub fn read() -> Self {
        let lines = FACTS.lines().filter(|line| !line.starts_with('#'));
        let facts = lines.flat_map(|line| {
            let (type_name, fields) = line.split_once('\t').expect("a type, a tab and its fields");
            fields.split(' ').map(move |fact| {
                let (field, numbers) = fact.split_once('=').expect("a field, = and its numbers");
                ((type_name, field), place(numbers))
            })
        });
        Self(facts.collect())
    }

    pub fn of(&self, type_name: &str, field: &str) -> Place {
        self.0.get(&(type_name, field)).copied().unwrap_or_default()
    }

    /// A field without a fact is one that was forgotten, and a fact about none a typing error.
    pub fn check(&self, definitions: &Map<String, Value>) {
        let types: HashMap<&str, &Value> =
            definitions.iter().map(|(name, schema)| (short_name(name), schema)).collect();
        for (type_name, field) in self.0.keys() {
            let known = types.get(type_name).is_some_and(|schema| schema["properties"].get(field).is_some());
            assert!(known, "facts/protobuf.tsv names {type_name}.{field}, which does not exist");
        }
        for (type_name, schema) in types {
            let fields = schema["properties"].as_object().into_iter().flatten();
            for (field, _) in fields.filter(|(field, _)| !matches!(field.as_str(), "apiVersion" | "kind")) {
                let known = self.0.contains_key(&(type_name, field.as_str()));
                assert!(known, "facts/protobuf.tsv says nothing of {type_name}.{field}");
            }
        }
    }
}

fn place(numbers: &str) -> Place {
    if numbers == "?" {
        return Place::default();
    }
    numbers.split('.').fold(Place::default(), |place, number| {
        let number = number.parse().expect("a field number");
        place.within(number).expect("up to three numbers below 256")
    })
}
