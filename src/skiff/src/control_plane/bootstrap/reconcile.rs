//! Roles and bindings get back what they lost, and keep what people added.

use api::value::{at, list, text};
use client::{Client, Error};
use http::Method;
use serde_json::{Value, json};

use super::make;
use super::roles::Wanted;

const UPDATES: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Makes an object, or adds to the one that is there what it lacks.
pub(super) async fn reconcile(client: &Client, wanted: &Wanted) -> Result<(), Error> {
    let path = format!("{}/{}", wanted.collection, text(&wanted.object, "metadata.name"));
    let found = match client.send_json(Method::GET, &path, None).await {
        Ok(found) => serde_json::from_slice(&found).unwrap_or_default(),
        Err(error) if error.is_not_found() => return make(client, &wanted.collection, &wanted.object).await,
        Err(error) => return Err(error),
    };
    let Some(complete) = completed(&found, &wanted.object) else { return Ok(()) };
    client.send_json(Method::PUT, &path, Some(complete.to_string().into_bytes())).await.map(drop)
}

/// What was found, with all that is wanted; nothing if it is complete, or to be left alone.
fn completed(found: &Value, wanted: &Value) -> Option<Value> {
    if found["metadata"]["annotations"][UPDATES] == "false" {
        return None;
    }
    let mut complete = found.clone();
    for described in ["labels", "annotations"] {
        for (key, value) in wanted["metadata"][described].as_object().into_iter().flatten() {
            complete["metadata"][described][key] = value.clone();
        }
    }
    if let Some(aggregation) = wanted.get("aggregationRule") {
        complete["aggregationRule"] = aggregation.clone();
    }
    let held: Vec<Value> = list(found, "rules").iter().flat_map(permissions).collect();
    add(&mut complete, wanted, "rules", |rule| permissions(rule).iter().all(|one| held.contains(one)));
    let subjects = list(found, "subjects");
    add(&mut complete, wanted, "subjects", |subject| subjects.contains(subject));
    (complete != *found).then_some(complete)
}

fn add(complete: &mut Value, wanted: &Value, field: &str, is_there: impl Fn(&Value) -> bool) {
    let missing: Vec<Value> = list(wanted, field).iter().filter(|item| !is_there(item)).cloned().collect();
    if !missing.is_empty() {
        let items = list(complete, field).iter().cloned().chain(missing).collect();
        complete[field] = items;
    }
}

/// A rule as its single permissions, so that the same said otherwise is the same.
fn permissions(rule: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for verb in list(rule, "verbs") {
        found.extend(list(rule, "nonResourceURLs").iter().map(|path| json!([verb, path])));
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                found.push(json!([verb, group, resource, at(rule, "resourceNames")]));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added_and_nothing_taken() {
        let wanted = json!({"metadata": {"name": "r", "labels": {"a": "b"}}, "rules": [
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
        ]});
        // The first rule is there, said in other words; the second was taken away, and one was added.
        let found = json!({"metadata": {"name": "r", "labels": {"a": "b", "mine": "1"}}, "rules": [
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "get", "watch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        ]});
        let complete = completed(&found, &wanted).unwrap();
        let rules = complete["rules"].as_array().unwrap();
        assert_eq!((rules.len(), &rules[2]), (3, &wanted["rules"][1]));
        assert_eq!(complete["metadata"]["labels"]["mine"], "1");
        assert_eq!(completed(&complete, &wanted), None, "the next start changes nothing");
        let mut left_alone = found;
        left_alone["metadata"]["annotations"] = json!({UPDATES: "false"});
        assert_eq!(completed(&left_alone, &wanted), None);
    }
}
