//! A pod's `/etc/resolv.conf`.

use std::fs;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig, PodSpec};

use crate::config::Config;

use super::is;

/// Resolvers look at no more than these.
const SERVERS: usize = 3;
const SEARCHES: usize = 32;

#[derive(Debug, Default, PartialEq, Eq)]
struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

pub(super) fn file(pod: &Pod, spec: &PodSpec, config: &Config) -> String {
    let host = Resolver::parse(&fs::read_to_string(&config.resolv_conf).unwrap_or_default());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut resolver = Resolver::of(spec, host, namespace, config);
    resolver.add(spec.dns_config.as_ref());
    resolver.text()
}

impl Resolver {
    fn of(spec: &PodSpec, host: Self, namespace: &str, config: &Config) -> Self {
        let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
        let cluster = match policy {
            "None" => return Self::default(),
            "ClusterFirstWithHostNet" => true,
            "ClusterFirst" => !is(spec.host_network),
            _ => false,
        };
        if !cluster || config.cluster_dns.is_empty() {
            return host;
        }
        let domain = &config.cluster_domain;
        let own = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
        Self {
            servers: config.cluster_dns.iter().map(ToString::to_string).collect(),
            searches: own.into_iter().chain(host.searches).collect(),
            options: vec!["ndots:5".to_owned()],
        }
    }

    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default();
            let words = words.map(str::to_owned);
            match keyword {
                "nameserver" => resolver.servers.extend(words.take(1)),
                // The last one counts.
                "search" | "domain" => resolver.searches = words.filter(|word| word != ".").collect(),
                "options" => resolver.options = words.collect(),
                _ => {}
            }
        }
        resolver
    }

    fn add(&mut self, given: Option<&PodDNSConfig>) {
        let Some(given) = given else { return };
        self.servers.extend(given.nameservers.iter().flatten().cloned());
        self.searches.extend(given.searches.iter().flatten().cloned());
        for option in given.options.iter().flatten() {
            let Some(name) = &option.name else { continue };
            self.options.retain(|known| known.split(':').next() != Some(name));
            let value = option.value.as_deref().filter(|value| !value.is_empty());
            self.options.push(value.map_or(name.clone(), |value| format!("{name}:{value}")));
        }
    }

    fn text(mut self) -> String {
        for (list, most) in [(&mut self.servers, SERVERS), (&mut self.searches, SEARCHES)] {
            let mut seen = Vec::new();
            list.retain(|word| {
                !seen.contains(word) && {
                    seen.push(word.clone());
                    true
                }
            });
            list.truncate(most);
        }
        let mut lines = Vec::new();
        if !self.searches.is_empty() {
            lines.push(format!("search {}\n", self.searches.join(" ")));
        }
        lines.extend(self.servers.iter().map(|server| format!("nameserver {server}\n")));
        if !self.options.is_empty() {
            lines.push(format!("options {}\n", self.options.join(" ")));
        }
        lines.concat()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use k8s_openapi::api::core::v1::PodDNSConfigOption;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    pub(in super::super) fn config() -> Config {
        Config {
            node_name: "node".into(),
            node_ips: vec![[192, 168, 1, 2].into()],
            labels: BTreeMap::new(),
            taints: Vec::new(),
            cluster_dns: vec![[10, 43, 0, 10].into()],
            cluster_domain: "cluster.local".into(),
            pods_dir: PathBuf::new(),
            run_dir: PathBuf::new(),
            log_dir: PathBuf::new(),
            cgroup_root: "/".into(),
            resolv_conf: PathBuf::new(),
            port: 10250,
            max_pods: 110,
            version: "v1.37.0".into(),
        }
    }

    pub(in super::super) fn pod() -> Pod {
        let metadata = ObjectMeta {
            name: Some("web".into()),
            namespace: Some("ns".into()),
            uid: Some("u".into()),
            ..ObjectMeta::default()
        };
        Pod { metadata, spec: Some(PodSpec::default()), status: None }
    }

    const HOST: &str = "# by hand\nsearch lan .\nnameserver 192.168.1.1\noptions edns0\n";

    fn resolver(change: fn(&mut PodSpec)) -> String {
        let mut spec = PodSpec::default();
        change(&mut spec);
        let mut resolver = Resolver::of(&spec, Resolver::parse(HOST), "ns", &config());
        resolver.add(spec.dns_config.as_ref());
        resolver.text()
    }

    #[test]
    fn policies() {
        let cluster = "search ns.svc.cluster.local svc.cluster.local cluster.local lan\nnameserver 10.43.0.10\noptions ndots:5\n";
        let host = "search lan\nnameserver 192.168.1.1\noptions edns0\n";
        assert_eq!(resolver(|_| {}), cluster);
        assert_eq!(resolver(|spec| spec.host_network = Some(true)), host);
        assert_eq!(resolver(|spec| spec.dns_policy = Some("Default".into())), host);
        let with_host_network = resolver(|spec| {
            spec.host_network = Some(true);
            spec.dns_policy = Some("ClusterFirstWithHostNet".into());
        });
        assert_eq!(with_host_network, cluster);
        assert_eq!(resolver(|spec| spec.dns_policy = Some("None".into())), "");
    }

    #[test]
    fn what_the_pod_says_is_added() {
        let text = resolver(|spec| {
            let option = |name: &str, value: Option<&str>| PodDNSConfigOption {
                name: Some(name.into()),
                value: value.map(Into::into),
            };
            spec.dns_config = Some(PodDNSConfig {
                nameservers: Some(vec!["1.1.1.1".into(), "10.43.0.10".into()]),
                searches: Some(vec!["example.com".into()]),
                options: Some(vec![option("ndots", Some("2")), option("edns0", None)]),
            });
        });
        let expected = "search ns.svc.cluster.local svc.cluster.local cluster.local lan example.com\nnameserver 10.43.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n";
        assert_eq!(text, expected);
    }
}
