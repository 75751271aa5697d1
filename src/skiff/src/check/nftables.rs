//! The parts of nf_tables that Services and network policies are made of, each tried in a table of its own in an empty
//! network namespace: the names of options say little, as distributions leave single expressions out.

use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;

use super::features::Facts;
use super::finding::Check;
use super::netlink::{ACK, Attributes, CREATE, Netlink, Request};
use super::probe::{Attempt, Subject, judge};
use super::sandbox;

const NFTABLES: Subject = Subject {
    name: "nftables",
    option: "NF_TABLES",
    modules: "nf_tables nft_chain_nat nft_ct nft_nat nft_masq nft_redir nft_fib_inet nft_numgen nft_hash nft_reject_inet",
    proof: "rules with ct, nat, masq, redir, fib, numgen, hash and reject were made in a private network namespace",
    remedy: "use a kernel with all of nf_tables (those of Debian, Ubuntu, Raspberry Pi OS and Armbian), or build one with it",
};

const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
/// `struct nfgenmsg` of the family inet, and of a batch for nf_tables.
const INET: [u8; 4] = [1, 0, 0, 0];
const BATCH: [u8; 4] = [0, 0, 0, 10];

const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// The first 128-bit register.
const REGISTER: u32 = 1;

#[derive(Clone, Copy)]
enum Hook {
    Prerouting = 0,
    Forward = 2,
    Postrouting = 4,
}

/// A rule to try: where it hangs and what it says.
struct Rule {
    expression: &'static str,
    chain: &'static str,
    hook: Hook,
    expressions: fn(Attributes) -> Attributes,
}

/// Each attribute number is that of the expression's own enumeration in `linux/netfilter/nf_tables.h`.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { expression: "ct", chain: "filter", hook: Hook::Forward, expressions: |list| {
        expression(list, "ct", |ct| ct.be32(1, REGISTER).be32(2, 0)) // state
    } },
    Rule { expression: "nat", chain: "nat", hook: Hook::Prerouting, expressions: |list| {
        let address = expression(list, "immediate", |it| it.be32(1, REGISTER).nested(2, |data| data.bytes(1, &[10, 0, 0, 1])));
        expression(address, "nat", |nat| nat.be32(1, 1).be32(2, 2).be32(3, REGISTER)) // dnat, IPv4, address
    } },
    Rule { expression: "masq", chain: "nat", hook: Hook::Postrouting, expressions: |list| expression(list, "masq", |it| it) },
    Rule { expression: "redir", chain: "nat", hook: Hook::Prerouting, expressions: |list| expression(list, "redir", |it| it) },
    Rule { expression: "fib", chain: "filter", hook: Hook::Prerouting, expressions: |list| {
        expression(list, "fib", |fib| fib.be32(1, REGISTER).be32(2, 3).be32(3, 2)) // address type of the destination
    } },
    Rule { expression: "numgen", chain: "filter", hook: Hook::Forward, expressions: |list| {
        expression(list, "numgen", |it| it.be32(1, REGISTER).be32(2, 2).be32(3, 1)) // modulus 2, random
    } },
    Rule { expression: "hash", chain: "filter", hook: Hook::Forward, expressions: |list| {
        expression(list, "hash", |it| it.be32(2, REGISTER).be32(4, 2).be32(7, 1)) // modulus 2, symmetric
    } },
    Rule { expression: "reject", chain: "filter", hook: Hook::Forward, expressions: |list| {
        expression(list, "reject", |it| it.be32(1, 2).bytes(2, &[1])) // icmpx, port unreachable
    } },
];

fn expression(list: Attributes, name: &str, data: impl FnOnce(Attributes) -> Attributes) -> Attributes {
    list.nested(ELEMENT, |element| element.text(EXPRESSION_NAME, name).nested(EXPRESSION_DATA, data))
}

pub(super) fn check(facts: &Facts) -> Vec<Check> {
    vec![judge(&NFTABLES, facts, &sandbox::in_network(|| try_rules(RULES)))]
}

fn try_rules(rules: &[Rule]) -> Attempt {
    if let Err(errno) = Netlink::open(Some(NETFILTER)) {
        return Attempt::refused("open a netfilter socket", errno);
    }
    // Each rule is a new table: what one rule misses says nothing of the next.
    let made = |rule: &Rule| Netlink::open(Some(NETFILTER))?.ask(&batch(rule));
    let refused = |rule: &Rule| made(rule).err().map(|errno| (rule.expression, errno));
    match rules.iter().filter_map(refused).collect::<Vec<_>>()[..] {
        [] => Attempt::Worked,
        [(_, errno), ..] if errno == Errno::PERM => Attempt::refused("make rules", errno),
        ref refused => Attempt::Refused(words(refused)),
    }
}

fn words(refused: &[(&str, Errno)]) -> String {
    let words: Vec<String> =
        refused.iter().map(|(name, errno)| format!("rule with {name}: {errno}")).collect();
    words.join("; ")
}

fn batch(rule: &Rule) -> Request {
    let name = format!("check-{}", rule.expression);
    let hook = |hook: Attributes| hook.be32(HOOK_NUMBER, rule.hook as u32).be32(HOOK_PRIORITY, 0);
    Request::default()
        .message(BATCH_BEGIN, 0, &BATCH, |none| none)
        .message(NEW_TABLE, CREATE, &INET, |table| table.text(TABLE_NAME, &name))
        .message(NEW_CHAIN, CREATE, &INET, |chain| {
            let named = chain.text(CHAIN_TABLE, &name).text(CHAIN_NAME, "chain");
            named.nested(CHAIN_HOOK, hook).text(CHAIN_TYPE, rule.chain)
        })
        .message(NEW_RULE, CREATE | ACK, &INET, |new| {
            let placed = new.text(RULE_TABLE, &name).text(RULE_CHAIN, "chain");
            placed.nested(RULE_EXPRESSIONS, rule.expressions)
        })
        .message(BATCH_END, 0, &BATCH, |none| none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_the_kernel_has_not_is_named_alone() {
        let hook = Hook::Forward;
        let good = Rule {
            expression: "immediate",
            chain: "filter",
            hook,
            expressions: |list| {
                expression(list, "immediate", |it| it.be32(1, REGISTER).nested(2, |data| data.bytes(1, &[1])))
            },
        };
        let bad = Rule {
            expression: "nonsense",
            expressions: |list| expression(list, "nonsense", |it| it),
            ..good
        };
        match sandbox::in_network(|| try_rules(&[bad, good])) {
            Attempt::NotTried(why) => eprintln!("{why}"),
            Attempt::Refused(words) => {
                assert!(words.starts_with("rule with nonsense: "), "{words}");
                assert!(!words.contains("immediate"), "{words}");
            }
            attempt => panic!("{attempt:?}"),
        }
    }
}
