//! Which stored objects a list or a watch is about.

use std::borrow::Cow;
use std::collections::BTreeMap;

use api::kinds::Kind;
use api::selector::FieldTerm;
use api::status::Status;
use serde::Deserialize;
use store::Entry;

use crate::answer;
use crate::object::stored::Head;
use crate::request::Request;
use crate::request::query::Selection;

/// A selection, checked against its kind.
#[derive(Debug)]
pub(crate) struct Selected {
    /// None for everything.
    selection: Option<Selection>,
    view: Option<&'static Kind>,
}

/// Just enough of an object to look at its labels: reading all of it costs ten times as much.
#[derive(Deserialize)]
struct Labelled<'a> {
    #[serde(borrow)]
    metadata: Labels<'a>,
}

#[derive(Deserialize)]
struct Labels<'a> {
    #[serde(borrow, default)]
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// What the key alone says about a field; none where it says nothing. Watches of one object see every change of its kind.
fn by_key(entry: &Entry, term: &FieldTerm) -> Option<bool> {
    let (place, name) = entry.key().rsplit_once('/')?;
    let value = match term.field.as_str() {
        "metadata.name" => name,
        // The key begins with a slash: one more part than these is a namespace.
        "metadata.namespace" => place.splitn(3, '/').nth(2).unwrap_or_default(),
        _ => return None,
    };
    Some((value == term.value) != term.negated)
}

impl Selected {
    pub(crate) fn new(request: &Request) -> Result<Self, Status> {
        let selection = request.query.selection()?;
        let asked = request.view.unwrap_or(request.kind());
        selection.fields.check(asked).map_err(|error| Status::bad_request(error.to_string()))?;
        let selection = Some(selection).filter(|selection| !selection.is_everything());
        Ok(Self { selection, view: request.view })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.selection.is_none()
    }

    pub(crate) fn matches(&self, kind: &Kind, entry: &Entry) -> Result<bool, Status> {
        let Some(selection) = &self.selection else { return Ok(true) };
        let terms = selection.fields.terms();
        if !terms.iter().all(|term| by_key(entry, term).unwrap_or(true)) {
            return Ok(false);
        }
        let damaged = |error| answer::damaged(entry, &error);
        if !selection.labels.is_everything() {
            let object: Labelled<'_> = serde_json::from_slice(entry.value()).map_err(damaged)?;
            let labels = object.metadata.labels;
            if !selection.labels.matches_with(|name| labels.get(name).map(AsRef::as_ref)) {
                return Ok(false);
            }
        }
        if terms.iter().all(|term| by_key(entry, term).is_some()) {
            return Ok(true);
        }
        let mut object = Head::of(kind).decode(entry).map_err(damaged)?;
        if let Some(view) = self.view {
            view.from_stored(&mut object);
        }
        Ok(selection.fields.matches(self.view.unwrap_or(kind), &object))
    }
}
