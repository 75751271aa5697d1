//! The links of pods (veth) and between machines (vxlan), made in an empty network namespace.

use super::features::Facts;
use super::finding::Check;
use super::netlink::{ACK, Attributes, CREATE, Netlink, Request};
use super::probe::{Attempt, Subject, judge};
use super::sandbox;

const VETH: Subject = Subject {
    name: "veth",
    option: "VETH",
    modules: "veth",
    proof: "a pair was made in a private network namespace",
    remedy: "the end of `dmesg` may say why",
};
const VXLAN: Subject = Subject {
    name: "vxlan",
    option: "VXLAN",
    modules: "vxlan",
    proof: "a device was made in a private network namespace",
    remedy: "the end of `dmesg` may say why",
};

const RTM_NEWLINK: u16 = 16;
/// `struct ifinfomsg`, all zero: any family, type, index and flags.
const LINK: [u8; 16] = [0; 16];
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_PORT: u16 = 15;

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    let veth = sandbox::in_network(|| make("veth", |pair| pair));
    let vxlan = sandbox::in_network(|| {
        make("vxlan", |device| {
            device.nested(IFLA_INFO_DATA, |data| {
                data.bytes(IFLA_VXLAN_ID, &1u32.to_ne_bytes()).bytes(IFLA_VXLAN_PORT, &8472u16.to_be_bytes())
            })
        })
    });
    vec![judge(&VETH, facts, &veth), judge(&VXLAN, facts, &vxlan)]
}

fn make(kind: &str, data: impl FnOnce(Attributes) -> Attributes) -> Attempt {
    let request = Request::default().message(RTM_NEWLINK, CREATE | ACK, &LINK, |link| {
        link.text(IFLA_IFNAME, "check0").nested(IFLA_LINKINFO, |info| data(info.text(IFLA_INFO_KIND, kind)))
    });
    let made = Netlink::open(None).and_then(|netlink| netlink.ask(&request));
    made.map_or_else(|errno| Attempt::refused(&format!("make a {kind} device"), errno), |()| Attempt::Worked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_really_asked() {
        let attempt = sandbox::in_network(|| make("nonsense", |device| device));
        if let Attempt::NotTried(why) = &attempt {
            return eprintln!("{why}");
        }
        assert!(
            matches!(&attempt, Attempt::Refused(words) if words.starts_with("make a nonsense device")),
            "{attempt:?}"
        );
    }
}
