//! apiextensions.k8s.io: definitions of custom resources.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("apiextensions.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    subresources: &[V1.status("CustomResourceDefinition")],
    ..V1.cluster(names!(
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
        CustomResourceDefinition,
        "customresourcedefinitions"
    ))
}];
