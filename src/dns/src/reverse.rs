//! Addresses asked backwards: `7.0.42.10.in-addr.arpa`.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address, or the network of addresses, that a name below `in-addr.arpa` or `ip6.arpa` stands for.
pub(crate) fn network(labels: &[String]) -> Option<IpNet> {
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match &labels[..] {
        [octets @ .., "in-addr", "arpa"] => v4(octets),
        [nibbles @ .., "ip6", "arpa"] => v6(nibbles),
        _ => None,
    }
}

fn v4(labels: &[&str]) -> Option<IpNet> {
    let mut octets = [0_u8; 4];
    if labels.len() > octets.len() {
        return None;
    }
    for (octet, label) in octets.iter_mut().zip(labels.iter().rev()) {
        *octet = label.parse().ok()?;
    }
    let prefix = u8::try_from(labels.len() * 8).ok()?;
    Ipv4Net::new(Ipv4Addr::from(octets), prefix).ok().map(IpNet::V4)
}

fn v6(labels: &[&str]) -> Option<IpNet> {
    if labels.len() > 32 {
        return None;
    }
    let mut address = 0_u128;
    for (index, label) in labels.iter().rev().enumerate() {
        let nibble = u128::from_str_radix(label, 16).ok().filter(|_| label.len() == 1)?;
        address |= nibble << (124 - 4 * index);
    }
    let prefix = u8::try_from(labels.len() * 4).ok()?;
    Ipv6Net::new(Ipv6Addr::from(address), prefix).ok().map(IpNet::V6)
}

/// The zone whose owner speaks for an address or network.
pub(crate) fn zone(network: IpNet) -> [String; 2] {
    let family = if network.addr().is_ipv4() { "in-addr" } else { "ip6" };
    [family.to_string(), "arpa".to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Option<String> {
        let labels: Vec<String> = name.split('.').map(str::to_string).collect();
        network(&labels).map(|network| network.to_string())
    }

    #[test]
    fn names_are_addresses_and_networks() {
        assert_eq!(of("7.0.42.10.in-addr.arpa").as_deref(), Some("10.42.0.7/32"));
        assert_eq!(of("42.10.in-addr.arpa").as_deref(), Some("10.42.0.0/16"));
        assert_eq!(of("0.2.4.0.0.0.d.f.ip6.arpa").as_deref(), Some("fd00:420::/32"));
        for none in ["256.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "10.ip6.arpa", "web.shop.svc", "arpa"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
