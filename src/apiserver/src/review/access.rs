//! May this user do that?

use api::field::{Errors, Node};
use api::names;
use api::selector::{FieldSelector, LabelSelector};
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
    // Upstream does not say which kind of review it is.
    Err(Status::invalid(status::Resource { group: request.kind().group, name: "" }, "", &errors))
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
    for (field, requirement) in
        [("fieldSelector", field_requirement as Rules), ("labelSelector", label_requirement)]
    {
        selector(&resource.at(field), requirement, errors);
    }
    let local = kind == "LocalSubjectAccessReview";
    let metadata = review.at("metadata");
    let must_be = if local { "must be empty except for namespace" } else { "must be empty" };
    let mut said = metadata.value.as_object().into_iter().flatten();
    if said.any(|(field, value)| !IGNORED.contains(&field.as_str()) && !is_zero(value)) {
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

/// Metadata that every new object loses before anybody looks at it; of a namespace the path has had its say.
const IGNORED: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "managedFields",
    "namespace",
    "selfLink",
    "uid",
];

type Rules = fn(&Node<'_, '_>, &mut Errors);

/// A selector is a text or a list of requirements.
fn selector(selector: &Node<'_, '_>, requirement: Rules, errors: &mut Errors) {
    let (raw, requirements) = (selector.at("rawSelector"), selector.at("requirements"));
    match (raw.text().is_empty(), requirements.list().is_empty()) {
        _ if !selector.is_set() => {}
        (false, false) => errors.push(raw.invalid("may not specified at the same time as requirements")),
        (true, true) => errors.push(requirements.required(format!(
            "when {} is specified, requirements or rawSelector is required",
            selector.path
        ))),
        _ => {}
    }
    requirements.items().for_each(|one| requirement(&one, errors));
}

fn field_requirement(requirement: &Node<'_, '_>, errors: &mut Errors) {
    if requirement.at("key").text().is_empty() {
        errors.push(requirement.at("key").required("must be specified"));
    }
    operands(requirement, errors);
}

fn label_requirement(requirement: &Node<'_, '_>, errors: &mut Errors) {
    operands(requirement, errors);
    requirement.at("key").check(names::qualified_name, errors);
    requirement.at("values").items().for_each(|value| value.check(names::label_value, errors));
}

/// Operators that only newer servers know are no mistake of the client's.
fn operands(requirement: &Node<'_, '_>, errors: &mut Errors) {
    let values = requirement.at("values");
    match (requirement.at("operator").text(), values.list().is_empty()) {
        ("In" | "NotIn", true) => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        ("Exists" | "DoesNotExist", false) => {
            errors
                .push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        _ => {}
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
    let misread = misread(at(spec, "resourceAttributes"));
    if !misread.is_empty() {
        status["evaluationError"] = misread.join("; ").into();
    }
    status
}

/// What of the selectors nobody can make anything of: what is asked is then asked of more.
fn misread(asked: &Value) -> Vec<String> {
    let (fields, labels) = (at(asked, "fieldSelector"), at(asked, "labelSelector"));
    let is_field = |requirement: &Value| {
        matches!(text(requirement, "operator"), "In" | "NotIn") && list(requirement, "values").len() == 1
    };
    let is_label = |requirement: &Value| {
        matches!(text(requirement, "operator"), "In" | "NotIn" | "Exists" | "DoesNotExist")
    };
    let field = ignored(fields, text(fields, "rawSelector").parse::<FieldSelector>().is_ok(), is_field);
    let label = ignored(labels, text(labels, "rawSelector").parse::<LabelSelector>().is_ok(), is_label);
    let sentence =
        |selector: &str, how: &str| format!("spec.resourceAttributes.{selector} {how} due to parse error");
    let field = field.map(|how| sentence("fieldSelector", how));
    field.into_iter().chain(label.map(|how| sentence("labelSelector", how))).collect()
}

/// How much of a selector is not understood.
fn ignored(selector: &Value, raw: bool, understood: impl Fn(&Value) -> bool) -> Option<&'static str> {
    let requirements = list(selector, "requirements");
    let count = requirements.iter().filter(|requirement| understood(requirement)).count();
    match (requirements.len(), count) {
        (0, _) => (!raw).then_some("ignored"),
        (all, count) if count == all => None,
        (_, 0) => Some("ignored"),
        _ => Some("partially ignored"),
    }
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
        let selecting = json!({"resourceAttributes": {"fieldSelector": {}, "labelSelector": {"rawSelector": "a",
            "requirements": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "New", "values": ["c"]}]}}});
        let elsewhere = json!({"user": "u", "resourceAttributes": {"namespace": "b"}});
        for (kind, metadata, spec, expected) in [
            ("SelfSubjectAccessReview", json!({"creationTimestamp": null}), &own, &[][..]),
            ("SelfSubjectAccessReview", json!({"uid": "u"}), &own, &[]),
            ("SelfSubjectAccessReview", json!({"name": "a"}), &own, &["metadata: must be empty"]),
            (
                "SelfSubjectAccessReview",
                json!({}),
                &selecting,
                &[
                    "spec.resourceAttributes.fieldSelector.requirements: when spec.resourceAttributes.fieldSelector is \
                     specified, requirements or rawSelector is required",
                    "spec.resourceAttributes.labelSelector.rawSelector: may not specified at the same time as requirements",
                    "spec.resourceAttributes.labelSelector.requirements[0].values: must be specified when `operator` is \
                     'In' or 'NotIn'",
                ],
            ),
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

    #[test]
    fn what_of_a_selector_is_not_understood() {
        let requirement =
            |operator: &str, values: Value| json!({"key": "a", "operator": operator, "values": values});
        let of = |requirements: &[Value]| json!({"requirements": requirements});
        let (one, two) = (requirement("In", json!(["b"])), requirement("In", json!(["b", "c"])));
        for (asked, expected) in [
            (json!({}), &[][..]),
            (
                json!({"fieldSelector": of(std::slice::from_ref(&one)), "labelSelector": of(std::slice::from_ref(&two))}),
                &[],
            ),
            (
                json!({"fieldSelector": of(&[one, two.clone()])}),
                &["spec.resourceAttributes.fieldSelector partially ignored due to parse error"],
            ),
            (
                json!({"fieldSelector": of(&[two]), "labelSelector": {"rawSelector": "a in"}}),
                &[
                    "spec.resourceAttributes.fieldSelector ignored due to parse error",
                    "spec.resourceAttributes.labelSelector ignored due to parse error",
                ],
            ),
        ] {
            assert_eq!(misread(&asked), expected, "{asked}");
        }
    }
}
