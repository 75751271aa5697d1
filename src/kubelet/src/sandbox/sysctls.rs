//! Kernel parameters of a pod: those that reach no further than its namespaces.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use super::is;

const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// What a pod's own network allows everybody in it, as containerd does in k3s: low ports and ping without privileges.
const USUAL: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

pub(super) fn of(spec: &PodSpec) -> BTreeMap<String, String> {
    let usual = USUAL.into_iter().filter(|_| !is(spec.host_network));
    let mut all: BTreeMap<_, _> = usual.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(given(spec).map(|(name, value)| (name, value.to_owned())));
    all
}

/// The first parameter that this node does not let pods set.
pub(crate) fn forbidden(spec: &PodSpec) -> Option<String> {
    let unsafe_here = |name: &str| {
        let of_host = (name.starts_with("net.") && is(spec.host_network))
            || (name.starts_with("kernel.") && is(spec.host_ipc));
        of_host || !SAFE.contains(&name)
    };
    given(spec).map(|(name, _)| name).find(|name| unsafe_here(name))
}

/// Names may be written with slashes too.
fn given(spec: &PodSpec) -> impl Iterator<Item = (String, &str)> {
    let context = spec.security_context.as_ref();
    let all = context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten();
    all.map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.as_str()))
}
