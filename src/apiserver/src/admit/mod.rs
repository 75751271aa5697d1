//! Admission: rules that need to know more than the object. Who asks, what else is there.
//!
//! A chain of small rules, each in a module of its own, in upstream's order. All that change an object run before it is
//! prepared and checked by the rules of its kind; all that only judge it run after. Each looks at the attempt first and
//! passes what it is not about.
//!
//! Of upstream's defaults those are not here yet that hold what is made against policies of the namespace (PodSecurity,
//! ResourceQuota), and those that ask others (webhooks, admission policies).

mod certificates;
mod claim_growth;
mod default_class;
mod default_toleration;
mod escalation;
mod in_use;
mod limit_ranger;
mod namespace;
mod node_restriction;
mod priority;
mod runtime_class;
mod service_account;
mod taint_nodes;

use api::kinds::{self, Kind};
use api::status::Status;
use api::value::text;
use serde_json::Value;
use store::Store;

pub(crate) use self::service_account::awaited;
use crate::object::stored::{self, Head};
use crate::request::Request;

/// One attempt to change what is stored.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) store: &'a Store,
    pub(crate) request: &'a Request,
    pub(crate) operation: Operation<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation<'a> {
    Create,
    /// Of this object, or of the part of it that the request's subresource names.
    Update(&'a Value),
    Delete,
}

type Change = fn(&Attempt<'_>, &mut Value) -> Result<(), Status>;
type Judge = fn(&Attempt<'_>, &Value) -> Result<Warnings, Status>;
type Warnings = Vec<String>;

const CHANGES: &[Change] = &[
    namespace::change,
    limit_ranger::change,
    service_account::change,
    taint_nodes::change,
    priority::change,
    default_toleration::change,
    default_class::of_claim,
    in_use::change,
    certificates::change,
    runtime_class::change,
    default_class::of_ingress,
];

const JUDGES: &[Judge] = &[
    namespace::judge,
    limit_ranger::judge,
    service_account::judge,
    node_restriction::judge,
    priority::judge,
    claim_growth::judge,
    runtime_class::judge,
    certificates::judge,
    escalation::judge,
];

impl Attempt<'_> {
    pub(crate) fn change(&self, object: &mut Value) -> Result<(), Status> {
        CHANGES.iter().try_for_each(|change| change(self, object))
    }

    /// [`Attempt::judge`] of what is asked below an object: there is nothing to change about a question.
    pub(crate) fn judge_question(&self, sent: &Value) -> Result<Warnings, Status> {
        namespace::takes(self, sent)?;
        self.judge(sent)
    }

    /// What the client should be warned of, if the object may be.
    pub(crate) fn judge(&self, object: &Value) -> Result<Warnings, Status> {
        let mut warnings = Warnings::new();
        for judge in JUDGES {
            warnings.extend(judge(self, object)?);
        }
        Ok(warnings)
    }

    fn kind(&self) -> &'static Kind {
        self.request.kind()
    }

    /// Whether this is about whole objects of a kind.
    fn is_of(&self, group: &str, kind: &str) -> bool {
        self.is_below(group, kind, None)
    }

    fn is_below(&self, group: &str, kind: &str, subresource: Option<&str>) -> bool {
        let about = self.kind();
        about.group == group && about.kind == kind && self.request.resource.subresource_name() == subresource
    }

    fn creates(&self, group: &str, kind: &str) -> bool {
        matches!(self.operation, Operation::Create) && self.is_of(group, kind)
    }

    fn forbidden(&self, object: &Value, why: &str) -> Status {
        let named = ["metadata.name", "metadata.generateName"].map(|field| text(object, field));
        let name = named.into_iter().chain([self.request.name()]).find(|name| !name.is_empty());
        Status::forbidden(self.request.subject(), name.unwrap_or_default(), why)
    }

    fn namespace(&self) -> &str {
        self.request.namespace().unwrap_or_default()
    }

    /// Another object, if it is there and can be read.
    fn find(&self, kind: &'static Kind, namespace: Option<&str>, name: &str) -> Option<Value> {
        let entry = self.store.get(&stored::key(kind, namespace, name))?;
        Head::of(kind).decode(&entry).ok()
    }

    /// All objects of a kind; those that cannot be read are passed over.
    fn all(&self, kind: &'static Kind, namespace: Option<&str>) -> Vec<Value> {
        let head = Head::of(kind);
        let snapshot = self.store.snapshot(&stored::collection(kind, namespace));
        snapshot.iter().filter_map(|entry| head.decode(entry).ok()).collect()
    }
}

/// A built-in kind that a rule looks at.
fn built_in(group: &str, plural: &str) -> Result<&'static Kind, Status> {
    let missing = || Status::internal(&format!("there is no resource {plural} of {group:?}"));
    kinds::by_resource(group, "v1", plural).ok_or_else(missing)
}

/// An annotation; empty if there is none.
fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["annotations"][name].as_str().unwrap_or_default()
}
