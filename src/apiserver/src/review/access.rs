//! May this user do that?

use api::field::{Errors, Node};
use api::status::{self, Status};
use api::value::{at, list, members, text};
use serde_json::{Value, json};

use crate::authorize::{Access, Attempt, Rule};
use crate::request::Request;
use crate::user::User;

pub(super) fn own(request: &Request, review: &Value) -> Result<Value, Status> {
    check(request, review, false)?;
    Ok(decide(request, &request.user, at(review, "spec")))
}

pub(super) fn of_subject(request: &Request, review: &Value) -> Result<Value, Status> {
    check(request, review, true)?;
    Ok(decide(request, &subject(at(review, "spec")), at(review, "spec")))
}

pub(super) fn local(request: &Request, review: &Value) -> Result<Value, Status> {
    let asked = text(review, "spec.resourceAttributes.namespace");
    if Some(asked) != request.namespace() {
        return Err(Status::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {}",
            request.namespace().unwrap_or_default()
        )));
    }
    of_subject(request, review)
}

/// All that the user may do in a namespace.
pub(super) fn rules(request: &Request, review: &Value) -> Result<Value, Status> {
    let namespace = text(review, "spec.namespace");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let rules = request.rights.rules_for(&request.user, Some(namespace));
    let (paths, resources): (Vec<Rule>, Vec<Rule>) =
        rules.into_iter().partition(|rule| !rule.paths.is_empty());
    Ok(json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false}))
}

fn check(request: &Request, review: &Value, names_subject: bool) -> Result<(), Status> {
    let mut errors = Errors::new();
    let root = Node::root(review);
    let spec = root.at("spec");
    let (resource, path) = (spec.at("resourceAttributes"), spec.at("nonResourceAttributes"));
    if resource.is_set() && path.is_set() {
        errors.push(path.invalid("cannot be specified in combination with resourceAttributes"));
    }
    if !resource.is_set() && !path.is_set() {
        errors.push(resource.invalid_as(
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    }
    if names_subject && spec.at("user").text().is_empty() && spec.at("groups").list().is_empty() {
        errors.push(spec.at("user").invalid_as("", "at least one of user or group must be specified"));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let kind = status::Resource { group: request.kind().group, name: request.kind().kind };
    Err(Status::invalid(kind, "", &errors))
}

fn subject(spec: &Value) -> User {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
    };
    User {
        name: text(spec, "user").into(),
        uid: text(spec, "uid").into(),
        groups: texts(at(spec, "groups")),
        extra: members(spec, "extra").map(|(key, values)| (key.clone(), texts(values))).collect(),
    }
}

fn decide(request: &Request, user: &User, spec: &Value) -> Value {
    let attempt = attempt(spec);
    let mut status = json!({"allowed": request.rights.allows(user, &attempt)});
    let reason = request.rights.reason(user, &attempt);
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    status
}

fn attempt(spec: &Value) -> Attempt<'_> {
    let path = at(spec, "nonResourceAttributes");
    if !path.is_null() {
        return Attempt::Path { verb: text(path, "verb"), path: text(path, "path") };
    }
    let asked = at(spec, "resourceAttributes");
    let given = |field: &str| Some(text(asked, field)).filter(|text| !text.is_empty());
    Attempt::Resource(Access {
        verb: text(asked, "verb"),
        group: text(asked, "group"),
        resource: text(asked, "resource"),
        subresource: given("subresource"),
        namespace: given("namespace"),
        name: given("name").or_else(|| required(asked, "metadata.name")),
        node: required(asked, "spec.nodeName"),
    })
}

/// The one value that the field selector leaves a field.
fn required<'a>(asked: &'a Value, field: &str) -> Option<&'a str> {
    let requirement = list(asked, "fieldSelector.requirements")
        .iter()
        .find(|requirement| text(requirement, "key") == field && text(requirement, "operator") == "In")?;
    match list(requirement, "values") {
        [only] => only.as_str(),
        _ => None,
    }
}
