//! IP addresses and ranges of them, as fields of the API spell them.
//!
//! What older releases let in (leading zeros, IPv4 inside IPv6, bits beyond the prefix) means different things to different
//! programs and is refused by name; a spelling that is only unusual is warned of.

use std::net::IpAddr;

use super::Problems;

const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// An address in any spelling that has one meaning.
pub fn ip(text: &str) -> Problems {
    match (text.parse::<IpAddr>(), sloppy(text)) {
        (_, None) => vec![IP.into()],
        (Err(_), Some(_)) => vec!["must not have leading 0s".into()],
        (Ok(address), _) if is_mapped(address) => vec!["must not be an IPv4-mapped IPv6 address".into()],
        (Ok(_), _) => Problems::new(),
    }
}

/// Whether this is an address rather than a name, in whatever spelling.
pub fn is_ip(text: &str) -> bool {
    sloppy(text).is_some()
}

/// An address in the one spelling that every program writes.
pub fn canonical_ip(text: &str) -> Problems {
    canonical(ip(text), text, text.parse::<IpAddr>().map(|address| address.to_string()).ok())
}

/// A range in any spelling that has one meaning.
pub fn cidr(text: &str) -> Problems {
    let Some((address, prefix)) = text.split_once('/') else { return vec![RANGE.into()] };
    let (Some(meant), Some(length)) = (sloppy(address), prefix_length(prefix)) else {
        return vec![RANGE.into()];
    };
    if length > bits(meant) {
        return vec![RANGE.into()];
    }
    match address.parse::<IpAddr>() {
        Err(_) => vec!["must not have leading 0s in IP or prefix length".into()],
        Ok(_) if prefix.len() > 1 && prefix.starts_with('0') => {
            vec!["must not have leading 0s in IP or prefix length".into()]
        }
        Ok(address) if is_mapped(address) => vec!["must not have an IPv4-mapped IPv6 address".into()],
        Ok(address) if address != masked(address, length) => {
            vec!["must not have bits set beyond the prefix length".into()]
        }
        Ok(_) => Problems::new(),
    }
}

/// A range in the one spelling that every program writes.
pub fn canonical_cidr(text: &str) -> Problems {
    canonical(cidr(text), text, network(text).map(|(address, length)| format!("{address}/{length}")))
}

/// An address of an interface with the length of its network: `10.9.8.7/24`.
pub fn interface_address(text: &str) -> Problems {
    let whole = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
    match network(text) {
        None => vec![whole.into()],
        Some((address, length)) => canonical(Problems::new(), text, Some(format!("{address}/{length}"))),
    }
}

/// The address and prefix length of a range.
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, length) = (sloppy(address)?, prefix_length(prefix)?);
    (length <= bits(address)).then_some((address, length))
}

/// Whether `inner` is a part of `outer` and not all of it.
pub fn is_strictly_within(inner: (IpAddr, u8), outer: (IpAddr, u8)) -> bool {
    inner.0.is_ipv4() == outer.0.is_ipv4()
        && inner.1 > outer.1
        && masked(inner.0, outer.1) == masked(outer.0, outer.1)
}

/// Why an address that means something to one machine alone is no address for others.
pub fn special(text: &str) -> Problems {
    let Some(address) = sloppy(text) else { return vec!["must be a valid IP address".into()] };
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    let mut problems = Problems::new();
    if address.is_unspecified() {
        problems.push(format!("may not be unspecified ({text})"));
    }
    for (holds, sentence) in [
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (link_local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ] {
        if holds {
            problems.push(sentence.into());
        }
    }
    problems
}

/// What is unusual about a valid address, for a `Warning:`; the field stands before it.
pub fn ip_warning(text: &str) -> Option<String> {
    let address = text.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6)?;
    (address.to_string() != text).then(|| {
        format!("IPv6 address {text:?} should be in RFC 5952 canonical format ({:?})", address.to_string())
    })
}

/// The same for a range.
pub fn cidr_warning(text: &str) -> Option<String> {
    let (address, length) = network(text).filter(|(address, _)| address.is_ipv6())?;
    let canonical = format!("{address}/{length}");
    (canonical != text)
        .then(|| format!("IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({canonical:?})"))
}

fn canonical(problems: Problems, text: &str, canonical: Option<String>) -> Problems {
    match canonical {
        Some(canonical) if problems.is_empty() && canonical != text => {
            vec![format!("must be in canonical form ({canonical:?})")]
        }
        _ => problems,
    }
}

/// What older parsers read: zeros before a number changed nothing.
fn sloppy(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (before, dotted) = text.rfind(':').map_or(("", text), |colon| text.split_at(colon + 1));
    let octets: Vec<&str> = dotted.split('.').map(without_zeros).collect();
    format!("{before}{}", octets.join(".")).parse().ok()
}

fn without_zeros(octet: &str) -> &str {
    match octet.trim_start_matches('0') {
        "" if !octet.is_empty() => "0",
        rest => rest,
    }
}

fn prefix_length(text: &str) -> Option<u8> {
    (!text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())).then_some(())?;
    without_zeros(text).parse().ok()
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// The first address of the network of this length.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, problem) in [
            ("10.9.8.7", ""),
            ("FE80:0::1", ""),
            ("10.9.8", IP),
            ("", IP),
            ("10.9.8.256", IP),
            ("10.009.8.7", "must not have leading 0s"),
            ("::ffff:010.9.8.7", "must not have leading 0s"),
            ("::ffff:10.9.8.7", "must not be an IPv4-mapped IPv6 address"),
        ] {
            assert_eq!(ip(text).concat(), problem, "{text}");
        }
        assert_eq!(canonical_ip("FE80:0::1"), ["must be in canonical form (\"fe80::1\")"]);
        assert_eq!(canonical_ip("fe80::1"), Problems::new());
        assert_eq!(
            ip_warning("FE80::1").unwrap(),
            "IPv6 address \"FE80::1\" should be in RFC 5952 canonical format (\"fe80::1\")"
        );
        assert_eq!(ip_warning("10.0.0.1"), None);
    }

    #[test]
    fn ranges() {
        for (text, problem) in [
            ("10.0.0.0/8", ""),
            ("::/0", ""),
            ("0.0.0.0/0", ""),
            ("10.0.0.0", RANGE),
            ("10.0.0.0/33", RANGE),
            ("10.0.0.0/+8", RANGE),
            ("10.0.0.0/", RANGE),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
            ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
            ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ] {
            assert_eq!(cidr(text).concat(), problem, "{text}");
        }
        assert_eq!(canonical_cidr("FD00::/64"), ["must be in canonical form (\"fd00::/64\")"]);
        assert_eq!(interface_address("10.0.0.1/8"), Problems::new());
        assert_eq!(interface_address("FD00::1/64"), ["must be in canonical form (\"fd00::1/64\")"]);
        let within = |inner, outer| is_strictly_within(network(inner).unwrap(), network(outer).unwrap());
        assert!(within("10.1.0.0/16", "10.0.0.0/8") && within("10.0.0.0/9", "0.0.0.0/0"));
        assert!(!within("10.0.0.0/8", "10.0.0.0/8") && !within("11.0.0.0/16", "10.0.0.0/8"));
        assert!(!within("fd00::/64", "0.0.0.0/0"));
    }

    #[test]
    fn addresses_of_one_machine() {
        for (text, problem) in [
            ("10.0.0.1", ""),
            ("225.0.0.1", ""),
            ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
            ("::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
            ("224.0.0.5", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
            ("ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
            ("x", "must be a valid IP address"),
        ] {
            assert_eq!(special(text).concat(), problem, "{text}");
        }
    }
}
