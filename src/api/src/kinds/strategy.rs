//! How objects of a kind are treated on their way into the store: plain data and function pointers.
//!
//! A request runs `default`, `prepare_*` and `validate_*` of [`Kind`], in that order; the store is touched only when the
//! list of errors stays empty.

use serde_json::Value;

use crate::field::{Errors, Node};

/// What is special about a kind.
#[derive(Debug)]
pub struct Strategy {
    /// How the object's name is spelled.
    pub name: NameRule,
    /// Its finalizers may be any words, rather than Kubernetes' own or such with a domain.
    pub any_finalizer: bool,
    /// Fills in what the client left out.
    pub defaults: fn(&mut Value),
    /// Clears what a client may not set on create, beside the status.
    pub prepare_create: fn(&mut Value),
    /// Whoever creates the object may set its status too: a node registers with one.
    pub status_on_create: bool,
    /// Carries over from the old object what a client may not change, beside metadata and status.
    pub prepare_update: fn(&mut Value, &Value),
    /// The same for a write of the status: beside what lies outside of it.
    pub prepare_status: fn(&mut Value, &Value),
    /// Rules that hold for every version of the object. An update may leave as it is what broke them before.
    pub validate: fn(&Node<'_, '_>, &mut Errors),
    /// Rules that hold for a new object alone: what is there already may break them.
    pub validate_create: fn(&Node<'_, '_>, &mut Errors),
    /// Rules between an object and the one it replaces.
    pub validate_update: fn(&Node<'_, '_>, &Value, &mut Errors),
    /// The same for a write of the status alone.
    pub validate_status: fn(&Node<'_, '_>, &Value, &mut Errors),
    /// Whether one version says no more than the other but that its author still lives. A crash may undo such a write, and
    /// flash is spared it.
    pub is_sign_of_life: fn(&Value, &Value) -> bool,
    pub generation: Generation,
    /// An update without a resource version overwrites whatever is there.
    pub unconditional_update: bool,
    /// An update of an object that does not exist creates it, unless it names a uid.
    pub create_on_update: bool,
    /// Seconds a deleted object stays to end in order, given what the request asks for; none: it goes at once.
    pub grace: Option<fn(&Value, Option<i64>) -> i64>,
    pub dependents: Dependents,
    /// Sentences for `Warning:` headers about an object and, in an update, the one it replaces.
    pub warnings: fn(&Value, Option<&Value>) -> Vec<String>,
}

impl Strategy {
    /// Nothing special: no defaults, no rules beyond those of the metadata.
    pub const PLAIN: Self = Self {
        name: NameRule::Subdomain,
        any_finalizer: false,
        defaults: |_| {},
        prepare_create: |_| {},
        status_on_create: false,
        prepare_update: |_, _| {},
        prepare_status: |_, _| {},
        validate: |_, _| {},
        validate_create: |_, _| {},
        validate_update: |_, _, _| {},
        validate_status: |_, _, _| {},
        is_sign_of_life: |_, _| false,
        generation: Generation::None,
        unconditional_update: true,
        create_on_update: false,
        grace: None,
        dependents: Dependents::Go,
        warnings: |_, _| Vec::new(),
    };
}

/// What `metadata.generation` counts; it starts at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    None,
    /// Nothing: it stays where it starts.
    Once,
    /// Changes of everything but metadata and status.
    Spec,
    /// Those and changes of labels: what reads EndpointSlices goes by them.
    SpecAndLabels,
    /// Those of the spec and changes of annotations: Deployments carry instructions there.
    SpecAndAnnotations,
}

/// What becomes of what an object owns, where who deletes it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependents {
    Go,
    /// It stays without an owner, as it did before there was garbage collection.
    Stay,
    /// The same, and who deletes is told this.
    StayWith(&'static str),
}

/// The rules Kubernetes has for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 labels joined by dots, 253 characters: most kinds.
    Subdomain,
    /// One RFC 1123 label: namespaces.
    Label,
    /// One RFC 1035 label: services.
    Label1035,
    /// Anything that fits one path segment: RBAC.
    PathSegment,
    /// An IP address in its canonical form.
    Address,
}
