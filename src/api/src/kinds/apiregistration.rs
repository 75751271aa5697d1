//! apiregistration.k8s.io: which server answers for which group and version.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("apiregistration.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    categories: &["api-extensions"],
    subresources: &[V1.status("APIService")],
    ..V1.cluster(names!("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1", APIService, "apiservices"))
}];
