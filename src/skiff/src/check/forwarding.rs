//! Forwarding of packets between pods and machines, and the filter that drops those which seem to come the wrong way.

use super::finding::Check;
use super::root::Root;

const FORWARD: &str = "ip-forward";
const REVERSE_PATH: &str = "rp-filter";

struct Facts {
    forward: Option<u64>,
    /// Whether the agent will be able to turn it on.
    writable: bool,
    /// Links whose reverse path filter is strict.
    strict: Vec<String>,
}

impl Facts {
    fn read(root: &Root) -> Self {
        let path = "proc/sys/net/ipv4/ip_forward";
        let writable = rustix::fs::access(root.path(path), rustix::fs::Access::WRITE_OK).is_ok();
        Self { forward: root.number(path), writable, strict: strict(root) }
    }
}

/// The kernel takes the larger of the value for all links and the link's own: 0 off, 1 strict, 2 loose.
fn strict(root: &Root) -> Vec<String> {
    let value = |link: &str| root.number(format!("proc/sys/net/ipv4/conf/{link}/rp_filter")).unwrap_or(0);
    let all = value("all");
    let mut links = root.names("sys/class/net");
    links.retain(|link| link != "lo" && value(link).max(all) == 1);
    links
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    let facts = Facts::read(root);
    vec![forward(&facts), reverse_path(&facts)]
}

fn forward(facts: &Facts) -> Check {
    match facts.forward {
        Some(1..) => Check::pass(FORWARD, "on"),
        Some(0) if facts.writable => Check::pass(FORWARD, "off; the agent turns it on when it starts"),
        Some(0) => Check::warn(
            FORWARD,
            "off, and may not be turned on from here: pods would be cut off",
            "sysctl -w net.ipv4.ip_forward=1 as root on the machine itself, and in /etc/sysctl.d/ to keep it",
        ),
        None => Check::skipped(FORWARD, "/proc/sys/net/ipv4/ip_forward cannot be read"),
    }
}

fn reverse_path(facts: &Facts) -> Check {
    if facts.strict.len() < 2 {
        return Check::pass(REVERSE_PATH, "in nobody's way");
    }
    let links = facts.strict.join(", ");
    Check::warn(
        REVERSE_PATH,
        format!("strict on {links}: what comes in by one link and is answered by another is dropped"),
        "sysctl -w net.ipv4.conf.all.rp_filter=2, and in /etc/sysctl.d/ to keep it",
    )
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    const LINKS: [(&str, &str); 3] =
        [("sys/class/net/lo/x", ""), ("sys/class/net/eth0/x", ""), ("sys/class/net/wlan0/x", "")];

    fn judged(all: &str, wlan: &str) -> &'static str {
        let values = [
            ("proc/sys/net/ipv4/conf/all/rp_filter", all),
            ("proc/sys/net/ipv4/conf/eth0/rp_filter", "1\n"),
            ("proc/sys/net/ipv4/conf/wlan0/rp_filter", wlan),
        ];
        reverse_path(&Facts::read(&Sample::of(&[LINKS, values].concat()).root())).outcome.word()
    }

    #[test]
    fn strict_matters_from_two_links_on_and_all_overrides() {
        assert_eq!(judged("0\n", "0\n"), "pass");
        assert_eq!(judged("0\n", "1\n"), "warn");
        assert_eq!(judged("1\n", "0\n"), "warn");
        assert_eq!(judged("2\n", "1\n"), "pass");
    }

    #[test]
    fn forwarding_that_is_off_is_the_agents_to_turn_on() {
        let judged = |forward, writable| forward_word(&Facts { forward, writable, strict: Vec::new() });
        assert_eq!(judged(Some(1), false), "pass");
        assert_eq!(judged(Some(0), true), "pass");
        assert_eq!(judged(Some(0), false), "warn");
        assert_eq!(judged(None, false), "skipped");
    }

    fn forward_word(facts: &Facts) -> &'static str {
        forward(facts).outcome.word()
    }
}
