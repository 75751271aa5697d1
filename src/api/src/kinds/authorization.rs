//! authorization.k8s.io: questions to the authorizer; nothing is stored.

use super::Kind;
use super::entry::{CREATE, GroupVersion, Names, names};

const V1: GroupVersion = GroupVersion::new("authorization.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    Kind {
        namespaced: true,
        ..review(names!("io.k8s.api.authorization.v1", LocalSubjectAccessReview, "localsubjectaccessreviews"))
    },
    review(names!("io.k8s.api.authorization.v1", SelfSubjectAccessReview, "selfsubjectaccessreviews")),
    review(names!("io.k8s.api.authorization.v1", SelfSubjectRulesReview, "selfsubjectrulesreviews")),
    review(names!("io.k8s.api.authorization.v1", SubjectAccessReview, "subjectaccessreviews")),
];

const fn review(names: Names) -> Kind {
    Kind { verbs: CREATE, ..V1.cluster(names) }
}
