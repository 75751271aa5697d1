//! What a name below the cluster's domain means.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;

/// The labels of a name, lower case, without the root. None for labels that are no text: no name of ours.
pub(crate) fn labels(name: &Name) -> Option<Vec<String>> {
    name.iter().map(|label| Some(std::str::from_utf8(label).ok()?.to_ascii_lowercase())).collect()
}

/// A place in the cluster's domain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// The domain itself, or a part of it that holds others: `svc`, `pod`, `dns`.
    Branch,
    Version,
    /// The name server of the zone: ourselves.
    Server,
    Namespace(&'a str),
    PodNamespace,
    Service {
        namespace: &'a str,
        service: &'a str,
    },
    Port {
        namespace: &'a str,
        service: &'a str,
        port: &'a str,
        protocol: &'a str,
    },
    Endpoint {
        namespace: &'a str,
        service: &'a str,
        host: &'a str,
    },
    Pod(IpAddr),
    Nowhere,
}

impl<'a> Place<'a> {
    /// Of the labels before the domain.
    pub(crate) fn of(labels: &'a [String]) -> Self {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match labels[..] {
            [] | ["svc" | "pod" | "dns"] => Self::Branch,
            ["dns-version"] => Self::Version,
            ["ns", "dns"] => Self::Server,
            [namespace, "svc"] => Self::Namespace(namespace),
            [service, namespace, "svc"] => Self::Service { namespace, service },
            [host, service, namespace, "svc"] => Self::Endpoint { namespace, service, host },
            [port, protocol, service, namespace, "svc"] => {
                match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
                    (Some(port), Some(protocol)) => Self::Port { namespace, service, port, protocol },
                    _ => Self::Nowhere,
                }
            }
            [_, "pod"] => Self::PodNamespace,
            [address, _, "pod"] => undashed(address).map_or(Self::Nowhere, Self::Pod),
            _ => Self::Nowhere,
        }
    }
}

/// An address as a label: `10-42-0-7`, `fd00-42--7`.
pub(crate) fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

fn undashed(label: &str) -> Option<IpAddr> {
    let v4 = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::from);
    v4.or_else(|_| label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> String {
        let labels: Vec<String> =
            name.split('.').filter(|label| !label.is_empty()).map(str::to_string).collect();
        format!("{:?}", Place::of(&labels))
    }

    #[test]
    fn names_have_meanings() {
        for (name, meaning) in [
            ("", "Branch"),
            ("svc", "Branch"),
            ("dns-version", "Version"),
            ("ns.dns", "Server"),
            ("shop.svc", r#"Namespace("shop")"#),
            ("web.shop.svc", r#"Service { namespace: "shop", service: "web" }"#),
            ("a.web.shop.svc", r#"Endpoint { namespace: "shop", service: "web", host: "a" }"#),
            (
                "_http._tcp.web.shop.svc",
                r#"Port { namespace: "shop", service: "web", port: "http", protocol: "tcp" }"#,
            ),
            ("http.tcp.web.shop.svc", "Nowhere"),
            ("1-2-3-4.shop.pod", "Pod(1.2.3.4)"),
            ("fd00--7.shop.pod", "Pod(fd00::7)"),
            ("1-2-3.shop.pod", "Nowhere"),
            ("web.shop", "Nowhere"),
            ("a.b.c.d.e.svc", "Nowhere"),
        ] {
            assert_eq!(place(name), meaning, "{name}");
        }
    }

    #[test]
    fn addresses_are_labels_and_back() {
        for address in ["10.42.0.7", "fd00:42::7"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(undashed(&dashed(address)), Some(address));
        }
    }
}
