//! Server-side apply, and the managed fields that every write keeps for it.
//!
//! Every field of an object has owners: the managers that applied it or wrote it last. An ordinary write takes what it
//! changes from whoever owned it. An applied configuration states what its manager wants to own: it conflicts with the
//! owners of what it would change, and what the manager owned before and no longer states is removed, unless someone
//! else owns it, too.
//!
//! Both work on trees of one version of a kind. What comes out of [`apply`] is yet to be conformed and defaulted.

mod check;
mod compare;
mod element;
mod last_applied;
mod managed;
mod merge;
mod set;
#[cfg(test)]
mod tests;
mod typed;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};
use thiserror::Error;

pub use set::Set;

use crate::schema::{Node, Strict, conform};
use managed::{Operation, Owned, Owner, Owners};

/// Who writes, and what to.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    pub manager: &'a str,
    /// The version of the request: `apps/v1`.
    pub version: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// RFC 3339, to the second.
    pub now: &'a str,
    pub node: Node<'a>,
    /// The fields that this endpoint does not let anyone set: `status`, or everything but it.
    pub reset: &'a Set,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsApplied,
    #[error("failed to create typed patch object ({object}): {errors}")]
    Misfit { object: String, errors: String },
    #[error("failed to decode managed fields: {0}")]
    Undecodable(String),
    #[error("{0}")]
    Conflict(Conflicts),
}

/// Fields that others own and that would change.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflicts {
    fields: BTreeMap<Owner, Vec<String>>,
}

/// One cause of a conflict Status, of type `FieldManagerConflict`.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    pub field: String,
    pub message: String,
}

impl Error {
    /// The same as clients of a subresource are told it: there the owners wrote in its own version.
    pub fn told_in(self, version: &str) -> Self {
        match self {
            Self::Conflict(Conflicts { fields }) => {
                let told = |(owner, fields): (Owner, _)| (owner.writing(version), fields);
                Self::Conflict(Conflicts { fields: fields.into_iter().map(told).collect() })
            }
            other => other,
        }
    }
}

impl Conflicts {
    pub fn causes(&self) -> Vec<Cause> {
        let cause = |owner: &Owner, field: &String| Cause {
            field: field.clone(),
            message: format!("conflict with {}", owner.description()),
        };
        self.fields
            .iter()
            .flat_map(|(owner, fields)| fields.iter().map(move |field| cause(owner, field)))
            .collect()
    }
}

impl std::fmt::Display for Conflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count: usize = self.fields.values().map(Vec::len).sum();
        if let (1, Some((owner, fields))) = (count, self.fields.first_key_value()) {
            return write!(
                f,
                "Apply failed with 1 conflict: conflict with {}: {}",
                owner.description(),
                fields[0]
            );
        }
        let mut lines = Vec::new();
        for (owner, fields) in &self.fields {
            lines.push(format!("conflicts with {}:", owner.description()));
            lines.extend(fields.iter().map(|field| format!("- {field}")));
        }
        write!(f, "Apply failed with {count} conflicts: {}", lines.join("\n"))
    }
}

/// Records an ordinary write: gives its manager the fields that differ between `live` (none when `object` is created)
/// and `object`, and writes `metadata.managedFields`.
pub fn update(live: Option<&Value>, object: &mut Value, write: &Write<'_>) {
    let mut owners = owners_of(live, object, write);
    let is_tracked = !owners.is_empty() || live.is_none();
    managed::remove(object);
    if is_tracked {
        // Managed fields that only the live object has make no difference: nobody owns those.
        let live = live.map_or_else(|| Cow::Owned(nothing(write.node)), Cow::Borrowed);
        let writer = Owner::new(write.manager, Operation::Update, write.subresource, write.version);
        record(&live, object, writer, &mut owners, write);
    }
    managed::encode(object, &owners);
}

/// Lays the configuration over `live` (none when it creates the object), or says why not.
pub fn apply(live: Option<&Value>, config: &Value, write: &Write<'_>, force: bool) -> Result<Value, Error> {
    check(config, write.node)?;
    let mut owners = live.map_or(Ok(Owners::new()), managed::decode).map_err(Error::Undecodable)?;
    let is_new = live.is_none();
    let live = live.map_or_else(|| nothing(write.node), managed::strip);
    if owners.is_empty() && !is_new {
        let before = Owner::new("before-first-apply", Operation::Update, write.subresource, write.version);
        record(&nothing(write.node), &live, before, &mut owners, write);
    }
    let mut object = lay(&live, config, &mut owners, write, force)?;
    last_applied::update(&mut object, config, write);
    managed::encode(&mut object, &owners);
    Ok(object)
}

/// Whether a configuration is one of the type `node`.
pub fn check(config: &Value, node: Node<'_>) -> Result<(), Error> {
    if !config["metadata"]["managedFields"].is_null() {
        return Err(Error::ManagedFieldsApplied);
    }
    fitting(config, &check::check(config, node))
}

/// Refuses a configuration of a type that does not have these fields, though another type does that it is checked against.
pub fn check_undeclared(config: &Value, fields: &[String]) -> Result<(), Error> {
    let errors: Vec<String> = fields.iter().map(|field| format!(".{field}: {}", check::UNDECLARED)).collect();
    fitting(config, &errors)
}

fn fitting(config: &Value, errors: &[String]) -> Result<(), Error> {
    let errors = match errors {
        [] => return Ok(()),
        [error] => error.clone(),
        errors => format!("errors:\n  {}", errors.join("\n  ")),
    };
    Err(Error::Misfit { object: name_of(config), errors })
}

