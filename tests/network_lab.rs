//! The lab's network: machines reach one another unless a cable says otherwise.

use std::net::Ipv4Addr;

use anyhow::Result;
use lab::{Host, Lab};

/// Keeps asking until there is an answer.
fn reaches(from: &Host, to: Ipv4Addr) -> Result<()> {
    from.command("ping").args(["-q", "-i0.1", "-c1", "-w30"]).arg(to.to_string()).ok().map(drop)
}

/// Asks a few times, and gets none.
fn misses(from: &Host, to: Ipv4Addr) -> Result<()> {
    let output = from.command("ping").args(["-q", "-i0.1", "-c3", "-W1"]).arg(to.to_string()).run()?;
    assert!(!output.status.success(), "{} reaches {to}: {}", from.name(), output.stdout);
    Ok(())
}

#[test]
fn a_cut_cable_stops_what_a_mended_one_resumes() -> Result<()> {
    let lab = Lab::new()?;
    let hosts = [lab.host("a")?, lab.host("b")?, lab.host("c")?];
    let pairs = || hosts.iter().flat_map(|from| hosts.iter().map(move |to| (from, to.ip())));
    pairs().try_for_each(|(from, to)| reaches(from, to))?;

    let [a, b, c] = &hosts;
    b.link().cut()?;
    misses(a, b.ip())?;
    misses(b, c.ip())?;
    reaches(a, c.ip())?;
    assert_eq!(b.read("/sys/class/net/eth0/carrier")?.trim(), "0");

    b.reboot()?;
    misses(a, b.ip())?;
    b.link().mend()?;
    pairs().try_for_each(|(from, to)| reaches(from, to))
}

/// How many pings have arrived, answered or not.
fn asked(host: &Host) -> Result<u64> {
    let counters = host.command("cat").arg("/proc/net/snmp").ok()?;
    let mut icmp =
        counters.lines().filter_map(|line| line.strip_prefix("Icmp: ")).map(|line| line.split(' '));
    let (names, values) = (icmp.next().expect("names"), icmp.next().expect("values"));
    let (_, value) = names.zip(values).find(|(name, _)| *name == "InEchos").expect("pings are counted");
    Ok(value.parse()?)
}

/// So that only the ping itself is lost or not, and not the question for the hardware address before it.
fn introduce(to: &Host, who: &Host) -> Result<()> {
    let hardware = who.read("/sys/class/net/eth0/address")?;
    let (address, hardware) = (who.ip().to_string(), hardware.trim());
    let neighbour = ["neigh", "replace", &address, "lladdr", hardware, "dev", "eth0", "nud", "permanent"];
    to.command("ip").args(neighbour).ok().map(drop)
}

#[test]
fn packets_are_dropped_one_way_only() -> Result<()> {
    let lab = Lab::new()?;
    let (a, b, c) = (lab.host("a")?, lab.host("b")?, lab.host("c")?);
    introduce(&a, &b)?;
    introduce(&b, &a)?;

    a.link().drop_to(&b)?;
    misses(&a, b.ip())?;
    assert_eq!(asked(&b)?, 0, "what a sends does not reach b");
    misses(&b, a.ip())?;
    assert_eq!(asked(&a)?, 3, "what b sends reaches a, only the answers do not reach b");
    reaches(&a, c.ip())?;
    reaches(&b, c.ip())?;

    a.link().undrop()?;
    reaches(&a, b.ip())?;
    c.link().drop_from(&a)?;
    misses(&a, c.ip())?;
    reaches(&c, b.ip())
}

#[test]
fn a_machine_takes_another_address_and_keeps_it() -> Result<()> {
    let lab = Lab::new()?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let (before, after) = (b.ip(), Ipv4Addr::new(10, 10, 7, 7));
    reaches(&a, before)?;
    b.set_address(after)?;
    assert_eq!(b.ip(), after);
    reaches(&a, after)?;
    misses(&a, before)?;
    b.reboot()?;
    reaches(&a, after)
}

#[test]
fn a_default_route_goes_and_stays_away() -> Result<()> {
    let lab = Lab::new()?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let outside = || a.command("ip").args(["route", "get", "192.0.2.1"]).run();
    assert!(outside()?.status.success());
    a.remove_default_route()?;
    assert!(!outside()?.status.success());
    a.reboot()?;
    assert!(!outside()?.status.success());
    reaches(&a, b.ip())
}

#[test]
fn labs_do_not_see_one_another() -> Result<()> {
    let (one, other) = (Lab::new()?, Lab::new()?);
    let (a, _same_address, beyond) = (one.host("a")?, other.host("a")?, other.host("b")?);
    misses(&a, beyond.ip())
}
