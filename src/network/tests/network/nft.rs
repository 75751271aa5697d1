//! Rulesets in the kernel: what Debian's `nft` reads back, and what becomes of packets.
//!
//! Each test runs on a thread in a network namespace of its own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use network::nft::{
    Base, Chain, Change, Element, Error, Expression as E, Field, Hook, Key, Kind, Nftables, Rule, Ruleset,
    Set, Stored, Subject, Target, Type, Value, Verdict, priority,
};

use crate::namespace::Namespace;

/// Runs the test in a fresh network namespace; where there is no right to one, says so and passes.
fn in_namespace(test: impl AsyncFnOnce() + Send) {
    if let Some(namespace) = Namespace::new() {
        namespace.block_on(test);
    }
}

fn output(program: &str, arguments: &str) -> String {
    let done = Command::new(program).args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn base(kind: Kind, hook: Hook, priority: i32) -> Option<Base> {
    Some(Base { kind, hook, priority })
}

fn set(name: &str, key: &[Type], stored: Stored, intervals: bool, elements: Vec<Element>) -> Set {
    Set { name: name.into(), key: key.into(), stored, intervals, memory: None, elements }
}

fn service(address: [u8; 4], port: u16) -> Key {
    Key::One(vec![Ipv4Addr::from(address).into(), Value::protocol(6), Value::port(port)])
}

fn services() -> Set {
    let chain = Verdict::Goto("web".into());
    let element = Element::Verdict(service([10, 43, 0, 1], 80), chain);
    set("services", &[Type::Ip4, Type::Protocol, Type::Port], Stored::Verdict, false, vec![element])
}

/// A Service of two backends, both this address.
fn ruleset(backend: u16) -> Ruleset {
    let backend = |number| {
        let data = vec![Ipv4Addr::LOCALHOST.into(), Value::port(backend)];
        Element::Data(Value::number(number).into(), data)
    };
    let stored = Stored::Data(vec![Type::Ip4, Type::Port]);
    let backends = set("backends", &[Type::Number], stored, false, vec![backend(0), backend(1)]);
    let network =
        Key::Range(vec![Ipv4Addr::new(10, 42, 0, 0).into()], vec![Ipv4Addr::new(10, 42, 255, 255).into()]);
    let last = Key::Range(vec![Ipv4Addr::new(240, 0, 0, 0).into()], vec![Ipv4Addr::BROADCAST.into()]);
    let cluster = set(
        "cluster",
        &[Type::Ip4],
        Stored::Nothing,
        true,
        vec![Element::Member(network), Element::Member(last)],
    );
    let boxed = Key::Range(
        vec![Ipv4Addr::new(10, 0, 0, 0).into(), Value::port(80)],
        vec![Ipv4Addr::new(10, 0, 0, 255).into(), Value::port(90)],
    );
    let policy = set("policy", &[Type::Ip4, Type::Port], Stored::Nothing, true, vec![Element::Member(boxed)]);

    let key = vec![Field::Ip4Destination, Field::Protocol, Field::DestinationPort];
    let dispatch = Rule(vec![E::Dispatch { key, map: "services".into() }]);
    let target = Target::Map { key: vec![Field::Random(2)], map: "backends".into(), six: false, port: true };
    let web = Rule(vec![E::Equal(Field::Protocol, Value::protocol(6)), E::Counter, E::Destination(target)]);
    let inside =
        E::Network { field: Field::Ip4Source, network: "10.42.0.0/16".parse().unwrap(), inside: true };
    let leaves = E::Lookup { key: vec![Field::Ip4Destination], set: "cluster".into(), inside: false };
    let marked = Rule(vec![E::Bits(Field::Mark, 0x4000), E::Masquerade]);
    let forward = vec![
        Rule(vec![E::Bits(Field::ConnectionState, 6), E::Verdict(Verdict::Accept)]),
        Rule(vec![
            E::Lookup {
                key: vec![Field::Ip4Source, Field::DestinationPort],
                set: "policy".into(),
                inside: true,
            },
            E::Reject,
        ]),
        Rule(vec![E::Equal(Field::InputInterface, Value::interface("eth0")), E::Mark(0x4000)]),
        Rule(vec![E::Unequal(Field::DestinationType, Value::number(2)), E::Verdict(Verdict::Drop)]),
    ];
    let chain = |name: &str, base, rules| Chain { name: name.into(), base, rules };
    Ruleset {
        table: "services".into(),
        sets: vec![services(), backends, cluster, policy],
        chains: vec![
            chain("output", base(Kind::Nat, Hook::Output, priority::DESTINATION_NAT), vec![dispatch]),
            chain("web", None, vec![web]),
            chain("forward", base(Kind::Filter, Hook::Forward, priority::FILTER), forward),
            chain(
                "post",
                base(Kind::Nat, Hook::Postrouting, priority::SOURCE_NAT),
                vec![Rule(vec![inside, leaves, E::Masquerade]), marked],
            ),
        ],
    }
}

#[test]
fn nft_reads_what_was_meant() {
    in_namespace(async || {
        Nftables::open().unwrap().apply(&ruleset(8080)).await.unwrap();
        let list = output("nft", "list ruleset");
        let expected = [
            "10.43.0.1 . tcp . 80 : goto web",
            "0x00000000 : 127.0.0.1 . 8080, 0x00000001 : 127.0.0.1 . 8080",
            "elements = { 10.42.0.0/16, 240.0.0.0/4 }",
            "10.0.0.0/24 . 80-90",
            "ip daddr . meta l4proto . th dport vmap @services",
            "numgen random mod 2 map @backends",
            "ct state established,related accept",
            "iifname \"eth0\" meta mark set meta mark | 0x00004000",
            "ip saddr . th dport @policy reject",
            "fib daddr type != local drop",
            "ip saddr 10.42.0.0/16 ip daddr != @cluster masquerade fully-random",
            "type nat hook output priority -100; policy accept;",
        ];
        let missing: Vec<_> = expected.iter().filter(|words| !list.contains(**words)).collect();
        assert!(missing.is_empty(), "missing {missing:#?} in {list}");
    });
}

#[test]
fn a_service_leads_to_its_backend_until_it_is_removed() {
    in_namespace(async || {
        output("ip", "link set lo up");
        output("ip", "route add 10.43.0.0/16 dev lo");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let nftables = Nftables::open().unwrap();
        nftables.apply(&ruleset(listener.local_addr().unwrap().port())).await.unwrap();

        for _ in 0..16 {
            // Often enough that both backends are drawn: a number without one leads nowhere.
            let mut client = TcpStream::connect((Ipv4Addr::new(10, 43, 0, 1), 80)).unwrap();
            client.write_all(b"skiff").unwrap();
            let mut heard = [0; 5];
            listener.accept().unwrap().0.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"skiff");
        }

        let moved = Element::Verdict(service([10, 43, 0, 2], 81), Verdict::Drop);
        let changes = [Change::Remove(services(), services().elements), Change::Add(services(), vec![moved])];
        nftables.change("services", &changes).await.unwrap();
        let list = output("nft", "list map inet services services");
        assert!(list.contains("10.43.0.2 . tcp . 81 : drop") && !list.contains("goto"), "{list}");
        nftables.remove("services").await.unwrap();
        assert_eq!(output("nft", "list ruleset"), "");
    });
}