/// `default/web; apps/v1, Kind=Deployment`
fn name_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (metadata, version) = (&object["metadata"], text(&object["apiVersion"]));
    let slash = if version.contains('/') { "" } else { "/" };
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    format!("{namespace}/{name}; {slash}{version}, Kind={}", text(&object["kind"]))
}

/// The owners that a write starts from. A client may edit them, but not through a subresource, and one that does not
/// know about them does not delete them.
fn owners_of(live: Option<&Value>, object: &Value, write: &Write<'_>) -> Owners {
    let of_live = || live.and_then(|live| managed::decode(live).ok()).unwrap_or_default();
    if !write.subresource.is_empty() {
        return of_live();
    }
    if managed::is_reset(object) {
        return Owners::new();
    }
    managed::decode(object).ok().filter(|owners| !owners.is_empty()).unwrap_or_else(of_live)
}

/// What an object of this kind is before anybody has set anything.
fn nothing(node: Node<'_>) -> Value {
    conform(json!({}), node, &mut Strict::default()).unwrap_or_default()
}

/// Fields that are never owned: they name the object, or are the server's.
static UNOWNED: LazyLock<Set> = LazyLock::new(|| {
    const METADATA: [&str; 8] = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let top: [&[&str]; 3] = [&["apiVersion"], &["kind"], &["metadata"]];
    let metadata = METADATA.map(|field| Set::of_fields(&[&["metadata", field]]));
    metadata.iter().fold(Set::of_fields(&top), Set::union)
});

/// Gives the writer what changed, and takes it from everyone else.
fn record(live: &Value, new: &Value, writer: Owner, owners: &mut Owners, write: &Write<'_>) {
    let changes = compare::compare(live, new, write.node, write.reset);
    let mut written = changes.modified;
    written.add(changes.added);
    take(owners, None, &written);
    take(owners, None, &changes.removed);
    written.remove(&UNOWNED);
    if !written.is_empty() {
        let mut fields = owners.remove(&writer).map(|owned| owned.fields).unwrap_or_default();
        fields.add(written);
        let (version, time) = (write.version.to_owned(), Some(write.now.to_owned()));
        owners.insert(writer, Owned { fields, version, time });
    }
    managed::cap(owners);
}

/// Takes the fields from all owners but one; who has none left, is none.
fn take(owners: &mut Owners, but: Option<&Owner>, fields: &Set) {
    for (_, owned) in owners.iter_mut().filter(|(owner, _)| Some(*owner) != but) {
        owned.fields.remove(fields);
    }
    owners.retain(|_, owned| !owned.fields.is_empty());
}

fn lay(
    live: &Value,
    config: &Value,
    owners: &mut Owners,
    write: &Write<'_>,
    force: bool,
) -> Result<Value, Error> {
    let applier = Owner::new(write.manager, Operation::Apply, write.subresource, write.version);
    let before = owners.remove(&applier);
    let fields = typed::fields(config, write.node).recursive_difference(write.reset);
    let time = before.as_ref().and_then(|before| before.time.clone());
    let owned = Owned { fields, version: write.version.to_owned(), time };
    owners.insert(applier.clone(), owned);

    let merged = merge::merge(live, config, write.node);
    let object = prune(merged, before.map(|before| before.fields), owners, write.node);
    let changes = compare::compare(live, &object, write.node, write.reset);
    let changed = changes.modified.clone().union(&changes.added);
    if !force {
        refuse_conflicts(live, &changed, &applier, owners, write)?;
    }
    take(owners, Some(&applier), &changed);
    take(owners, Some(&applier), &changes.removed);
    let same = changes.is_same();
    if let Some(owned) = owners.get_mut(&applier) {
        owned.fields.remove(&UNOWNED);
        if !same {
            owned.time = Some(write.now.to_owned());
        }
    }
    owners.retain(|_, owned| !owned.fields.is_empty());
    Ok(if same { live.clone() } else { object })
}

fn refuse_conflicts(
    live: &Value,
    changed: &Set,
    applier: &Owner,
    owners: &Owners,
    write: &Write<'_>,
) -> Result<(), Error> {
    let conflict = |(owner, owned): (&Owner, &Owned)| {
        let fields = owned.fields.intersection(changed);
        (owner != applier && !fields.is_empty()).then(|| (owner.clone(), fields))
    };
    let conflicts: Vec<(Owner, Set)> = owners.iter().filter_map(conflict).collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    let allowed = last_applied::still_applied(live, write);
    let fields = conflicts.into_iter().map(|(owner, fields)| (owner, fields.difference(&allowed).paths()));
    let fields: BTreeMap<Owner, Vec<String>> = fields.filter(|(_, fields)| !fields.is_empty()).collect();
    if fields.is_empty() { Ok(()) } else { Err(Error::Conflict(Conflicts { fields })) }
}

/// Removes what the applier owned before and nobody owns now. (Its new configuration is among `owners`.)
fn prune(merged: Value, before: Option<Set>, owners: &Owners, node: Node<'_>) -> Value {
    let Some(before) = before else { return merged };
    let named = |set: &Set| set.with_named_parents(Some(node));
    let (before, all) = (named(&before), named(&typed::fields(&merged, node)));
    let owned = owners.values().fold(Set::default(), |all, owned| all.union(&owned.fields));
    // What goes with the fields of before, less what someone owns …
    let left = typed::without(&merged, &before, node);
    let gone = all.difference(&named(&typed::fields(&left, node))).difference(&named(&owned));
    let left = typed::without(&merged, &gone, node);
    // … and of that only what was the applier's: others may have put things below it that nobody owns.
    let gone = all.difference(&named(&typed::fields(&left, node))).intersection(&before);
    typed::without(&merged, &gone, node)
}
