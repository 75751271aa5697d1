//! All groups, versions and resources in one document: what clients ask for first, and keep by its tag.

use api::kinds::{self, Group, Kind, Subresource};
use serde_json::{Value, json};

/// The core group alone, or all the others.
pub(super) fn document(core: bool) -> Value {
    let groups = kinds::groups().into_iter().filter(|group| group.name.is_empty() == core);
    let items: Vec<Value> = groups.map(|found| group(&found)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn group(group: &Group) -> Value {
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    let version = |version: &&str| {
        let of_version = kinds::all().filter(|kind| (kind.group, kind.version) == (group.name, *version));
        json!({"version": version, "resources": of_version.map(resource).collect::<Value>(), "freshness": "Current"})
    };
    json!({"metadata": metadata, "versions": group.versions.iter().map(version).collect::<Value>()})
}

fn resource(kind: &Kind) -> Value {
    let verbs: Vec<&str> = kind.verbs.iter().map(|verb| verb.as_str()).collect();
    let mut resource = json!({
        "resource": kind.plural, "singularResource": kind.singular, "verbs": verbs,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    for (name, words) in [("shortNames", kind.short_names), ("categories", kind.categories)] {
        if !words.is_empty() {
            resource[name] = words.into();
        }
    }
    if !kind.subresources.is_empty() {
        resource["subresources"] = kind.subresources.iter().map(subresource).collect();
    }
    resource
}

fn subresource(below: &Subresource) -> Value {
    let verbs: Vec<&str> = below.verbs.iter().map(|verb| verb.as_str()).collect();
    json!({
        "subresource": below.name, "verbs": verbs,
        "responseKind": {"group": below.group, "version": below.version, "kind": below.kind},
    })
}
