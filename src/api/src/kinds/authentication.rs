//! authentication.k8s.io: reviews the API server answers itself; nothing is stored.

use super::Kind;
use super::entry::{CREATE, GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("authentication.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        verbs: CREATE,
        ..V1.cluster(names!("io.k8s.api.authentication.v1", SelfSubjectReview, "selfsubjectreviews"))
    },
    Kind { verbs: CREATE, ..V1.cluster(names!("io.k8s.api.authentication.v1", TokenReview, "tokenreviews")) },
];
