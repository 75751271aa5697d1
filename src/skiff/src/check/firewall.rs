//! Chains of others that drop what is forwarded. Docker makes `DROP` the policy of `FORWARD`: accepting a packet in
//! skiff's table does not save it, as every base chain on the hook has its say.
//!
//! Only nf_tables is asked, which is what today's iptables writes to; chains of the legacy one cannot be seen by it.

use rustix::net::netlink::NETFILTER;

use super::finding::Check;
use super::netlink::{DUMP, Netlink, Request, attributes};

const NAME: &str = "firewall";

const GET_CHAIN: u16 = 10 << 8 | 4;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const HOOK_NUMBER: u16 = 1;
const FORWARD: u32 = 2;
const DROP: u32 = 0;
/// The families with a forward hook that routed packets pass.
const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    table: String,
    name: String,
}

struct Facts {
    /// Base chains on the forward hook whose policy is to drop.
    dropping: Vec<Chain>,
}

impl Facts {
    /// None where nf_tables cannot be asked: without root, or without nf_tables, which other checks tell.
    fn read() -> Option<Self> {
        let mut dropping = Vec::new();
        let request = Request::default().message(GET_CHAIN, DUMP, &[0; 4], |none| none);
        let netlink = Netlink::open(Some(NETFILTER)).ok()?;
        netlink
            .dump(&request, |message| {
                dropping.extend((message.kind == NEW_CHAIN).then(|| dropping_chain(message.body)).flatten());
            })
            .ok()?;
        Some(Self { dropping })
    }
}

/// Body: family, version, resource; then attributes.
fn dropping_chain(body: &[u8]) -> Option<Chain> {
    let (mut table, mut name, mut hook, mut policy) = (None, None, None, None);
    let family = *body.first()?;
    for (kind, value) in attributes(body.get(4..)?) {
        match kind {
            CHAIN_TABLE => table = text(value),
            CHAIN_NAME => name = text(value),
            CHAIN_HOOK => hook = hook_number(value),
            CHAIN_POLICY => policy = be32(value),
            _ => {}
        }
    }
    let drops = [INET, IPV4, IPV6].contains(&family) && hook == Some(FORWARD) && policy == Some(DROP);
    if drops { Some(Chain { table: table?, name: name? }) } else { None }
}

fn hook_number(hook: &[u8]) -> Option<u32> {
    attributes(hook).find(|(kind, _)| *kind == HOOK_NUMBER).and_then(|(_, number)| be32(number))
}

fn text(value: &[u8]) -> Option<String> {
    let text = value.strip_suffix(b"\0").unwrap_or(value);
    Some(std::str::from_utf8(text).ok()?.to_string())
}

fn be32(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*value.first_chunk()?))
}

pub(super) fn check() -> Vec<Check> {
    vec![judge(Facts::read().as_ref())]
}

fn judge(facts: Option<&Facts>) -> Check {
    let Some(facts) = facts else {
        return Check::skipped(NAME, "nf_tables does not answer here: to ask takes root");
    };
    let Some(chain) = facts.dropping.first() else {
        return Check::pass(NAME, "no chain drops all that is forwarded");
    };
    let Chain { table, name } = chain;
    Check::warn(
        NAME,
        format!("the chain {name} of the table {table} drops what it does not know: packets of pods too"),
        match name.as_str() {
            "FORWARD" => {
                "iptables -P FORWARD ACCEPT (with Docker: \"ip-forward-no-drop\": true in /etc/docker/daemon.json)"
            }
            _ => {
                "have that firewall accept what is forwarded from and to the cluster CIDR and the service CIDR"
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `iptables -P FORWARD DROP` leaves: a chain of the table filter, as the kernel lists it.
    fn chain(family: u8, hook: u8, policy: u8) -> Vec<u8> {
        let mut body = vec![family, 0, 0, 0];
        body.extend(b"\x0b\x00\x01\x00filter\0\0");
        body.extend(b"\x0c\x00\x03\x00FORWARD\0");
        body.extend([0x14, 0, 4, 0x80, 8, 0, 1, 0, 0, 0, 0, hook, 8, 0, 2, 0, 0, 0, 0, 0]);
        body.extend([8, 0, 5, 0, 0, 0, 0, policy]);
        body
    }

    #[test]
    fn dockers_policy_is_found() {
        let found = dropping_chain(&chain(IPV4, 2, 0)).unwrap();
        assert_eq!(found, Chain { table: "filter".into(), name: "FORWARD".into() });
        let check = judge(Some(&Facts { dropping: vec![found] }));
        assert_eq!(check.outcome.word(), "warn");
        assert!(check.remedy().unwrap().starts_with("iptables -P FORWARD ACCEPT"));
    }

    #[test]
    fn other_hooks_policies_and_families_are_not() {
        assert_eq!(dropping_chain(&chain(IPV4, 1, 0)), None);
        assert_eq!(dropping_chain(&chain(IPV4, 2, 1)), None);
        assert_eq!(dropping_chain(&chain(7, 2, 0)), None);
        assert_eq!(dropping_chain(&[]), None);
    }
}
