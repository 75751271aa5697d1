//! What happens to an object between a request and the store, in the order the request path calls it.
//!
//! Create: [`Kind::default_object`], [`Kind::prepare_create`], [`Kind::validate_create`].
//! Update: [`Kind::default_object`], [`Kind::prepare_update`], [`Kind::validate_update`]; the same with `status` for the
//! status subresource. The metadata rules are the same for every kind and live in [`crate::metadata`].

use serde_json::{Value, json};

use super::{Generation, Kind, PartRules};
use crate::field::{Errors, Node};
use crate::metadata::{self, Birth};
use crate::schema;
use crate::value::{at, int, object, remove, replace};

/// Which part of an object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status (everything at all, for kinds without a status subresource).
    Main,
    /// The status, and the metadata, as far as the kind's `prepare_status` leaves that to the client.
    Status,
    /// What the subresource of this name is about, by its rules.
    Sub(&'static str),
}

impl Kind {
    /// Fills in what the client left out.
    pub fn default_object(&self, object: &mut Value) {
        (self.strategy.defaults)(object);
    }

    /// Gives a new object its system metadata and clears what clients may not set.
    pub fn prepare_create(&self, object: &mut Value, birth: &Birth<'_>) {
        metadata::prepare_create(object, birth);
        if self.has_status() && !self.strategy.status_on_create {
            let status = schema::by_name(self.schema).and_then(|kind| kind.member("status"));
            replace(object, "status", Some(status.map_or_else(|| json!({}), schema::zero_value)));
        }
        if let Some(metadata) = object_metadata(object) {
            match self.strategy.generation {
                Generation::None => drop(metadata.remove("generation")),
                _ => drop(metadata.insert("generation".into(), 1.into())),
            }
        }
        (self.strategy.prepare_create)(object);
    }

    pub fn validate_create(&self, object: &Value) -> Errors {
        let mut errors = Errors::new();
        let node = Node::root(object);
        metadata::validate(self, &node.at("metadata"), &mut errors);
        (self.strategy.validate)(&node, &mut errors);
        (self.strategy.validate_create)(&node, &mut errors);
        errors
    }

    /// Carries over from `old` what this write may not touch and bumps the generation.
    pub fn prepare_update(&self, new: &mut Value, old: &Value, part: Part) {
        metadata::prepare_update(new, old);
        if !self.namespaced
            && let Some(metadata) = object_metadata(new)
        {
            metadata.remove("namespace");
        }
        match part {
            Part::Main => self.keep_status(new, old),
            Part::Status => self.keep_all_but_status(new, old),
            Part::Sub(name) => {
                if let Some(rules) = self.rules_of(name) {
                    (rules.prepare)(new, old);
                }
            }
        }
        let generation = int(old, "metadata.generation");
        let bumped = part != Part::Status && self.counts_as_change(new, old);
        if let Some(metadata) = object_metadata(new) {
            match generation.saturating_add(i64::from(bumped)) {
                0 => drop(metadata.remove("generation")),
                counted => drop(metadata.insert("generation".into(), counted.into())),
            }
        }
    }

    pub fn validate_update(&self, new: &Value, old: &Value, part: Part) -> Errors {
        let mut errors = Errors::new();
        let node = Node::root(new);
        metadata::validate_update(self, &node.at("metadata"), at(old, "metadata"), &mut errors);
        match part {
            Part::Main => {
                errors.extend(self.new_faults(&node, old));
                (self.strategy.validate_update)(&node, old, &mut errors);
            }
            Part::Status => (self.strategy.validate_status)(&node, old, &mut errors),
            Part::Sub(name) => {
                if let Some(rules) = self.rules_of(name) {
                    (rules.validate)(&node, old, &mut errors);
                }
            }
        }
        errors
    }

    /// What is wrong with an object that was not wrong with it before. What a rule came too late for may still be changed in
    /// all else: its finalizers must be able to go.
    fn new_faults(&self, new: &Node<'_, '_>, old: &Value) -> Errors {
        let mut faults = Errors::new();
        (self.strategy.validate)(new, &mut faults);
        if !faults.is_empty() {
            let mut known = Errors::new();
            (self.strategy.validate)(&Node::root(old), &mut known);
            faults.retain(|fault| !known.contains(fault));
        }
        faults
    }

    fn rules_of(&self, subresource: &str) -> Option<&'static PartRules> {
        self.subresource(subresource)?.rules
    }

    /// Sentences for `Warning:` headers about an object and, in an update, the one it replaces.
    pub fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        (self.strategy.warnings)(object, old)
    }

    /// How many seconds a deleted object stays to end in order, given what the request asks for.
    pub fn grace(&self, object: &Value, requested: Option<i64>) -> i64 {
        self.strategy.grace.map_or(0, |grace| grace(object, requested))
    }

    fn keep_status(&self, new: &mut Value, old: &Value) {
        if self.has_status() {
            replace(new, "status", old.get("status").cloned());
        }
        (self.strategy.prepare_update)(new, old);
    }

    fn keep_all_but_status(&self, new: &mut Value, old: &Value) {
        let status = remove(new, "status");
        let metadata = remove(new, "metadata");
        *new = old.clone();
        replace(new, "status", status);
        replace(new, "metadata", metadata);
        (self.strategy.prepare_status)(new, old);
    }

    fn counts_as_change(&self, new: &Value, old: &Value) -> bool {
        let differs = || !same_body(new, old);
        match self.strategy.generation {
            Generation::None | Generation::Once => false,
            Generation::Spec => differs(),
            Generation::SpecAndLabels => {
                differs() || at(new, "metadata.labels") != at(old, "metadata.labels")
            }
            Generation::SpecAndAnnotations => {
                differs() || at(new, "metadata.annotations") != at(old, "metadata.annotations")
            }
        }
    }
}

/// Whether two objects agree on everything but metadata and status.
fn same_body(new: &Value, old: &Value) -> bool {
    body(new).count() == body(old).count() && body(new).all(|(field, value)| old.get(field) == Some(value))
}

fn body(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let described = |field: &str| !matches!(field, "metadata" | "status" | "apiVersion" | "kind");
    object.as_object().into_iter().flatten().filter(move |(field, _)| described(field))
}

fn object_metadata(value: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    object(value, "metadata")
}