#[test]
fn the_refused_message_is_named_and_the_old_table_stays() {
    in_namespace(async || {
        let nftables = Nftables::open().unwrap();
        nftables.apply(&ruleset(8080)).await.unwrap();
        let before = output("nft", "list ruleset");
        let mut wrong = ruleset(9090);
        wrong.chains[2].rules.push(Rule(vec![E::Verdict(Verdict::Jump("nowhere".into()))]));
        match nftables.apply(&wrong).await {
            Err(Error::Refused { subject, .. }) => assert_eq!(subject, Subject::Rule("forward".into(), 4)),
            other => panic!("{other:?}"),
        }
        assert_eq!(output("nft", "list ruleset"), before);
    });
}

#[test]
fn ten_thousand_services_are_one_transaction() {
    in_namespace(async || {
        let mut large = ruleset(8080);
        let many = (0..10_000_u16).map(|number| {
            let [high, low] = number.to_be_bytes();
            Element::Verdict(service([10, 44, high, low], 80), Verdict::Goto("web".into()))
        });
        large.sets[0].elements.extend(many);
        Nftables::open().unwrap().apply(&large).await.unwrap();
        assert_eq!(output("nft", "list map inet services services").matches("goto web").count(), 10_001);
    });
}

#[test]
fn an_update_changes_only_what_differs() {
    in_namespace(async || {
        let nftables = Nftables::open().unwrap();
        let mut next = ruleset(9090);
        next.sets[0].elements =
            vec![Element::Verdict(service([10, 43, 0, 9], 80), Verdict::Goto("new".into()))];
        next.sets.remove(3);
        next.sets.push(set(
            "more",
            &[Type::Port],
            Stored::Nothing,
            false,
            vec![Element::Member(Value::port(7).into())],
        ));
        next.chains.retain(|chain| chain.name != "web");
        next.chains[1].rules.remove(1);
        let port = E::Lookup { key: vec![Field::DestinationPort], set: "more".into(), inside: true };
        let tcp = E::Equal(Field::Protocol, Value::protocol(6));
        next.chains.push(Chain {
            name: "new".into(),
            base: None,
            rules: vec![Rule(vec![tcp, port, E::Reject])],
        });
        nftables.apply(&next).await.unwrap();
        let wanted = sorted(&output("nft", "list ruleset"));

        nftables.apply(&ruleset(8080)).await.unwrap();
        // Of somebody's hand, in a chain that stays as it is: a table that was replaced has lost it.
        output("nft", "add rule inet services post counter");
        nftables.update(&ruleset(8080), &next).await.unwrap();
        let list = output("nft", "list ruleset");
        assert!(list.contains("counter packets 0 bytes 0\n"), "{list}");
        assert_eq!(sorted(&list.replace("\t\tcounter packets 0 bytes 0\n", "")), wanted);
    });
}

fn sorted(list: &str) -> Vec<String> {
    let mut lines: Vec<_> = list.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}
