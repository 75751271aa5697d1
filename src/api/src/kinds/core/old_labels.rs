//! Labels of nodes that have another name now.

/// What to use instead of the label `key`, for a `Warning:`; none for labels that still hold.
pub(in crate::kinds) fn sentence(key: &str) -> Option<String> {
    let (since, instead) = match key {
        "beta.kubernetes.io/arch" => ("1.14", "kubernetes.io/arch"),
        "beta.kubernetes.io/os" => ("1.14", "kubernetes.io/os"),
        "beta.kubernetes.io/instance-type" => ("1.17", "node.kubernetes.io/instance-type"),
        "failure-domain.beta.kubernetes.io/region" => ("1.17", "topology.kubernetes.io/region"),
        "failure-domain.beta.kubernetes.io/zone" => ("1.17", "topology.kubernetes.io/zone"),
        _ => return None,
    };
    Some(format!("deprecated since v{since}; use {instead:?} instead"))
}
