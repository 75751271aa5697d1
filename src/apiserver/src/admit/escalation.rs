//! Nobody grants more than they hold, unless they may `escalate` roles or `bind` them.

use api::status::Status;
use api::value::{at, text};
use serde_json::Value;

use super::{Attempt, Operation, Warnings};
use crate::authorize::{Access, RoleRef, Rule, quoted, uncovered};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn judge(attempt: &Attempt<'_>, object: &Value) -> Result<Warnings, Status> {
    let old = match attempt.operation {
        Operation::Create => &Value::Null,
        Operation::Update(old) => old,
        Operation::Delete => return Ok(Warnings::new()),
    };
    if attempt.kind().group == GROUP {
        match attempt.kind().kind {
            "ClusterRole" | "Role" => role(attempt, object, old)?,
            _ => binding(attempt, object, old)?,
        }
    }
    Ok(Warnings::new())
}

fn role(attempt: &Attempt<'_>, role: &Value, old: &Value) -> Result<(), Status> {
    let same = |field: &str| at(role, field) == at(old, field);
    if !old.is_null() && same("rules") && same("aggregationRule") {
        return Ok(());
    }
    let escalates = Access {
        verb: "escalate",
        group: GROUP,
        resource: attempt.kind().plural,
        namespace: attempt.request.namespace(),
        name: Some(text(role, "metadata.name")),
        ..Access::default()
    };
    if attempt.request.may(escalates) {
        return Ok(());
    }
    if !at(role, "aggregationRule").is_null() && held(attempt, &Rule::everything()).is_err() {
        return Err(attempt.forbidden(role, "must have cluster-admin privileges to use the aggregationRule"));
    }
    held(attempt, &rules(at(role, "rules"))?).map_err(|why| attempt.forbidden(role, &why))
}

fn binding(attempt: &Attempt<'_>, binding: &Value, old: &Value) -> Result<(), Status> {
    let same = |field: &str| at(binding, field) == at(old, field);
    if !old.is_null() && same("roleRef") && same("subjects") {
        return Ok(());
    }
    let namespace = attempt.request.namespace();
    let role: RoleRef = serde_json::from_value(at(binding, "roleRef").clone())
        .map_err(|error| Status::bad_request(format!("roleRef: {error}")))?;
    let resource = if role.kind == "ClusterRole" { "clusterroles" } else { "roles" };
    let binds = Access {
        verb: "bind",
        group: GROUP,
        resource,
        namespace,
        name: Some(&role.name),
        ..Access::default()
    };
    if attempt.request.may(binds) {
        return Ok(());
    }
    let missing = || Status::not_found(api::status::Resource { group: GROUP, name: resource }, &role.name);
    let rules = attempt.request.rights.rules_of(&role, namespace).ok_or_else(missing)?;
    held(attempt, &rules).map_err(|why| attempt.forbidden(binding, &why))
}

fn rules(value: &Value) -> Result<Vec<Rule>, Status> {
    let rules: Option<Vec<Rule>> = serde_json::from_value(value.clone())
        .map_err(|error| Status::bad_request(format!("rules: {error}")))?;
    Ok(rules.unwrap_or_default())
}

/// Whether the user holds all of this; the error says what not.
fn held(attempt: &Attempt<'_>, wanted: &[Rule]) -> Result<(), String> {
    let user = &attempt.request.user;
    let held = attempt.request.rights.rules_for(user, attempt.request.namespace());
    let missing = uncovered(&held, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        missing.join("\n")
    ))
}
