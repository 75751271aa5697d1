//! What there is: groups, versions and resources, for clients that ask before they act.

mod aggregated;

use std::sync::OnceLock;

use api::kinds::{self, Group, Kind, Subresource};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::request::Accept;
use crate::request::target::Discovery;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// In one document or piece by piece, as the client wants it; none of what there is not.
pub(crate) fn answer(what: &Discovery, headers: &HeaderMap) -> Option<Answer> {
    let root = matches!(what, Discovery::Core | Discovery::Groups);
    if !root || !Accept::wants_all_groups(headers) {
        let mut answer = answer::value(StatusCode::OK, &piece(what)?);
        if root {
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        }
        return Some(answer);
    }
    let core = *what == Discovery::Core;
    Some(answer::tagged(tag(core), headers, || {
        let mut answer = answer::value(StatusCode::OK, &aggregated::document(core));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        answer
    }))
}

/// Of the document, which is made of what is built into the program.
fn tag(core: bool) -> &'static str {
    static TAGS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    TAGS[usize::from(core)].get_or_init(|| answer::tag(aggregated::document(core).to_string().as_bytes()))
}

fn piece(what: &Discovery) -> Option<Value> {
    match what {
        Discovery::Core => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        })),
        Discovery::Groups => {
            let named = kinds::groups().into_iter().filter(|group| !group.name.is_empty());
            let groups: Vec<Value> = named.map(|found| group(&found)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        Discovery::Group(name) => {
            let found = kinds::group(name).filter(|group| !group.name.is_empty());
            let mut group = group(&found?);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            Some(group)
        }
        Discovery::Version { group, version } => {
            let resources: Vec<Value> = kinds::all()
                .filter(|kind| kind.group == group && kind.version == version)
                .flat_map(|kind| {
                    std::iter::once(resource(kind))
                        .chain(kind.subresources.iter().map(|sub| subresource(kind, sub)))
                })
                .collect();
            if resources.is_empty() {
                return None;
            }
            let version = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
            Some(
                json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}),
            )
        }
    }
}

fn group(group: &Group) -> Value {
    let version =
        |version: &str| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let versions: Vec<Value> = group.versions.iter().map(|name| version(name)).collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": version(group.preferred())})
}

fn resource(kind: &Kind) -> Value {
    let verbs: Vec<&str> = kind.verbs.iter().map(|verb| verb.as_str()).collect();
    let mut resource = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind, "verbs": verbs,
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = kind.short_names.into();
    }
    if !kind.categories.is_empty() {
        resource["categories"] = kind.categories.into();
    }
    resource
}

fn subresource(kind: &Kind, sub: &Subresource) -> Value {
    let verbs: Vec<&str> = sub.verbs.iter().map(|verb| verb.as_str()).collect();
    let mut resource = json!({
        "name": format!("{}/{}", kind.plural, sub.name), "singularName": "", "namespaced": kind.namespaced,
        "kind": sub.kind, "verbs": verbs,
    });
    if (sub.group, sub.version) != (kind.group, kind.version) {
        resource["group"] = sub.group.into();
        resource["version"] = sub.version.into();
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_name_their_subresources_and_short_names() {
        let core = piece(&Discovery::Version { group: String::new(), version: "v1".into() }).unwrap();
        let find = |name: &str| {
            let found =
                core["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == name);
            found.unwrap_or_else(|| panic!("no {name}")).clone()
        };
        assert_eq!(find("pods")["shortNames"], json!(["po"]));
        assert_eq!(find("pods/eviction")["group"], "policy");
        assert_eq!(find("nodes")["namespaced"], false);
        assert_eq!(core["groupVersion"], "v1");
    }

    #[test]
    fn the_core_group_is_not_among_the_named_ones() {
        let groups = piece(&Discovery::Groups).unwrap();
        let names: Vec<&str> =
            groups["groups"].as_array().unwrap().iter().filter_map(|group| group["name"].as_str()).collect();
        assert!(names.contains(&"apps") && !names.contains(&""));
        assert_eq!(piece(&Discovery::Group("nope".into())), None);
    }
}
