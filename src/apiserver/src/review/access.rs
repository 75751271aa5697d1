//! May this user do that?

use api::field::{Errors, Node};
use api::status::{self, Status};
use api::value::{at, is_zero, list, members, text};
use serde_json::{Value, json};

use crate::authorize::{Access, Attempt, Rule};
use crate::request::Request;
use crate::user::User;

pub(super) fn own(request: &Request, review: &Value) -> Result<Value, Status> {
    check(request, review)?;
    Ok(decide(request, &request.user, at(review, "spec")))
}

pub(super) fn of_subject(request: &Request, review: &Value) -> Result<Value, Status> {
    check(request, review)?;
    Ok(decide(request, &subject(at(review, "spec")), at(review, "spec")))
}

pub(super) fn local(request: &Request, review: &Value) -> Result<Value, Status> {
    check(request, review)?;
    let asked = text(review, "spec.resourceAttributes.namespace");
    if Some(asked) != request.namespace() {
        return Err(Status::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {}",
            request.namespace().unwrap_or_default()
        )));
    }
    Ok(decide(request, &subject(at(review, "spec")), at(review, "spec")))
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

fn check(request: &Request, review: &Value) -> Result<(), Status> {
    let mut errors = Errors::new();
    judge(&Node::root(review), request.kind().kind, request.namespace(), &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    let kind = status::Resource { group: request.kind().group, name: request.kind().kind };
    Err(Status::invalid(kind, "", &errors))
}

fn judge(review: &Node<'_, '_>, kind: &str, namespace: Option<&str>, errors: &mut Errors) {
    let spec = review.at("spec");
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
    let is_own = kind == "SelfSubjectAccessReview";
    if !is_own && spec.at("user").text().is_empty() && spec.at("groups").list().is_empty() {
        errors.push(spec.at("user").invalid_as("", "at least one of user or group must be specified"));
    }
    let local = kind == "LocalSubjectAccessReview";
    let metadata = review.at("metadata");
    let (may_say, must_be) = match local {
        true => (&["managedFields", "namespace"][..], "must be empty except for namespace"),
        false => (&["managedFields"][..], "must be empty"),
    };
    let mut said = metadata.value.as_object().into_iter().flatten();
    if said.any(|(field, value)| !may_say.contains(&field.as_str()) && !is_zero(value)) {
        errors.push(metadata.invalid(must_be));
    }
    if local {
        let (own, asked) = (metadata.at("namespace"), resource.at("namespace"));
        let own = if own.is_zero() { namespace.unwrap_or_default() } else { own.text() };
        if resource.is_set() && asked.text() != own {
            errors.push(asked.invalid_as(asked.text(), "must match metadata.namespace"));
        }
        if path.is_set() {
            errors.push(path.invalid("disallowed on this kind of request"));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_review_must_say() {
        let both = json!({"user": "u", "resourceAttributes": {}, "nonResourceAttributes": {}});
        let own = json!({"resourceAttributes": {}});
        let elsewhere = json!({"user": "u", "resourceAttributes": {"namespace": "b"}});
        for (kind, metadata, spec, expected) in [
            ("SelfSubjectAccessReview", json!({"creationTimestamp": null}), &own, &[][..]),
            ("SelfSubjectAccessReview", json!({"name": "a"}), &own, &["metadata: must be empty"]),
            (
                "SubjectAccessReview",
                json!({}),
                &own,
                &["spec.user: at least one of user or group must be specified"],
            ),
            (
                "SubjectAccessReview",
                json!({}),
                &both,
                &["spec.nonResourceAttributes: cannot be specified in combination with resourceAttributes"],
            ),
            (
                "SelfSubjectAccessReview",
                json!({}),
                &json!({}),
                &[
                    "spec.resourceAttributes: exactly one of nonResourceAttributes or resourceAttributes must be specified",
                ],
            ),
            (
                "LocalSubjectAccessReview",
                json!({"namespace": "a", "name": "x"}),
                &elsewhere,
                &[
                    "metadata: must be empty except for namespace",
                    "spec.resourceAttributes.namespace: must match metadata.namespace",
                ],
            ),
        ] {
            let (mut errors, review) = (Errors::new(), json!({"metadata": metadata, "spec": spec}));
            judge(&Node::root(&review), kind, Some("a"), &mut errors);
            let found: Vec<_> =
                errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
            assert_eq!(found, expected);
        }
    }
}
