//! rbac.authorization.k8s.io: roles and who holds them.

use super::Kind;
use super::entry::{GroupVersion, names};

const V1: GroupVersion = GroupVersion::new("rbac.authorization.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    V1.cluster(names!("io.k8s.api.rbac.v1", ClusterRoleBinding, "clusterrolebindings")),
    V1.cluster(names!("io.k8s.api.rbac.v1", ClusterRole, "clusterroles")),
    V1.namespaced(names!("io.k8s.api.rbac.v1", RoleBinding, "rolebindings")),
    V1.namespaced(names!("io.k8s.api.rbac.v1", Role, "roles")),
];
