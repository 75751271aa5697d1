//! What a pod is called, and its `/etc/hosts`.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::config::Config;

use super::is;

/// A label of a domain name holds no more.
const LONGEST: usize = 63;

/// What `hostname` says in the pod.
pub(crate) fn hostname(pod: &Pod, config: &Config) -> String {
    let Some(spec) = &pod.spec else { return String::new() };
    if let Some(name) = &spec.hostname_override {
        return name.clone();
    }
    if is(spec.host_network) {
        return config.node_name.clone();
    }
    let name = short(pod, spec);
    match domain(pod, spec, config) {
        Some(domain) if is(spec.set_hostname_as_fqdn) => format!("{name}.{domain}"),
        _ => name,
    }
}

fn short(pod: &Pod, spec: &PodSpec) -> String {
    let given = spec.hostname.as_deref().filter(|name| !name.is_empty());
    let name = given.or(pod.metadata.name.as_deref()).unwrap_or_default();
    // Names are ASCII.
    let cut = name.get(..LONGEST).unwrap_or(name);
    cut.trim_end_matches(['-', '.']).to_owned()
}

fn domain(pod: &Pod, spec: &PodSpec, config: &Config) -> Option<String> {
    let subdomain = spec.subdomain.as_deref().filter(|name| !name.is_empty())?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    Some(format!("{subdomain}.{namespace}.svc.{}", config.cluster_domain))
}

const LOCAL: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
";

pub(super) fn file(pod: &Pod, spec: &PodSpec, hostname: &str, ips: &[IpAddr], config: &Config) -> String {
    let mut file = if is(spec.host_network) {
        let own = fs::read_to_string("/etc/hosts").unwrap_or_else(|_| LOCAL.to_owned());
        format!("# Kubernetes-managed hosts file (host network).\n{own}")
    } else {
        let mut file = format!("# Kubernetes-managed hosts file.\n{LOCAL}");
        let names = match domain(pod, spec, config) {
            Some(domain) => format!("{}.{domain}\t{}", short(pod, spec), short(pod, spec)),
            None => hostname.to_owned(),
        };
        for ip in ips {
            let _infallible = writeln!(file, "{ip}\t{names}");
        }
        file
    };
    let mut aliases = spec.host_aliases.iter().flatten().peekable();
    if aliases.peek().is_some() {
        file.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names = alias.hostnames.iter().flatten().map(String::as_str).collect::<Vec<_>>().join("\t");
        let _infallible = writeln!(file, "{}\t{names}", alias.ip);
    }
    file
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::HostAlias;

    use super::super::name_servers::tests::{config, pod};
    use super::*;

    #[test]
    fn names() {
        let named = |change: fn(&mut PodSpec)| {
            let mut pod = pod();
            change(pod.spec.as_mut().unwrap());
            hostname(&pod, &config())
        };
        assert_eq!(named(|_| {}), "web");
        assert_eq!(named(|spec| spec.hostname = Some("x".into())), "x");
        assert_eq!(named(|spec| spec.host_network = Some(true)), "node");
        let full = named(|spec| {
            spec.subdomain = Some("sub".into());
            spec.set_hostname_as_fqdn = Some(true);
        });
        assert_eq!(full, "web.sub.ns.svc.cluster.local");
        let mut long = pod();
        long.metadata.name = Some(format!("{}-{}", "a".repeat(62), "b".repeat(9)));
        assert_eq!(hostname(&long, &config()), "a".repeat(62));
    }

    #[test]
    fn the_hosts_file_knows_the_pod_and_its_aliases() {
        let mut pod = pod();
        let spec = pod.spec.as_mut().unwrap();
        spec.subdomain = Some("sub".into());
        let hostnames = Some(vec!["a".to_owned(), "b".to_owned()]);
        spec.host_aliases = Some(vec![HostAlias { ip: "1.2.3.4".into(), hostnames }]);
        let spec = pod.spec.clone().unwrap();
        let file = file(&pod, &spec, "web", &[[10, 42, 0, 7].into()], &config());
        let lines: Vec<_> = file.lines().collect();
        assert_eq!(lines[0], "# Kubernetes-managed hosts file.");
        assert_eq!(lines[7], "10.42.0.7\tweb.sub.ns.svc.cluster.local\tweb");
        assert_eq!(lines[8..], ["", "# Entries added by HostAliases.", "1.2.3.4\ta\tb"]);
    }
}
