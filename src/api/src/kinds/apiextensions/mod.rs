//! apiextensions.k8s.io: definitions of custom resources.

mod rules;
mod schema;
mod structural;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::admissionregistration::client_defaults;
use super::entry::{GroupVersion, names};
use super::{Generation, Kind, Strategy};
use crate::value::{at, default_to, default_zero_to, flag, list, object, text};

const V1: GroupVersion = GroupVersion::new("apiextensions.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    subresources: &[V1.status("CustomResourceDefinition")],
    strategy: Strategy {
        any_finalizer: true,
        defaults,
        prepare_create: |definition| stored_versions(definition, Vec::new()),
        prepare_update: |new, old| stored_versions(new, list(old, "status.storedVersions").to_vec()),
        validate: rules::validate,
        validate_update: rules::update,
        generation: Generation::Spec,
        unconditional_update: false,
        ..Strategy::PLAIN
    },
    ..V1.cluster(names!(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
        CustomResourceDefinition,
        "customresourcedefinitions"
    ))
}];

fn defaults(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    let kind = text(spec, "names.kind").to_owned();
    if let Some(names) = spec.get_mut("names") {
        default_zero_to(names, "singular", kind.to_lowercase());
        if !kind.is_empty() {
            default_zero_to(names, "listKind", format!("{kind}List"));
        }
    }
    default_to(spec, "conversion", json!({"strategy": "None"}));
    if let Some(webhook) = spec.get_mut("conversion").and_then(|conversion| conversion.get_mut("webhook")) {
        client_defaults(webhook);
    }
}

/// Objects will be stored in the version marked for it, beside those in which they were stored until now.
fn stored_versions(definition: &mut Value, mut known: Vec<Value>) {
    let marked = list(definition, "spec.versions").iter().find(|version| flag(version, "storage"));
    let name = marked.map(|version| at(version, "name").clone());
    known.extend(name.filter(|name| !known.contains(name)));
    if let Some(status) = object(definition, "status") {
        status.insert("storedVersions".into(), known.into());
    }
}
